//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"redflag/internal/store"
	"redflag/internal/swarm"
)

const (
	swarmHosts = 50
	swarmLines = 150
	realHosts  = 3
	realLines  = 400
)

// wordy says many lines, some at once and some one by one, and waits in the middle until it may go on.
const wordy = `i=1; while [ $i -le 400 ]; do echo "said $i"; i=$((i+1)); [ $((i % 50)) -ne 0 ] || sleep 0.2
if [ $i -eq 200 ]; then touch /tmp/slow; while [ ! -e /tmp/go ]; do sleep 0.1; done; fi; done`

func TestFiftyHostsAndThreeRealOnesArePatchedAtOnceAndEveryLineIsThere(t *testing.T) {
	s := newFleetServer(t)
	real := make([]*remote, realHosts)
	for i := range real {
		real[i] = s.join(newRoot(t))
		real[i].write("/etc/redflag/policy.toml", "allow = \"all\"\n")
		real[i].offer("2", wordy)
	}
	var said bytes.Buffer
	many := swarm.New(swarm.Config{Server: s.url, Token: s.token, Key: s.key, Hosts: swarmHosts, AtOnce: swarmHosts, Out: &said})
	if err := many.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { many.Obey(ctx, t.TempDir(), swarmLines) })
	defer work.Wait()
	defer stop()
	if status := real[0].ask("POST", "/groups", map[string]string{"name": "everything", "query": "env=many"}, &map[string]any{}); status != 200 {
		t.Fatal(status)
	}

	job := startProcess(t, "/usr/bin/env", "REDFLAG_SERVER="+s.url, "REDFLAG_API_KEY="+s.key, build(t), "job", "install", "--group", "everything", "--yes", "--wait", "10m")
	for _, r := range real {
		r.until("the slow script runs", func() bool { return r.exists("/tmp/slow") })
	}
	real[0].agent.end(syscall.SIGKILL) // in the middle of its lines
	real[0].start()
	for _, r := range real {
		r.write("/tmp/go", "")
	}
	if code := job.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, job.said())
	}
	text := job.said()
	if want := fmt.Sprintf("%d hosts, %d succeeded", swarmHosts+realHosts, swarmHosts+realHosts); !strings.Contains(text, want) {
		t.Errorf("%q is not in %s", want, tail(text))
	}
	lines := regexp.MustCompile(`(?m)^(\S+) *\| (.*)$`).FindAllStringSubmatch(text, -1)
	shown := map[string][]string{}
	for _, l := range lines {
		shown[l[1]] = append(shown[l[1]], l[2])
	}
	rollout := regexp.MustCompile(`rollout (\d+): the hosts plan`).FindStringSubmatch(text)
	var id int64
	if _, err := fmt.Sscan(rollout[1], &id); err != nil {
		t.Fatal(err)
	}
	if wrong, err := many.Compare(t.Context(), id, swarmLines); err != nil || wrong != 0 {
		t.Errorf("%d of the simulated hosts have other lines at the server than they said, %v", wrong, err)
	}
	checkLines(t, real[0], id, shown)
	for _, r := range real {
		if got := r.versions(); got != "2 ii ;2 ii ;" {
			t.Errorf("a real host: %s", got)
		}
	}
}

// checkLines holds the lines that the server has of each job to what was shown, and to what the real hosts' script said.
func checkLines(t *testing.T, f *remote, rollout int64, shown map[string][]string) {
	t.Helper()
	var jobs struct{ Items []store.Job }
	f.ask("GET", fmt.Sprintf("/rollouts/%d/jobs?limit=500", rollout), nil, &jobs)
	talkers := 0
	for _, j := range jobs.Items {
		var all store.Lines
		f.ask("GET", fmt.Sprintf("/jobs/%d/lines?limit=5000", j.ID), nil, &all)
		// Roots on one machine have one name, so what was shown of them is told apart by the server's lists.
		if strings.HasPrefix(j.HostName, "host") && strings.HasSuffix(j.HostName, ".example.net") {
			if strings.Join(shown[j.HostName], "\n") != strings.Join(all.Lines, "\n") {
				t.Errorf("%s: %d lines were shown, and the server has %d", j.HostName, len(shown[j.HostName]), len(all.Lines))
			}
			continue
		}
		talkers++
		n := 0
		for _, l := range all.Lines {
			if strings.HasPrefix(l, "said ") {
				if n++; l != fmt.Sprint("said ", n) {
					t.Fatalf("%s: line %d of its script is %q", j.Host, n, l)
				}
			}
		}
		if n != realLines || !all.Whole {
			t.Errorf("%s: %d of its lines, %+v", j.Host, n, j)
		}
	}
	if talkers != realHosts {
		t.Errorf("%d real hosts", talkers)
	}
}

// tail gives the end of a text.
func tail(text string) string { return text[max(0, len(text)-4000):] }

// exit waits for the end of a process, and gives its exit code.
func (p *process) exit() int {
	_ = p.Wait() // the exit code says it
	return p.ProcessState.ExitCode()
}
