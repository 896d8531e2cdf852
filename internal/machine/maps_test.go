package machine

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplacedFilesOfARealProcess(t *testing.T) {
	data, err := os.ReadFile("testdata/redis.maps")
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{
		{"/lab/roots/bookworm/usr/bin/redis-check-rdb", 10013962},
		{"/lab/roots/bookworm/usr/lib/x86_64-linux-gnu/liblzma.so.5.4.1", 10014645},
	}
	if diff := cmp.Diff(want, parseDeleted(data), cmp.AllowUnexported(mapping{})); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyReplacedCodeOfPackagesCounts(t *testing.T) {
	const head = "7f3bd8d00000-7f3bd8d1d000 r-xp 00004000 fe:00 42                   "
	cases := []struct {
		line, want string
	}{
		{head + "/usr/lib/libc.so.6 (deleted)", "/usr/lib/libc.so.6"},
		{head + "/usr/lib/libc.so.6 (deleted)\n", "/usr/lib/libc.so.6"},
		{head + "/opt/my app/a (deleted) b (deleted)", "/opt/my app/a (deleted) b"},
		{head + "/usr/lib/libc.so.6", ""},
		{head + "/home/x (deleted)/bin", ""},
		{strings.Replace(head, "r-xp", "r--p", 1) + "/usr/lib/libc.so.6 (deleted)", ""},
		{head + "/memfd:runc_cloned:/proc/self/exe (deleted)", ""},
		{head + "/dev/zero (deleted)", ""},
		{head + "/dev/shm/x (deleted)", ""},
		{head + "/SYSV00000000 (deleted)", ""},
		{head + "/[aio] (deleted)", ""},
		{head + "/anon_hugepage (deleted)", ""},
		{head + "/tmp/jna/x.so (deleted)", ""},
		{head + "/var/tmp/x.so (deleted)", ""},
		{head + "/run/x.so (deleted)", ""},
		{head + "anon_inode:x (deleted)", ""},
		{head + " (deleted)", ""},
		{"7f3b r-xp (deleted)", ""},
		{"(deleted)", ""},
		{" (deleted)", ""},
	}
	for _, c := range cases {
		got := ""
		if found := parseDeleted([]byte(c.line)); len(found) > 0 {
			got = found[0].path
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

func FuzzMaps(f *testing.F) {
	data, err := os.ReadFile("testdata/redis.maps")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("7f3bd8d00000-7f3bd8d1d000 r-xp 00004000 fe:00 1 /a (deleted)"))
	f.Add([]byte(" (deleted) (deleted)\n\n (deleted)"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range parseDeleted(data) {
			if !ofAPackage(m.path) || !bytes.Contains(data, []byte(m.path+deleted)) {
				t.Fatalf("%q is not in it", m.path)
			}
		}
	})
}

// BenchmarkMaps is a large process: 2,000 mappings of which none was replaced.
func BenchmarkMaps(b *testing.B) {
	line := "7f3bd8d00000-7f3bd8d1d000 r-xp 00004000 fe:00 10014645                   /usr/lib/x86_64-linux-gnu/libc.so.6\n"
	data := []byte(strings.Repeat(line, 2000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		parseDeleted(data)
	}
}
