package docker

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
)

// relay stands between us and an engine, and can be cut: then it is as if the engine were restarted.
type relay struct {
	t      *testing.T
	at, to string

	mu    sync.Mutex
	stops []io.Closer
	wg    sync.WaitGroup
}

func newRelay(t *testing.T, engine string) *relay {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // a socket's path must be shorter than 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, at: filepath.Join(dir, "socket"), to: strings.TrimPrefix(engine, "unix://")}
	r.open()
	t.Cleanup(func() {
		r.cut()
		r.wg.Wait()
		os.RemoveAll(dir)
	})
	return r
}

func (r *relay) open() {
	l, err := net.Listen("unix", r.at)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.hold(l)
	r.wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", r.to)
			if err != nil {
				near.Close()
				continue
			}
			r.hold(near)
			r.hold(far)
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				r.wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				})
			}
		}
	})
}

func (r *relay) hold(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stops = append(r.stops, c)
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.stops {
		_ = c.Close()
	}
	r.stops = nil
}

func TestAnEngineThatIsRestartedInTheMiddleCostsNoContainer(t *testing.T) {
	w := newWorkshop(t)
	engine := w.source.host
	r := newRelay(t, engine)
	w.source.host = "unix://" + r.at
	for _, step := range []string{"stop", "wait"} {
		id := w.web("away:"+step, recipe{})
		w.source.fail = func(name string) error {
			if name == step {
				r.cut()
				r.wg.Go(func() {
					time.Sleep(time.Second)
					r.open()
				})
			}
			return nil
		}
		o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
		w.source.fail = nil
		if o.Succeeded() || !o.RolledBack || len(o.Stopped) > 0 || w.inspect("web").ID != id || w.names() != "web running" {
			t.Errorf("%s: %s: %+v\n%s", step, w.names(), o, w.log(k))
		}
		w.empty()
	}
}

func TestAPullThatFailsLeavesEverythingAsItWas(t *testing.T) {
	w := newWorkshop(t)
	id := w.web("pull:1", recipe{})
	p := w.plan(fleet.Selection{All: true})
	unpublish(w, w.ref("pull:1"), p.Changes[0].To)
	k := w.work()
	err := w.source.Fetch(t.Context(), w.m, p, k)
	var u *fleet.Unknown
	if !errors.As(err, &u) || !strings.Contains(u.Because, "cannot be pulled") || u.Remedy == "" {
		t.Errorf("%v", err)
	}
	if w.inspect("web").ID != id || w.names() != "web running" {
		t.Error(w.names())
	}
	if _, err := w.source.Apply(t.Context(), w.m, p, k); err == nil || w.inspect("web").ID != id {
		t.Errorf("it is begun without the image: %v", err)
	}
}

func TestImagesThatDoNotFitAreNotPulled(t *testing.T) {
	w := newWorkshop(t)
	w.web("large:1", recipe{})
	p := w.plan(fleet.Selection{All: true})
	if p.Free == 0 || p.Download == 0 {
		t.Errorf("free %d, download %d", p.Free, p.Download)
	}
	p.Download = p.Free * 2
	if err := w.source.Fetch(t.Context(), w.m, p, w.work()); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Error(err)
	}
}

func TestAContainerThatCannotBeRemovedIsSaid(t *testing.T) {
	w := newWorkshop(t)
	w.web("left:1", recipe{})
	w.source.fail = func(name string) error {
		if name == "remove the old one" {
			return errors.New("it was made to fail")
		}
		return nil
	}
	p := w.plan(fleet.Selection{All: true})
	o, k := w.carryOut(p)
	w.source.fail = nil
	if o.Succeeded() || o.RolledBack || len(o.Done) != 1 || len(o.HalfDone) != 1 || !strings.Contains(o.Remedy, "docker rm web"+asideSuffix) || !w.inspect("web").State.Running {
		t.Errorf("%+v\n%s", o, w.log(k))
	}
	if p := w.plan(fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("what was put aside is planned: %+v", p.Changes)
	}
	if sel, err := w.source.Undo(w.m, p, o, k); err != nil || len(sel.Back) != 1 {
		t.Errorf("%+v, %v", sel, err)
	}
}

func TestWhatHasAStrangersIDForANameIsNotTouched(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("stranger:1", recipe{content: "1", program: idleProgram(t)})
	stranger := w.make("stranger", container.Config{Image: w.ref("stranger:1"), Labels: map[string]string{labelUpdate: "off"}}, container.HostConfig{}, true)
	name := stranger[:4] // the engine gives the stranger for it while nobody has that name
	w.make(name, container.Config{Image: w.ref("stranger:1")}, container.HostConfig{}, true)
	w.push("stranger:1", recipe{content: "2", program: idleProgram(t)})
	w.source.fail = func(step string) error {
		if step == "create" {
			return errors.New("it was made to fail")
		}
		return nil
	}
	o, k := w.carryOut(w.plan(fleet.Selection{Names: []string{name}}))
	w.source.fail = nil
	if !o.RolledBack || w.inspect("stranger").ID != stranger || w.inspect(name).Name != "/"+name {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}
