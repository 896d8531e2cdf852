package snap

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// played is a snapd that is a script: it answers the requests that it was told, to the letter, and any other makes the test fail. What it answers is written
// from the documentation of the API and from snapd's own source (client, daemon), for a real one cannot mount a snap where the tests run; see real_test.go
// for what a real one says.
type played struct {
	*testing.T
	root string
	now  time.Time

	mu      sync.Mutex
	answers map[string]func() string
	asked   []string
}

// newPlayed gives a machine with such a snapd that was told nothing yet.
func newPlayed(t *testing.T) *played {
	t.Helper()
	root, err := os.MkdirTemp("", "snap") // the address of a socket has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	p := &played{T: t, root: root, now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), answers: map[string]func() string{}}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.MkdirAll(filepath.Join(root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.listen()
	p.tells("GET /v2/system-info", `{"version":"2.61.3","on-classic":true,"refresh":{"timer":"00:00~24:00/4","last":"2026-03-02T06:00:00Z","next":"2026-03-02T18:41:00Z"}}`)
	p.tells("GET /v2/snaps", before)
	p.tells("GET /v2/find?select=refresh", offers)
	return p
}

// listen starts to answer, and gives what ends that.
func (p *played) listen() (stop func()) {
	p.Helper()
	var config net.ListenConfig
	l, err := config.Listen(p.Context(), "unix", filepath.Join(p.root, socket))
	if err != nil {
		p.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }() // it ends when it is closed
	stop = sync.OnceFunc(func() { server.Close(); <-done })
	p.Cleanup(stop)
	return stop
}

func (p *played) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.Error(err)
	}
	line := r.Method + " " + r.URL.RequestURI()
	if len(body) > 0 {
		line += " " + strings.TrimSpace(string(body))
		if r.Header.Get("Content-Type") != "application/json" {
			p.Errorf("%s: content of the type %q", line, r.Header.Get("Content-Type"))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, line)
	answer := p.answers[line]
	if answer == nil {
		p.Errorf("nobody expected: %s", line)
		answer = func() string { return refusal(400, "nobody expected this", "") }
	}
	fmt.Fprint(w, answer())
}

// tells has snapd answer a request with a result.
func (p *played) tells(line, result string) {
	p.does(line, func() string { return `{"type":"sync","status-code":200,"status":"OK","result":` + result + `}` })
}

// refuses has snapd refuse a request.
func (p *played) refuses(line, message, kind string) {
	p.does(line, func() string { return refusal(400, message, kind) })
}

func (p *played) does(line string, answer func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[line] = answer
}

func refusal(code int, message, kind string) string {
	text, _ := json.Marshal(message)
	return fmt.Sprintf(`{"type":"error","status-code":%d,"status":"Bad Request","result":{"message":%s,"kind":%q}}`, code, text, kind)
}

// begins has snapd begin a change that ends well, after which the list of what is installed is another.
func (p *played) begins(line, id, after string) {
	p.does(line, func() string {
		p.answers["GET /v2/changes/"+id] = p.steps(id, after)
		return `{"type":"async","status-code":202,"status":"Accepted","change":"` + id + `","result":null}`
	})
}

// steps gives the answers of a change that downloads, is away for a moment while snapd starts again, and is done.
func (p *played) steps(id, after string) func() string {
	n := 0
	return func() string {
		n++
		const ready = `{"type":"sync","status-code":200,"status":"OK","result":{"id":%q,"kind":"refresh-snap","summary":"Refresh snap","status":%q,"ready":%v,"tasks":[` +
			`{"id":"7","kind":"download-snap","summary":"Download snap","status":%q,"progress":{"label":"x","done":%d,"total":1000}}]}}`
		switch n {
		case 1:
			return fmt.Sprintf(ready, id, "Doing", false, "Doing", 256)
		case 2:
			return `{"type":"error","status-code":503,"status":"Service Unavailable","result":{"message":"daemon is stopping","kind":"daemon-restart"},"maintenance":{"kind":"daemon-restart","message":"daemon is restarting"}}`
		}
		p.answers["GET /v2/snaps"] = func() string { return `{"type":"sync","status-code":200,"status":"OK","result":` + after + `}` }
		return fmt.Sprintf(ready, id, "Done", true, "Done", 1000)
	}
}

func (p *played) machine() *machine.Machine {
	return &machine.Machine{Root: p.root, Now: func() time.Time { return p.now }}
}

func (p *played) work() source.Work {
	p.Helper()
	if err := os.MkdirAll(filepath.Join(p.root, "job"), 0o755); err != nil {
		p.Fatal(err)
	}
	log, err := os.Create(filepath.Join(p.root, "job", source.LogFile))
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { log.Close() })
	return source.Work{Dir: "/job", Log: log}
}

func (p *played) log() string {
	p.Helper()
	text, err := os.ReadFile(filepath.Join(p.root, "job", source.LogFile))
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

func (p *played) scan() fleet.Finding {
	p.Helper()
	return source.Scan(p.Context(), p.machine(), []source.Source{Source{}}, source.Options{})[0]
}

func (p *played) plan(sel fleet.Selection) fleet.Plan {
	p.Helper()
	plan, err := Source{}.Plan(p.Context(), p.machine(), sel)
	if err != nil {
		because, _ := fleet.Explain(err)
		p.Fatal(because)
	}
	return plan
}

func (p *played) refused(sel fleet.Selection, because string) {
	p.Helper()
	plan, err := Source{}.Plan(p.Context(), p.machine(), sel)
	if got, _ := fleet.Explain(err); err == nil || !strings.Contains(got, because) {
		p.Errorf("planned %v, refused because %q; want %q", plan.Changes, got, because)
	}
}

func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	return strings.Join(list, ", ")
}
