// Package access says who may do what: the roles of people, the scopes of API keys, the rights that both come to, and how passwords
// and secrets are made and checked.
package access

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
)

// Right is what a caller may do. Each includes those before it.
type Right string

// Rights.
const (
	Read       Right = "read"
	Operate    Right = "operate"    // ask hosts to scan, change labels and groups
	Administer Right = "administer" // users, keys, tokens, taking hosts out of the fleet
)

// Role is what a person is in a fleet.
type Role string

// Roles.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Scope is what an API key is for.
type Scope string

// Scopes.
const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write"
	ScopeAdmin Scope = "admin"
)

// Roles and Scopes come in the order of the rights that they give.
var (
	rights = []Right{Read, Operate, Administer}
	roles  = []Role{Viewer, Operator, Admin}
	scopes = []Scope{ScopeRead, ScopeWrite, ScopeAdmin}
)

// May says whether someone of this role may do what needs a right. Who has no role that we know may do nothing.
func (r Role) May(what Right) bool { return atLeast(slices.Index(roles, r), what) }

// May says whether a key of this scope may do what needs a right.
func (s Scope) May(what Right) bool { return atLeast(slices.Index(scopes, s), what) }

func atLeast(rank int, what Right) bool {
	need := slices.Index(rights, what)
	return rank >= 0 && need >= 0 && rank >= need
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	if slices.Contains(roles, Role(s)) {
		return Role(s), nil
	}
	return "", fmt.Errorf("there is no role %q: choose one of %s", s, names(roles))
}

// ParseScope reads a scope's name.
func ParseScope(s string) (Scope, error) {
	if slices.Contains(scopes, Scope(s)) {
		return Scope(s), nil
	}
	return "", fmt.Errorf("there is no scope %q: choose one of %s", s, names(scopes))
}

func names[T ~string](list []T) string {
	var words []string
	for _, w := range list {
		words = append(words, string(w))
	}
	return strings.Join(words, ", ")
}

// NewSecret makes a secret that nobody can guess: 128 random bits and more, after a prefix by which people and scanners know what it
// is for.
func NewSecret(prefix string) string { return prefix + rand.Text() }
