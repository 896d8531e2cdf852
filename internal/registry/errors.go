package registry

import (
	"errors"
	"fmt"

	"redflag/internal/fleet"
)

// Kinds of trouble. Errors that Client returns match them by errors.Is, and are *fleet.Unknown where a person must be told a
// reason and a remedy.
var (
	// ErrGone: the registry says that there is no such tag or repository (404).
	ErrGone = errors.New("not in the registry")
	// ErrDenied: private, or gone: registries do not say which (401, 403).
	ErrDenied = errors.New("access denied")
	// ErrLimited: too many requests (429); nothing more is asked of that host until the time that the error names.
	ErrLimited = errors.New("rate limited")
	// ErrUnreachable: no connection, no answer in time, a broken TLS handshake, a server error.
	ErrUnreachable = errors.New("unreachable")
	// ErrBadAnswer: an answer that breaks the protocol or one of our bounds.
	ErrBadAnswer = errors.New("bad answer")
	// ErrSchema1: the image has the old manifest format, whose digest says nothing.
	ErrSchema1 = errors.New("schema 1 manifest")
	// ErrNoPlatform: the index has no image for the platform.
	ErrNoPlatform = errors.New("no image for the platform")
	// ErrBudget: not asked, because too little of the registry's pull budget is left.
	ErrBudget = errors.New("pull budget too low")
)

// unknown makes an error of a kind, with a reason and a remedy for a person. The reason may quote foreign bytes.
func unknown(kind error, remedy, format string, args ...any) error {
	return &fleet.Unknown{Because: fleet.Plain(fmt.Sprintf(format, args...)), Remedy: remedy, Err: kind}
}

func badAnswer(host, format string, args ...any) error {
	return unknown(ErrBadAnswer, "tell whoever runs "+host+"; ask again later",
		"%s gave an answer that cannot be believed: %s", host, fmt.Sprintf(format, args...))
}

func errSchema1(host string) error {
	return unknown(ErrSchema1, "push the image again with a current tool",
		"%s has the image in the old schema 1 format, whose digest cannot be compared", host)
}
