package apt

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// seeds adds the files that match the patterns.
func seeds(f *testing.F, patterns ...string) {
	f.Helper()
	added := 0
	for _, pattern := range patterns {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data[:min(len(data), 20_000)])
			added++
		}
	}
	if added == 0 {
		f.Fatalf("no seeds like %v", patterns)
	}
}

const noble = "testdata/machines/noble-phased/root/"

func FuzzParseStatus(f *testing.F) {
	seeds(f, noble+"var/lib/dpkg/status")
	f.Fuzz(func(t *testing.T, data []byte) {
		packages, _ := ParseStatus(bytes.NewReader(data))
		for _, p := range packages {
			if p.Name == "" || p.State == "" {
				t.Errorf("%+v", p)
			}
			c := newChoice(p, []*version{{name: p.Name, text: p.Version, arch: p.Arch}})
			if !c.from().installed {
				t.Errorf("what is installed is not: %+v", c)
			}
		}
	})
}

func FuzzJournal(f *testing.F) {
	record := "Package: a\nStatus: install ok unpacked\nArchitecture: all\nVersion: "
	f.Add([]byte(record+"1\n"), []byte(record+"2\n\n"+record+"3\n"))
	f.Fuzz(func(t *testing.T, status, journal []byte) {
		old, _ := ParseStatus(bytes.NewReader(status))
		newer, _ := ParseStatus(bytes.NewReader(journal))
		db := &Database{Packages: old}
		db.lay(newer)
		if len(newer) > 0 && !slices.Contains(db.Packages, newer[len(newer)-1]) {
			t.Errorf("the newest record is lost: %+v", newer[len(newer)-1])
		}
		if len(db.Packages) < len(old) || len(db.Packages) > len(old)+len(newer) {
			t.Errorf("%d and %d records make %d", len(old), len(newer), len(db.Packages))
		}
	})
}

func FuzzScanPackages(f *testing.F) {
	seeds(f, noble+"var/lib/apt/lists/*_Packages")
	f.Fuzz(func(t *testing.T, data []byte) {
		found, size, err := scanPackages(bytes.NewReader(data), func([]byte) bool { return true })
		if size != int64(len(data)) && err == nil {
			t.Errorf("read %d bytes of %d", size, len(data))
		}
		for _, v := range found {
			if v.text == "" || v.arch == "" || v.phased < 0 || v.phased > 100 {
				t.Errorf("%+v", v)
			}
		}
	})
}

func FuzzParseRelease(f *testing.F) {
	seeds(f, noble+"var/lib/apt/lists/*Release")
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseRelease(bytes.NewReader(data)); err == nil {
			_ = r.String()
			r.has("main", "amd64")
		}
	})
}

func FuzzParseSources(f *testing.F) {
	seeds(f, noble+"etc/apt/sources.list.d/*")
	for _, line := range []string{
		"deb [arch=amd64,i386 signed-by=/k trusted=yes] https://u:p@h:1/x%20y suite main contrib # c", "deb cdrom:[A B]/ x y", "deb file:/srv ./", "deb",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"x.list", "x.sources"} {
			entries, _ := parseSources(name, data, []string{"amd64", "i386"})
			for _, e := range entries {
				file := e.uri.listName(suitePath(e.suite) + "InRelease")
				if strings.ContainsAny(file, "/\n\x00") || !strings.HasSuffix(file, "InRelease") {
					t.Errorf("%v is kept as %q", e, file)
				}
				if len(e.archs) > 0 {
					e.lacks()
				}
			}
		}
	})
}

func FuzzParsePins(f *testing.F) {
	for _, s := range []string{
		"Package: *\nPin: release a=stable, n=bookworm, o=Debian, l=Debian, c=main, v=12*, b=amd64\nPin-Priority: 990\n",
		"Package: src:x:any y*:i386 [a-z]?\nPin: version 1.*\nPin-Priority: -1\n\n# c\nPackage: a\nPin: origin \"\"\nPin-Priority: never",
	} {
		f.Add([]byte(s))
	}
	v := &version{name: "x", text: "1.0", on: []*index{{suite: &suite{release: &release{suite: "stable", codename: "bookworm"}}}}}
	p := &Package{Name: "x", Arch: "amd64"}
	f.Fuzz(func(t *testing.T, data []byte) {
		pins, _ := parsePins("x", data)
		for _, pin := range pins {
			if pin.priority == 0 || pin.priority > 32767 || pin.priority < priorityNever {
				t.Errorf("priority %d", pin.priority)
			}
			pin.names(p, "amd64", "amd64", v)
			pin.fits(v)
			pin.fitsStatus()
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(trickyConfiguration))
	f.Add([]byte("A::B:: \"x\"; #clear A; #include \"/etc/x/\"; { } ; \""))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := newConfig()
		_ = c.parse(data, func(string) error { return nil })
		for _, name := range []string{"Dir::State::lists", "Dir::Etc::sourceparts", "APT::Architectures"} {
			c.path(name)
			c.list(name)
		}
		c.phasing()
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("lib[a-c]*?", "libc6")
	f.Add("[!a]\\*[]", "x*[]")
	f.Add("?", "\xff")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		glob(pattern, text)
		if !glob("*", text) || !glob(strings.Repeat("?", len(text)), text) {
			t.Errorf("a star does not match %q", text)
		}
	})
}

func FuzzRelations(f *testing.F) {
	f.Add("libc6 (>= 2.36), a:any | b (<< 1~) [amd64], c (= 1), d(")
	f.Fuzz(func(t *testing.T, depends string) {
		for _, group := range relations(depends) {
			for _, r := range group {
				if r.name == "" {
					t.Error("a relation to nothing")
				}
				r.allows("1.0")
			}
		}
	})
}

// conversation is a socket whose other end says what it was given.
type conversation struct {
	io.Reader
	io.Writer
}

func FuzzConverse(f *testing.F) {
	f.Add([]byte(greeting + recordedPrompt(f)))
	f.Add([]byte(greeting + statistics + goodbye))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := converse(conversation{bytes.NewReader(data), io.Discard}, false)
		if err == nil && (len(plan) == 0 || bytes.ContainsAny(plan, "\n")) {
			t.Errorf("a plan is one line: %q", plan)
		}
		p, err := parsePlan(append([]byte("x\n"+planMark), plan...))
		if err == nil && p != nil {
			p.upgrades()
		}
	})
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte("Reading package lists...\n" + planMark + strings.TrimSpace(params(f, recordedPrompt(f))) + "\nE: Sub-process returned an error code (77)\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePlan(data)
		if p == nil && err == nil && bytes.Contains(data, []byte(planMark)) {
			t.Error("the plan is overlooked")
		}
		a := answer{Survey: &survey{Opaque: true}, Plan: p}
		for _, u := range a.updates() {
			if u.Name != fleet.Plain(u.Name) || u.To != fleet.Plain(u.To) || u.Origin != fleet.Plain(u.Origin) {
				t.Errorf("%+v", u)
			}
		}
	})
}

func FuzzReadRefresh(f *testing.F) {
	seeds(f, "testdata/refresh/*")
	f.Fuzz(func(t *testing.T, data []byte) {
		err := readRefresh(machine.Result{Stderr: data, Code: 100})
		if because, remedy := fleet.Explain(err); because == "" || remedy == "" {
			t.Errorf("because %q, remedy %q", because, remedy)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	list := []byte(strings.Repeat("Package: a\nVersion: 1\n\n", 20))
	var l, g, z bytes.Buffer
	zw, _ := zstd.NewWriter(&z)
	for i, w := range []io.WriteCloser{lz4.NewWriter(&l), gzip.NewWriter(&g), zw} {
		_, _ = w.Write(list)
		_ = w.Close()
		f.Add([]*bytes.Buffer{&l, &g, &z}[i].Bytes(), uint(i))
	}
	f.Add([]byte("BZh91AY&SY"), uint(3))
	f.Fuzz(func(t *testing.T, data []byte, n uint) {
		r, err := decompress(bytes.NewReader(data), []string{".lz4", ".gz", ".zst", ".bz2"}[n%4])
		if err != nil {
			return
		}
		const bound = 1 << 20
		if n, _ := io.Copy(io.Discard, newCapped(r, bound)); n > bound {
			t.Errorf("%d bytes came through", n)
		}
	})
}

func FuzzRoll(f *testing.F) {
	f.Add("systemd-255.4-1ubuntu8.19-b08dfa6083e7567a1921a715000001fb")
	f.Fuzz(func(t *testing.T, seed string) {
		if face := roll(seed); face < 0 || face > 100 || phased(seed, "1", "x", 100) {
			t.Errorf("%q rolls %d", seed, face)
		}
	})
}
