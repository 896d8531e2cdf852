package advisory

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"redflag/internal/fleet"
)

// Suppression is a person's decision that a flaw does not count, for a while: it needs an owner, a reason and a last day.
type Suppression struct {
	// ID is the CVE, or an advisory's name.
	ID string `toml:"id"`
	// Package is a package or a source package that it is limited to; empty means all.
	Package string `toml:"package"`
	// Status is not_affected (it cannot be reached here) or accepted (it can, and that is borne), as in VEX.
	Status string `toml:"status"`
	Owner  string `toml:"owner"`
	Reason string `toml:"reason"`
	// Until is the last day on which it holds, in this machine's time.
	Until date `toml:"until"`
}

// date is a day as TOML writes it, or as a text.
type date struct{ time.Time }

// UnmarshalTOML implements toml.Unmarshaler.
func (d *date) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case time.Time:
		d.Time = time.Date(v.Year(), v.Month(), v.Day(), 0, 0, 0, 0, time.UTC)
		return nil
	case string:
		t, err := time.Parse(time.DateOnly, v)
		d.Time = t
		return err
	}
	return fmt.Errorf("%v is no day such as 2027-01-31", v)
}

// maxSuppressions bounds the file.
const maxSuppressions = 4 << 20

// Suppressions reads a file of them; one that is not there has none. One mistake in it is an error and nothing is suppressed: what a person wanted
// to hide and did not is seen, what they did not want to hide and did is not.
func Suppressions(file string) ([]Suppression, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read suppressions: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSuppressions))
	if err != nil {
		return nil, fmt.Errorf("read suppressions: %w", err)
	}
	list, err := parseSuppressions(string(text))
	if err != nil {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("%s: %v, so nothing is suppressed", file, err), Remedy: "mend the file", Err: err}
	}
	return list, nil
}

func parseSuppressions(text string) ([]Suppression, error) {
	var doc struct {
		Suppress []Suppression `toml:"suppress"`
	}
	meta, err := toml.Decode(text, &doc)
	if err != nil {
		return nil, err
	}
	if odd := meta.Undecoded(); len(odd) > 0 {
		return nil, fmt.Errorf("there is no key %s", odd[0])
	}
	for i, s := range doc.Suppress {
		switch {
		case s.ID == "":
			return nil, fmt.Errorf("suppression %d has no id", i+1)
		case strings.TrimSpace(s.Owner) == "" || strings.TrimSpace(s.Reason) == "" || s.Until.IsZero():
			return nil, fmt.Errorf("the suppression of %s needs an owner, a reason and until when", fleet.Plain(s.ID))
		case s.Status != "not_affected" && s.Status != "accepted":
			return nil, fmt.Errorf("the suppression of %s has the status %q; it is not_affected or accepted", fleet.Plain(s.ID), fleet.Plain(s.Status))
		}
	}
	return doc.Suppress, nil
}

// holds says whether it holds at a moment: until the end of its last day.
func (s Suppression) holds(now time.Time) bool {
	y, m, d := now.Date()
	return !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).After(s.Until.Time)
}

// covers says whether it is about a flaw of a package that goes by any of some names.
func (s Suppression) covers(f fleet.Flaw, names ...string) bool {
	if s.ID != f.ID && !contains(f.Advisories, s.ID) {
		return false
	}
	return s.Package == "" || contains(names, s.Package)
}
