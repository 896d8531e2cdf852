//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/agent"
	model "redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// stage is a real server with a host that does, by the agent's own code, what a browser's script asks for.
type stage struct {
	*testing.T
	exe, data, listen string
	server            *process

	id   agent.Identity
	view agent.View
	dir  string

	// mayPlan lets the last of the played hosts plan, and goOn lets all go on with what they do.
	mayPlan, goOn chan struct{}

	ctx    context.Context //nolint:containedctx // it ends with the test
	played sync.WaitGroup
}

// start starts the server, where it was before. A host that is silent for a few seconds is unknown.
func (s *stage) start() {
	s.Helper()
	s.Setenv("REDFLAG_INTERVAL", "2s")
	s.server = startProcess(s.T, s.exe, "serve", "--data-dir", s.data, "--listen", s.listen, "--tls", "off")
	where := regexp.MustCompile(`at http://(\S+)\n`)
	until(s.T, "the server listens", func() bool { return where.MatchString(s.server.said()) })
	s.listen = where.FindStringSubmatch(s.server.said())[1]
}

// withStore works on the server's database beside it.
func (s *stage) withStore(work func(*store.Store) error) error {
	db, err := store.Open(s.Context(), filepath.Join(s.data, "fleet.db"))
	if err != nil {
		return err
	}
	return errors.Join(work(db), db.Close())
}

// enrol joins a host.
func (s *stage) enrol(name string) (id agent.Identity, err error) {
	err = s.withStore(func(db *store.Store) error {
		_, secret, err := db.NewToken(s.Context(), store.Token{Seats: 1, Labels: map[string]string{"site": "berlin"}, ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			return err
		}
		id, err = agent.Enroll(s.Context(), agent.Enrolment{Server: "http://" + s.listen, Token: secret, Dir: s.TempDir(), Machine: "machine " + name, Host: model.Host{Name: name}})
		return err
	})
	return id, err
}

// agent is the host's, which looks at what the stage says that there is.
func (s *stage) agent() (*agent.Agent, error) {
	client, err := s.id.Client()
	if err != nil {
		return nil, err
	}
	a := agent.New(client, agent.OpenState(s.dir), func(context.Context, wire.Scan) (agent.View, error) { return s.view, nil }, slog.New(slog.DiscardHandler))
	a.Prompt = true
	return a, nil
}

func (s *stage) round() error {
	a, err := s.agent()
	if err != nil {
		return err
	}
	return a.Round(s.Context(), wire.Scan{})
}

// hostile is a name that wants to be more than one.
const hostile = `<img src=x onerror=alert(1)>`

func (s *stage) join() error {
	var err error
	if _, err = s.enrol(hostile); err != nil {
		return err
	}
	if s.id, err = s.enrol("web1"); err != nil {
		return err
	}
	s.view = agent.View{
		Host: model.Host{
			Name: "web1", OS: "Debian GNU/Linux 10 (buster)", OSID: "debian", OSVersion: "10",
			Policy: &model.Policy{Allow: model.AllowReport, Only: []string{}, Never: []string{hostile}, Because: "line 3: there is no setting \"alow\""},
		},
		Packages: []model.Package{{Source: "apt", Name: "curl", Arch: "amd64", Version: "7.88.1-10"}}, Containers: []model.Container{},
		Findings: []model.Finding{{Source: "apt", State: model.OK, ScannedAt: time.Now(), Checks: []model.Check{}, Updates: []model.Update{
			{Source: "apt", Name: "curl", Arch: "amd64", From: "7.88.1-10", To: "7.88.1-11", Security: true, Summary: "command line tool for transferring data"},
			{Source: "apt", Name: "zlib1g", Arch: "amd64", From: "1", To: "2", Blocked: model.Held},
		}}},
	}
	return s.round()
}

func (s *stage) patch() error {
	s.view.Packages[0].Version = "7.88.1-11"
	s.view.Findings[0].Updates = s.view.Findings[0].Updates[1:]
	return s.round()
}

// obey runs the agent until its order is done.
func (s *stage) obey() error {
	a, err := s.agent()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, s.id) }()
	err = s.withStore(func(db *store.Store) error {
		for {
			orders, err := db.Orders(ctx, s.id.Host, 1)
			if err != nil || len(orders) == 1 && orders[0].State == wire.Succeeded {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	cancel()
	<-done
	return err
}

// link adds a person and gives a link that signs in, at an address with a name: passkeys are for names.
func (s *stage) link(name string, role access.Role) (link string, err error) {
	err = s.withStore(func(db *store.Store) error {
		u, err := db.NewUser(s.Context(), name, role, "", time.Now())
		if err != nil {
			return err
		}
		_, port, _ := strings.Cut(s.listen, ":")
		link, err = linkFor(s.Context(), db, "http://localhost:"+port, u)
		return err
	})
	return link, err
}

// expire ends a person's sessions, as time does.
func (s *stage) expire(name string) error {
	return s.withStore(func(db *store.Store) error {
		u, _, err := db.UserByName(s.Context(), name)
		if err != nil {
			return err
		}
		logins, err := db.Logins(s.Context(), u.ID)
		for _, l := range logins {
			err = errors.Join(err, db.EndLogin(s.Context(), u.ID, l.ID))
		}
		return err
	})
}

// runOut lets all suppressions run out, as time does.
func (s *stage) runOut() error {
	return s.withStore(func(db *store.Store) error {
		before := time.Now().AddDate(0, 0, -3)
		list, err := db.Suppressions(s.Context(), before)
		if err == nil && len(list) == 0 {
			err = errors.New("nothing is suppressed")
		}
		for _, old := range list {
			_, gone := db.DeleteSuppression(s.Context(), old.Suppression)
			old.Until = before.Truncate(24 * time.Hour)
			_, again := db.NewSuppression(s.Context(), old, before)
			err = errors.Join(err, gone, again)
		}
		return err
	})
}

// huge reports texts that are as long as they can be, and want to be more than text.
func (s *stage) huge() error {
	long := strings.Repeat(hostile+"\u202e\u2066\x1b[31m", 1<<20/40)
	s.view.Findings[0].Updates = append(s.view.Findings[0].Updates,
		model.Update{Source: "apt", Name: "zz-huge", Arch: "amd64", From: "1", To: "2", Summary: long, Blocked: model.KeptBack, BlockedBecause: long})
	s.view.Findings[0].Because = "\u202e" + hostile
	s.view.Host.OS = long
	return s.round()
}

// fleet lets three hosts join that obey.
func (s *stage) fleet() error {
	for _, p := range playedFleet(s.mayPlan, s.goOn) {
		id, err := s.enrol(p.name)
		if err == nil {
			err = p.join(s.ctx, id, s.TempDir())
		}
		if err != nil {
			return err
		}
		s.played.Go(func() {
			if err := p.work(s.ctx); err != nil {
				s.Error(err)
			}
		})
	}
	return nil
}

// ServeHTTP does what the script asks for.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := "ok"
	var err error
	switch r.URL.Path {
	case "/join":
		err = s.join()
	case "/patch":
		err = s.patch()
	case "/obey":
		err = s.obey()
	case "/silence": // nothing is what it does
	case "/away":
		s.server.end(syscall.SIGTERM)
	case "/back":
		s.start()
	case "/viewer":
		answer, err = s.link("vera", access.Viewer)
	case "/owner":
		answer, err = s.link("olga", access.Admin)
	case "/expire":
		err = s.expire("olga")
	case "/fleet":
		err = s.fleet()
	case "/may-plan":
		close(s.mayPlan)
	case "/go-on":
		close(s.goOn)
	case "/run-out":
		err = s.runOut()
	case "/huge":
		err = s.huge()
	default:
		err = fmt.Errorf("the script asks for %s", r.URL.Path)
	}
	if err != nil {
		s.Error(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, answer)
}

func TestTheDashboardInARealBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it drives a browser")
	}
	node, chromium := parts.Need(t, "node"), parts.Need(t, "chromium")
	if _, err := os.Stat("../../web/e2e/drive.mjs"); err != nil { // and so that another script is another test to the cache
		t.Fatal(err)
	}
	if _, err := os.Stat("../../web/node_modules/playwright-core"); err != nil {
		parts.Missing(t, "web/node_modules (scripts/web)")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &stage{T: t, exe: build(t), data: t.TempDir(), dir: t.TempDir(), listen: "127.0.0.1:0", mayPlan: make(chan struct{}), goOn: make(chan struct{}), ctx: ctx}
	defer s.played.Wait()
	defer cancel()
	s.start()
	link := regexp.MustCompile(`http://\S+/sign-in\?link=\S+`).FindString(s.server.said())
	control := httptest.NewServer(s)
	defer control.Close()
	cmd := exec.CommandContext(t.Context(), node, "e2e/drive.mjs") //nolint:gosec // our own script
	cmd.Dir = "../../web"
	cmd.Env = append(os.Environ(), "LINK="+link, "CONTROL="+control.URL, "CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	s.server.end(syscall.SIGTERM)
}
