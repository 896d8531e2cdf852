package dnf5

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/rpm"
)

// stored is a transaction as dnf 5 stores it (`--store`) and carries it out as it stands (dnf5-replay(8)): with any difference it does nothing.
type stored struct {
	RPMs    []storedPackage `json:"rpms"`
	Version string          `json:"version"`
}

type storedPackage struct {
	NEVRA string `json:"nevra"`
	// Action is Install, Upgrade, Downgrade, Reinstall, Remove, Replaced or Reason Change.
	Action string `json:"action"`
	// Reason is User, Dependency, Weak Dependency, Group…
	Reason string `json:"reason"`
	Repo   string `json:"repo_id"`
	// Path is the package's file, from the folder of the transaction.
	Path string `json:"package_path,omitempty"`
}

const (
	// transactionFile is what dnf calls a stored transaction, in its folder.
	transactionFile = "transaction.json"
	// storedVersion is the form that is written here; another first number is one that is not understood.
	storedVersion = "1.0"
	// maxStored bounds a stored transaction.
	maxStored = 64 << 20
)

// parseStored reads a stored transaction.
func parseStored(data []byte) (stored, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read the stored transaction: %w", err)
	}
	if major, _, _ := strings.Cut(s.Version, "."); major != "1" {
		return s, fmt.Errorf("read the stored transaction: its form %q is not known here", fleet.Plain(s.Version))
	}
	if len(s.RPMs) == 0 {
		return s, errors.New("read the stored transaction: it changes nothing")
	}
	for _, p := range s.RPMs {
		if _, ok := rpm.CutNEVRA(p.NEVRA); !ok {
			return s, fmt.Errorf("read the stored transaction: %q is no package", fleet.Plain(p.NEVRA))
		}
		switch p.Action {
		case "Install", "Upgrade", "Downgrade", "Reinstall", "Remove", "Replaced", "Reason Change":
		default:
			return s, fmt.Errorf("read the stored transaction: %q is not known here", fleet.Plain(p.Action))
		}
	}
	return s, nil
}

// changes gives the transaction as changes of what is installed.
func (s stored) changes(installed []rpm.Package) []fleet.Change {
	var out, in []rpm.Package
	for _, one := range s.RPMs {
		p, _ := rpm.CutNEVRA(one.NEVRA)
		switch one.Action {
		case "Install", "Upgrade", "Downgrade":
			in = append(in, p)
		case "Remove", "Replaced":
			out = append(out, p)
		}
	}
	return rpm.Differences(installed, rpm.After(installed, out, in))
}

// dependency says whether a package was, or comes, because another needs it.
func (s stored) dependency(name, arch string) bool {
	for _, one := range s.RPMs {
		if p, _ := rpm.CutNEVRA(one.NEVRA); p.Name == name && p.Arch == arch {
			return strings.Contains(one.Reason, "Dependency")
		}
	}
	return false
}

// readStored reads the transaction in a folder.
func readStored(m *machine.Machine, dir string) (stored, error) {
	data, err := m.ReadFile(path.Join(dir, transactionFile), maxStored)
	if err != nil {
		return stored{}, err
	}
	return parseStored(data)
}

// packagesDir is where a stored transaction has its packages.
const packagesDir = "packages"

// writeBack stores the transaction that goes back, with the packages that were kept here. What was not kept is a *fleet.Unknown.
func writeBack(m *machine.Machine, dir string, changes []fleet.Change) error {
	if err := os.MkdirAll(m.Path(path.Join(dir, packagesDir)), 0o700); err != nil {
		return err
	}
	s := stored{Version: storedVersion}
	for _, c := range changes {
		reason := "User"
		if c.Automatic {
			reason = "Dependency"
		}
		from, to := rpm.Package{Name: c.Name, EVR: c.From, Arch: c.Arch}, rpm.Package{Name: c.Name, EVR: c.To, Arch: c.Arch}
		if c.To == "" {
			if err := from.Valid(); err != nil {
				return err
			}
			s.RPMs = append(s.RPMs, storedPackage{NEVRA: from.String(), Action: "Remove", Reason: reason, Repo: "@System"})
			continue
		}
		if err := to.Valid(); err != nil {
			return err
		}
		file := source.Kept(m, rpm.Kept(to))
		if file == "" {
			return &fleet.Unknown{Because: to.String() + " was not kept here", Remedy: "a repository that still has it would do: dnf5 downgrade"}
		}
		name := strings.TrimSuffix(rpm.Kept(to), ".rpm") + ".rpm"
		if err := link(m, file, path.Join(dir, packagesDir, name)); err != nil {
			return err
		}
		s.RPMs = append(s.RPMs, storedPackage{NEVRA: to.String(), Action: actions[c.Action], Reason: reason, Repo: "@stored_transaction", Path: "./" + packagesDir + "/" + name})
		if c.From != "" {
			if err := from.Valid(); err != nil {
				return err
			}
			s.RPMs = append(s.RPMs, storedPackage{NEVRA: from.String(), Action: "Replaced", Reason: reason, Repo: "@System"})
		}
	}
	return source.Work{Dir: dir}.Write(m, transactionFile, s)
}

var actions = map[fleet.Action]string{fleet.Install: "Install", fleet.Upgrade: "Upgrade", fleet.Downgrade: "Downgrade"}

// link puts a file of the machine in another place there too.
func link(m *machine.Machine, file, name string) error {
	if err := os.Link(m.Path(file), m.Path(name)); err == nil || errors.Is(err, os.ErrExist) {
		return nil
	}
	return machine.CopyFile(m.Path(file), m.Path(name)) // another file system
}
