package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"redflag/internal/store"
	"redflag/internal/wire"
)

var (
	errNoRoute  = errors.New("there is nothing at this address")
	errTooLarge = errors.New("the body is too large")
	errBody     = errors.New("the body cannot be read")
)

// errTooMany asks to come back later.
type errTooMany struct{ wait time.Duration }

func (e errTooMany) Error() string { return "too many requests; come back in " + e.wait.String() }

// problem is an answer that is none (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is what a program goes by.
	Code   wire.Code `json:"code"`
	Detail string    `json:"detail"`
}

// refusals maps kinds of error to what is answered, once for all routes.
var refusals = []struct {
	kind   error
	status int
	code   wire.Code
}{
	{errNoRoute, http.StatusNotFound, wire.CodeNoRoute},
	{errTooLarge, http.StatusRequestEntityTooLarge, wire.CodeTooLarge},
	{errBody, http.StatusBadRequest, wire.CodeMessage},
	{wire.ErrUnsigned, http.StatusUnauthorized, wire.CodeUnsigned},
	{wire.ErrSignature, http.StatusUnauthorized, wire.CodeSignature},
	{wire.ErrDigest, http.StatusBadRequest, wire.CodeDigest},
	{wire.ErrClock, http.StatusUnauthorized, wire.CodeClock},
	{wire.ErrReplay, http.StatusConflict, wire.CodeReplay},
	{wire.ErrMessage, http.StatusBadRequest, wire.CodeMessage},
	{wire.ErrBounds, http.StatusUnprocessableEntity, wire.CodeBounds},
	{store.ErrToken, http.StatusForbidden, wire.CodeToken},
	{store.ErrSeats, http.StatusForbidden, wire.CodeSeats},
	{store.ErrClone, http.StatusConflict, wire.CodeClone},
	{store.ErrLate, http.StatusConflict, wire.CodeLate},
	{store.ErrNoOrder, http.StatusNotFound, wire.CodeNoRoute},
	{store.ErrNoHost, http.StatusGone, wire.CodeForgotten},
}

// refuse answers with a problem. What is the server's own fault is logged, and told without its inside.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problem{Type: "about:blank", Status: http.StatusInternalServerError, Code: wire.CodeServer, Detail: "the server could not do it; its log says why"}
	var many errTooMany
	if errors.As(err, &many) {
		p.Status, p.Code, p.Detail = http.StatusTooManyRequests, wire.CodeTooMany, err.Error()
		w.Header().Set("Retry-After", strconv.Itoa(int(many.wait/time.Second)+1))
	}
	for _, k := range refusals {
		if errors.Is(err, k.kind) {
			p.Status, p.Code, p.Detail = k.status, k.code, err.Error()
			break
		}
	}
	if p.Code == wire.CodeServer && !errors.Is(err, context.Canceled) {
		s.cfg.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who asked is gone
}
