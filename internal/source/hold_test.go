package source

import (
	"context"
	"errors"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// shelf is a source that has packages, and holds them.
type shelf struct {
	Source
	name   string
	has    string
	broken bool
	held   *[]string
}

func (s shelf) Packages(context.Context, *machine.Machine) ([]fleet.Package, error) {
	if s.broken {
		return nil, errors.New("it cannot be read")
	}
	var list []fleet.Package
	for name := range strings.FieldsSeq(s.has) {
		list = append(list, fleet.Package{Name: name, Arch: "amd64"})
	}
	return list, nil
}

func (s shelf) Held(*machine.Machine) ([]string, error) {
	if s.broken {
		return nil, errors.New("it cannot be read")
	}
	return *s.held, nil
}

func (s shelf) Hold(_ context.Context, _ *machine.Machine, names []string, _ bool) error {
	for _, name := range names {
		bare, _, _ := strings.Cut(name, ":")
		if !strings.Contains(" "+s.has+" ", " "+bare+" ") {
			return errors.New(s.name + " does not have " + name)
		}
		*s.held = append(*s.held, s.name+" "+name)
	}
	return nil
}

func TestEachPackageIsHeldWhereItIsInstalled(t *testing.T) {
	for _, c := range []struct{ names, held, wrong string }{
		{"curl", "apt curl", ""},
		{"firefox", "snap firefox", ""},
		{"curl firefox", "apt curl, snap firefox", ""},
		{"vim:amd64", "apt vim:amd64, snap vim:amd64", ""}, // both have one
		{"nonsense firefox", "snap firefox", "apt does not have nonsense"},
	} {
		var held []string
		list, err := Holders([]Source{shelf{name: "apt", has: "curl vim", held: &held}, plain{}, shelf{broken: true}, shelf{name: "snap", has: "firefox vim", held: &held}})
		if err != nil || len(list) != 3 {
			t.Fatal(err)
		}
		because, _ := fleet.Explain(HoldEach(t.Context(), nil, list, strings.Fields(c.names), true))
		if got := strings.Join(held, ", "); got != c.held || because != c.wrong {
			t.Errorf("%s: held %q, %q", c.names, got, because)
		}
		if held, err := HeldBy(nil, list[:2]); err == nil || strings.Join(held, ", ") != c.held {
			t.Errorf("%q, %v", held, err)
		}
	}
	if _, err := Holders([]Source{plain{}}); err == nil {
		t.Error("nobody can hold, and it is no error")
	}
}
