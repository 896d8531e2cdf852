package advisory

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"redflag/internal/fleet"
)

// releases are the codenames of Debian's releases, which the tracker speaks of, as OSV's ecosystems.
var releases = map[string]string{
	"buster": "Debian:10", "bullseye": "Debian:11", "bookworm": "Debian:12", "trixie": "Debian:13", "forky": "Debian:14", "duke": "Debian:15",
}

// tracked is what the tracker says of one vulnerability in one source package.
type tracked struct {
	Releases map[string]struct {
		Status       string `json:"status"`
		FixedVersion string `json:"fixed_version"`
		Urgency      string `json:"urgency"`
		NoDSA        string `json:"nodsa"`
		Reason       string `json:"nodsa_reason"`
	} `json:"releases"`
}

// maxPackage bounds what the tracker says of one package, which is in memory as a whole: the kernel's has 15 MB.
const maxPackage = 256 << 20

// parseTracker reads the Debian security tracker's JSON (security-tracker.debian.org/tracker/data/json): {source: {vulnerability: …}}. One
// package is in memory at a time.
func parseTracker(r io.Reader) (*parsed, error) {
	p := newParsed(Tracker, string(Tracker))
	one := &capped{r: bufio.NewReaderSize(r, 64<<10), left: maxPackage, over: refused("one package in it has over %d MB", maxPackage>>20)}
	d := json.NewDecoder(one)
	if err := expect(d, '{'); err != nil {
		return nil, err
	}
	for d.More() {
		one.left = maxPackage
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read the tracker: %w", err)
		}
		source, _ := name.(string)
		var flaws map[string]tracked
		if err := d.Decode(&flaws); err != nil {
			return nil, fmt.Errorf("read the tracker's %s: %w", fleet.Plain(source), err)
		}
		if source == "" || len(source) > maxName {
			p.Skipped[skipMalformed]++
			continue
		}
		for id, t := range flaws {
			if err := p.tracked(source, id, t); err != nil {
				return nil, err
			}
		}
	}
	if err := expect(d, '}'); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refused("the tracker's file goes on behind its end")
	}
	if p.Rows == 0 {
		return nil, refused("the tracker's file says nothing of any release of Debian that is known here")
	}
	return p, nil
}

func expect(d *json.Decoder, delim json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if t != delim {
		return refused("it has %v where %v should be", t, delim)
	}
	return nil
}

// tracked adds what is said of one vulnerability. A name that is no CVE (TEMP-…) has no public name yet and stays as it is.
func (p *parsed) tracked(source, id string, t tracked) error {
	if id == "" || len(id) > maxName {
		p.Skipped[skipMalformed]++
		return nil
	}
	p.Records++
	for codename, said := range t.Releases {
		ecosystem, ok := releases[codename]
		if !ok {
			continue
		}
		r := rule{ID: id, Introduced: "0", Severity: fleet.Severity(said.Urgency), Remark: remark(said.NoDSA, said.Reason, said.Urgency), Never: said.Reason == "ignored" || said.Urgency == endOfLife}
		switch said.Status {
		case "resolved":
			if r.Fixed = said.FixedVersion; r.Fixed == "0" {
				r.Not, r.Fixed = true, ""
			} else if r.Fixed == "" {
				p.Skipped[skipMalformed]++
				continue
			}
		case "open":
		default: // undetermined: nobody knows yet
			p.Skipped["undetermined"]++
			continue
		}
		if err := p.add(ecosystem, source, &r); err != nil {
			return err
		}
	}
	return nil
}

// endOfLife is the tracker's urgency of what Debian supports no longer.
const endOfLife = "end-of-life"

// remark says in words why there is no security update.
func remark(nodsa, reason, urgency string) string {
	switch {
	case urgency == endOfLife:
		return "no longer supported by Debian"
	case reason == "ignored":
		return fleet.Plain("Debian will not mend it: " + nodsa)
	case reason == "postponed":
		return fleet.Plain("mended with a later update: " + nodsa)
	case nodsa != "":
		return fleet.Plain("no security update of its own: " + nodsa)
	}
	return ""
}
