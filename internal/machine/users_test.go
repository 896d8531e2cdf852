package machine

import (
	"strings"
	"testing"
)

func TestWhoRunsAFileIsFoundAlsoUnderItsOtherName(t *testing.T) {
	const maps = `55d0-55d1 r--p 00000000 fe:00 1    /usr/sbin/daemon
55d1-55d2 r-xp 00001000 fe:00 1    /usr/sbin/daemon
7f3b-7f3c r-xp 00004000 fe:00 2    /usr/lib/x86_64-linux-gnu/libc.so.6
7f3c-7f3d rw-p 00004000 fe:00 3    /usr/lib/data
7ffc-7ffd r-xp 00000000 00:00 0    [vdso]
`
	m := withProcess(t, maps)
	for _, c := range []struct{ file, service string }{
		{"/lib/x86_64-linux-gnu/libc.so.6", "daemon"}, {"/usr/lib/x86_64-linux-gnu/libc.so.6", "daemon"}, {"/usr/sbin/daemon", "daemon"},
		{"/sbin/daemon", "daemon"}, {"/usr/lib/data", ""}, {"/bin/other", ""},
	} {
		r, _ := m.Users(t.Context(), []string{c.file})
		got := ""
		if len(r.Services) > 0 {
			got = r.Services[0].Name
		}
		if got != c.service {
			t.Errorf("%s is run by %q, want %q", c.file, got, c.service)
		}
	}
}

func FuzzMappings(f *testing.F) {
	f.Add([]byte("55d1-55d2 r-xp 00001000 fe:00 1 /usr/sbin/daemon\n"))
	f.Add([]byte("/ "))
	f.Fuzz(func(t *testing.T, maps []byte) {
		for _, file := range parseExecutables(maps) {
			if !strings.HasPrefix(file, "/") || strings.Contains(file, "\n") {
				t.Errorf("%q is no file", file)
			}
		}
	})
}
