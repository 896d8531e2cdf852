//go:build unix

package helper

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"redflag/internal/parts"
	"redflag/internal/wire"
)

// asStranger is a variable under which the tests' program asks a helper for facts, and says with its exit code whether it got an answer.
const asStranger = "REDFLAG_TEST_ASK"

func TestMain(m *testing.M) {
	file := os.Getenv(asStranger)
	if file == "" {
		os.Exit(m.Run())
	}
	if _, err := NewClient(file).Facts(context.Background()); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// listen serves a helper at a socket, where the agent has a user's number.
func (h *host) listen(user int) string {
	h.T.Helper()
	dir, err := os.MkdirTemp("", "helper") // a socket's path must be shorter than 108 bytes
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "helper.sock")
	l, err := Listen(file, -1)
	if err != nil {
		h.Fatal(err)
	}
	ctx, stop := context.WithCancel(h.T.Context())
	ended := make(chan error, 1)
	go func() { ended <- NewServer(h.Helper, user).Serve(ctx, l) }()
	h.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.Error(err)
		}
	})
	return file
}

func TestTheHelperAnswersTheAgentAndRootAlone(t *testing.T) {
	parts.NeedRoot(t)
	h := newHost(t, `allow = "all"`)
	const agent, stranger = 54321, 54322
	file := h.listen(agent)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(file), "ask")
	if out, err := exec.CommandContext(t.Context(), "cp", self, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{filepath.Dir(file), program, file} { // only who is at the other end counts here
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for user, want := range map[uint32]bool{0: true, agent: true, stranger: false} {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = []string{asStranger + "=" + file}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: 54321}}
		if err := cmd.Run(); (err == nil) != want {
			t.Errorf("user %d: %v", user, err)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Fatal(err)
	}
}

func TestASocketIsForItsGroupAlone(t *testing.T) {
	parts.NeedRoot(t)
	file := filepath.Join(t.TempDir(), "s")
	l, err := Listen(file, 54321)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o660 || info.Sys().(*syscall.Stat_t).Gid != 54321 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOrdersGoOverTheSocketAndRefusalsComeBack(t *testing.T) {
	h := newHost(t, `allow = "all"`)
	c := NewClient(h.listen(os.Getuid()))
	var no *Refused
	if _, err := c.Do(t.Context(), wire.SignedOrder{Order: []byte("{}"), Signature: []byte("x")}); !errors.As(err, &no) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("%v", err)
	}
	if _, err := c.Look(t.Context(), Look{Order: 1}); !errors.Is(err, ErrNoOrder) {
		t.Errorf("%v", err)
	}
	plan := h.order(1, func(o *wire.Order) { o.Install, o.Plan = nil, &wire.Planning{} })
	if _, err := c.Do(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	h.until("it is planned", func() bool {
		r, err := c.Look(t.Context(), Look{Order: 1})
		return err == nil && r.State == wire.Succeeded && r.Answer != nil
	})
	if err := c.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if f, err := c.Facts(t.Context()); err != nil || f.Policy.Allow != "all" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := NewClient("/nowhere.sock").Facts(t.Context()); !errors.Is(err, ErrAway) {
		t.Errorf("%v", err)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	h := newHost(t, "")
	file := h.listen(os.Getuid())
	for _, text := range []string{strings.Repeat("x", maxRequest+1), `{"facts":{},"refresh":{}}`, `{"exec":"id"}`, `{}`, ``, `[]`, `{"facts":{}}{"refresh":{}}`} {
		conn, err := net.Dial("unix", file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := exchange(conn, []byte(text))
		conn.Close()
		if err != nil || r.Kind != kindRequest {
			t.Errorf("%.40q: %+v, %v", text, r, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{`{"facts":{}}`, `{"refresh":{}}`, `{"do":{"order":"e30=","signature":"eA=="}}`, `{"look":{"order":"1","from":0}}`, `{"look":{"order":"x"}}`, `{"a":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRequest(data)
		asks := 0
		for _, is := range []bool{r.Facts != nil, r.Refresh != nil, r.Do != nil, r.Look != nil} {
			if is {
				asks++
			}
		}
		if (err == nil) != (asks == 1) && err == nil {
			t.Errorf("%q is a request of %d things", data, asks)
		}
	})
}
