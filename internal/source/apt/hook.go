package apt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// Apt's command line tells hooks what it is about to do, as JSON-RPC 2.0 over a socket (apt's doc/json-hooks-protocol.md, version 0.2): one
// message a line, each followed by an empty line. A hook that ends with an error makes apt stop before it has done anything.

const (
	// hookStop is the exit code by which our hook stops apt.
	hookStop = 77
	// planMark begins the line in which our hook writes the plan to standard output, among what apt writes there.
	planMark = "redflag-plan: "
	// maxMessage bounds a message: a plan of 2,000 packages has 3 MB.
	maxMessage = 64 << 20
)

// message is what apt sends.
type message struct {
	Method string          `json:"method"`
	ID     *int            `json:"id"`
	Params json.RawMessage `json:"params"`
}

const (
	methodHello  = "org.debian.apt.hooks.hello"
	methodPrompt = "org.debian.apt.hooks.install.pre-prompt"
	methodBye    = "org.debian.apt.hooks.bye"
)

// Hook is the program that apt runs as its hook: it speaks to apt over the socket in APT_HOOK_SOCKET, and gives the exit code. With "-" it writes the
// plan to standard output, where [Source] looks for it, and stops apt once that is done. With a file, which holds the approved plan, it lets apt
// go on if that is the plan, and stops it if it is any other. A hook that fails stops apt as well.
func Hook(file string) int {
	err := runHook(file)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "redflag: apt-hook:", err)
		return 1
	case file == "-":
		return hookStop
	}
	return 0
}

func runHook(file string) error {
	fd, err := strconv.Atoi(os.Getenv("APT_HOOK_SOCKET"))
	if err != nil || fd < 3 {
		return errors.New("apt has given no socket in APT_HOOK_SOCKET: this command is for apt to run")
	}
	socket := os.NewFile(uintptr(fd), "apt's socket")
	defer socket.Close()
	plan, err := converse(socket, file != "-")
	switch {
	case err != nil:
		return err
	case file != "-" && plan == nil:
		return nil // this call was about something else
	case file != "-":
		return veto(plan, file)
	}
	_, err = fmt.Printf("\n%s%s\n", planMark, plan)
	return err
}

// veto compares what apt is about to do with the plan that was approved.
func veto(said []byte, file string) error {
	var p plan
	if err := json.Unmarshal(said, &p); err != nil {
		return fmt.Errorf("read apt's plan: %w", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the approved plan: %w", err)
	}
	var approved fleet.Plan
	if err := json.Unmarshal(data, &approved); err != nil {
		return fmt.Errorf("read the approved plan: %w", err)
	}
	now := fleet.Plan{Source: approved.Source, Changes: p.changes()}
	if now.Digest() == approved.Digest() {
		return nil
	}
	return fmt.Errorf("%s: %s", vetoMark, strings.Join(approved.Differences(now), "; "))
}

// vetoMark begins the reason for which our hook has stopped apt.
const vetoMark = "this is not the plan that was approved"

// converse answers apt's greeting and gives what it says before it would ask the user. A call about something else is an error, unless apt is to go
// on: then it gives nothing.
func converse(socket io.ReadWriter, goOn bool) (plan []byte, err error) {
	lines := bufio.NewScanner(socket)
	lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var msg message
		if err := json.Unmarshal(lines.Bytes(), &msg); err != nil {
			return nil, fmt.Errorf("read apt's message: %w", err)
		}
		switch msg.Method {
		case methodHello:
			if err := greet(socket, msg); err != nil {
				return nil, err
			}
		case methodPrompt:
			return compact(msg.Params)
		case methodBye:
			if goOn {
				return nil, nil
			}
			return nil, errors.New("apt said goodbye before it said what it would do")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read apt's message: %w", err)
	}
	return nil, errors.New("apt hung up before it said what it would do")
}

// protocol is the version of the hooks' protocol, the first that tells upgrades from downgrades.
const protocol = "0.2"

// greet agrees on it.
func greet(socket io.Writer, hello message) error {
	var params struct {
		Versions []string `json:"versions"`
	}
	if err := json.Unmarshal(hello.Params, &params); err != nil {
		return fmt.Errorf("read apt's greeting: %w", err)
	}
	if hello.ID == nil {
		return errors.New("read apt's greeting: it has no id")
	}
	if !slices.Contains(params.Versions, protocol) {
		return fmt.Errorf("this apt does not speak version %s of its hooks' protocol", protocol)
	}
	_, err := fmt.Fprintf(socket, `{"jsonrpc":"2.0","id":%d,"result":{"version":%q}}`+"\n\n", *hello.ID, protocol)
	return err
}

func compact(params json.RawMessage) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, params); err != nil {
		return nil, fmt.Errorf("read apt's plan: %w", err)
	}
	return out.Bytes(), nil
}
