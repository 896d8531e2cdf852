package serve

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"redflag/internal/agent"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// cable is a connection to a database that can be cut.
type cable struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, to: to, conns: map[net.Conn]bool{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); c.set(true); work.Wait() })
	return c
}

func (c *cable) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	if c.cut {
		c.mu.Unlock()
		return
	}
	c.conns[in], c.conns[out] = true, true
	c.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(out, in); out.Close() })
	both.Go(func() { _, _ = io.Copy(in, out); in.Close() })
	both.Wait()
}

// set cuts the cable, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

func TestADatabaseThatIsGoneForAWhileLosesNothing(t *testing.T) {
	dsn, err := url.Parse(parts.Postgres(t, store.CreateDatabase))
	if err != nil {
		t.Fatal(err)
	}
	c := newCable(t, dsn.Host)
	direct := *dsn
	dsn.Host = c.listener.Addr().String()
	r := start(t, Options{Database: dsn.String()})
	dir := t.TempDir()
	id := r.enrol(t, "web1", dir)
	var mu sync.Mutex
	view := aView("curl")
	a := aloneAgent(t, id, dir, func(context.Context, wire.Scan) (agent.View, error) {
		mu.Lock()
		defer mu.Unlock()
		return view, nil
	})
	if err := a.Round(t.Context(), wire.Scan{}); err != nil {
		t.Fatal(err)
	}
	c.set(true)
	view = aView("openssl", "curl", "vim")
	if err := a.Round(t.Context(), wire.Scan{}); err == nil {
		t.Fatal("a report without a database was acknowledged")
	}
	c.set(false)
	until(t, "the round works again", func() bool { return a.Round(t.Context(), wire.Scan{}) == nil })
	s, err := store.Open(t.Context(), direct.String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !hostIs(t, s, id.Host, 3) {
		t.Error("the report is lost")
	}
	if _, err := r.server.Scan(t.Context(), id.Host, wire.Scan{}, "anna"); err != nil {
		t.Errorf("an order afterwards: %v", err)
	}
}

// smallDisk mounts a file system of a megabyte or a few.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	parts.NeedRoot(t)
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", dir).Run() })
	return dir
}

// fill writes until nothing more fits, and gives what makes room again.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	f.Close()
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFullDiskUnderTheServerLosesNothing(t *testing.T) {
	disk := smallDisk(t, "8m")
	r := start(t, Options{Database: filepath.Join(disk, "fleet.db")})
	dir := t.TempDir()
	id := r.enrol(t, "web1", dir)
	view := aView("curl")
	a := aloneAgent(t, id, dir, func(context.Context, wire.Scan) (agent.View, error) { return view, nil })
	if err := a.Round(t.Context(), wire.Scan{}); err != nil {
		t.Fatal(err)
	}
	free := fill(t, disk)
	var names []string
	for i := range 2000 {
		names = append(names, strings.Repeat("x", 100)+string(rune('a'+i%26))+strings.Repeat("y", i%50))
	}
	view = aView(names...)
	if err := a.Round(t.Context(), wire.Scan{}); err == nil {
		t.Fatal("a report on a full disk was acknowledged")
	}
	if !hostIs(t, r.Store, id.Host, 1) {
		t.Error("half a report is saved")
	}
	free()
	view = aView("openssl", "curl")
	if err := a.Round(t.Context(), wire.Scan{}); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if !hostIs(t, r.Store, id.Host, 2) {
		t.Error("the report is lost")
	}
}

func TestAFullDiskUnderTheAgentStopsNoReport(t *testing.T) {
	disk := smallDisk(t, "1m")
	r := start(t, Options{Database: filepath.Join(t.TempDir(), "fleet.db")})
	id := r.enrol(t, "web1", disk)
	view := aView("curl")
	a := aloneAgent(t, id, disk, func(context.Context, wire.Scan) (agent.View, error) { return view, nil })
	free := fill(t, disk)
	for _, names := range [][]string{{"curl", "openssl"}, {"vim"}} {
		view = aView(names...)
		if err := a.Round(t.Context(), wire.Scan{}); err != nil {
			t.Fatalf("%q: %v", names, err)
		}
		if !hostIs(t, r.Store, id.Host, len(names)) {
			t.Errorf("%q is not reported", names)
		}
	}
	enrolment := agent.Enrolment{Server: r.URL, Token: r.token(t), Machine: "machine web1", Host: view.Host, Dir: disk}
	if _, err := agent.Enroll(t.Context(), enrolment); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("an enrolment that cannot be kept: %v", err)
	}
	free()
	if _, err := agent.LoadIdentity(disk); err != nil {
		t.Errorf("the identity before it is gone: %v", err)
	}
}
