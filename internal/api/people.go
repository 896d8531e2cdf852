package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/server"
	"redflag/internal/store"
)

var errNameOrSource = huma.Error422UnprocessableEntity("give the package's name, or its source_package, and not both")

// labelText writes labels as people read them.
func labelText(labels map[string]string) string {
	list := []string{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, strings.TrimSuffix(name+"="+labels[name], "="))
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// all gives a list that is short.
func all[T any](list []T, err error) ([]T, string, error) { return list, "", err }

func (a *API) labels(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.LabelUse, string, error) {
	return all(a.cfg.Store.LabelUses(ctx))
}

func (a *API) groups(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.Group, string, error) {
	return all(a.cfg.Store.Groups(ctx))
}

// GroupContent is what a group is made of.
type GroupContent struct {
	Name  string `json:"name" minLength:"1" maxLength:"64"`
	Query string `json:"query" maxLength:"4000" doc:"A label query: env=prod,role!=db,site,!old."`
}

type newGroupInput struct{ Body GroupContent }

func (a *API) newGroup(ctx context.Context, in *newGroupInput) (store.Group, error) {
	about(ctx, "%s: %s", in.Body.Name, in.Body.Query)
	g, err := a.cfg.Store.NewGroup(ctx, in.Body.Name, in.Body.Query, a.cfg.Now())
	return g, a.noted(server.TopicGroups, err)
}

// noted tells who listens that something has changed, if it has.
func (a *API) noted(t server.Topic, err error) error {
	if err == nil {
		a.cfg.Server.Note(t)
	}
	return err
}

func (a *API) changeGroup(ctx context.Context, in *struct {
	Group int64 `path:"group"`
	Body  GroupContent
}) (none, error) {
	about(ctx, "%s: %s", in.Body.Name, in.Body.Query)
	return none{}, a.noted(server.TopicGroups, a.cfg.Store.SetGroup(ctx, in.Group, in.Body.Name, in.Body.Query))
}

func (a *API) deleteGroup(ctx context.Context, in *struct {
	Group int64 `path:"group"`
}) (none, error) {
	groups, err := a.cfg.Store.Groups(ctx)
	if err != nil {
		return none{}, err
	}
	if i := slices.IndexFunc(groups, func(g store.Group) bool { return g.ID == in.Group }); i >= 0 {
		about(ctx, "%s: %s", groups[i].Name, groups[i].Query)
	}
	return none{}, a.noted(server.TopicGroups, a.cfg.Store.DeleteGroup(ctx, in.Group))
}

func (a *API) tokens(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.Token, string, error) {
	return all(a.cfg.Store.Tokens(ctx))
}

type newTokenInput struct {
	Body struct {
		Seats   int               `json:"seats" minimum:"-1" maximum:"1000000" default:"1" doc:"How many hosts may join with it; -1 for any number."`
		Minutes int               `json:"minutes" minimum:"1" maximum:"527040" default:"1440" doc:"For how long."`
		Labels  map[string]string `json:"labels,omitempty" doc:"What the hosts that join are labelled with."`
	}
}

// Pasted says how a token is used.
type Pasted struct {
	// Token is shown this once.
	Token string `json:"token"`
	// Install is the line that installs the agent on a host and enrols it; Enroll is for a host that has the program.
	Install string `json:"install"`
	Enroll  string `json:"enroll"`
}

type newToken struct {
	store.Token
	Pasted
}

func (a *API) newToken(ctx context.Context, in *newTokenInput) (newToken, error) {
	now := a.cfg.Now()
	about(ctx, "%d seats, %d minutes, labels %s", in.Body.Seats, in.Body.Minutes, labelText(in.Body.Labels))
	if in.Body.Seats == 0 {
		return newToken{}, huma.Error422UnprocessableEntity("a token without seats is of no use")
	}
	t, secret, err := a.cfg.Store.NewToken(ctx, store.Token{
		Seats: in.Body.Seats, Labels: in.Body.Labels, CreatedAt: now, CreatedBy: callerOf(ctx).Name, ExpiresAt: now.Add(time.Duration(in.Body.Minutes) * time.Minute),
	})
	if err := a.noted(server.TopicTokens, err); err != nil {
		return newToken{}, err
	}
	pasted, err := a.cfg.Paste(ctx, secret)
	return newToken{t, pasted}, err
}

func (a *API) deleteToken(ctx context.Context, in *struct {
	Token int64 `path:"token"`
}) (none, error) {
	about(ctx, "token %d", in.Token)
	return none{}, a.noted(server.TopicTokens, a.cfg.Store.DeleteToken(ctx, in.Token))
}

func (a *API) users(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.User, string, error) {
	return all(a.cfg.Store.Users(ctx))
}

type newUserInput struct {
	Body struct {
		Name     string      `json:"name" minLength:"1" maxLength:"64"`
		Role     access.Role `json:"role" enum:"viewer,operator,admin"`
		Password string      `json:"password,omitempty" maxLength:"1024" doc:"At least 8 characters; without one the user signs in with a link."`
	}
}

// newUser is a user that was added.
type newUser struct {
	store.User
	// Link signs in once, within a day; for a user without a password.
	Link string `json:"link,omitempty" doc:"Signs in once, within a day: POST it to /session. Absent for a user with a password."`
}

// linkLife is how long a link for a new user may lie in a mailbox.
const linkLife = 24 * time.Hour

func (a *API) newUser(ctx context.Context, in *newUserInput) (newUser, error) {
	about(ctx, "%s, %s", in.Body.Name, in.Body.Role)
	hash, err := hashed(in.Body.Password)
	if err != nil {
		return newUser{}, err
	}
	now := a.cfg.Now()
	u, err := a.cfg.Store.NewUser(ctx, in.Body.Name, in.Body.Role, hash, now)
	if err := a.noted(server.TopicUsers, err); err != nil || hash != "" {
		return newUser{User: u}, err
	}
	link, err := a.cfg.Store.NewLink(ctx, u.ID, now, now.Add(linkLife))
	return newUser{u, link}, err
}

// hashed gives the hash of a password; empty for none.
func hashed(password string) (string, error) {
	if password == "" {
		return "", nil
	}
	return access.HashPassword(password)
}

type changeUserInput struct {
	User int64 `path:"user"`
	Body struct {
		Role     access.Role `json:"role,omitempty" enum:"viewer,operator,admin"`
		Password string      `json:"password,omitempty" maxLength:"1024"`
		// NoTOTP helps who has lost the authenticator.
		NoTOTP bool `json:"no_totp,omitempty" doc:"Take the user's second factor out of use."`
	}
}

func (a *API) changeUser(ctx context.Context, in *changeUserInput) (store.User, error) {
	hash, err := hashed(in.Body.Password)
	if err != nil {
		return store.User{}, err
	}
	var changes []string
	if in.Body.NoTOTP {
		if err := a.cfg.Store.DeleteTOTP(ctx, in.User); err != nil {
			return store.User{}, err
		}
		changes = append(changes, "without a second factor")
	}
	if in.Body.Role != "" {
		changes = append(changes, "now "+string(in.Body.Role))
		if err := a.cfg.Store.SetRole(ctx, in.User, in.Body.Role); err != nil {
			return store.User{}, err
		}
	}
	if hash != "" {
		changes = append(changes, "another password")
		if err := a.cfg.Store.SetPassword(ctx, in.User, hash); err != nil {
			return store.User{}, err
		}
	}
	u, err := a.cfg.Store.User(ctx, in.User)
	about(ctx, "%s: %s", u.Name, strings.Join(changes, ", "))
	return u, a.noted(server.TopicUsers, err)
}

func (a *API) deleteUser(ctx context.Context, in *struct {
	User int64 `path:"user"`
}) (none, error) {
	u, err := a.cfg.Store.User(ctx, in.User)
	if err != nil {
		return none{}, err
	}
	about(ctx, "%s", u.Name)
	return none{}, a.noted(server.TopicUsers, a.cfg.Store.DeleteUser(ctx, in.User))
}

func (a *API) keys(ctx context.Context, _ *pagingInput, _ store.Page) ([]store.Key, string, error) {
	return all(a.cfg.Store.Keys(ctx))
}

type newKeyInput struct {
	Body struct {
		Name  string       `json:"name" minLength:"1" maxLength:"64"`
		Scope access.Scope `json:"scope" enum:"read,write,admin" default:"read"`
		Days  int          `json:"days,omitempty" minimum:"0" maximum:"36500" doc:"For how long; 0 for ever."`
	}
}

type newKey struct {
	store.Key
	// Secret is shown this once.
	Secret string `json:"secret"`
}

func (a *API) newKey(ctx context.Context, in *newKeyInput) (newKey, error) {
	now := a.cfg.Now()
	about(ctx, "%s, scope %s", in.Body.Name, in.Body.Scope)
	k := store.Key{Name: in.Body.Name, Scope: in.Body.Scope, CreatedBy: callerOf(ctx).Name}
	if in.Body.Days > 0 {
		k.ExpiresAt = now.Add(time.Duration(in.Body.Days) * 24 * time.Hour)
	}
	k, secret, err := a.cfg.Store.NewKey(ctx, k, now)
	return newKey{k, secret}, a.noted(server.TopicKeys, err)
}

func (a *API) deleteKey(ctx context.Context, in *struct {
	Key int64 `path:"key"`
}) (none, error) {
	keys, err := a.cfg.Store.Keys(ctx)
	if err != nil {
		return none{}, err
	}
	if i := slices.IndexFunc(keys, func(k store.Key) bool { return k.ID == in.Key }); i >= 0 {
		about(ctx, "%s, scope %s", keys[i].Name, keys[i].Scope)
	}
	return none{}, a.noted(server.TopicKeys, a.cfg.Store.DeleteKey(ctx, in.Key))
}
