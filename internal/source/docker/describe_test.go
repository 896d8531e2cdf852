package docker

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/registry"
	"redflag/internal/source"
)

var _ source.Describer = (*Source)(nil)

func TestARealEngineTellsItsVersion(t *testing.T) {
	for name, c := range map[string]struct {
		start   func(testing.TB) parts.Daemon
		program []string
		make    func(*registry.Client, Options) *Source
	}{
		"docker": {parts.Engine, []string{"dockerd", "--version"}, New},
		"podman": {parts.Podman, []string{"podman", "--version"}, NewPodman},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.make(nil, Options{Host: c.start(t).Host, Getenv: noEnv})
			got, err := s.Describe(t.Context(), machine.Local())
			if err != nil {
				t.Fatal(err)
			}
			says, err := exec.CommandContext(t.Context(), c.program[0], c.program[1:]...).Output()
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != name || got.Version == "" || !strings.Contains(string(says), got.Version) {
				t.Errorf("%+v says of itself: %s", got, says)
			}
		})
	}
}

func TestTheFirstEngineThatAnswersIsDescribed(t *testing.T) {
	host := play(t, playing{version: "1.41", answers: map[string]string{"/version": `{"Version":"20.10.24\u001b[2J","ApiVersion":"1.41"}`}})
	m := &machine.Machine{Root: t.TempDir()}
	env := func(name string) string { return map[string]string{"XDG_RUNTIME_DIR": "/run/user/1"}[name] }
	own := m.Path("/run/user/1/docker.sock")
	for _, path := range []string{m.Path("/var/run/docker.sock"), own} { // nobody listens at a plain file
		if err := machine.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(own), os.Symlink(strings.TrimPrefix(host, "unix://"), own)); err != nil {
		t.Fatal(err)
	}
	got, err := New(nil, Options{Getenv: env}).Describe(t.Context(), m)
	if want := (fleet.Engine{Name: "docker", Version: "20.10.24\ufffd[2J"}); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnEngineThatDoesNotAnswerIsNotDescribed(t *testing.T) {
	for name, host := range map[string]string{
		"silent":            "tcp://127.0.0.1:1",
		"no answer":         play(t, playing{version: "1.41"}),
		"without a version": play(t, playing{version: "1.41", answers: map[string]string{"/version": "{}"}}),
	} {
		got, err := New(nil, Options{Host: host, Getenv: noEnv}).Describe(t.Context(), machine.Local())
		if _, remedy := fleet.Explain(err); err == nil || remedy == "" || got != (fleet.Engine{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
