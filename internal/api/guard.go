package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"redflag/internal/access"
	"redflag/internal/server"
	"redflag/internal/store"
)

// Caller is who asks.
type Caller struct {
	// Name is a person's, or "key NAME".
	Name string `json:"name"`
	// Role is a person's; empty for a key, which has a scope.
	Role  access.Role  `json:"role,omitempty"`
	Scope access.Scope `json:"scope,omitempty"`
	// HasTOTP and HasPassword are a person's: what is asked for when he signs in.
	HasTOTP     bool `json:"has_totp,omitempty"`
	HasPassword bool `json:"has_password,omitempty"`

	user, login int64
}

// May says whether the caller may do what needs a right.
func (c Caller) May(what access.Right) bool { return c.Role.May(what) || c.Scope.May(what) }

// ErrSignIn: who asks has sent no credentials, or wrong ones.
var ErrSignIn = errors.New("sign in first: with an API key (Authorization: Bearer rf_key_…, made by `redflag apikey create`) or by name and password")

// errWrong: credentials that are nobody's. These are counted.
var errWrong = fmt.Errorf("%w; the key or the session that was sent is not known, or not any more", ErrSignIn)

// cookieName is under which name a browser keeps its secret. The prefix makes browsers hold to Secure and this host (RFC 6265bis §4.1.3).
func (a *API) cookieName() string {
	if a.cfg.Secure {
		return "__Host-redflag"
	}
	return "redflag"
}

// caller says who asks, by a key or a cookie.
func (a *API) caller(r *http.Request) (Caller, error) {
	ctx, now := r.Context(), a.cfg.Now()
	if scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		k, err := a.cfg.Store.KeyBySecret(ctx, strings.TrimSpace(secret), now)
		if errors.Is(err, store.ErrNoKey) {
			err = errWrong
		}
		return Caller{Name: "key " + k.Name, Scope: k.Scope}, err
	}
	cookie, err := r.Cookie(a.cookieName())
	if err != nil {
		return Caller{}, ErrSignIn
	}
	l, u, err := a.cfg.Store.Login(ctx, cookie.Value, now)
	if errors.Is(err, store.ErrNoLogin) {
		err = errWrong
	}
	return callerFor(u, l), err
}

func callerFor(u store.User, l store.Login) Caller {
	return Caller{Name: u.Name, Role: u.Role, HasTOTP: u.HasTOTP, HasPassword: u.HasPassword, user: u.ID, login: l.ID}
}

type callerKey struct{}

// callerOf gives who asks in a request that has passed the guard.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

type requestKey struct{}

// requestOf gives the request itself.
func requestOf(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

// guard lets pass who may do what the operation needs.
func (a *API) guard(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	need, _ := ctx.Operation().Metadata[rightKey].(access.Right)
	ctx = huma.WithValue(ctx, requestKey{}, r)
	if need == anyone {
		next(ctx)
		return
	}
	c, err := a.Authenticate(r, need)
	if err != nil {
		a.refuse(w, err)
		return
	}
	doneBy(ctx.Context(), c.Name)
	next(huma.WithValue(ctx, callerKey{}, c))
}

// Forbidden: the caller is known and may not do it.
type forbidden struct {
	caller Caller
	need   access.Right
}

func (f forbidden) Error() string {
	return f.caller.Name + " may not do this: it needs the right to " + string(f.need)
}

// tooMany asks to come back later.
type tooMany struct{ wait time.Duration }

// Unwrap says that who asks is not known.
func (t tooMany) Unwrap() error { return ErrSignIn }

func (t tooMany) Error() string {
	return "too many attempts from this address; come back in " + t.wait.Round(time.Second).String()
}

// Authenticate says who asks, if he may do what needs a right. Wrong credentials are counted by address.
func (a *API) Authenticate(r *http.Request, need access.Right) (Caller, error) {
	c, err := a.caller(r)
	if errors.Is(err, errWrong) {
		if wait := a.cfg.Server.Admit(server.Address(r, a.cfg.TrustedProxies)); wait > 0 {
			return c, tooMany{wait}
		}
	}
	if err == nil && !c.May(need) {
		err = forbidden{c, need}
	}
	return c, err
}

// Admits says whether who asks may do what needs a right, and answers him if he may not.
func (a *API) Admits(w http.ResponseWriter, r *http.Request, need access.Right) bool {
	_, err := a.Authenticate(r, need)
	if err != nil {
		a.refuse(w, err)
	}
	return err == nil
}

func (a *API) refuse(w http.ResponseWriter, err error) {
	var f forbidden
	var many tooMany
	switch {
	case errors.As(err, &many):
		w.Header().Set("Retry-After", strconv.Itoa(int(many.wait/time.Second)+1))
		problem(w, http.StatusTooManyRequests, err.Error())
	case errors.As(err, &f):
		problem(w, http.StatusForbidden, err.Error())
	case errors.Is(err, ErrSignIn):
		w.Header().Set("WWW-Authenticate", "Bearer")
		problem(w, http.StatusUnauthorized, err.Error())
	case errors.Is(err, context.Canceled): // who asked is gone
	default:
		a.cfg.Log.Error("nobody can sign in", "err", err)
		problem(w, http.StatusInternalServerError, "the server could not do it; its log says why")
	}
}
