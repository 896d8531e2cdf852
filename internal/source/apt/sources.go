package apt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// entry is one enabled source of packages: a suite of an archive (sources.list(5)).
type entry struct {
	uri   uri
	suite string
	// components is empty for a suite that is a path.
	components []string
	// archs are the architectures that it is asked for.
	archs []string
	// checkDates and checkValidUntil are what the entry itself says about dates; nil where it leaves that to the configuration.
	checkDates, checkValidUntil *bool
	// file is where it is configured.
	file string
}

func (e entry) String() string {
	return strings.TrimSpace(e.uri.String() + " " + e.suite)
}

// flat says that the suite is a path, without components.
func (e entry) flat() bool { return strings.HasSuffix(e.suite, "/") }

// options are an entry's settings, by the names of the one-line form. Lists are divided by commas.
type options map[string]string

// entries makes the entries of one or several URIs and suites that share components and options.
func entries(uris, suites, components []string, opt options, archs []string, file string) ([]entry, error) {
	if reason := opt.notUnderstood(); reason != "" {
		return nil, fmt.Errorf("%s is not understood", reason)
	}
	if len(uris) == 0 || len(suites) == 0 {
		return nil, fmt.Errorf("a source without an address or a suite")
	}
	if !opt.wantsPackages() {
		return nil, nil
	}
	var all []entry
	for _, address := range uris {
		u, ok := parseURI(strings.ReplaceAll(address, "$(ARCH)", archs[0]))
		if !ok {
			return nil, fmt.Errorf("%q is no address", brief(address))
		}
		for _, suite := range suites {
			e := entry{uri: u, suite: strings.ReplaceAll(suite, "$(ARCH)", archs[0]), components: components, file: file}
			if e.flat() != (len(components) == 0) {
				return nil, fmt.Errorf("suite %s: components belong to a suite by name, and to no path", brief(suite))
			}
			e.archs = opt.adjust("arch", archs)
			e.checkDates, e.checkValidUntil = opt.switchOf("check-date"), opt.switchOf("check-valid-until")
			all = append(all, e)
		}
	}
	return all, nil
}

// notUnderstood names an option that changes which packages a source offers, in a way that this reader does not know.
func (o options) notUnderstood() string {
	for _, name := range []string{"include", "exclude", "snapshot"} {
		if v := o[name]; v != "" && truth(v, true) {
			return name
		}
	}
	return ""
}

// wantsPackages says whether the source's list of packages is used at all: targets can switch it off.
func (o options) wantsPackages() bool {
	wanted := slices.Contains(o.adjust("target", []string{"Packages"}), "Packages")
	if on := o.switchOf("Packages"); on != nil {
		wanted = *on
	}
	return wanted
}

// adjust gives a list that an option replaces (arch=), or adds to or takes from (arch+=, arch-=).
func (o options) adjust(name string, usual []string) []string {
	list := slices.Clone(usual)
	if v, ok := o[name]; ok {
		list = strings.Split(v, ",")
	}
	if v, ok := o[name+"+"]; ok {
		for _, item := range strings.Split(v, ",") {
			if !slices.Contains(list, item) {
				list = append(list, item)
			}
		}
	}
	if v, ok := o[name+"-"]; ok {
		minus := strings.Split(v, ",")
		list = slices.DeleteFunc(list, func(item string) bool { return slices.Contains(minus, item) })
	}
	return list
}

func (o options) switchOf(name string) *bool {
	v, ok := o[name]
	if !ok {
		return nil
	}
	on := truth(v, false)
	return &on
}

// parseSources reads a file of sources: deb822 where its name ends in .sources, otherwise one line each. Native is the first of archs. Like
// apt, it stops at what it does not understand; what came before is given all the same.
func parseSources(file string, data []byte, archs []string) ([]entry, error) {
	if strings.HasSuffix(file, ".sources") {
		return parseStanzas(file, data, archs)
	}
	var all []entry
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		more, err := parseLine(line, archs, file)
		if err != nil {
			return all, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, more...)
	}
	return all, nil
}

// parseLine reads one line: deb [option=value …] uri suite component…
func parseLine(line string, archs []string, file string) ([]entry, error) {
	line = strings.TrimSpace(cutComment(line))
	if line == "" {
		return nil, nil
	}
	kind, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	if kind == "deb-src" {
		return nil, nil
	}
	if kind != "deb" {
		return nil, fmt.Errorf("%q is no type of source", brief(kind))
	}
	rest = strings.TrimSpace(rest)
	opt := options{}
	if strings.HasPrefix(rest, "[") {
		inside, after, closed := strings.Cut(rest[1:], "]")
		if !closed {
			return nil, fmt.Errorf("options without a closing bracket")
		}
		for _, setting := range strings.Fields(inside) {
			name, value, _ := strings.Cut(setting, "=")
			opt[name] = strings.ReplaceAll(value, `"`, "")
		}
		rest = after
	}
	words := quotedWords(rest)
	if len(words) < 2 {
		return nil, fmt.Errorf("an address and a suite are missing")
	}
	return entries(words[:1], words[1:2], words[2:], opt, archs, file)
}

// cutComment takes away what follows a hash, except inside square brackets.
func cutComment(line string) string {
	depth := 0
	for i, c := range line {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '#' && depth <= 0:
			return line[:i]
		}
	}
	return line
}

// quotedWords divides a line at spaces, except inside double quotes and square brackets (cdrom:[Debian 12]/). Quotes go, and characters
// that are escaped with a percent sign are what they stand for.
func quotedWords(s string) []string {
	var words []string
	word, open, inside := strings.Builder{}, false, byte(0)
	for i := range len(s) {
		c := s[i]
		switch {
		case inside != 0:
			if c == inside {
				inside = 0
			}
		case c == '"':
			inside = '"'
		case c == '[':
			inside = ']'
		case c == ' ':
			if open {
				words = append(words, unescape(word.String()))
				word.Reset()
			}
			open = false
			continue
		}
		open = true
		if c != '"' {
			word.WriteByte(c)
		}
	}
	if open {
		words = append(words, unescape(word.String()))
	}
	return words
}

func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// parseStanzas reads the deb822 form.
func parseStanzas(file string, data []byte, archs []string) ([]entry, error) {
	var all []entry
	for i, stanza := range writtenStanzas(data) {
		if !truth(stanza["enabled"], true) {
			continue
		}
		kinds := stanza.words("types")
		if len(kinds) == 0 {
			return all, fmt.Errorf("stanza %d: no type of source", i+1)
		}
		for _, kind := range kinds {
			switch kind {
			case "deb-src":
				continue
			case "deb":
			default:
				return all, fmt.Errorf("stanza %d: %q is no type of source", i+1, brief(kind))
			}
			more, err := entries(stanza.words("uris"), stanza.words("suites"), stanza.words("components"), stanza.options(), archs, file)
			if err != nil {
				return all, fmt.Errorf("stanza %d: %w", i+1, err)
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// options gives the settings of a stanza under their names in the one-line form.
func (w written) options() options {
	opt := options{}
	for field, name := range map[string]string{"architectures": "arch", "targets": "target"} {
		for suffix, sign := range map[string]string{"": "", "-add": "+", "-remove": "-"} {
			if _, ok := w[field+suffix]; ok {
				opt[name+sign] = strings.Join(w.words(field+suffix), ",")
			}
		}
	}
	for _, name := range []string{"check-valid-until", "check-date", "include", "exclude", "snapshot"} {
		if v, ok := w[name]; ok {
			opt[name] = v
		}
	}
	return opt
}
