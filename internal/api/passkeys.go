package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"redflag/internal/store"
)

// challengeLife is how long a person may take to find the authenticator.
const challengeLife = 5 * time.Minute

// party is this server as an authenticator knows it: by the host of the address that the browser shows. The browser names that address in
// what the authenticator signs, so a page elsewhere that sends it on here is refused.
func (a *API) party(ctx context.Context) (*webauthn.WebAuthn, error) {
	host := requestOf(ctx).Host
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	scheme := "http://"
	if a.cfg.Secure {
		scheme = "https://"
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: name, RPDisplayName: "RedFlag", RPOrigins: []string{scheme + host},
		// The authenticator asks for a finger or a PIN: what it has and who one is are two factors.
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired},
	})
	if err != nil {
		return nil, huma.Error409Conflict("passkeys need an address with a name, over https or on localhost: " + err.Error())
	}
	return w, nil
}

// holder is a person as an authenticator knows him.
type holder struct {
	store.User
	keys []webauthn.Credential
}

// WebAuthnID implements webauthn.User.
func (h holder) WebAuthnID() []byte { return binary.BigEndian.AppendUint64(nil, uint64(h.ID)) }

// WebAuthnName implements webauthn.User.
func (h holder) WebAuthnName() string { return h.Name }

// WebAuthnDisplayName implements webauthn.User.
func (h holder) WebAuthnDisplayName() string { return h.Name }

// WebAuthnCredentials implements webauthn.User.
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

func (a *API) holder(ctx context.Context, id int64) (holder, error) {
	u, err := a.cfg.Store.User(ctx, id)
	if err != nil {
		return holder{}, err
	}
	h := holder{User: u}
	passkeys, err := a.cfg.Store.Passkeys(ctx, id)
	for _, p := range passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal(p.Credential, &c); err != nil {
			return h, fmt.Errorf("read a passkey of %s: %w", u.Name, err)
		}
		h.keys = append(h.keys, c)
	}
	return h, err
}

// Challenge is what an authenticator is to answer.
type Challenge struct {
	// Challenge comes back with the answer.
	Challenge string `json:"challenge"`
	// Options are for the browser's navigator.credentials (WebAuthn's JSON form).
	Options any `json:"options"`
}

func (a *API) challenge(ctx context.Context, session *webauthn.SessionData, options any) (Challenge, error) {
	body, err := json.Marshal(session)
	if err != nil {
		return Challenge{}, err
	}
	name, err := a.cfg.Store.NewChallenge(ctx, body, a.cfg.Now().Add(challengeLife))
	return Challenge{name, options}, err
}

func (a *API) session(ctx context.Context, challenge string) (s webauthn.SessionData, err error) {
	body, err := a.cfg.Store.TakeChallenge(ctx, challenge, a.cfg.Now())
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	return s, err
}

func (a *API) passkeys(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.Passkey, string, error) {
	return all(a.cfg.Store.Passkeys(ctx, callerOf(ctx).user))
}

func (a *API) offerPasskey(ctx context.Context, _ *none) (Challenge, error) {
	c := callerOf(ctx)
	if c.user == 0 {
		return Challenge{}, errKeyHasNone
	}
	h, err := a.holder(ctx, c.user)
	if err != nil {
		return Challenge{}, err
	}
	w, err := a.party(ctx)
	if err != nil {
		return Challenge{}, err
	}
	options, session, err := w.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()))
	if err != nil {
		return Challenge{}, err
	}
	return a.challenge(ctx, session, options.Response)
}

type newPasskeyInput struct {
	Body struct {
		Challenge  string          `json:"challenge" maxLength:"200"`
		Name       string          `json:"name" minLength:"1" maxLength:"64" doc:"How the person calls it: phone."`
		Credential json.RawMessage `json:"credential" doc:"What navigator.credentials.create gave, as JSON."`
	}
}

func (a *API) newPasskey(ctx context.Context, in *newPasskeyInput) (store.Passkey, error) {
	c, now := callerOf(ctx), a.cfg.Now()
	about(ctx, "%s", in.Body.Name)
	if c.user == 0 {
		return store.Passkey{}, errKeyHasNone
	}
	session, err := a.session(ctx, in.Body.Challenge)
	if err != nil {
		return store.Passkey{}, err
	}
	h, err := a.holder(ctx, c.user)
	if err != nil {
		return store.Passkey{}, err
	}
	w, err := a.party(ctx)
	if err != nil {
		return store.Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBody(bytes.NewReader(in.Body.Credential))
	if err != nil {
		return store.Passkey{}, unlike(err)
	}
	credential, err := w.CreateCredential(h, session, parsed)
	if err != nil {
		return store.Passkey{}, unlike(err)
	}
	body, err := json.Marshal(credential)
	if err != nil {
		return store.Passkey{}, err
	}
	p := store.Passkey{ID: base64.RawURLEncoding.EncodeToString(credential.ID), Name: in.Body.Name, User: c.user, Credential: body, CreatedAt: now}
	return p, a.cfg.Store.NewPasskey(ctx, p, now)
}

// unlike says that an authenticator's answer is not what was asked for.
func unlike(err error) error {
	return huma.Error422UnprocessableEntity("the authenticator's answer does not fit: " + err.Error())
}

type ofPasskey struct {
	Passkey string `path:"passkey" maxLength:"2000"`
}

func (a *API) deletePasskey(ctx context.Context, in *ofPasskey) (none, error) {
	return none{}, a.cfg.Store.DeletePasskey(ctx, callerOf(ctx).user, in.Passkey)
}

func (a *API) askPasskey(ctx context.Context, _ *none) (Challenge, error) {
	if err := a.admit(ctx); err != nil {
		return Challenge{}, err
	}
	w, err := a.party(ctx)
	if err != nil {
		return Challenge{}, err
	}
	options, session, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Challenge{}, err
	}
	return a.challenge(ctx, session, options.Response)
}

// passkeyAnswer is how one signs in with a passkey.
type passkeyAnswer struct {
	Challenge  string          `json:"challenge" maxLength:"200"`
	Credential json.RawMessage `json:"credential" doc:"What navigator.credentials.get gave, as JSON."`
}

// byPasskey says who has answered a challenge.
func (a *API) byPasskey(ctx context.Context, answer *passkeyAnswer) (store.User, error) {
	session, err := a.session(ctx, answer.Challenge)
	if err != nil {
		return store.User{}, err
	}
	w, err := a.party(ctx)
	if err != nil {
		return store.User{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBody(bytes.NewReader(answer.Credential))
	if err != nil {
		return store.User{}, unlike(err)
	}
	var h holder
	find := func(_, handle []byte) (webauthn.User, error) {
		if len(handle) != 8 {
			return nil, store.ErrNoUser
		}
		var err error
		h, err = a.holder(ctx, int64(binary.BigEndian.Uint64(handle)))
		return h, err
	}
	credential, err := w.ValidateDiscoverableLogin(find, session, parsed)
	if err != nil {
		a.cfg.Log.Info("a passkey was refused", "err", err)
		return store.User{}, store.ErrNoLogin
	}
	if credential.Authenticator.CloneWarning {
		a.cfg.Log.Warn("a passkey has counted backwards: there may be a copy of it", "user", h.Name)
	}
	body, err := json.Marshal(credential)
	if err != nil {
		return store.User{}, err
	}
	return h.User, a.cfg.Store.UsePasskey(ctx, base64.RawURLEncoding.EncodeToString(credential.ID), body, a.cfg.Now())
}
