package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"redflag/internal/access"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// writePatience is how long a reader of the stream may take for one event.
const writePatience = 20 * time.Second

// stream writes what changes until the reader goes, is too slow, or the server ends.
func (a *API) stream(hc huma.Context) {
	r, w := humago.Unwrap(hc)
	rc := http.NewResponseController(w)
	hc.SetHeader("Content-Type", "text/event-stream")
	hc.SetHeader("X-Accel-Buffering", "no") // nginx would keep events back
	send := func(format string, args ...any) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(writePatience))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && rc.Flush() == nil
	}
	changes := a.cfg.Server.Changes(r.Context())
	if !send("event: hello\ndata: {}\n\n") {
		return
	}
	beat := time.NewTicker(a.heartbeat)
	defer beat.Stop()
	for {
		select {
		case c, open := <-changes:
			if !open {
				return
			}
			data, err := json.Marshal(c)
			if err != nil || !send("event: change\ndata: %s\n\n", data) {
				return
			}
		case <-beat.C:
			if _, err := a.Authenticate(r, access.Read); err != nil {
				return // signed out, or out of use: no more is said
			}
			if !send(": %s\n\n", "still here") {
				return
			}
		}
	}
}
