package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/server"
	"redflag/internal/store"
)

// loginLife is how long a person stays signed in with a browser.
const loginLife = 30 * 24 * time.Hour

type signInInput struct {
	Body struct {
		Name     string `json:"name,omitempty" maxLength:"64"`
		Password string `json:"password,omitempty" maxLength:"1024"`
		Code     string `json:"code,omitempty" maxLength:"6" doc:"What the authenticator shows, for who has a second factor. Where it is missing the answer is a problem of type urn:redflag:code-needed."`
		Link     string `json:"link,omitempty" maxLength:"200" doc:"The secret of a link that signs in once, instead of a name and a password."`
		// Passkey is set by a browser.
		Passkey *passkeyAnswer `json:"passkey,omitempty" doc:"The answer to POST /session/passkey, instead of a name and a password."`
	}
}

// signedIn sets the cookie.
type signedIn struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      Caller
}

// errPassword does not say which of the two is wrong.
var errPassword = huma.Error401Unauthorized("the name or the password is wrong, or the link was used or has run out")

// signIn adds the one route whose answer sets a cookie.
func (a *API) signIn() {
	op := operation(anyone, "POST /session", "Sign in")
	op.Description = "By name and password, with a link that signs in once, or with a passkey."
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusTooManyRequests)
	huma.Register(a.huma, op, func(ctx context.Context, in *signInInput) (*signedIn, error) {
		c, cookie, err := a.enter(ctx, in)
		if err != nil {
			return nil, a.told(err)
		}
		return &signedIn{*cookie, c}, nil
	})
}

// admit slows down who tries again and again.
func (a *API) admit(ctx context.Context) error {
	if wait := a.cfg.Server.Admit(server.Address(requestOf(ctx), a.cfg.TrustedProxies)); wait > 0 {
		return huma.Error429TooManyRequests(tooMany{wait}.Error())
	}
	return nil
}

// enter signs a person in and gives the cookie. Attempts are counted by address.
func (a *API) enter(ctx context.Context, in *signInInput) (Caller, *http.Cookie, error) {
	if err := a.admit(ctx); err != nil {
		return Caller{}, nil, err
	}
	l, secret, how, err := a.prove(ctx, in)
	if errors.Is(err, store.ErrNoLogin) {
		err = errPassword
	}
	if err != nil {
		return Caller{}, nil, err
	}
	u, err := a.cfg.Store.User(ctx, l.UserID)
	doneBy(ctx, u.Name)
	about(ctx, "%s", how)
	return callerFor(u, l), a.cookie(secret, l.ExpiresAt), err
}

// prove makes a login of a person who has shown who it is, and says by what.
func (a *API) prove(ctx context.Context, in *signInInput) (l store.Login, secret, how string, err error) {
	r := requestOf(ctx)
	address, now := server.Address(r, a.cfg.TrustedProxies), a.cfg.Now()
	var u store.User
	switch b := in.Body; {
	case b.Link != "":
		l, secret, err = a.cfg.Store.UseLink(ctx, b.Link, r.UserAgent(), address, now, now.Add(loginLife))
		return l, secret, "with a link", err
	case b.Passkey != nil:
		how = "with a passkey"
		u, err = a.byPasskey(ctx, b.Passkey)
	default:
		how = "with a password"
		doneBy(ctx, b.Name)
		u, err = a.byPassword(ctx, b.Name, b.Password, b.Code)
	}
	if err != nil {
		return l, "", how, err
	}
	l, secret, err = a.cfg.Store.NewLogin(ctx, u.ID, r.UserAgent(), address, now, now.Add(loginLife))
	return l, secret, how, err
}

func (a *API) byPassword(ctx context.Context, name, password, code string) (store.User, error) {
	u, hash, err := a.cfg.Store.UserByName(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNoUser) {
		return u, err
	}
	if !access.CheckPassword(hash, password) {
		return u, store.ErrNoLogin
	}
	return u, a.secondFactor(ctx, u.ID, code)
}

// cookie is what a browser keeps. Lax lets a link from elsewhere open a page; what changes something is guarded by its origin.
func (a *API) cookie(secret string, expires time.Time) *http.Cookie {
	return &http.Cookie{Name: a.cookieName(), Value: secret, Path: "/", Expires: expires, HttpOnly: true, Secure: a.cfg.Secure, SameSite: http.SameSiteLaxMode}
}

func (a *API) signOut(ctx context.Context, _ *none) (none, error) {
	c := callerOf(ctx)
	if c.login == 0 {
		return none{}, huma.Error409Conflict("a key does not sign in, so it does not sign out")
	}
	return none{}, a.cfg.Store.EndLogin(ctx, c.user, c.login)
}

func (a *API) me(ctx context.Context, _ *none) (Caller, error) { return callerOf(ctx), nil }

type ownPasswordInput struct {
	Body struct {
		Old string `json:"old,omitempty" maxLength:"1024" doc:"The password until now; none for one who came by a link and has none."`
		New string `json:"new" maxLength:"1024"`
	}
}

func (a *API) ownPassword(ctx context.Context, in *ownPasswordInput) (store.User, error) {
	c := callerOf(ctx)
	if c.user == 0 {
		return store.User{}, huma.Error409Conflict("a key has no password")
	}
	u, hash, err := a.cfg.Store.UserByName(ctx, c.Name)
	if err != nil {
		return u, err
	}
	if hash != "" && !access.CheckPassword(hash, in.Body.Old) {
		return u, huma.Error403Forbidden("the old password is wrong")
	}
	fresh, err := access.HashPassword(in.Body.New)
	if err != nil {
		return u, err
	}
	u.HasPassword = true
	return u, a.cfg.Store.SetPassword(ctx, u.ID, fresh)
}

func (a *API) ownLogins(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.Login, string, error) {
	return all(a.cfg.Store.Logins(ctx, callerOf(ctx).user))
}

func (a *API) endLogin(ctx context.Context, in *struct {
	Login int64 `path:"login"`
}) (none, error) {
	return none{}, a.cfg.Store.EndLogin(ctx, callerOf(ctx).user, in.Login)
}
