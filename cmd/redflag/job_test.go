//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"redflag/internal/swarm"
)

// operator is a person at a terminal, who asks a fleet of simulated hosts.
type operator struct {
	*testing.T
	s   *fleetServer
	exe string
}

// newOperator lets hosts join a server and obey it: each installation says so many lines.
func newOperator(t *testing.T, hosts, lines int) *operator {
	t.Helper()
	s := newFleetServer(t)
	var said bytes.Buffer
	many := swarm.New(swarm.Config{Server: s.url, Token: s.token, Key: s.key, Hosts: hosts, AtOnce: hosts, Out: &said})
	if err := many.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	dir := t.TempDir()
	work.Go(func() { many.Obey(ctx, dir, lines) })
	t.Cleanup(func() { stop(); work.Wait() })
	return &operator{t, s, build(t)}
}

// env is what the operator's shell has.
func (o *operator) env() []string {
	return append(os.Environ(), "REDFLAG_SERVER="+o.s.url, "REDFLAG_API_KEY="+o.s.key)
}

// job runs a command and gives what it prints; its exit code is the one that is wanted.
func (o *operator) job(code int, args ...string) string {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), o.exe, append([]string{"job"}, args...)...) //nolint:gosec // a test's own program
	cmd.Env = o.env()
	out, _ := cmd.CombinedOutput() // the exit code says it
	if got := cmd.ProcessState.ExitCode(); got != code {
		o.Fatalf("redflag job %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// says fails the test unless a text has all the words.
func (o *operator) says(text string, words ...string) {
	o.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			o.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

const oneHost, twoHost = "host00000.example.net", "host00001.example.net"

func TestAPersonAsksAFleetFromTheTerminal(t *testing.T) {
	o := newOperator(t, 2, 90)
	o.says(o.job(1, "install", "nobody", "--security"), `no host called "nobody"`)
	o.says(o.job(2, "install", "--security"), "name hosts, or a --group")
	o.says(o.job(2, "list", "--format", "xml"), "text or json")
	o.says(o.job(1, "show", "7"), "neither a job nor a rollout")
	o.says(o.job(1, "list", "--key", "rf_key_WRONG"), "sign in first")
	o.says(o.job(1, "list", "--server", "http://fleet.example.com"), "over plain HTTP", "--plain-http")

	text := o.job(2, "install", oneHost, twoHost, "--security", "--restart-services")
	o.says(text, "the hosts plan", oneHost, twoHost, "upgrade", "afterwards: restart", "there is nobody to ask", "redflag job approve")
	id := regexp.MustCompile(`rollout (\d+): `).FindStringSubmatch(text)[1]
	o.says(o.job(0, "list", "--state", "planned"), oneHost, twoHost, "install security updates")
	text = o.job(0, "approve", id, "--yes")
	o.says(text, oneHost+" | host 00000, order", twoHost+" | host 00001, order", "line 89: Setting up", "2 hosts, 2 succeeded")
	for _, host := range []string{oneHost, twoHost} {
		if n := strings.Count(text, "\n"+host+" | "); n != 90 {
			t.Errorf("%d lines of %s are shown", n, host)
		}
	}
	o.says(o.job(0, "approve", id, "--yes"), "2 hosts, 2 succeeded") // nothing is left to approve
	o.says(o.job(0, "show", id), "install security updates, by key test", "succeeded")
	o.says(o.job(0, "show", id, "--format", "json"), `"succeeded": 2`)
	o.says(o.job(2, "log", id), "the rollout has 2 jobs")
	job := strings.Fields(o.job(0, "list", "--host", oneHost))[0]
	o.says(o.job(0, "show", job), "approved by key test", "apt: succeeded, 5 changes done", "90 lines of what its tools said")
	if text := o.job(0, "log", job); strings.Count(text, "\n") != 90 || !strings.Contains(text, "line 89: ") {
		t.Errorf("the log:\n%s", text)
	}
	o.says(o.job(0, "hold", oneHost, "--name", "curl"), "1 host, 1 succeeded")
	o.says(o.job(0, "unhold", oneHost, "--name", "curl", "--detach"), "redflag job watch")
	o.says(o.job(0, "reboot", twoHost, "--if-needed"), "1 succeeded")
	o.says(o.job(0, "undo", job, "--yes"), "1 host, 1 succeeded")
	text = o.job(2, "install", oneHost)
	id = regexp.MustCompile(`rollout (\d+): `).FindStringSubmatch(text)[1]
	o.says(o.job(0, "cancel", id), oneHost+": cancelled")
	o.says(o.job(0, "cancel", id), "has ended already")
	o.says(o.job(1, "watch", id), "1 cancelled")
}

func TestWhoStopsWatchingStopsNothing(t *testing.T) {
	o := newOperator(t, 1, 1000)
	watch := startProcess(t, "/usr/bin/env", "REDFLAG_SERVER="+o.s.url, "REDFLAG_API_KEY="+o.s.key, o.exe, "job", "install", oneHost, "--yes")
	until(t, "lines come", func() bool { return strings.Contains(watch.said(), "line 3: ") })
	if err := syscall.Kill(watch.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := watch.exit(); code != 130 {
		t.Errorf("exit code %d\n%s", code, watch.said())
	}
	o.says(watch.said(), "it goes on without you", "redflag job watch", "redflag job cancel")
	id := regexp.MustCompile(`rollout (\d+): `).FindStringSubmatch(watch.said())[1]
	text := o.job(0, "watch", id)
	for i := range 1000 { // whoever watches from now on sees all of it, from its beginning
		if want := fmt.Sprintf("line %d: ", i); strings.Count(text, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(text, want))
		}
	}
}
