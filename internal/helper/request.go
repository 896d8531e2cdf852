package helper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Request asks one thing: exactly one of the pointers is set. None of them names a file, a command or an option.
type Request struct {
	Facts   *struct{}         `json:"facts,omitempty"`
	Refresh *struct{}         `json:"refresh,omitempty"`
	Do      *wire.SignedOrder `json:"do,omitempty"`
	Look    *Look             `json:"look,omitempty"`
}

// Response answers it. Where the request failed, Because says why, and Kind which kind of failure it is.
type Response struct {
	Facts   *Facts  `json:"facts,omitempty"`
	Report  *Report `json:"report,omitempty"`
	Because string  `json:"because,omitempty"`
	Remedy  string  `json:"remedy,omitempty"`
	Kind    kind    `json:"kind,omitempty"`
}

// kind is a failure that the other side acts on.
type kind string

const (
	kindFailed  kind = "failed"
	kindRefused kind = "refused"
	kindUnknown kind = "no such order"
	kindRequest kind = "no request"
)

const (
	// maxRequest bounds a request: the plan of a distribution upgrade has 1 MB, and travels in base64.
	maxRequest = 16 << 20
	// maxResponse bounds an answer.
	maxResponse = 64 << 20
)

// ErrRequest: what came is no request.
var ErrRequest = errors.New("this is no request")

// ParseRequest reads a request. What has more or less than one thing to ask, or a field that we do not know, is none.
func ParseRequest(data []byte) (Request, error) {
	if len(data) > maxRequest {
		return Request{}, fmt.Errorf("%w: it has over %d bytes", ErrRequest, maxRequest)
	}
	var r Request
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Request{}, fmt.Errorf("%w: something comes after it", ErrRequest)
	}
	asks := 0
	for _, is := range []bool{r.Facts != nil, r.Refresh != nil, r.Do != nil, r.Look != nil} {
		if is {
			asks++
		}
	}
	if asks != 1 {
		return Request{}, fmt.Errorf("%w: it asks %d things", ErrRequest, asks)
	}
	return r, nil
}

// failed is a response that says why.
func failed(err error) Response {
	r := Response{Kind: kindFailed}
	r.Because, r.Remedy = fleet.Explain(err)
	var no *Refused
	switch {
	case errors.As(err, &no):
		r.Kind = kindRefused
	case errors.Is(err, ErrNoOrder):
		r.Kind = kindUnknown
	case errors.Is(err, ErrRequest):
		r.Kind = kindRequest
	}
	return r
}

// err is the failure of a response; nil where it is none.
func (r Response) err() error {
	u := &fleet.Unknown{Because: r.Because, Remedy: r.Remedy}
	switch r.Kind {
	case "":
		return nil
	case kindRefused:
		return &Refused{u}
	case kindUnknown:
		return ErrNoOrder
	case kindRequest:
		u.Err = ErrRequest
	}
	return u
}
