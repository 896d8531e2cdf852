package apt

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// config is apt's configuration: a tree of named values, as apt.conf(5) describes it. Names are compared without regard to case.
type config struct {
	root node
}

// node is one name of the tree. Nodes without a tag are the items of a list.
type node struct {
	tag, value string
	parent     *node
	children   []*node
}

// newConfig gives what apt assumes before it has read any file (apt-pkg/init.cc of apt 2.6).
func newConfig() *config {
	c := &config{}
	for _, d := range [][2]string{
		{"Dir", "/"},
		{"Dir::State", "var/lib/apt"},
		{"Dir::State::lists", "lists/"},
		{"Dir::State::extended_states", "extended_states"},
		{"Dir::Cache", "var/cache/apt"},
		{"Dir::Cache::archives", "archives/"},
		{"Dir::Etc", "etc/apt"},
		{"Dir::Etc::sourcelist", "sources.list"},
		{"Dir::Etc::sourceparts", "sources.list.d"},
		{"Dir::Etc::main", "apt.conf"},
		{"Dir::Etc::parts", "apt.conf.d"},
		{"Dir::Etc::preferences", "preferences"},
		{"Dir::Etc::preferencesparts", "preferences.d"},
		{"Acquire::IndexTargets::deb::Packages::MetaKey", "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"},
	} {
		c.set(d[0], d[1])
	}
	return c
}

func (n *node) child(tag string) *node {
	if tag == "" {
		return nil
	}
	for _, c := range n.children {
		if strings.EqualFold(c.tag, tag) {
			return c
		}
	}
	return nil
}

// find gives the node of a full name (APT::Architecture), or nil.
func (c *config) find(name string) *node {
	n := &c.root
	for _, tag := range strings.Split(name, "::") {
		if n = n.child(tag); n == nil {
			return nil
		}
	}
	return n
}

// set gives a name its value. A name that ends in :: adds an item to a list.
func (c *config) set(name, value string) {
	n := &c.root
	for _, tag := range strings.Split(name, "::") {
		next := n.child(tag)
		if next == nil {
			next = &node{tag: tag, parent: n}
			n.children = append(n.children, next)
		}
		n = next
	}
	n.value = value
}

// clear takes away a name's value and all below it.
func (c *config) clear(name string) {
	if n := c.find(name); n != nil {
		n.value, n.children = "", nil
	}
}

// text gives a value, or what holds where it is not set or empty.
func (c *config) text(name, otherwise string) string {
	if n := c.find(name); n != nil && n.value != "" {
		return n.value
	}
	return otherwise
}

func (c *config) flag(name string, otherwise bool) bool {
	return truth(c.text(name, ""), otherwise)
}

func (c *config) number(name string, otherwise int) int {
	if n, err := strconv.Atoi(strings.TrimSpace(c.text(name, ""))); err == nil {
		return n
	}
	return otherwise
}

// list gives the items of a list, or of a value that commas divide.
func (c *config) list(name string) []string {
	n := c.find(name)
	if n == nil {
		return nil
	}
	if n.value != "" {
		return strings.Split(n.value, ",")
	}
	var items []string
	for _, child := range n.children {
		items = append(items, child.value)
	}
	return items
}

// path gives the absolute name on the machine of a file or folder below Dir: each name is relative to its parent's value unless it is
// absolute. It is empty for what is switched off with an empty value or /dev/null.
func (c *config) path(name string) string {
	n := c.find(name)
	if n == nil || n.value == "" {
		return ""
	}
	full := n.value
	for p := n.parent; p != nil && !rooted(full); p = p.parent {
		if p.value != "" {
			full = strings.TrimSuffix(p.value, "/") + "/" + full
		}
	}
	if strings.HasPrefix(full, "/dev/null") {
		return ""
	}
	return path.Join("/", c.text("RootDir", ""), full)
}

func rooted(name string) bool {
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || strings.HasPrefix(name, "~/")
}

// truth reads a boolean in any of the words that apt knows.
func truth(word string, otherwise bool) bool {
	switch strings.ToLower(word) {
	case "1", "yes", "true", "with", "on", "enable":
		return true
	case "0", "no", "false", "without", "off", "disable":
		return false
	default:
		return otherwise
	}
}

// parse reads one file of configuration into the tree. The files that it includes go to include, where that is not nil.
func (c *config) parse(data []byte, include func(name string) error) error {
	p := confParser{conf: c, include: include}
	rest := withoutComments(string(data))
	for rest != "" {
		fragment, end, after := cutStatement(rest)
		if err := p.statement(strings.TrimSpace(fragment), end); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// confParser knows which blocks are open.
type confParser struct {
	conf    *config
	include func(name string) error
	scope   []string
}

// statement takes what stood before a brace, a semicolon or the end of the file (end 0).
func (p *confParser) statement(text string, end byte) error {
	if end == 0 && text != "" {
		return fmt.Errorf("%q stands at the end without a semicolon", brief(text))
	}
	tag, value, given := splitStatement(text)
	switch {
	case text == "" && end == '{':
		return fmt.Errorf("a block starts with no name")
	case text == "":
	case strings.HasPrefix(tag, "#") && len(p.scope) == 0:
		return p.directive(tag[1:], value)
	case end == '{':
		p.scope = append(p.scope, tag)
		if given {
			p.conf.set(p.name(""), value)
		}
		return nil
	case !given:
		p.conf.set(p.name("::"), tag)
	default:
		p.conf.set(strings.TrimPrefix(p.name("::")+tag, "::"), value)
	}
	if end == '}' && len(p.scope) > 0 {
		p.scope = p.scope[:len(p.scope)-1]
	}
	return nil
}

func (p *confParser) name(suffix string) string { return strings.Join(p.scope, "::") + suffix }

func (p *confParser) directive(name, value string) error {
	switch name {
	case "clear":
		p.conf.clear(value)
	case "include":
		if p.include != nil {
			return p.include(value)
		}
	}
	return nil
}

// cutStatement gives the text up to the next brace or semicolon outside quotes, which of them it is, and the rest.
func cutStatement(s string) (fragment string, end byte, rest string) {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '{', '}', ';':
			if !quoted {
				return s[:i], s[i], s[i+1:]
			}
		}
	}
	return s, 0, ""
}

// splitStatement gives the name and the value of a statement, and whether there is a value.
func splitStatement(s string) (tag, value string, given bool) {
	end := strings.IndexFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	if strings.HasPrefix(s, `"`) || end < 0 {
		return strings.ReplaceAll(s, `"`, ""), "", false
	}
	return strings.ReplaceAll(s[:end], `"`, ""), strings.ReplaceAll(strings.TrimSpace(s[end:]), `"`, ""), true
}

// withoutComments blanks // and # to the end of the line and /* */ over lines, where they stand outside quotes. The directives that
// begin with # stay.
func withoutComments(s string) string {
	var out strings.Builder
	out.Grow(len(s))
	for s != "" {
		stop := strings.IndexAny(s, "\"/#\n")
		if stop < 0 {
			out.WriteString(s)
			break
		}
		out.WriteString(s[:stop])
		s = s[stop:]
		keep, drop := token(s)
		out.WriteString(s[:keep])
		s = s[keep+drop:]
	}
	return out.String()
}

// token says of a text that begins with a quote, a slash, a hash or a line's end how much of it stays, and how much after that goes.
func token(s string) (keep, drop int) {
	switch {
	case s[0] == '"':
		if end := strings.IndexByte(s[1:], '"'); end >= 0 {
			return end + 2, 0
		}
		return len(s), 0
	case strings.HasPrefix(s, "/*"):
		if end := strings.Index(s[2:], "*/"); end >= 0 {
			return 0, end + 4
		}
		return 0, len(s)
	case strings.HasPrefix(s, "//"), s[0] == '#' && !directive(s[1:]):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return 0, end
		}
		return 0, len(s)
	}
	return 1, 0
}

func directive(s string) bool {
	return strings.HasPrefix(s, "clear") || strings.HasPrefix(s, "include") || strings.HasPrefix(s, "x-apt-configure-index")
}

// brief shortens a text that is quoted in a message.
func brief(s string) string {
	const limit = 60
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
