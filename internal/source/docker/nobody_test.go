//go:build unix

package docker

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

// asNobody names the address that this test's program, started again as a user without rights, asks.
const asNobody = "REDFLAG_TEST_AS_NOBODY"

func TestWhoMayNotAskARealSocketIsToldHow(t *testing.T) {
	if host := os.Getenv(asNobody); host != "" {
		_, err := scan(t, New(newClient(t), Options{Host: host, Getenv: noEnv}))
		because, remedy := fleet.Explain(err)
		_ = json.NewEncoder(os.Stdout).Encode([]string{because, remedy})
		return
	}
	parts.NeedRoot(t)
	open, closed := socketIn(t, 0o755, 0o660), socketIn(t, 0o700, 0o666)
	for _, path := range []string{open, closed} {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
		cmd.Dir = "/"
		cmd.Env = []string{asNobody + "=unix://" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), `["no permission to ask Docker at unix://`+path) || !strings.Contains(string(out), "add your user to the group docker") {
			t.Errorf("%v: %s", err, out)
		}
	}
}
