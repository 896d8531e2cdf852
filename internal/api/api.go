// Package api is the people's door: everything that is known of the fleet, for pages, scripts and exports, and what people may ask of it.
// It is described by the OpenAPI document that it serves, and that document is checked in. Lists come page by page, or whole as
// CSV or JSON lines. Errors are problem documents (RFC 9457).
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// Config is what an API is made with.
type Config struct {
	Store  *store.Store
	Server *server.Server
	// Compare orders two versions of a source of updates, and says whether it can.
	Compare func(source, a, b string) (order int, known bool)
	// Paste says how a token is used: as it is shown, and the lines to paste on a host.
	Paste func(ctx context.Context, secret string) (Pasted, error)
	// Stale is after how long without a check-in it is not known any more how a host is.
	Stale time.Duration
	// Secure says that people come over TLS, so that cookies are for TLS alone.
	Secure         bool
	TrustedProxies []netip.Prefix
	Version        string
	// Info is how the server is set up, as far as it is for people to know.
	Info ServerInfo
	// Log gets what an operator should know; nil means none.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Prefix is where the API stands.
const Prefix = "/api/v1"

// API answers people and their programs.
type API struct {
	cfg  Config
	huma huma.API
	mux  *http.ServeMux

	heartbeat time.Duration
}

// arraysAreNeverNull sets the one thing that huma has no option for.
var arraysAreNeverNull = sync.OnceFunc(func() { huma.DefaultArrayNullable = false })

// New makes an API.
func New(cfg Config) *API {
	arraysAreNeverNull()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{cfg: cfg, mux: http.NewServeMux(), heartbeat: heartbeat}
	c := huma.DefaultConfig("RedFlag", "1")
	c.Info.Description = "What is outdated on every host of a fleet, and what can be asked of it. Lists come in pages: ask again with `after` set to the `next` of " +
		"the page before; or whole, with `format=csv` or `format=jsonl`. Sign in with a key: `Authorization: Bearer rf_key_…`."
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "/openapi", "", ""
	c.CreateHooks = nil // no links to schemas in every answer
	c.RejectUnknownQueryParameters = true
	c.Servers = []*huma.Server{{URL: Prefix}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":    {Type: "http", Scheme: "bearer", Description: "An API key: `redflag apikey create`."},
		"cookie": {Type: "apiKey", In: "cookie", Name: a.cookieName(), Description: "A person who has signed in."},
	}
	a.huma = humago.NewWithPrefix(a.mux, Prefix, c)
	a.huma.UseMiddleware(a.noting, a.guard)
	a.routes()
	a.imagesAlone()
	return a
}

// imagesAlone says which fields of an update are there for images alone. Huma takes those of an embedded pointer for its own.
func (a *API) imagesAlone() {
	update := a.huma.OpenAPI().Components.Schemas.Map()["Update"]
	for i := range reflect.TypeFor[fleet.ImageUpdate]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[fleet.ImageUpdate]().Field(i).Tag.Get("json"), ",")
		update.Required = slices.DeleteFunc(update.Required, func(field string) bool { return field == name })
	}
	update.PrecomputeMessages()
}

// schemaName names a type for clients. A host's facts are no host, an event no change of a plan, and a list is named after what it lists.
func schemaName(t reflect.Type, hint string) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[fleet.Host]():
		return "Facts"
	case reflect.TypeFor[server.Change]():
		return "ChangeEvent"
	case reflect.TypeFor[wire.Restart]():
		return "RestartWork"
	case reflect.TypeFor[wire.Reboot]():
		return "RebootWork"
	case reflect.TypeFor[wire.Job]():
		return "JobOutcome"
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if item, ok := strings.CutPrefix(name, "Listed"); ok {
		return item + "List"
	}
	return name
}

// maxBody bounds what people send.
const maxBody = 1 << 20

// bodyOf says how large a request's body may be: feeds are larger than all else.
func bodyOf(r *http.Request) int64 {
	if r.Method == http.MethodPost && r.URL.Path == Prefix+"/advisories" {
		return maxFeed
	}
	return maxBody
}

// Handler gives the API as it is mounted: below [Prefix].
func (a *API) Handler() http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return sameOrigin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyOf(r))
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if _, pattern := a.mux.Handler(r); pattern == "" {
			problem(w, http.StatusNotFound, "there is nothing at this address; "+Prefix+"/openapi.json says what there is")
			return
		}
		a.mux.ServeHTTP(w, r)
	}))
}

// OpenAPI gives the description of the API, as JSON.
func (a *API) OpenAPI() ([]byte, error) { return a.huma.OpenAPI().MarshalJSON() }

// stale is since when a host must have been seen for its state to be known.
func (a *API) stale() time.Time { return a.cfg.Now().Add(-a.cfg.Stale) }

// anyone marks what needs no sign-in.
const anyone access.Right = ""

// out is an answer.
type out[T any] struct{ Body T }

func answer[T any](v T, err error) (*out[T], error) {
	if err != nil {
		return nil, err
	}
	return &out[T]{v}, nil
}

// routes are all that the API answers, with the right that each needs.
func (a *API) routes() {
	one(a, access.Read, "GET /summary", "The fleet in numbers", a.summary)
	list(a, access.Read, "GET /trend", "How the fleet was, the oldest point first", a.trend)
	one(a, access.Read, "GET /server", "How this server is set up, and what registries said of its budget", a.server)
	list(a, access.Read, "GET /hosts", "Hosts", a.hosts)
	one(a, access.Read, "GET /hosts/{host}", "A host", a.host)
	one(a, access.Read, "GET /hosts/{host}/findings", "What each source of a host said", a.hostFindings)
	list(a, access.Read, "GET /hosts/{host}/updates", "The updates of a host", a.hostUpdates)
	list(a, access.Read, "GET /hosts/{host}/packages", "What is installed on a host", a.hostPackages)
	list(a, access.Read, "GET /hosts/{host}/containers", "What runs on a host", a.hostContainers)
	list(a, access.Read, "GET /hosts/{host}/history", "What left a host", a.hostHistory)
	list(a, access.Read, "GET /hosts/{host}/orders", "What was asked of a host", a.hostOrders)
	one(a, access.Operate, "POST /hosts/{host}/scan", "Ask a host to look at itself now", a.scan)
	one(a, access.Operate, "PUT /hosts/{host}/labels", "Give a host these labels and no others", a.setLabels)
	one(a, access.Administer, "DELETE /hosts/{host}", "Take a host out of the fleet, with all that is known of it", a.forget)
	one(a, access.Operate, "POST /scans", "Ask many hosts to look at themselves now", a.scanMany)
	list(a, access.Read, "GET /orders", "What was asked of all hosts, the newest first", a.orders)
	one(a, access.Read, "GET /orders/{order}", "What became of an order", a.order)

	one(a, access.Operate, "POST /rollouts", "Ask work of hosts: what is planned first waits for an approval then", a.newRollout)
	list(a, access.Read, "GET /rollouts", "What was asked of one host or many, the newest first", a.rollouts)
	one(a, access.Read, "GET /rollouts/{rollout}", "A rollout, with what its hosts have planned: in common, and where they differ", a.rollout)
	list(a, access.Read, "GET /rollouts/{rollout}/jobs", "The jobs of a rollout, by the names of their hosts", a.rolloutJobs)
	one(a, access.Operate, "POST /rollouts/{rollout}/approve", "Have exactly these plans carried out, once", a.approveRollout)
	one(a, access.Operate, "POST /rollouts/{rollout}/cancel", "End those jobs of a rollout that have not begun", a.cancelRollout)
	list(a, access.Read, "GET /jobs", "Jobs on all hosts, by when they last came into a state, the newest first", a.jobs)
	one(a, access.Read, "GET /jobs/{job}", "A job, with its plans and what became of them", a.job)
	one(a, access.Operate, "POST /jobs/{job}/approve", "Have exactly these plans of a job carried out, once", a.approveJob)
	one(a, access.Operate, "POST /jobs/{job}/cancel", "End a job that has not begun", a.cancelJob)
	one(a, access.Read, "GET /jobs/{job}/lines", "What the tools said while a job was carried out, from a line on", a.lines)
	a.log()

	list(a, access.Read, "GET /updates", "Updates over all hosts", a.updates)
	one(a, access.Read, "GET /updates/{update}", "One update over all hosts", a.update)
	list(a, access.Read, "GET /updates/{update}/hosts", "The hosts that have an update on offer", a.updateHosts)
	list(a, access.Read, "GET /updates/groups", "What is pending, for all that has a package, a source or a label in common", a.offerGroups)
	list(a, access.Read, "GET /images", "Images over all hosts", a.images)
	list(a, access.Read, "GET /images/hosts", "The hosts on which an image runs", a.imageHosts)
	list(a, access.Read, "GET /packages", "Packages over all hosts, by name", a.packages)
	list(a, access.Read, "GET /packages/hosts", "The hosts that have a package, in versions that are meant", a.packageHosts)
	list(a, access.Read, "GET /history", "What left, on all hosts, the newest first", a.history)
	list(a, access.Read, "GET /appeared", "What is on offer, on all hosts, the newest first", a.appeared)
	list(a, access.Read, "GET /labels", "The labels of the fleet", a.labels)
	list(a, access.Read, "GET /groups", "Groups: saved label queries", a.groups)
	one(a, access.Operate, "POST /groups", "Save a label query under a name", a.newGroup)
	one(a, access.Operate, "PUT /groups/{group}", "Give a group another name and query", a.changeGroup)
	one(a, access.Operate, "DELETE /groups/{group}", "Forget a group", a.deleteGroup)
	a.events()

	a.toPatchFirst()

	list(a, access.Administer, "GET /deeds", "Who did what, the newest first", a.deeds)
	list(a, access.Administer, "GET /tokens", "Enrolment tokens", a.tokens)
	one(a, access.Administer, "POST /tokens", "Make an enrolment token", a.newToken)
	one(a, access.Administer, "DELETE /tokens/{token}", "Take a token out of use", a.deleteToken)
	list(a, access.Administer, "GET /users", "Users", a.users)
	one(a, access.Administer, "POST /users", "Add a user", a.newUser)
	one(a, access.Administer, "PATCH /users/{user}", "Change a user's role or password", a.changeUser)
	one(a, access.Administer, "DELETE /users/{user}", "Remove a user", a.deleteUser)
	list(a, access.Administer, "GET /apikeys", "API keys", a.keys)
	one(a, access.Administer, "POST /apikeys", "Make an API key", a.newKey)
	one(a, access.Administer, "DELETE /apikeys/{key}", "Take a key out of use", a.deleteKey)

	a.signIn()
	one(a, access.Read, "DELETE /session", "Sign out", a.signOut)
	one(a, access.Read, "GET /me", "Who is asking, and what he may do", a.me)
	quiet(a, anyone, "POST /session/passkey", "Begin to sign in with a passkey", a.askPasskey)
	quiet(a, access.Read, "POST /me/totp", "Make a second factor, which is asked for once a code of it was shown", a.offerTOTP)
	one(a, access.Read, "PUT /me/totp", "Turn one's second factor on or off", a.setTOTP)
	list(a, access.Read, "GET /me/passkeys", "One's passkeys", a.passkeys)
	quiet(a, access.Read, "POST /me/passkeys/challenge", "Begin to add a passkey", a.offerPasskey)
	one(a, access.Read, "POST /me/passkeys", "Add a passkey", a.newPasskey)
	one(a, access.Read, "DELETE /me/passkeys/{passkey}", "Remove a passkey", a.deletePasskey)
	one(a, access.Read, "PUT /me/password", "Change one's own password", a.ownPassword)
	list(a, access.Read, "GET /me/logins", "Where one is signed in", a.ownLogins)
	one(a, access.Read, "DELETE /me/logins/{login}", "Sign out elsewhere", a.endLogin)
}
