package apt

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What apt 2.6 writes to its hooks, but for the plan.
const (
	greeting   = `{"jsonrpc":"2.0","method":"org.debian.apt.hooks.hello","id":0,"params":{"versions":["0.1","0.2"]}}` + "\n\n"
	statistics = `{"jsonrpc":"2.0","method":"org.debian.apt.hooks.install.statistics","params":{"command":"dist-upgrade","search-terms":[],"unknown-packages":[],"packages":[]}}` + "\n\n"
	goodbye    = `{"jsonrpc":"2.0","method":"org.debian.apt.hooks.bye","params":{}}` + "\n\n"
)

// recordedPrompt is the message with the plan, as apt wrote it on a bookworm.
func recordedPrompt(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/hook/install-mixed.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data)) + "\n\n"
}

// params takes the plan out of its message.
func params(t testing.TB, prompt string) string {
	t.Helper()
	_, after, found := strings.Cut(prompt, `"params":`)
	if !found {
		t.Fatal("a message without params")
	}
	return strings.TrimSuffix(strings.TrimSpace(after), "}")
}

// played is how a hook ended that spoke with an apt.
type played struct {
	answers, stdout, stderr string
	code                    int
}

// playApt runs the hook as apt does, in a process of its own with a socket, and plays apt's end of it: the greeting, whose answer apt waits
// for, then the rest, then it hangs up.
func playApt(t *testing.T, hello, rest string) played {
	t.Helper()
	ours, theirs := socketPair(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "apt-hook", "-")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &stdout, &stderr, []*os.File{theirs}
	cmd.Env = append(os.Environ(), "APT_HOOK_SOCKET=3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	answer := make([]byte, 4096)
	_, _ = io.WriteString(ours, hello)
	n, _ := ours.Read(answer)
	_, _ = io.WriteString(ours, rest) // the hook may have hung up
	_ = ours.CloseWrite()
	more, _ := io.ReadAll(ours)
	_ = cmd.Wait()
	return played{string(answer[:n]) + string(more), stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func socketPair(t *testing.T) (ours *net.UnixConn, theirs *os.File) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s")})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	other, err := net.DialUnix("unix", nil, listener.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ours, err = listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := ours.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	theirs, err = other.File()
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

func TestTheHookTellsThePlanAndStopsApt(t *testing.T) {
	prompt := recordedPrompt(t)
	for name, rest := range map[string]string{
		"the plan at once":                       prompt + goodbye,
		"something else first":                   statistics + prompt,
		"empty lines, and fields of a later apt": "\n\n \n" + strings.Replace(prompt, `{"command"`, `{"later":{"x":[1]},"command"`, 1),
		"a large plan":                           strings.Replace(prompt, `{"command"`, `{"filler":"`+strings.Repeat("x", 4<<20)+`","command"`, 1),
	} {
		got := playApt(t, greeting, rest)
		if got.answers != `{"jsonrpc":"2.0","id":0,"result":{"version":"0.2"}}`+"\n\n" {
			t.Errorf("%s: the hook answers %q", name, got.answers)
		}
		if got.code != hookStop || got.stderr != "" {
			t.Errorf("%s: the hook ends with %d and says %q", name, got.code, got.stderr)
		}
		p, err := parsePlan([]byte(got.stdout))
		if err != nil || p == nil || len(p.Packages) != 9 {
			t.Errorf("%s: the plan is %q, %v", name, brief(got.stdout), err)
		}
	}
}

func TestAConversationThatEndsWithoutAPlanStopsAptWithAReason(t *testing.T) {
	prompt := recordedPrompt(t)
	for name, test := range map[string]struct{ hello, rest, why string }{
		"only statistics":    {greeting, statistics + goodbye, "goodbye before it said"},
		"an early end":       {greeting, "", "hung up before it said"},
		"half a plan":        {greeting, prompt[:len(prompt)/2], "read apt's message"},
		"garbage":            {"<html>\n", "", "read apt's message"},
		"another JSON":       {"[1,2]\n\n", "", "read apt's message"},
		"a plan of nothing":  {greeting, `{"method":"` + methodPrompt + `"}` + "\n\n", "read apt's plan"},
		"an older apt":       {strings.Replace(greeting, `,"0.2"`, "", 1), prompt, "does not speak version 0.2"},
		"no id":              {strings.Replace(greeting, `"id":0,`, "", 1), prompt, "it has no id"},
		"versions of no use": {strings.Replace(greeting, `["0.1","0.2"]`, "7", 1), prompt, "read apt's greeting"},
		"a line without end": {greeting, strings.Repeat("x", maxMessage+1), "too long"},
	} {
		got := playApt(t, test.hello, test.rest)
		if got.code != 1 || !strings.Contains(got.stderr, test.why) || strings.Contains(got.stdout, planMark) {
			t.Errorf("%s: the hook ends with %d and says %q, want %q; %q", name, got.code, got.stderr, test.why, got.stdout)
		}
	}
}

func TestTheHookIsForAptToRun(t *testing.T) {
	for _, socket := range []string{"", "x", "0", "2", "99"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "apt-hook", "-")
		cmd.Env = append(os.Environ(), "APT_HOOK_SOCKET="+socket)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "apt") {
			t.Errorf("with the socket %q the hook ends with %d and says %q", socket, cmd.ProcessState.ExitCode(), out)
		}
	}
}
