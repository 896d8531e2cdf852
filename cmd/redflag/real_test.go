//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	model "redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
)

// built makes the program as `make build` does, once for all tests of this package: to link it takes seconds.
var built = sync.OnceValues(func() (exe string, err error) {
	dir, err := os.MkdirTemp("", "redflag-built")
	if err != nil {
		return "", err
	}
	exe = filepath.Join(dir, "redflag")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", exe, "redflag/cmd/redflag")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return exe, fmt.Errorf("build: %w: %s", err, out)
	}
	return exe, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if needed.Load() {
		if exe, _ := built(); exe != "" {
			_ = os.RemoveAll(filepath.Dir(exe)) // at the worst it stays behind
		}
	}
	os.Exit(code)
}

// build gives the program.
func build(t *testing.T) string {
	t.Helper()
	needed.Store(true)
	exe, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// needed says that a test has asked for the program.
var needed atomic.Bool

// process is a program that runs until it is ended or the test ends.
type process struct {
	*exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{}
	p.Cmd = exec.CommandContext(context.Background(), args[0], args[1:]...) //nolint:gosec // a test's own program
	p.Stdout, p.Stderr = p, p
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%v:\n%s", args, p.said())
		}
	})
	return p
}

// end ends the process and all that it started, and waits for it.
func (p *process) end(sig syscall.Signal) {
	if p.ProcessState == nil {
		_ = syscall.Kill(-p.Process.Pid, sig)
		_ = p.Wait()
	}
}

// patience is far longer than anything takes: who waits so long waits for ever.
const patience = 2 * time.Minute

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to it: %s", what)
		}
	}
}

// lan is a network of hosts with the server in its middle.
type lan struct {
	*testing.T
	exe, url, data string
	server         *process
	store          *store.Store
	hosts          int
	prefix, line   string
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	parts.NeedRoot(t)
	parts.Need(t, "ip")
	n := &lan{T: t, exe: build(t), data: t.TempDir(), prefix: fmt.Sprintf("10.%d.%d", 77+os.Getpid()%64, os.Getpid()/64%250)}
	n.serve("0.0.0.0:0")
	match := regexp.MustCompile(`:(\d+)\n`)
	until(t, "the server says where it is", func() bool { return match.MatchString(n.server.said()) })
	port := match.FindStringSubmatch(n.server.said())[1]
	n.server.end(syscall.SIGTERM)
	n.url = "https://" + n.prefix + ".1:" + port
	n.serve("0.0.0.0:" + port)
	var err error
	if n.store, err = store.Open(t.Context(), filepath.Join(n.data, "fleet.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.store.Close() })
	return n
}

// serve starts the server.
func (n *lan) serve(listen string) {
	n.Helper()
	args := []string{n.exe, "serve", "--data-dir", n.data, "--listen", listen}
	if n.url != "" {
		args = append(args, "--public-url", n.url)
	}
	n.server = startProcess(n.T, append([]string{"env", "REDFLAG_INTERVAL=10s"}, args...)...)
	until(n.T, "the server listens", func() bool { return strings.Contains(n.server.said(), "serves the fleet at") })
}

// run runs a command and gives what it says.
func (n *lan) run(args ...string) (string, error) {
	n.Helper()
	cmd := exec.CommandContext(n.Context(), args[0], args[1:]...) //nolint:gosec // a test's own program
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	n.Logf("%v: %v: %s", args, err, stderr.String())
	return string(out), err
}

func (n *lan) must(args ...string) string {
	n.Helper()
	out, err := n.run(args...)
	if err != nil {
		n.Fatalf("%v: %v", args, err)
	}
	return out
}

// realHost is a Debian in a network namespace of its own, with its own machine ID and name.
type realHost struct {
	*lan
	root, ns, name string
	agent          *process
}

func (n *lan) host(name, root string) *realHost {
	n.Helper()
	n.hosts++
	h := &realHost{lan: n, root: root, ns: fmt.Sprintf("rf%d-%d", os.Getpid(), n.hosts), name: name}
	veth := fmt.Sprintf("rf%d.%d", os.Getpid()%100000, n.hosts)
	gateway, own := fmt.Sprintf("%s.%d", n.prefix, n.hosts*4-3), fmt.Sprintf("%s.%d", n.prefix, n.hosts*4-2)
	n.must("ip", "netns", "add", h.ns)
	n.Cleanup(func() { _ = exec.Command("ip", "netns", "del", h.ns).Run() })
	n.must("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", h.ns)
	n.must("ip", "addr", "add", gateway+"/30", "dev", veth)
	n.must("ip", "link", "set", veth, "up")
	n.must("ip", "-n", h.ns, "addr", "add", own+"/30", "dev", "eth0")
	n.must("ip", "-n", h.ns, "link", "set", "eth0", "up")
	n.must("ip", "-n", h.ns, "route", "add", "default", "via", gateway)
	h.rename(name)
	return h
}

func (h *realHost) rename(name string) {
	h.name = name
	h.write("etc/hostname", name+"\n")
}

func (h *realHost) write(file, text string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.root, file), []byte(text), 0o644); err != nil { //nolint:gosec // as in a real root
		h.Fatal(err)
	}
}

// within is the command line that runs something on the host: in its network, under its name, in its root.
func (h *realHost) within(script string) []string {
	return []string{"ip", "netns", "exec", h.ns, "unshare", "--uts", "sh", "-c",
		`hostname "$1"; exec chroot "$2" env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -c "$3"`, "sh", h.name, h.root, script}
}

func (h *realHost) startAgent() {
	h.Helper()
	h.agent = startProcess(h.T, h.within("exec redflag agent run")...)
}

// id is who the host is, by its own word.
func (h *realHost) id() model.HostID {
	h.Helper()
	out, _ := h.run(h.within("redflag agent status")...)
	m := regexp.MustCompile(`(?m)^host +(\w+)`).FindStringSubmatch(out)
	if m == nil {
		h.Fatalf("no host in %q", out)
	}
	id, err := model.ParseHostID(m[1])
	if err != nil {
		h.Fatal(err)
	}
	return id
}

// known is what the server has of the host.
func (h *realHost) known(id model.HostID) store.Host {
	h.Helper()
	got, err := h.store.Host(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	return got
}

// listed is what the host itself lists.
func (h *realHost) listed() model.Scan {
	h.Helper()
	out, _ := h.run(h.within("redflag list --format json")...)
	var scan model.Scan
	if err := json.Unmarshal([]byte(out), &scan); err != nil {
		h.Fatalf("%v in %q", err, out)
	}
	return scan
}

func machineID(n int) string { return fmt.Sprintf("%032x\n", 0xabc0+n) }

func TestThreeRealHostsJoinByTheLineThatIsPastedAndTheServerTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it makes Debian roots")
	}
	n := newLAN(t)
	archive, security := parts.DebianArchives(t)
	var hosts []*realHost
	for i := range 3 {
		h := n.host(fmt.Sprintf("web%d", i+1), parts.Debian(t, "bookworm"))
		h.write("etc/machine-id", machineID(i))
		h.write("etc/apt/sources.list", fmt.Sprintf("deb %s bookworm main\ndeb %s bookworm-security main\n", archive, security))
		n.must("chroot", h.root, "apt-get", "update", "-q", "-o", "Acquire::Languages=none")
		hosts = append(hosts, h)
	}
	line := n.pasted("3")
	ids := map[model.HostID]bool{}
	for _, h := range hosts {
		out := n.must(h.within(line)...)
		if !strings.Contains(out, "This host will join the fleet of "+n.url) || !strings.Contains(out, "start the agent yourself") {
			t.Errorf("what the script says: %s", out)
		}
		h.startAgent()
		ids[h.id()] = true
	}
	if len(ids) != 3 {
		t.Fatalf("three hosts are %d", len(ids))
	}
	for _, h := range hosts {
		id := h.id()
		until(t, h.name+" has reported", func() bool { return !h.known(id).ReportedAt.IsZero() })
		got, here := h.known(id), h.listed()
		if got.Facts.Name != h.name || got.Facts.OSID != "debian" || got.Updates < 50 || got.Updates != len(here.Findings[0].Updates) || got.Packages < 100 {
			t.Errorf("%s: %+v; the host lists %d updates", h.name, got, len(here.Findings[0].Updates))
		}
	}
	n.line = line
	t.Run("what is patched by hand leaves", func(t *testing.T) { patchedByHand(t, hosts[0]) })
	t.Run("a host goes away and comes back, under another name", func(t *testing.T) { awayAndBack(t, hosts[1]) })
	t.Run("the server goes away and comes back", func(t *testing.T) { serverAway(t, n, hosts[2]) })
	t.Run("a copy is no second host", func(t *testing.T) { copied(t, n, hosts[2]) })
	t.Run("a host leaves", func(t *testing.T) { leaves(t, hosts[0]) })
}

// pasted is the line that `redflag token create` says to paste, for one who is root already.
func (n *lan) pasted(seats string) string {
	n.Helper()
	cmd := exec.CommandContext(n.Context(), n.exe, "token", "create", "--data-dir", n.data, "--seats", seats) //nolint:gosec // a test's own program
	var stderr strings.Builder
	cmd.Stderr = &stderr
	token, err := cmd.Output()
	if err != nil {
		n.Fatalf("%v: %s", err, stderr.String())
	}
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "curl ") && strings.HasSuffix(strings.TrimSpace(line), strings.TrimSpace(string(token))) {
			return strings.Replace(strings.TrimSpace(line), "sudo sh", "sh", 1)
		}
	}
	n.Fatalf("no line to paste in %q with the token %q", stderr.String(), token)
	return ""
}

func patchedByHand(t *testing.T, h *realHost) {
	id := h.id()
	before := h.known(id)
	h.must("chroot", h.root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y", "--no-install-recommends", "openssl", "libssl3")
	until(t, "the next check-in says so", func() bool { return h.known(id).Updates < before.Updates })
	history, _, err := h.store.History(t.Context(), id, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	how := map[string]store.How{}
	for _, g := range history {
		how[g.Update.Name] = g.How
	}
	if how["openssl"] != store.Installed || how["libssl3"] != store.Installed {
		t.Errorf("openssl and libssl3 left as %v", how)
	}
	for _, u := range h.listed().Findings[0].Updates {
		if u.Name == "openssl" {
			t.Error("the host still lists openssl")
		}
	}
}

func awayAndBack(t *testing.T, h *realHost) {
	id := h.id()
	h.agent.end(syscall.SIGKILL)
	if out, err := h.run(h.within("redflag agent status")...); err == nil || !strings.Contains(out, "does not run") {
		t.Errorf("status without an agent: %q, %v", out, err)
	}
	before := h.known(id)
	h.rename("renamed")
	h.startAgent()
	until(t, "it is back under its new name", func() bool { return h.known(id).Facts.Name == "renamed" })
	after := h.known(id)
	if after.Updates != before.Updates || !after.EnrolledAt.Equal(before.EnrolledAt) || !after.SeenAt.After(before.SeenAt) {
		t.Errorf("it was %+v and is %+v", before, after)
	}
}

func serverAway(t *testing.T, n *lan, h *realHost) {
	id := h.id()
	_, port, _ := strings.Cut(strings.TrimPrefix(n.url, "https://"), ":")
	n.server.end(syscall.SIGKILL)
	h.must("chroot", h.root, "apt-mark", "hold", "openssl")
	until(t, "the host notices", func() bool {
		out, _ := h.run(h.within("redflag agent status")...)
		return strings.Contains(out, "trouble")
	})
	n.serve("0.0.0.0:" + port)
	until(t, "what changed meanwhile is told", func() bool { return h.known(id).Blocked > 0 })
}

// copied copies a host's disk, as one copies a virtual machine.
func copied(t *testing.T, n *lan, h *realHost) {
	root := parts.Debian(t, "bookworm")
	n.must("cp", "-a", h.root+"/var/lib/redflag", root+"/var/lib/")
	n.must("cp", "-a", h.root+"/usr/local/bin/redflag", root+"/usr/local/bin/")
	twin := n.host("twin", root)
	twin.write("etc/machine-id", machineID(99))
	if out, err := exec.Command(twin.within("")[0], twin.within("redflag agent run")[1:]...).CombinedOutput(); err == nil || !strings.Contains(string(out), "another machine's") { //nolint:gosec // a test's own program
		t.Errorf("a copy with a machine ID of its own: %v: %s", err, out)
	}
	twin.write("etc/machine-id", machineID(2))
	id := h.id()
	twin.startAgent()
	until(t, "the copy is noticed", func() bool { return h.known(id).Clone != "" })
	t.Log(h.known(id).Clone)
	twin.agent.end(syscall.SIGKILL)
	twin.write("etc/machine-id", machineID(99))
	n.must(twin.within(n.pasted("1"))...)
	if twin.id() == id {
		t.Error("the copy is the same host still")
	}
}

func leaves(t *testing.T, h *realHost) {
	id := h.id()
	h.agent.end(syscall.SIGTERM)
	h.must(h.within("redflag agent unenroll")...)
	if _, err := h.store.Host(t.Context(), id); err == nil {
		t.Error("it is still in the fleet")
	}
	if out, err := h.run(h.within("redflag agent status")...); err == nil {
		t.Errorf("it still says who it is: %s", out)
	}
	if out, _ := h.run(h.within("redflag list")...); !strings.Contains(out, "apt") {
		t.Errorf("without a fleet there is no list: %s", out)
	}
}
