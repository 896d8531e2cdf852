// Package page is the plain page of a fleet's server: signing in, the hosts, and what is outdated on each, without a line of script.
package page

import (
	"embed"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"redflag/internal/access"
	"redflag/internal/api"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Config is what a Site is made with.
type Config struct {
	Store *store.Store
	// API says who asks, and signs people in.
	API *api.API
	// Stale is after how long without a check-in it is not known any more how a host is.
	Stale time.Duration
	Log   *slog.Logger
}

type site struct{ Config }

// New gives the handler of everything that is not the API's or the agents'.
func New(c Config) http.Handler {
	s := site{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.signedIn(s.fleet))
	mux.HandleFunc("GET /hosts/{host}", s.signedIn(s.host))
	mux.HandleFunc("GET "+PathSignIn, s.form)
	mux.HandleFunc("POST "+PathSignIn, s.signIn)
	mux.HandleFunc("GET /page.css", style)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.show(w, http.StatusNotFound, "trouble", trouble{"Not found", "There is nothing at this address.", "/"})
	})
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

// secured sets the headers that keep a page to itself. Nothing that a host says can become a script: there are none.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // a link that signs in stands in an address
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

//go:embed *.html page.css
var files embed.FS

func parsed() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"ago": ago, "time": clock, "plain": fleet.Plain, "behind": behind}).ParseFS(files, "*.html"))
}

var templates = parsed()

func (s site) show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := templates.ExecuteTemplate(w, name, data); err != nil {
		s.Log.Debug("a page was not written to its end", "page", name, "err", err)
	}
}

func style(w http.ResponseWriter, _ *http.Request) {
	f, err := files.Open("page.css")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = io.Copy(w, f) // an error: the reader is gone
}

// trouble is what the page says when it has nothing to show.
type trouble struct{ Title, Text, Next string }

// signedIn lets pass who may read, and sends others to sign in.
func (s site) signedIn(next func(http.ResponseWriter, *http.Request, api.Caller) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.API.Authenticate(r, access.Read)
		if errors.Is(err, api.ErrSignIn) {
			http.Redirect(w, r, PathSignIn+"?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
			return
		}
		if err == nil {
			err = next(w, r, who)
		}
		if err != nil {
			s.broken(w, err)
		}
	}
}

func (s site) broken(w http.ResponseWriter, err error) {
	if errors.Is(err, store.ErrNoHost) {
		s.show(w, http.StatusNotFound, "trouble", trouble{"No such host", "It is not in the fleet, or not any more.", "/"})
		return
	}
	s.Log.Error("a page could not be made", "err", err)
	s.show(w, http.StatusInternalServerError, "trouble", trouble{"This did not work", "The server's log says why.", "/"})
}
