package snap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"regexp"
	"syscall"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// socket is where snapd listens, or systemd for it while it is asleep.
	socket = "/run/snapd.socket"
	// maxBody bounds an answer: a hundred snaps have 500 KB.
	maxBody = 16 << 20
	// askLimit bounds one question. The store takes its time, and snapd tries several times.
	askLimit = 3 * time.Minute
)

// reply is the envelope of every answer.
type reply struct {
	Type   string          `json:"type"`
	Code   int             `json:"status-code"`
	Change string          `json:"change"`
	Result json.RawMessage `json:"result"`
	// Maintenance is there while snapd or the machine is about to start again.
	Maintenance *failure `json:"maintenance"`
}

// failure is what snapd could not do. It is an error.
type failure struct {
	Message string `json:"message"`
	Kind    string `json:"kind"`
}

func (f *failure) Error() string { return fleet.Plain(f.Message) }

// errDown: snapd does not listen, or does not come to the end of an answer.
var errDown = errors.New("snapd does not answer")

// ask sends one request, and reads its answer.
func ask(ctx context.Context, m *machine.Machine, method, path string, body any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var r reply
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return r, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, &text)
	if err != nil {
		return r, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", m.Path(socket))
	}}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return r, unreachable(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	if err != nil {
		return r, unreachable(err)
	}
	return parseReply(data)
}

// unreachable says why snapd cannot be asked.
func unreachable(err error) error {
	u := &fleet.Unknown{Because: fleet.Plain("snapd does not answer: " + err.Error()), Remedy: "see `systemctl status snapd.socket snapd`", Err: errors.Join(errDown, err)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.Because, u.Remedy = "snapd does not listen: "+socket+" is not there", "start it: systemctl start snapd.socket"
	case errors.Is(err, syscall.ECONNREFUSED):
		u.Because, u.Remedy = "nobody listens at "+socket, "start it: systemctl restart snapd.socket"
	case errors.Is(err, fs.ErrPermission):
		u.Because, u.Remedy, u.Err = "we may not speak to snapd", "sudo redflag", err
	case errors.Is(err, context.DeadlineExceeded):
		u.Because = "snapd takes too long over an answer"
	}
	return u
}

// parseReply reads an answer. One that is an error is a *[fleet.Unknown] with a *failure in it.
func parseReply(data []byte) (reply, error) {
	var r reply
	if len(data) > maxBody {
		return r, &fleet.Unknown{Because: fmt.Sprintf("snapd's answer has over %d bytes", maxBody), Remedy: "see what `snap list` says", Err: machine.ErrTooLarge}
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, &fleet.Unknown{Because: fleet.Plain("snapd's answer cannot be read: " + err.Error()), Remedy: "see `systemctl status snapd`", Err: err}
	}
	switch r.Type {
	case "sync", "async":
		return r, nil
	case "error":
		var f failure
		if err := json.Unmarshal(r.Result, &f); err != nil || fleet.Plain(f.Message) == "" {
			f.Message = fmt.Sprintf("it refuses, with the status %d", r.Code)
		}
		return r, explain(&f)
	}
	return r, &fleet.Unknown{Because: fleet.Plain(fmt.Sprintf("snapd gives an answer of an unknown type, %q", fleet.Plain(r.Type))), Remedy: "report it, with the output of `snap version`"}
}

// runs is what snapd says where applications of a snap run.
var runs = regexp.MustCompile(`has running (?:apps|hooks) \(([^)]*)\)`)

// explain says what a failure means to a person.
func explain(f *failure) error {
	u := &fleet.Unknown{Because: f.Error(), Remedy: "see `snap changes`", Err: f}
	if found := runs.FindStringSubmatch(f.Message); found != nil {
		u.Because, u.Remedy = fleet.Plain("it runs, and snapd replaces nothing that runs: "+found[1]), "close it, and try again"
		return u
	}
	switch f.Kind {
	case "login-required", "auth-cancelled":
		u.Because, u.Remedy = "snapd lets only root do this", "sudo redflag"
	case "network-timeout", "dns-failure":
		u.Because, u.Remedy = "the Snap Store cannot be reached: "+f.Error(), "check the network and the proxy: snap get system proxy"
	case "snap-change-conflict":
		u.Because, u.Remedy = "snapd is at work on it already: "+f.Error(), "wait until it has ended: snap changes"
	case "snap-revision-not-available":
		u.Because, u.Remedy = "the store does not give out this revision any more", "look anew: redflag scan --refresh"
	case "snap-no-update-available":
		u.Because, u.Remedy = "there is nothing newer any more", "look anew: redflag scan --refresh"
	case "snap-not-installed", "snap-not-found":
		u.Remedy = "redflag list shows what is installed"
	case "snap-local":
		u.Because, u.Remedy = "it was installed from a file, and the store does not know it", "install it anew by hand: snap install --dangerous FILE"
	case "insufficient-disk-space":
		u.Because, u.Remedy = "the disk is full: "+f.Error(), "free some space: snap remove what nobody needs, or snap set system refresh.retain=2"
	case "daemon-restart", "system-restart":
		u.Remedy = "wait until it has started again"
	}
	u.Because = fleet.Plain(u.Because)
	return u
}

// get asks for something.
func get(ctx context.Context, m *machine.Machine, path string, into any) error {
	r, err := ask(ctx, m, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(r.Result, into); err != nil || r.Type != "sync" || string(r.Result) == "null" {
		if r.Maintenance != nil {
			return explain(r.Maintenance)
		}
		return &fleet.Unknown{Because: "snapd's answer to " + path + " cannot be read", Remedy: "report it, with the output of `snap version`", Err: err}
	}
	return nil
}

// instruction is what snapd is told to do with a snap.
type instruction struct {
	Action   string `json:"action"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Level    string `json:"hold-level,omitempty"`
}

// begin has snapd begin something, and gives the change that it is.
func begin(ctx context.Context, m *machine.Machine, name string, i instruction) (string, error) {
	r, err := ask(ctx, m, http.MethodPost, "/v2/snaps/"+name, i)
	if err != nil {
		return "", err
	}
	if r.Type != "async" || !isRevision(r.Change) {
		return "", &fleet.Unknown{Because: "snapd does not say what it has begun", Remedy: "see `snap changes`"}
	}
	return r.Change, nil
}
