package registry

import "strings"

// challenge is what a registry asks for before it answers (RFC 9110 §11.6.1; distribution's token specification).
type challenge struct {
	scheme string // "bearer" or "basic", lower-case
	// realm, service and scope are a bearer challenge's; their case is kept.
	realm, service, scope string
	// failure is the error parameter: insufficient_scope, invalid_token (RFC 6750 §3.1).
	failure string
}

// maxChallenge bounds one WWW-Authenticate header.
const maxChallenge = 8 << 10

// parseChallenge picks the challenge that we can meet out of WWW-Authenticate headers: bearer before basic. The second
// value is false when there is none.
func parseChallenge(headers []string) (challenge, bool) {
	var basic *challenge
	for _, h := range headers {
		if len(h) > maxChallenge {
			continue
		}
		for _, c := range splitChallenges(h) {
			switch {
			case c.scheme == "bearer" && c.realm != "":
				return c, true
			case c.scheme == "basic":
				basic = &c
			}
		}
	}
	if basic == nil {
		return challenge{}, false
	}
	return *basic, true
}

// splitChallenges reads one header, which may hold several challenges separated by commas.
func splitChallenges(h string) []challenge {
	var found []challenge
	s := scanner{h}
	for {
		s.skip(" \t,")
		word := s.token()
		if word == "" {
			return found
		}
		s.skip(" \t")
		if !s.eat('=') {
			found = append(found, challenge{scheme: strings.ToLower(word)})
			continue
		}
		s.skip(" \t")
		value := s.value()
		if len(found) > 0 {
			found[len(found)-1].set(strings.ToLower(word), value)
		}
	}
}

func (c *challenge) set(name, value string) {
	switch name {
	case "realm":
		c.realm = value
	case "service":
		c.service = value
	case "scope":
		c.scope = value
	case "error":
		c.failure = value
	}
}

// scanner walks over a header.
type scanner struct{ rest string }

func (s *scanner) skip(chars string) { s.rest = strings.TrimLeft(s.rest, chars) }

func (s *scanner) eat(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// token reads a word up to a separator (RFC 9110 §5.6.2). A byte that may not stand here ends the header.
func (s *scanner) token() string {
	i := strings.IndexAny(s.rest, " \t,=\"")
	if i < 0 {
		i = len(s.rest)
	}
	word := s.rest[:i]
	s.rest = s.rest[i:]
	return word
}

// value reads a token or a quoted string with its escapes (RFC 9110 §5.6.4).
func (s *scanner) value() string {
	if !s.eat('"') {
		return s.token()
	}
	var v strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '\\' && i+1 < len(s.rest):
			i++
			v.WriteByte(s.rest[i])
		case c == '"':
			s.rest = s.rest[i+1:]
			return v.String()
		default:
			v.WriteByte(c)
		}
	}
	s.rest = ""
	return v.String()
}
