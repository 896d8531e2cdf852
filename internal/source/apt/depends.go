package apt

import (
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	versions "redflag/internal/version"
)

// relation is one alternative of a dependency: a package, and which versions of it will do.
type relation struct {
	name, op, version string
}

func (r relation) String() string {
	if r.op == "" {
		return r.name
	}
	return fmt.Sprintf("%s (%s %s)", r.name, r.op, r.version)
}

// relations reads a Depends field: groups that must all hold, each of alternatives.
func relations(depends string) [][]relation {
	var groups [][]relation
	for _, group := range strings.Split(depends, ",") {
		var alternatives []relation
		for _, text := range strings.Split(group, "|") {
			if r := parseRelation(text); r.name != "" {
				alternatives = append(alternatives, r)
			}
		}
		if len(alternatives) > 0 {
			groups = append(groups, alternatives)
		}
	}
	return groups
}

// parseRelation reads "name:arch (>= version) [archs]".
func parseRelation(text string) relation {
	text, _, _ = strings.Cut(text, "[")
	name, condition, _ := strings.Cut(text, "(")
	name, _, _ = strings.Cut(strings.TrimSpace(name), ":")
	condition, _, _ = strings.Cut(condition, ")")
	condition = strings.TrimSpace(condition)
	op := condition[:len(condition)-len(strings.TrimLeft(condition, "<>="))]
	return relation{name: name, op: op, version: strings.TrimSpace(condition[len(op):])}
}

// allows says whether a version will do.
func (r relation) allows(version string) bool {
	c := versions.CompareDebian(version, r.version)
	switch r.op {
	case "":
		return true
	case "=":
		return c == 0
	case "<<":
		return c < 0
	case ">>":
		return c > 0
	case "<", "<=":
		return c <= 0
	default:
		return c >= 0
	}
}

// findObstacles says of updates which of the blocked packages would keep them from being installed, if apt leaves them out: what is in the
// way of one update may be another that has something in its own way.
func findObstacles(updates, blocked []*choice) map[*choice]string {
	found := map[*choice]string{}
	for len(blocked) > 0 {
		var next []*choice
		for _, c := range updates {
			if found[c] != "" || slices.Contains(blocked, c) {
				continue
			}
			if found[c] = c.obstacle(blocked); found[c] != "" {
				next = append(next, c)
			}
		}
		blocked = next
	}
	return found
}

// obstacle names the one of the blocked packages that keeps this update from being installed; empty where none plainly does.
func (c *choice) obstacle(blocked []*choice) string {
	for _, b := range blocked {
		have := b.from().text
		if r, ok := broken(c.to().depends, b.pkg.Name, have); ok {
			return fleet.Plain(fmt.Sprintf("it needs %s, and %s stays at %s", r, b.pkg.Name, have))
		}
		if r, ok := broken(b.from().depends, c.pkg.Name, c.to().text); ok {
			return fleet.Plain(fmt.Sprintf("%s stays at %s, and that needs %s", b.pkg.Name, have, r))
		}
	}
	return ""
}

// broken finds a dependency that names a package and does not allow a version of it, whatever the alternatives.
func broken(depends, name, version string) (relation, bool) {
	if !strings.Contains(depends, name) {
		return relation{}, false
	}
	for _, group := range relations(depends) {
		for _, r := range group {
			if r.name == name && !r.allows(version) {
				return r, true
			}
		}
	}
	return relation{}, false
}
