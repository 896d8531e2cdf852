package apk

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func FuzzStanzas(f *testing.F) {
	data, err := os.ReadFile("testdata/recorded/installed-after")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("P:a\nV:1\nR:x\nF:\nZ:\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseStanzas(strings.NewReader(text))
		for _, p := range list {
			if err == nil && (!packageName.MatchString(p.name) || !versionText.MatchString(p.version)) {
				t.Errorf("%q %q is no package", p.name, p.version)
			}
		}
	})
}

func FuzzIndex(f *testing.F) {
	data, err := os.ReadFile("testdata/machines/v2/root/srv/apkrepo/current/x86_64/APKINDEX.tar.gz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(_ *testing.T, data []byte) { _, _, _ = parseIndex(bytes.NewReader(data)) })
}

func FuzzSimulated(f *testing.F) {
	for _, name := range []string{"machines/v2/commands/upgrade-simulate.stdout", "recorded/v3-upgrade-simulate-quietv.stdout"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("(1/1) Installing a@edge (1-r0)\nOK: 1 packages\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		list, err := parseSimulated(out)
		if err != nil {
			return
		}
		for _, c := range list {
			if c.Action == "" || !packageName.MatchString(c.Name) {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzUpgradable(f *testing.F) {
	f.Add([]byte("demo-app-2.1-r1 x86_64 {demo-app} (MIT) [upgradable from: demo-app-2.0-r3]\n"))
	installed := []*pkg{{name: "demo-app", version: "2.0-r3"}, {name: "demo", version: "app-2.0-r3"}}
	f.Fuzz(func(t *testing.T, out []byte) {
		list, err := parseUpgradable(out, installed)
		for _, u := range list {
			if err == nil && !versionText.MatchString(u.to) {
				t.Errorf("%q is no version", u.to)
			}
		}
	})
}

func FuzzSaid(f *testing.F) {
	f.Add("ERROR: lib/apk/exec/demo-broken-2.0-r0.post-upgrade: exited with error 127\nERROR: unable to select packages:\n  a\n")
	f.Fuzz(func(t *testing.T, said string) {
		if explainText(said, "otherwise") == nil {
			t.Error("no reason")
		}
		failedScripts(said, nil)
	})
}
