package zypper

import (
	"os"
	"path/filepath"
	"testing"

	"redflag/internal/fleet"
)

func FuzzParseStream(f *testing.F) {
	files, err := filepath.Glob("testdata/recorded/*")
	if err != nil || len(files) == 0 {
		f.Fatal("there are no recordings", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseStream(data)
		if err != nil {
			return
		}
		if s.Updates != nil {
			for _, u := range s.offered(nil) {
				if u.Name != fleet.Plain(u.Name) || u.To != fleet.Plain(u.To) {
					t.Errorf("%q %q", u.Name, u.To)
				}
			}
		}
		for _, c := range s.changes(nil) {
			_ = s.origin(c)
		}
		s.complaint()
	})
}
