package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/store"
)

// TypeCode is the problem type (RFC 9457) of a sign-in that lacks the code of the second factor.
const TypeCode = "urn:redflag:code-needed"

// errCode asks for the code of the second factor.
var errCode = &huma.ErrorModel{Type: TypeCode, Title: http.StatusText(http.StatusUnauthorized), Status: http.StatusUnauthorized, Detail: "the code that your authenticator shows is needed too"}

var errWrongCode = huma.Error401Unauthorized("the code is wrong, or has run out: take the one that is shown now, and see that the authenticator's clock is right")

// secondFactor lets pass who shows a code, where one is asked for.
func (a *API) secondFactor(ctx context.Context, user int64, code string) error {
	t, err := a.cfg.Store.TOTP(ctx, user)
	if err != nil || !t.On() {
		return err
	}
	if code == "" {
		return errCode
	}
	return a.useCode(ctx, user, t.Secret, code)
}

func (a *API) useCode(ctx context.Context, user int64, secret, code string) error {
	step, ok := access.CheckTOTP(secret, code, a.cfg.Now())
	if !ok {
		return errWrongCode
	}
	return a.cfg.Store.UseTOTP(ctx, user, step)
}

var errKeyHasNone = huma.Error409Conflict("a key has no second factor")

func (a *API) offerTOTP(ctx context.Context, _ *none) (access.NewTOTP, error) {
	c := callerOf(ctx)
	if c.user == 0 {
		return access.NewTOTP{}, errKeyHasNone
	}
	fresh, err := access.MakeTOTP(c.Name)
	if err != nil {
		return fresh, err
	}
	return fresh, a.cfg.Store.OfferTOTP(ctx, c.user, fresh.Secret)
}

type setTOTPInput struct {
	Body struct {
		Code string `json:"code" minLength:"6" maxLength:"6" doc:"What the authenticator shows now."`
		On   bool   `json:"on" doc:"Whether a code is asked for from now on."`
	}
}

// setTOTP turns the second factor on or off. A code is asked for both times.
func (a *API) setTOTP(ctx context.Context, in *setTOTPInput) (none, error) {
	c := callerOf(ctx)
	if c.user == 0 {
		return none{}, errKeyHasNone
	}
	t, err := a.cfg.Store.TOTP(ctx, c.user)
	if err != nil {
		return none{}, err
	}
	if t.Secret == "" {
		return none{}, store.ErrNoTOTP
	}
	err = a.useCode(ctx, c.user, t.Secret, in.Body.Code)
	if errors.Is(err, errWrongCode) {
		err = huma.Error403Forbidden(errWrongCode.Error()) // who asks is signed in all the same
	}
	if err != nil || in.Body.On {
		about(ctx, "turned on")
		return none{}, err
	}
	about(ctx, "turned off")
	return none{}, a.cfg.Store.DeleteTOTP(ctx, c.user)
}
