//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/store"
)

// booted is a host whose process 1 is systemd, with the agent and the helper as its services, in a fleet.
type booted struct {
	*remote
	m *machine.Machine
}

func newBooted(t *testing.T) *booted {
	t.Helper()
	b := &booted{remote: &remote{root: &root{t, parts.SystemdRoot(t, "bookworm")}}}
	b.furnish(t)
	b.sh("umount -l /proc")
	token := b.serve(t)
	b.m = parts.BootHere(t, b.dir)
	t.Cleanup(func() {
		if t.Failed() {
			r, _ := b.m.Run(context.Background(), machine.Command{Name: "sh", Args: []string{"-c", "journalctl --no-pager -o cat -u 'redflag-*' | tail -n 60; redflag history; tail -n 20 /var/lib/redflag/jobs/*/log; ls -l /run/redflag /var/lib/redflag /var/lib/redflag/agent; head -c 1500 /var/lib/redflag/agent/last-scan.json"}})
			t.Logf("on the host:\n%s%s", r.Stdout, r.Stderr)
		}
	})
	b.host = regexp.MustCompile(`This host is (\S+) in`).FindStringSubmatch(b.run("redflag", "agent", "enroll", b.url, token))[1]
	b.says(b.run("redflag", "agent", "install"), "runs as the user redflag-agent")
	return b
}

// run runs a command on the host, which must succeed.
func (b *booted) run(name string, args ...string) string {
	b.Helper()
	r, err := b.m.Run(b.Context(), machine.Command{Name: name, Args: args, Env: []string{"HOME=/root"}})
	if err != nil || r.Code != 0 {
		b.Fatalf("%s %s: %v, exit code %d\n%s%s", name, strings.Join(args, " "), err, r.Code, r.Stdout, r.Stderr)
	}
	return string(r.Stdout)
}

// process gives what the kernel says of a service's process.
func (b *booted) process(unit string) string {
	b.Helper()
	pid := strings.TrimSpace(b.run("systemctl", "show", "--property=MainPID", "--value", unit))
	status, err := b.m.ReadFile("/proc/"+pid+"/status", 1<<16)
	if err != nil {
		b.Fatal(err)
	}
	return string(status)
}

// lines gives all that the server has of what was said in a job.
func (b *booted) lines(j store.WholeJob) []string {
	b.Helper()
	var all []string
	for {
		var some store.Lines
		if status := b.ask("GET", fmt.Sprintf("/jobs/%d/lines?after=%d", j.ID, len(all)), nil, &some); status != http.StatusOK {
			b.Fatalf("the lines: %d", status)
		}
		if len(some.Lines) == 0 {
			return all
		}
		all = append(all, some.Lines...)
	}
}

// talking is a script that says a hundred lines before it waits, and a hundred after.
const talking = `i=0; while [ $i -lt 100 ]; do echo "line $i"; i=$((i+1)); done; touch /srv/slow; while [ ! -e /srv/go ]; do sleep 0.1; done
while [ $i -lt 200 ]; do echo "line $i"; i=$((i+1)); done`

func TestWhateverBecomesOfTheAgentAptEndsByItselfAndItsResultArrives(t *testing.T) {
	b := newBooted(t)
	b.until("the agent is well", func() bool {
		r, err := b.m.Run(t.Context(), machine.Command{Name: "redflag", Args: []string{"agent", "status"}})
		return err == nil && r.Code == 0 && !strings.Contains(string(r.Stdout), "never yet")
	})
	agent := b.process("redflag-agent")
	for _, is := range []string{`(?m)^Uid:\s+[1-9]\d*\s+[1-9]`, `(?m)^CapEff:\s+0+$`, `(?m)^CapBnd:\s+0+$`, `(?m)^NoNewPrivs:\s+1$`, `(?m)^Seccomp:\s+2$`} {
		if !regexp.MustCompile(is).MatchString(agent) {
			t.Errorf("the agent is not what %s says:\n%s", is, agent)
		}
	}
	b.says(b.run("redflag", "list"), "Scanned")
	b.says(b.run("redflag", "agent", "status"), "helper     runs, ", "policy     the server may plan, and install nothing")
	b.offer("2", talking)
	refused := b.plan()
	b.approve(refused, refused.Digest)
	if j := b.ended(refused.Rollout); j.State != store.JobFailed || !strings.Contains(j.Because, "policy does not let a server install anything") {
		t.Fatalf("without a policy: %s because %s", j.State, j.Because)
	}

	b.write("/etc/redflag/policy.toml", "allow = \"all\"\nreboot = true\n")
	planned := b.plan()
	b.approve(planned, planned.Digest)
	b.until("the slow script runs", func() bool { return b.exists("/srv/slow") })
	b.run("systemctl", "stop", "--no-block", "redflag-job-*")
	b.run("systemctl", "restart", "redflag-agent")
	b.run("systemctl", "kill", "--signal=KILL", "redflag-agent")
	b.run("systemctl", "kill", "--signal=KILL", "redflag-helper")
	b.run("sh", "-c", "cp /usr/local/bin/redflag /usr/local/bin/.new && mv /usr/local/bin/.new /usr/local/bin/redflag") // an upgrade
	b.run("redflag", "agent", "install")
	b.write("/srv/go", "")
	j := b.ended(planned.Rollout)
	if j.State != store.JobSucceeded || len(j.Outcomes) != 1 || len(j.Outcomes[0].Outcome.Done) != 2 {
		t.Fatalf("%s because %s: %+v", j.State, j.Because, j.Outcomes)
	}
	if n := strings.Count(b.sh("cat /var/log/apt/history.log"), "Upgrade: toy-"); n != 1 {
		t.Errorf("apt ran %d times", n)
	}
	b.sameLines(j)
	b.verifies()
	b.byHand()
	b.reboots()
	b.says(b.run("redflag", "agent", "uninstall"), "stopped")
	if left := b.run("sh", "-c", "ls /etc/systemd/system /run; id redflag-agent || true"); strings.Contains(left, "redflag") {
		t.Errorf("it leaves behind: %s", left)
	}
}

// sameLines holds the server's lines to the log on the host: none is lost or doubled.
func (b *booted) sameLines(j store.WholeJob) {
	b.Helper()
	got := b.lines(j)
	host := &machine.Machine{Root: b.dir}
	want, err := job.NewReader(host, job.ID(j.Outcomes[0].ID)).Lines(100_000, true)
	if err != nil || !slices.Equal(got, want) {
		b.Errorf("%d lines at the server, %d on the host, %v", len(got), len(want), err)
	}
	said := 0
	for _, line := range got {
		if line == fmt.Sprintf("line %d", said) {
			said++
		}
	}
	if said != 200 {
		b.Errorf("of 200 lines of the script %d are there in their order", said)
	}
	if _, err := host.Stat(path.Join(job.Dir, j.Outcomes[0].ID)); err != nil {
		b.Error(err)
	}
}

// daemon gives toy-plain a service, whose program differs from version to version.
func (b *booted) daemon(version string) {
	b.Helper()
	program, err := os.ReadFile(filepath.Join(b.dir, "bin/sleep"))
	if err != nil {
		b.Fatal(err)
	}
	b.write("/srv/toy-plain/usr/bin/toyd", string(program)+version)
	b.write("/srv/toy-plain/lib/systemd/system/toyd.service", "[Service]\nExecStart=/usr/bin/toyd infinity\n[Install]\nWantedBy=multi-user.target\n")
	b.sh("chmod 755 /srv/toy-plain/usr/bin/toyd")
}

// install has all updates installed, and gives what became of it.
func (b *booted) install(after map[string]any) store.WholeJob {
	b.Helper()
	var a asked
	body := map[string]any{"work": map[string]any{"install": map[string]any{"all": true}}, "hosts": []string{b.host}, "after": after}
	if status := b.ask("POST", "/rollouts", body, &a); status != http.StatusOK {
		b.Fatalf("%d %s", status, a.Detail)
	}
	var j store.WholeJob
	b.until("the host has planned", func() bool { j = b.job(a.Rollout); return j.State != store.JobPlanning })
	b.approve(j, j.Digest)
	return b.ended(a.Rollout)
}

// verifies restarts what runs a replaced file, and says what does not run any more.
func (b *booted) verifies() {
	b.Helper()
	b.write("/etc/redflag/policy.toml", "allow = \"all\"\nreboot = true\nrestart = true\n")
	b.daemon("3")
	b.offer("3", "")
	if j := b.install(nil); j.State != store.JobSucceeded {
		b.Errorf("%s because %s", j.State, j.Because)
	}
	b.run("systemctl", "enable", "--now", "toyd")
	b.daemon("4")
	b.offer("4", "")
	j := b.install(map[string]any{"restart_services": true})
	if j.State != store.JobSucceeded || !slices.Contains(j.Outcomes[0].Outcome.Restarted, "toyd.service") {
		b.Errorf("%s because %s: %+v", j.State, j.Because, j.Outcomes)
	}
	b.offer("5", "systemctl stop toyd")
	if j := b.install(nil); j.State != store.JobFailed || !slices.Equal(j.Outcomes[0].Outcome.Stopped, []string{"toyd.service"}) || !strings.Contains(j.Because, "do not run any more: toyd.service") {
		b.Errorf("%s because %s: %+v", j.State, j.Because, j.Outcomes)
	}
}

// byHand restarts what runs a replaced file by the host's own command, and asks it whether a reboot is needed.
func (b *booted) byHand() {
	b.Helper()
	b.run("systemctl", "start", "toyd")
	b.daemon("6")
	b.offer("6", "")
	b.says(b.run("redflag", "install", "--yes"), "succeeded, 2 changes", "services to restart (redflag restart-services): toyd.service")
	b.says(b.run("redflag", "restart-services", "--yes"), "toyd.service")
	if left := b.run("redflag", "restart-services", "--yes"); strings.Contains(left, "toyd") {
		b.Errorf("after it was restarted: %s", left)
	}
	b.says(b.run("redflag", "reboot", "--if-needed", "--yes"), "nothing needs a reboot")
}

// reboots reboots the host at the server's word, and boots it again.
func (b *booted) reboots() {
	b.Helper()
	r := b.begin(map[string]any{"reboot": map[string]any{}})
	gone := filepath.Dir(b.m.Root)
	b.until("the host is down", func() bool { return !isThere(gone) })
	if j := b.job(r); j.State != store.JobRunning {
		b.Errorf("while the host is down: %s because %s", j.State, j.Because)
	}
	b.m = parts.BootHere(b, b.dir)
	if j := b.ended(r); j.State != store.JobSucceeded || len(j.Outcomes) != 1 || !j.Outcomes[0].Outcome.Rebooted {
		b.Errorf("after the boot: %s because %s: %+v", j.State, j.Because, j.Outcomes)
	}
}

func isThere(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
