package pacman

import (
	"slices"
	"strings"

	"redflag/internal/version"
)

// dependency is a name that is asked for, and which of its versions (libalpm's deps.c): foo, foo>=1.2.
type dependency struct{ name, operator, version string }

func parseDependency(text string) dependency {
	text, _, _ = strings.Cut(text, ": ") // a remark
	at := strings.IndexAny(text, "<>=")
	if at < 0 {
		return dependency{name: text}
	}
	end := at + 1
	if end < len(text) && text[at] != '=' && text[end] == '=' {
		end++
	}
	return dependency{text[:at], text[at:end], text[end:]}
}

// fits says whether a version of the name is one that is asked for.
func (d dependency) fits(v string) bool {
	order := version.ComparePacman(v, d.version)
	switch d.operator {
	case "":
		return true
	case "=":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// isNamed says whether a package is meant by its own name.
func (d dependency) isNamed(p *pkg) bool { return p.name == d.name && d.fits(p.version) }

// isMet says whether a package is what is asked for, or provides it. What is provided without a version meets no version.
func (d dependency) isMet(p *pkg) bool {
	if d.isNamed(p) {
		return true
	}
	for _, text := range p.provides {
		provided := parseDependency(text)
		if provided.name == d.name && (d.operator == "" || provided.version != "" && d.fits(provided.version)) {
			return true
		}
	}
	return false
}

// index finds packages by their names and by what they provide.
type index map[string][]*pkg

func newIndex(list []*pkg) index {
	i := index{}
	for _, p := range list {
		i[p.name] = append(i[p.name], p)
		for _, text := range p.provides {
			if d := parseDependency(text); d.name != p.name {
				i[d.name] = append(i[d.name], p)
			}
		}
	}
	return i
}

// meets says whether a dependency is met.
func (i index) meets(text string) bool {
	d := parseDependency(text)
	return slices.ContainsFunc(i[d.name], d.isMet)
}
