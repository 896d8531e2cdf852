package serve

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"redflag/internal/api"
	"redflag/internal/page"
	"redflag/internal/server"
	"redflag/internal/version"
	"redflag/web"
)

// routes are all that the server answers.
func (f *Fleet) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("/agent/v1/", f.server.Agents())
	mux.HandleFunc("GET /install.sh", f.install)
	mux.HandleFunc("GET /install/{platform}", f.download)
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", f.ready)
	people := api.New(f.people())
	mux.Handle(api.Prefix+"/", people.Handler())
	mux.HandleFunc("GET /metrics", f.metrics(people))
	files, err := web.Files()
	if err != nil {
		return nil, err
	}
	dashboard, err := page.New(files)
	if err != nil {
		return nil, err
	}
	mux.Handle("/", dashboard)
	return f.meters.counted(mux), nil
}

// people is what the people's door is made with.
func (f *Fleet) people() api.Config {
	return api.Config{
		Store: f.Store, Server: f.server, Compare: version.Compare, Paste: f.paste, Stale: server.Stale(f.opt.Interval), Secure: strings.HasPrefix(f.URL, "https:"),
		TrustedProxies: f.opt.TrustedProxies, Version: f.opt.Version, Log: f.opt.Log, Info: f.info(),
	}
}

// info is how the server is set up, as far as people may know.
func (f *Fleet) info() api.ServerInfo {
	database := "sqlite"
	if f.opt.postgres() {
		database = "postgres"
	}
	interval, keep := cmp.Or(f.opt.Interval, server.DefaultInterval), cmp.Or(f.opt.Keep, server.DefaultKeep)
	return api.ServerInfo{
		URL: f.URL, Database: database, Interval: int(interval / time.Second), Keep: int(keep / (24 * time.Hour)), SharedRegistries: f.server.SharedRegistries(),
	}
}

// paste says how a token is used.
func (f *Fleet) paste(ctx context.Context, secret string) (api.Pasted, error) {
	a, err := LoadAddress(ctx, f.Store)
	if err != nil {
		return api.Pasted{}, err
	}
	token := a.Token(secret)
	return api.Pasted{Token: token, Install: a.OneLiner(token), Enroll: a.Enroll(token)}, nil
}

// healthy says that the process answers.
func healthy(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// readyPatience is how long the database may take to answer a trifle.
const readyPatience = 5 * time.Second

// ready says whether requests can be served: the database answers.
func (f *Fleet) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyPatience)
	defer cancel()
	if err := f.Store.Ping(ctx); err != nil {
		f.opt.Log.Error("not ready: the database does not answer", "err", err)
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
