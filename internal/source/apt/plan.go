package apt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// plan is what apt itself would do in a full upgrade.
type plan struct {
	Packages []planned `json:"packages"`
}

// planned is one package that the plan changes.
type planned struct {
	Name string `json:"name"`
	// Mode is upgrade, install, downgrade, reinstall, deinstall or purge.
	Mode string `json:"mode"`
	// Automatic: it comes because another needs it.
	Automatic bool `json:"automatic"`
	Versions  struct {
		Install plannedVersion `json:"install"`
		Current plannedVersion `json:"current"`
	} `json:"versions"`
}

type plannedVersion struct {
	Version      string          `json:"version"`
	Architecture string          `json:"architecture"`
	Origins      []plannedOrigin `json:"origins"`
}

type plannedOrigin struct {
	Archive  string `json:"archive"`
	Codename string `json:"codename"`
	Origin   string `json:"origin"`
	Label    string `json:"label"`
	Site     string `json:"site"`
}

// upgrade says whether the change brings an installed package to a newer version.
func (p planned) upgrade() bool { return p.Mode == "upgrade" }

// askLimit bounds how long apt may think: it takes 0.6 s for 245 packages on a small machine.
const askLimit = 2 * time.Minute

// ask has apt plan a full upgrade and tell our hook, which stops it there. Nothing is changed, and no lock is taken.
func ask(ctx context.Context, m *machine.Machine, hook []string) (*plan, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "apt-get", Args: []string{
		"-s", "-q", "-o", "Debug::NoLocking=1", "-o", "AptCli::Hooks::Upgrade::=" + shellLine(append(hook[:len(hook):len(hook)], "-")), "dist-upgrade",
	}})
	if err != nil {
		return nil, noPlan(err.Error(), "see what `apt-get -s dist-upgrade` says", err)
	}
	p, err := parsePlan(result.Stdout)
	if err != nil {
		return nil, noPlan(err.Error(), "see what `apt-get -s dist-upgrade` says", err)
	}
	if p != nil {
		return p, nil
	}
	said := complaint(result)
	if said == "" && result.Code == 0 {
		return &plan{}, nil // there is nothing to do: apt does not even call its hooks
	}
	if said == "" {
		said = fmt.Sprintf("apt-get ended with code %d and no word", result.Code)
	}
	return nil, noPlan(said, "mend what apt complains of: sudo apt-get -f install", nil)
}

func noPlan(why, remedy string, err error) error {
	return &fleet.Unknown{
		Because: "which updates are kept back is not known, because apt cannot say what it would do: " + fleet.Plain(why),
		Remedy:  remedy,
		Err:     err,
	}
}

// parsePlan finds the plan in what apt and the hook wrote; nil where there is none.
func parsePlan(output []byte) (*plan, error) {
	_, line, found := bytes.Cut(output, []byte(planMark))
	if !found {
		return nil, nil
	}
	line, _, _ = bytes.Cut(line, []byte{'\n'})
	var p plan
	if err := json.Unmarshal(line, &p); err != nil {
		return nil, fmt.Errorf("read apt's plan: %w", err)
	}
	if p.Packages == nil {
		return nil, errors.New("read apt's plan: it has no list of packages")
	}
	return &p, nil
}

// complaint gives the first error that apt printed.
func complaint(r machine.Result) string {
	for line := range strings.Lines(string(r.Stderr)) {
		if text, found := strings.CutPrefix(line, "E: "); found {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// shellLine writes a command for sh, which apt has run its hooks.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// String names who offers the version.
func (v plannedVersion) release() *release {
	if len(v.Origins) == 0 {
		return &release{}
	}
	o := v.Origins[0]
	return &release{suite: o.Archive, codename: o.Codename, origin: o.Origin, label: o.Label, site: o.Site}
}
