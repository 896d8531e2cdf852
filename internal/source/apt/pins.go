package apt

import (
	"fmt"
	"strconv"
	"strings"
)

// pin is one preference: which versions it is for, and the priority that they get (apt_preferences(5)).
type pin struct {
	// packages are names, globs, src:names, with :architecture or not; empty for all packages.
	packages []string
	kind     pinKind
	// text is what versions or suites must match.
	text     string
	priority int
	// file is where it stands.
	file string
}

type pinKind string

const (
	pinVersion pinKind = "version"
	pinRelease pinKind = "release"
	pinOrigin  pinKind = "origin"
)

// general says that the pin is for all packages: it changes the priority of whole indexes.
func (p *pin) general() bool { return len(p.packages) == 0 }

// parsePins reads a file of preferences. Like apt, which then refuses to work at all, it fails on what it does not understand.
func parsePins(file string, data []byte) ([]*pin, error) {
	var pins []*pin
	for i, stanza := range writtenStanzas(data) {
		p, err := newPin(stanza, file)
		if err != nil {
			return pins, fmt.Errorf("stanza %d: %w", i+1, err)
		}
		if p != nil {
			pins = append(pins, p)
		}
	}
	return pins, nil
}

// newPin reads one stanza; nil for one that pins nothing.
func newPin(stanza written, file string) (*pin, error) {
	p := &pin{packages: stanza.words("package"), file: file}
	if len(p.packages) == 0 {
		return nil, fmt.Errorf("no package is named")
	}
	if stanza["package"] == "*" {
		p.packages = nil
	}
	spec, ok := stanza["pin"]
	if !ok {
		return nil, nil
	}
	kind, text, _ := strings.Cut(strings.Join(strings.Fields(spec), " "), " ")
	p.kind, p.text = pinKind(strings.ToLower(kind)), strings.TrimSpace(text)
	switch {
	case p.kind == pinVersion && p.general():
		return nil, nil // apt warns and goes on
	case p.kind != pinVersion && p.kind != pinRelease && p.kind != pinOrigin:
		return nil, nil
	}
	if stanza["pin-priority"] == "never" {
		if !p.general() {
			return nil, fmt.Errorf("the priority never is for all packages only")
		}
		p.priority = priorityNever
		return p, p.check()
	}
	n, err := strconv.ParseInt(stanza["pin-priority"], 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("%q is no priority", brief(stanza["pin-priority"]))
	}
	p.priority = max(int(n), priorityNever+1)
	return p, p.check()
}

// check finds what this reader does not know how to compare.
func (p *pin) check() error {
	patterns := []string{p.text}
	if p.kind == pinRelease {
		patterns = strings.Split(p.text, ",")
		for _, condition := range patterns {
			key, _, found := strings.Cut(strings.TrimSpace(condition), "=")
			if found && (len(key) != 1 || strings.IndexByte(releaseKeys, key[0]|0x20) < 0) {
				return fmt.Errorf("the condition %s is not understood", brief(condition))
			}
		}
	}
	for _, name := range p.packages {
		name, arch := p.split(name)
		patterns = append(patterns, name)
		if strings.Contains(arch, "-") || strings.ContainsAny(arch, "*?[") {
			return fmt.Errorf("the architecture %s is not understood", arch)
		}
	}
	for _, pattern := range patterns {
		pattern = pattern[strings.IndexByte(pattern, '=')+1:]
		if len(pattern) > 1 && strings.HasPrefix(pattern, "/") && strings.HasSuffix(pattern, "/") {
			return fmt.Errorf("the regular expression %s is not understood", brief(pattern))
		}
		if strings.Contains(pattern, "[[:") {
			return fmt.Errorf("the character class in %s is not understood", brief(pattern))
		}
	}
	return nil
}

// split takes a package's pattern apart.
func (p *pin) split(pattern string) (name, arch string) {
	pattern = strings.TrimPrefix(pattern, "src:")
	if i := strings.LastIndexByte(pattern, ':'); i >= 0 {
		return pattern[:i], pattern[i+1:]
	}
	return pattern, ""
}

// names says whether the pin is for a version of a package of an architecture. Without an architecture of its own it is for the
// native one alone.
func (p *pin) names(pkg *Package, arch, native string, v *version) bool {
	for _, pattern := range p.packages {
		name, wanted := p.split(pattern)
		if wanted == "" || wanted == "native" {
			wanted = native
		}
		if wanted != "any" && wanted != arch {
			continue
		}
		subject := pkg.Name
		if strings.HasPrefix(pattern, "src:") {
			subject = v.source
		}
		if subject == name || strings.ContainsAny(name, "*?[") && glob(name, subject) {
			return true
		}
	}
	return false
}

// fits says whether the pin's condition holds for a version.
func (p *pin) fits(v *version) bool {
	if p.kind == pinVersion {
		return fitsVersion(p.text, v.text)
	}
	for _, i := range v.on {
		if p.fitsSuite(i.suite.release, i.component, i.arch) {
			return true
		}
	}
	return v.installed && p.fitsStatus()
}

// fitsVersion compares as apt does: the whole, a beginning followed by a star, or a glob; without regard to case.
func fitsVersion(pattern, text string) bool {
	if before, found := strings.CutSuffix(pattern, "*"); found && len(text) >= len(before) && strings.EqualFold(text[:len(before)], before) {
		return true
	}
	return strings.EqualFold(pattern, text) || glob(pattern, text)
}

// fitsSuite compares a pin of the kind release or origin with an index.
func (p *pin) fitsSuite(r *release, component, arch string) bool {
	if p.kind == pinOrigin {
		return glob(strings.Trim(p.text, `"`), r.site)
	}
	return p.fitsRelease(func(key byte) []string {
		switch key {
		case 'a':
			return []string{r.suite}
		case 'n':
			return []string{r.codename}
		case 'o':
			return []string{r.origin}
		case 'l':
			return []string{r.label}
		case 'v':
			return []string{r.version}
		case 'c':
			return []string{component}
		case 'b':
			return []string{arch}
		default:
			return []string{r.suite, r.codename}
		}
	})
}

// fitsStatus compares it with dpkg's status, which is the archive "now" and nothing else.
func (p *pin) fitsStatus() bool {
	return p.kind == pinRelease && p.fitsRelease(func(key byte) []string {
		if key == 'a' || key == 0 {
			return []string{"now"}
		}
		return nil
	})
}

// releaseKeys are version, origin, codename, archive (that is the suite), label, component and architecture.
const releaseKeys = "vonalcb"

// fitsRelease goes through the conditions of a release pin: key=value, or one word that means suite or codename (a version where it
// begins with a digit). All must hold; there must be one. The value 0 stands for the key of the word.
func (p *pin) fitsRelease(values func(key byte) []string) bool {
	if p.text == "*" {
		return true
	}
	if !strings.Contains(p.text, "=") {
		key := byte(0)
		if p.text != "" && isDigit(p.text[0]) {
			key = 'v'
		}
		return p.text != "" && fitsAny(key, p.text, values(key))
	}
	held := false
	for _, condition := range strings.Split(p.text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(condition), "=")
		if len(key) != 1 || value == "" {
			continue
		}
		letter := key[0] | 0x20
		if strings.IndexByte(releaseKeys, letter) < 0 {
			continue
		}
		if !fitsAny(letter, value, values(letter)) {
			return false
		}
		held = true
	}
	return held
}

func fitsAny(key byte, pattern string, values []string) bool {
	for _, v := range values {
		if glob(pattern, v) || key == 'v' && v != "" && fitsVersion(pattern, v) {
			return true
		}
	}
	return false
}
