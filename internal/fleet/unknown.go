package fleet

import (
	"errors"
	"strings"
)

// Unknown is the third answer: an error that says why something could not be learnt, and what a person can do about it.
// Both are plain sentences without a full stop at the end.
type Unknown struct {
	Because string
	Remedy  string
	// Err is the error underneath, for errors.Is; it may be nil and is not printed.
	Err error
}

func (u *Unknown) Error() string { return u.Because }

func (u *Unknown) Unwrap() error { return u.Err }

// Explain gives the reasons and the remedies of an error for people: those of every [Unknown] in it, joined by semicolons,
// and an error's own text where it is none. Both are empty for nil.
func Explain(err error) (because, remedy string) {
	var reasons, remedies []string
	for _, e := range leaves(err) {
		var u *Unknown
		if !errors.As(e, &u) {
			reasons = appendNew(reasons, e.Error())
			continue
		}
		reasons = appendNew(reasons, e.Error())
		remedies = appendNew(remedies, u.Remedy)
	}
	return strings.Join(reasons, "; "), strings.Join(remedies, "; ")
}

// leaves splits what errors.Join put together.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, leaves(e)...)
		}
		return all
	}
	return []error{err}
}

func appendNew(list []string, s string) []string {
	if s == "" {
		return list
	}
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}
