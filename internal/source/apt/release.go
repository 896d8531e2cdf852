package apt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// release is what an archive's Release file says of a suite.
type release struct {
	origin, label, suite, codename, version string
	date, validUntil                        time.Time
	notAutomatic, butAutomaticUpgrades      bool
	// archs and components are empty where the file does not list them.
	archs, components []string
	// sizes are the lengths of the lists of packages, by their path below the suite without the ending of a compression: that of the
	// uncompressed list, or -1 where only compressed ones are named.
	sizes map[string]int64
	// site is the archive's host.
	site string
}

const (
	// maxRelease bounds a release file: Ubuntu's largest has 300 kB, and apt itself takes no more than 10 MB.
	maxRelease = 16 << 20
	// maxLine bounds one line of it.
	maxLine = 1 << 20
)

// parseRelease reads a Release or an InRelease file. The signature was apt's to check, when it fetched the file.
func parseRelease(r io.Reader) (*release, error) {
	rel := &release{sizes: map[string]int64{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	field, known := "", 0
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("-----BEGIN PGP SIGNATURE-----")) {
			break
		}
		if len(line) > 0 && line[0] == ' ' {
			if strings.HasPrefix(field, "sha") || field == "md5sum" {
				rel.sum(line)
			}
			continue
		}
		name, value, found := strings.Cut(string(line), ":")
		if field = strings.ToLower(name); !found {
			continue
		}
		if rel.set(field, strings.TrimSpace(value)) {
			known++
		}
	}
	if err := lines.Err(); err != nil {
		return rel, fmt.Errorf("read a release file: %w", err)
	}
	if known == 0 {
		return rel, errors.New("it has none of the fields of a release file")
	}
	return rel, nil
}

// set keeps one field, and says whether it is one that a release file has.
func (r *release) set(field, value string) bool {
	switch field {
	case "origin":
		r.origin = value
	case "label":
		r.label = value
	case "suite":
		r.suite = value
	case "codename":
		r.codename = value
	case "version":
		r.version = value
	case "date":
		r.date = parseDate(value)
	case "valid-until":
		r.validUntil = parseDate(value)
	case "notautomatic":
		r.notAutomatic = truth(value, false)
	case "butautomaticupgrades":
		r.butAutomaticUpgrades = truth(value, false)
	case "architectures":
		r.archs = strings.Fields(value)
	case "components":
		r.components = strings.Fields(value)
	case "sha256", "sha512", "sha1", "md5sum":
	default:
		return false
	}
	return true
}

// sum keeps the size in a line "checksum size path" where the path is a list of packages.
func (r *release) sum(line []byte) {
	if !bytes.Contains(line, []byte("Packages")) {
		return
	}
	words := strings.Fields(string(line))
	if len(words) != 3 {
		return
	}
	if size, err := strconv.ParseInt(words[1], 10, 64); err == nil && strings.HasSuffix(words[2], "Packages") {
		r.sizes[words[2]] = size
	} else if name, ending, _ := strings.Cut(words[2], "Packages."); slices.Contains(compressions, "."+ending) {
		if _, known := r.sizes[name+"Packages"]; !known {
			r.sizes[name+"Packages"] = -1
		}
	}
}

// parseDate reads the dates of Release files, which are not always as RFC 1123 has them: "Fri, 20 Nov 2026  7:22:51 UTC". It is zero for
// what is no date.
func parseDate(s string) time.Time {
	s = strings.Join(strings.Fields(s), " ")
	for _, layout := range []string{"Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// security says whether what the suite offers are security updates: Debian's by their label, Debian's and Ubuntu's (ESM among them) by a
// codename or a suite that ends in -security. A package's name says nothing about that.
func (r *release) security() bool {
	return r.label == "Debian-Security" || strings.HasSuffix(r.codename, "-security") || strings.HasSuffix(r.suite, "-security")
}

// String names it as updates show it: who offers it, and what. Of codename and suite the one that says more is shown: Debian's codename
// (bookworm-security, not oldstable-security), Ubuntu's suite (noble-updates, not noble).
func (r *release) String() string {
	what := r.codename
	if what == "" || strings.HasPrefix(r.suite, r.codename) {
		what = r.suite
	}
	who := r.label
	if len(who) < 2 { // a full stop, as some archives have it
		who = r.origin
	}
	if len(who) < 2 {
		who = r.site
	}
	if what == "" {
		return fleet.Plain(who)
	}
	return fleet.Plain(who + "/" + what)
}

// priority is what versions of the suite get without any pin (apt_preferences(5)).
func (r *release) priority() int {
	switch {
	case r.butAutomaticUpgrades:
		return priorityUpgrades
	case r.notAutomatic:
		return priorityNotAutomatic
	default:
		return priorityUsual
	}
}

// has says whether the suite has a component for an architecture, as far as the file tells.
func (r *release) has(component, arch string) bool {
	if len(r.archs) > 0 && !slices.Contains(r.archs, arch) {
		return false
	}
	if len(r.components) == 0 || component == "" {
		return true
	}
	return slices.ContainsFunc(r.components, func(c string) bool {
		return c == component || strings.HasSuffix(c, "/"+component)
	})
}
