package brew

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// key is a formula or a cask of an installation.
type key struct{ Name, Arch string }

// String gives it as it is written down in a job's folder.
func (k key) String() string { return k.Arch + " " + k.Name }

func parseKey(s string) key {
	arch, name, _ := strings.Cut(s, " ")
	return key{name, arch}
}

// cellar reads what is installed, with all versions: a folder for each in the Cellar and in the Caskroom.
func cellar(m *machine.Machine) (map[key][]string, error) {
	found := map[key][]string{}
	for _, i := range installations(m) {
		for dir, arch := range map[string]string{"Cellar": i.arch, "Caskroom": caskArch} {
			if err := read(m, path.Join(i.prefix, dir), arch, found); err != nil {
				return nil, fmt.Errorf("read what Homebrew has installed: %w", err)
			}
		}
	}
	return found, nil
}

func read(m *machine.Machine, dir, arch string, found map[key][]string) error {
	names, err := m.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing of this kind was ever installed
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		if !n.IsDir() || !nameText.MatchString(n.Name()) {
			continue
		}
		list, err := m.ReadDir(path.Join(dir, n.Name()))
		if err != nil {
			return err
		}
		for _, v := range list {
			if v.IsDir() && versionText.MatchString(v.Name()) {
				found[key{n.Name(), arch}] = append(found[key{n.Name(), arch}], v.Name())
			}
		}
	}
	return nil
}

// Packages implements source.Lister. It needs neither brew nor rights.
func (s Source) Packages(_ context.Context, m *machine.Machine) ([]fleet.Package, error) {
	found, err := cellar(m)
	if err != nil {
		return nil, err
	}
	list := []fleet.Package{}
	for k, versions := range found {
		for _, v := range versions {
			list = append(list, fleet.Package{Source: s.Name(), Name: k.Name, Arch: k.Arch, Version: v})
		}
	}
	fleet.SortPackages(list)
	return list, nil
}

// differences gives what has come and gone between two looks. Versions that lie beside a newer one have not gone: brew keeps them until somebody cleans up.
func differences(before, now map[key][]string, p fleet.Plan) []fleet.Change {
	list := []fleet.Change{}
	for k, versions := range now {
		for _, v := range versions {
			if slices.Contains(before[k], v) {
				continue
			}
			c := fleet.Change{Action: fleet.Install, Name: k.Name, Arch: k.Arch, To: v, Automatic: true}
			if old := before[k]; len(old) > 0 {
				c.Action, c.From, c.Automatic = fleet.Upgrade, old[len(old)-1], false
			}
			if at := slices.IndexFunc(p.Changes, func(o fleet.Change) bool { return same(o, c) }); at >= 0 {
				c = p.Changes[at]
			}
			list = append(list, c)
		}
	}
	for k, versions := range before {
		if len(now[k]) == 0 {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: k.Name, Arch: k.Arch, From: versions[len(versions)-1]})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

func same(a, b fleet.Change) bool { return a.Name == b.Name && a.Arch == b.Arch && a.To == b.To }
