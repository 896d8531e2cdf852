package serve

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"redflag/internal/access"
	"redflag/internal/api"
	"redflag/internal/wire"
)

// meters count what the server does, for /metrics.
type meters struct{ set *metrics.Set }

func (f *Fleet) newMeters() *meters {
	m := &meters{set: metrics.NewSet()}
	m.set.NewGauge("redflag_agents_waiting", func() float64 { return float64(f.server.Waiting()) })
	return m
}

// counted counts the requests of a handler by route and answer, and how long they took. A request that waits for orders has no
// duration that says anything.
func (m *meters) counted(next *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		counted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		_, pattern := next.Handler(r)
		if pattern == "/agent/v1/" {
			pattern = agentRoute(r.URL.Path)
		}
		next.ServeHTTP(counted, r)
		m.set.GetOrCreateCounter(fmt.Sprintf(`redflag_requests_total{route=%q,code="%d"}`, pattern, counted.status)).Inc()
		if pattern != wire.PathOrders {
			m.set.GetOrCreateHistogram(fmt.Sprintf(`redflag_request_seconds{route=%q}`, pattern)).UpdateDuration(began)
		}
	})
}

// agentRoute names a route of the agents' door, so that a stranger's paths do not become metrics.
func agentRoute(path string) string {
	for _, known := range []string{wire.PathEnroll, wire.PathCheckIn, wire.PathReport, wire.PathOrders, wire.PathResults, wire.PathLeave} {
		if path == known {
			return known
		}
	}
	return "/agent/v1/"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// metrics are in the Prometheus text format, for who may read.
func (f *Fleet) metrics(people *api.API) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if people.Admits(w, r, access.Read) {
			f.writeMetrics(w, r)
		}
	}
}

func (f *Fleet) writeMetrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	f.meters.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
	if h, err := f.Store.CountHosts(r.Context()); err == nil {
		fmt.Fprintln(w, "redflag_hosts "+strconv.Itoa(h))
	}
}
