package brew

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"redflag/internal/fleet"
)

// names and versions as Homebrew has them, and nothing that could be taken for an option: a tap's name may stand before a formula's, and a cask's version has commas.
var (
	nameText    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9@+._-]*(?:/[A-Za-z0-9][A-Za-z0-9@+._-]*){0,2}$`)
	versionText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9@+._,:~-]*$`)
)

// entry is what `brew outdated --json=v2` has of one formula or cask.
type entry struct {
	Name              string   `json:"name"`
	InstalledVersions versions `json:"installed_versions"`
	CurrentVersion    string   `json:"current_version"`
	Pinned            bool     `json:"pinned"`
}

// from is the newest of the installed versions: brew gives them in that order.
func (e entry) from() string {
	if len(e.InstalledVersions) == 0 {
		return ""
	}
	return e.InstalledVersions[len(e.InstalledVersions)-1]
}

// versions are a list, or one text, as casks had it before Homebrew 4.3.
type versions []string

// UnmarshalJSON implements json.Unmarshaler.
func (v *versions) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*v = versions{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(v))
}

type outdated struct{ formulae, casks []entry }

var errNoList = errors.New("it has no lists of formulae and casks")

func parseOutdated(out []byte) (outdated, error) {
	var said struct {
		Formulae *[]entry `json:"formulae"`
		Casks    *[]entry `json:"casks"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return outdated{}, err
	}
	if said.Formulae == nil || said.Casks == nil {
		return outdated{}, errNoList
	}
	for _, list := range [][]entry{*said.Formulae, *said.Casks} {
		for _, e := range list {
			if !nameText.MatchString(e.Name) || !versionText.MatchString(e.CurrentVersion) || !versionText.MatchString(e.from()) {
				return outdated{}, fmt.Errorf("%q %q is none", fleet.Plain(e.Name), fleet.Plain(e.CurrentVersion))
			}
		}
	}
	return outdated{*said.Formulae, *said.Casks}, nil
}

// formula and caskInfo are what we use of `brew info --json=v2`.
type formula struct {
	Name        string `json:"name"`
	FullName    string `json:"full_name"`
	Tap         string `json:"tap"`
	Description string `json:"desc"`
	Pinned      bool   `json:"pinned"`
	Disabled    bool   `json:"disabled"`
}

type caskInfo struct {
	Token       string                       `json:"token"`
	FullToken   string                       `json:"full_token"`
	Tap         string                       `json:"tap"`
	Description string                       `json:"desc"`
	AutoUpdates bool                         `json:"auto_updates"`
	Pinned      bool                         `json:"pinned"`
	Disabled    bool                         `json:"disabled"`
	Artifacts   []map[string]json.RawMessage `json:"artifacts"`
}

// installer says whether a cask is installed by Apple's or its own installer, which brew runs by sudo.
func (c caskInfo) installer() bool {
	for _, a := range c.Artifacts {
		if _, ok := a["pkg"]; ok {
			return true
		}
		if _, ok := a["installer"]; ok {
			return true
		}
	}
	return false
}

type catalogue struct {
	formulae []formula
	casks    []caskInfo
}

func parseInfo(out []byte) (catalogue, error) {
	var said struct {
		Formulae *[]formula  `json:"formulae"`
		Casks    *[]caskInfo `json:"casks"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return catalogue{}, err
	}
	if said.Formulae == nil || said.Casks == nil {
		return catalogue{}, errNoList
	}
	return catalogue{*said.Formulae, *said.Casks}, nil
}
