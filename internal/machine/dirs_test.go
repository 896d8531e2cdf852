package machine

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
)

func TestFoldersFollowTheVariablesThenTheUser(t *testing.T) {
	cases := []struct {
		name string
		goos string
		root bool
		home string
		env  map[string]string
		want Folders
	}{
		{name: "a user", goos: "linux", home: "/home/ada",
			want: Folders{"/home/ada/.local/state/redflag", "/home/ada/.cache/redflag", "/home/ada/.config/redflag"}},
		{name: "root", goos: "linux", root: true, home: "/root",
			want: Folders{"/var/lib/redflag", "/var/cache/redflag", "/etc/redflag"}},
		{name: "root without a home", goos: "freebsd", root: true,
			want: Folders{"/var/lib/redflag", "/var/cache/redflag", "/etc/redflag"}},
		{name: "variables beat all", goos: "linux", root: true, home: "/root",
			env:  map[string]string{"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c/", "XDG_CONFIG_HOME": "/e"},
			want: Folders{"/s/redflag", "/c/redflag", "/e/redflag"}},
		{name: "a relative one is ignored", goos: "linux", home: "/home/ada",
			env:  map[string]string{"XDG_STATE_HOME": "state", "XDG_CACHE_HOME": ".", "XDG_CONFIG_HOME": ""},
			want: Folders{"/home/ada/.local/state/redflag", "/home/ada/.cache/redflag", "/home/ada/.config/redflag"}},
		{name: "variables without a home", goos: "linux",
			env:  map[string]string{"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "/e"},
			want: Folders{"/s/redflag", "/c/redflag", "/e/redflag"}},
		{name: "macOS", goos: "darwin", home: "/Users/ada",
			want: Folders{"/Users/ada/Library/Application Support/redflag", "/Users/ada/Library/Caches/redflag", "/Users/ada/Library/Application Support/redflag"}},
		{name: "Windows", goos: "windows", home: "/Users/ada", env: map[string]string{"LocalAppData": "/l", "AppData": "/r"},
			want: Folders{"/l/redflag/state", "/l/redflag/cache", "/r/redflag"}},
		{name: "an administrator of Windows", goos: "windows", root: true, env: map[string]string{"LocalAppData": "/l", "AppData": "/r", "ProgramData": "/p"},
			want: Folders{"/p/redflag/state", "/p/redflag/cache", "/p/redflag/config"}},
	}
	for _, c := range cases {
		got, err := folders(c.goos, c.root, c.home, func(name string) string { return c.env[name] })
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestAUserWithoutAnyHomeIsToldWhatToDo(t *testing.T) {
	env := map[string]string{"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}
	_, err := folders("linux", false, "", func(name string) string { return env[name] })
	var u *fleet.Unknown
	if !errors.As(err, &u) || u.Remedy == "" {
		t.Errorf("got %v", err)
	}
}

func TestDirsWorksWithoutHOME(t *testing.T) {
	t.Setenv("HOME", "")
	for _, name := range []string{"XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	if f, err := Dirs(); err != nil || f.State == "" {
		t.Errorf("Dirs() = %+v, %v", f, err)
	}
}
