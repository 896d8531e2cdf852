package wire

import (
	"fmt"
	"time"
)

// Code says why a server refused, in a word that programs go by.
type Code string

// Codes of refusals.
const (
	CodeNoRoute   Code = "no-route"
	CodeTooLarge  Code = "too-large"
	CodeTooMany   Code = "too-many"
	CodeUnsigned  Code = "unsigned"
	CodeSignature Code = "signature"
	CodeDigest    Code = "digest"
	CodeClock     Code = "clock"
	CodeReplay    Code = "replay"
	CodeMessage   Code = "message"
	CodeBounds    Code = "bounds"
	CodeToken     Code = "token"
	CodeSeats     Code = "seats"
	CodeForgotten Code = "forgotten" // the host is not in the fleet (any more)
	CodeClone     Code = "clone"     // another machine speaks with this host's key
	CodeLate      Code = "late"      // a session that has ended
	CodeServer    Code = "server"    // the server's own fault: ask again later
)

// Refusal is the answer of a server that did not do what it was asked.
type Refusal struct {
	Status int    `json:"status"`
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
	// RetryAfter is when to ask again; 0 where the server did not say.
	RetryAfter time.Duration `json:"-"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s (%d %s)", r.Detail, r.Status, r.Code) }
