package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// routes are all that the server answers.
func (f *Fleet) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/agent/v1/", f.server.Agents())
	mux.HandleFunc("GET /install.sh", f.install)
	mux.HandleFunc("GET /install/{platform}", f.download)
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", f.ready)
	return f.meters.counted(mux)
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
