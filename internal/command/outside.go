package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
)

// begin starts the process that carries a job out. It is nobody's child for long: with systemd it is a unit of its own, which
// neither the end of a session nor that of an agent's service ends, and without any sandbox; else a session of its own. Stopping the unit, as a shutdown does, tells this
// program alone, which cancels a download and waits for a transaction.
func begin(ctx context.Context, id job.ID) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if systemdRuns() {
		args := append([]string{"--quiet", "--collect", "--no-block", "--service-type=oneshot", "--unit=redflag-job-" + string(id),
			"-p", "StandardInput=null", "-p", "KillMode=mixed", "-p", "TimeoutStopSec=infinity", "-p", "SendSIGKILL=no", "-p", "OOMScoreAdjust=-800"}, kept()...)
		out, err := exec.CommandContext(ctx, "systemd-run", append(args, "--", exe, jobRunName, string(id))...).CombinedOutput()
		if err == nil || !errors.Is(err, exec.ErrNotFound) {
			return complained(err, "begin the job by systemd-run", out)
		}
	}
	cmd := exec.CommandContext(ctx, exe, jobRunName, string(id)) //nolint:gosec // this program
	ownSession(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("begin the job: %w", err)
	}
	go func() { _ = cmd.Wait() }() // what became of it, the job says
	return nil
}

// systemdRuns says whether systemd is the machine's process 1 (sd_booted(3)).
func systemdRuns() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// kept are the options that give a transient unit what it needs of our environment, and no more: the proxies, and root's home.
func kept() []string {
	var list []string
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v := os.Getenv(name); v != "" {
			list = append(list, "--setenv="+name+"="+v)
		}
	}
	if u, err := user.Current(); err == nil {
		list = append(list, "--setenv=HOME="+u.HomeDir)
	}
	return list
}

func complained(err error, what string, out []byte) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", what, err, fleet.Plain(strings.TrimSpace(string(out))))
}

const (
	// outsideLimit is after how long systemd ends a command that nobody waits for any more.
	outsideLimit = "RuntimeMaxSec=30min"
	// maxOutside bounds what one prints: the plans of a machine.
	maxOutside = 64 << 20
)

// outside runs a hidden command of this program in a unit of its own, which no sandbox of ours is around, and gives what it prints. Without systemd it is a child.
func outside(ctx context.Context, command string, input []byte) ([]byte, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	words := []string{exe, command}
	if systemdRuns() {
		words = append(append([]string{"systemd-run", "--quiet", "--collect", "--wait", "--pipe", "-p", outsideLimit}, kept()...), "--", exe, command)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // this program
	cmd.WaitDelay = time.Second
	said := &capped{limit: maxOutside}
	complaints := &capped{limit: 4 << 10}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), said, complaints
	err = cmd.Run()
	if err == nil && said.over {
		err = errors.New("it prints more than anybody reads")
	}
	if err == nil {
		return said.kept, nil
	}
	var why reason
	if json.Unmarshal(said.kept, &why) == nil && why.Because != "" {
		return nil, &fleet.Unknown{Because: why.Because, Remedy: why.Remedy, Err: err}
	}
	return nil, complained(err, command, complaints.kept)
}

// reason is what a hidden command prints when it fails.
type reason struct {
	Because string `json:"because"`
	Remedy  string `json:"remedy"`
}

// capped keeps the first bytes that are written to it, and lets nobody wait.
type capped struct {
	kept  []byte
	limit int
	over  bool
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	room := c.limit - len(c.kept)
	c.over = c.over || len(p) > room
	c.kept = append(c.kept, p[:min(len(p), room)]...)
	return len(p), nil
}
