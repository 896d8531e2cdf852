package wire

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

func TestAListOfPackagesIsReadAsItWasWritten(t *testing.T) {
	for _, list := range []PackageList{
		{},
		{{Source: "apt", Name: "curl", Arch: "amd64", Version: "7.88.1-10"}},
		{{Source: "apt", Name: "libssl3", Arch: "amd64", Version: "3", From: "openssl", FromVersion: "2"}, {Source: "apt", Name: "é\"\\<", FromVersion: "only the last"}, {Name: "bash", Ecosystem: "Debian:12"}, {Name: "nginx", Module: "nginx:1.24"}, {}, {Source: "x"}},
	} {
		data, err := json.Marshal(PackageChange{Added: list})
		if err != nil {
			t.Fatal(err)
		}
		var got PackageChange
		if err := json.Unmarshal(data, &got); err != nil || !slices.Equal(got.Added, list) || got.Removed != nil {
			t.Errorf("%s: %v, %v", data, got, err)
		}
	}
	for name, text := range map[string]string{
		"no text": `[]`, "nine fields": `"a\tb\tc\td\te\tf\tg\th\ti"`, "too many": `"` + strings.Repeat(`a\n`, MaxPackages) + `"`,
	} {
		var l PackageList
		if err := json.Unmarshal([]byte(text), &l); err == nil || name != "no text" && !errors.Is(err, ErrBounds) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPackageList(f *testing.F) {
	f.Add(`"apt\tcurl\tamd64\t7.88\napt\tlibssl3\tamd64\t3\topenssl"`)
	f.Add(`"\n\t\n"`)
	f.Fuzz(func(t *testing.T, text string) {
		var l, again PackageList
		if json.Unmarshal([]byte(text), &l) != nil {
			return
		}
		data, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if len(l) == 1 && l[0] == (fleet.Package{}) { // one package without anything looks like none
			return
		}
		if !slices.Equal(l, again) {
			t.Errorf("%q is then %q", l, again)
		}
	})
}
