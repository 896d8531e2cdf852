package advisory

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// systems are the products of endoflife.date that are systems with packages, by os-release's ID of them.
var systems = map[string]string{
	"almalinux": "almalinux", "alpine-linux": "alpine", "alpine": "alpine", "amazon-linux": "amzn", "centos": "centos", "centos-stream": "centos", "debian": "debian", "fedora": "fedora",
	"opensuse": "opensuse-leap", "oracle-linux": "ol", "rhel": "rhel", "rocky-linux": "rocky", "sles": "sles", "ubuntu": "ubuntu",
}

// parseLifecycle reads what endoflife.date says of one product (endoflife.date/api/v1/products/alpine-linux, whose documentation is at endoflife.date/docs/api/v1).
func parseLifecycle(r io.Reader) (*parsed, error) {
	var doc struct {
		ModifiedAt time.Time `json:"last_modified"`
		Result     struct {
			Name     string `json:"name"`
			Label    string `json:"label"`
			Releases []struct {
				Name  string `json:"name"`
				Until string `json:"eolFrom"`
				Paid  string `json:"eoesFrom"`
			} `json:"releases"`
		} `json:"result"`
	}
	if err := json.NewDecoder(atOnce(r)).Decode(&doc); err != nil {
		return nil, fmt.Errorf("read dates of support: %w", err)
	}
	system, known := systems[doc.Result.Name]
	if !known {
		return nil, refused("it is about %q, which is no system that is known here", fleet.Plain(doc.Result.Name))
	}
	p := newParsed(Lifecycle, string(Lifecycle)+":"+doc.Result.Name)
	p.AsOf = doc.ModifiedAt.UTC()
	for _, release := range doc.Result.Releases {
		s := support{Codename: fleet.Plain(doc.Result.Label + " " + release.Name), Until: day(release.Until), Paid: day(release.Paid)}
		if release.Name == "" || len(release.Name) > maxName || s.Until.IsZero() {
			p.Skipped["without a date"]++
			continue
		}
		value, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("read dates of support: %w", err)
		}
		p.once(supportKey(system, release.Name), value)
		p.Records++
	}
	if p.Records == 0 {
		return nil, refused("there are no releases with dates in it")
	}
	p.Rows = p.Records
	return p, nil
}

// release finds how long a host's release is cared for: by its version, or by the beginning of that (3.20.3 is of 3.20, 9.5 of 9). What a distribution says itself goes before
// what others gather.
func (s *Shelf) release(h fleet.Host) (support, bool) {
	parts := strings.Split(h.OSVersion, ".")
	for _, kind := range []Kind{Support, Lifecycle} {
		for n := len(parts); n > 0; n-- {
			value, err := s.first(kind, supportKey(h.OSID, strings.Join(parts[:n], ".")))
			var found support
			if err == nil && value != nil && json.Unmarshal(value, &found) == nil && !found.Until.IsZero() {
				return found, true
			}
		}
	}
	return support{}, false
}

// support says in words how long a host's release is cared for.
func (a Advisor) support(h fleet.Host) (words string, unsupported bool) {
	s, known := a.shelf.release(h)
	if !known {
		return "", false
	}
	on := func(t time.Time) string { return t.Format(time.DateOnly) }
	switch {
	case a.Now.Before(s.Until.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s is supported until %s", s.Codename, on(s.Until)), false
	case a.Now.Before(s.Longer.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s is in long-term support until %s, its ordinary support ended on %s", s.Codename, on(s.Longer), on(s.Until)), false
	case a.Now.Before(s.Paid.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s is out of support since %s; for subscribers there are updates until %s", s.Codename, on(later(s.Until, s.Longer)), on(s.Paid)), true
	}
	return fmt.Sprintf("%s is out of support since %s", s.Codename, on(later(s.Until, s.Longer))), true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
