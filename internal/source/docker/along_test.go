package docker

import (
	"errors"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
)

// household makes a VPN's container, and others that live in it: in its network, its processes, with its volumes. All: those that live in others run too.
func household(w *workshop, tag string, rm, all bool) map[string]string {
	w.Helper()
	w.pushed("vpn:"+tag, recipe{content: "1", program: idleProgram(w), volume: "/data"})
	w.pushed("app:"+tag, recipe{content: "app", program: idleProgram(w)})
	ids := map[string]string{}
	ids["vpn"] = w.make("vpn", container.Config{Image: w.ref("vpn:" + tag)}, container.HostConfig{AutoRemove: rm, IpcMode: "shareable"}, true)
	in := container.NetworkMode("container:" + ids["vpn"])
	app := container.Config{Image: w.ref("app:" + tag)}
	ids["app"] = w.make("app", app, container.HostConfig{NetworkMode: in, PidMode: container.PidMode(in), IpcMode: container.IpcMode(in)}, true)
	ids["backup"] = w.make("backup", app, container.HostConfig{VolumesFrom: []string{ids["vpn"] + ":ro"}}, all)
	ids["beside"] = w.make("beside", app, container.HostConfig{NetworkMode: container.NetworkMode("container:" + ids["app"])}, all)
	w.put("vpn", "/data", "precious", "data")
	w.push("vpn:"+tag, recipe{content: "2", program: idleProgram(w), volume: "/data"})
	return ids
}

// checkHousehold holds the containers to what they need of each other.
func checkHousehold(t *testing.T, w *workshop, what, states string) {
	t.Helper()
	vpn, app := w.inspect("vpn").ID, w.inspect("app")
	if string(app.HostConfig.NetworkMode) != "container:"+vpn || string(app.HostConfig.PidMode) != "container:"+vpn || string(app.HostConfig.IpcMode) != "container:"+vpn {
		t.Errorf("%s: app lives in %+v", what, app.HostConfig)
	}
	if from := w.inspect("backup").HostConfig.VolumesFrom; len(from) != 1 || from[0] != vpn+":ro" {
		t.Errorf("%s: backup has the volumes of %v", what, from)
	}
	if in := w.inspect("beside").HostConfig.NetworkMode; string(in) != "container:"+app.ID {
		t.Errorf("%s: beside lives in %s", what, in)
	}
	if got := w.names(); got != states {
		t.Errorf("%s: %s", what, got)
	}
	if w.get("vpn", "/data/precious") != "data" || w.get("backup", "/data/precious") != "data" {
		t.Errorf("%s: the data are lost", what)
	}
}

const allRun = "app running, backup running, beside running, vpn running"

func TestWhoLivesInAContainerComesAlong(t *testing.T) {
	w := newWorkshop(t)
	ids := household(w, "1", false, true)
	p := w.plan(fleet.Selection{Names: []string{"vpn"}})
	if said := strings.Join(p.Warnings, "; "); len(p.Changes) != 4 || !strings.Contains(said, "in this order, and all or none: vpn, app, backup, beside") {
		t.Fatalf("%+v, %s", p.Changes, said)
	}
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.inspect("vpn").ID == ids["vpn"] || w.inspect("beside").ID == ids["beside"] {
		t.Errorf("%+v\n%s", o, w.log(k))
	}
	checkHousehold(t, w, "anew", allRun)
	sel, err := w.source.Undo(w.m, p, o, k)
	if err != nil || len(sel.Back) != 1 {
		t.Fatalf("%+v, %v", sel, err)
	}
	if o, k := w.carryOut(w.plan(sel)); !o.Succeeded() || len(o.Done) != 4 {
		t.Errorf("undo: %+v\n%s", o, w.log(k))
	}
	checkHousehold(t, w, "undone", allRun)
}

func TestIfOneCannotBeMadeAnewAllThatLiveTogetherArePutBack(t *testing.T) {
	w := newWorkshop(t)
	for _, c := range []struct {
		what            string
		rm, killedThere bool
	}{
		{"fails", false, false}, {"killed", true, true}, // with --rm the engine removes the old one when it is stopped
	} {
		ids := household(w, c.what, c.rm, false)
		starts := 0
		w.source.fail = func(step string) error {
			if step != "start" {
				return nil
			}
			if starts++; starts < 2 {
				return nil
			}
			if c.killedThere {
				panic(killed{})
			}
			return errors.New("it was made to fail")
		}
		p, k := w.plan(fleet.Selection{All: true}), w.work()
		if err := w.source.Fetch(t.Context(), w.m, p, k); err != nil {
			t.Fatal(err)
		}
		o, err := w.applied(p, k)
		w.source.fail = nil
		if c.killedThere {
			o, err = w.source.Settle(t.Context(), w.m, p, k)
		}
		if err != nil || !o.RolledBack || len(o.Done)+len(o.HalfDone)+len(o.Stopped) > 0 {
			t.Errorf("%s: %+v, %v\n%s", c.what, o, err, w.log(k))
		}
		checkHousehold(t, w, c.what, "app running, backup created, beside created, vpn running")
		if !c.rm && w.inspect("beside").ID != ids["beside"] {
			t.Errorf("%s: beside is another container", c.what)
		}
		w.empty()
	}
}

func TestAProjectIsMadeAnewAsOneOrNotAtAll(t *testing.T) {
	w := newWorkshop(t)
	ids := map[string]string{}
	for _, name := range []string{"db", "web"} {
		w.pushed(name+":p", recipe{content: name, program: idleProgram(t)})
		labels := map[string]string{labelProject: "p", labelService: name, labelDependsOn: map[string]string{"web": "db:service_started:false"}[name]}
		ids[name] = w.make(name, container.Config{Image: w.ref(name + ":p"), Labels: labels}, container.HostConfig{}, true)
	}
	w.pushed("other:p", recipe{content: "other", program: idleProgram(t)})
	w.make("other", container.Config{Image: w.ref("other:p"), Labels: map[string]string{labelOrder: "-1"}}, container.HostConfig{}, true)
	w.push("db:p", recipe{content: "db 2", program: idleProgram(t)})
	w.push("web:p", recipe{content: "web 2", program: idleProgram(t), cmd: []string{"crash"}})
	w.push("other:p", recipe{content: "other 2", program: idleProgram(t)})
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	// What ended well before is not put back, and so it is not all that was put back.
	if o.Succeeded() || o.RolledBack || len(o.Done) != 1 || len(o.Missing) != 2 || w.inspect("db").ID != ids["db"] || w.inspect("web").ID != ids["web"] || w.names() != "db running, other running, web running" {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func TestARestartWithADependencyIsDoneAsComposeDoes(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("dep:1", recipe{content: "1", program: idleProgram(t)})
	w.pushed("needs:1", recipe{content: "needs", program: idleProgram(t)})
	w.make("dep", container.Config{Image: w.ref("dep:1"), Labels: map[string]string{labelProject: "p", labelService: "dep"}}, container.HostConfig{}, true)
	id := w.make("needs", container.Config{Image: w.ref("needs:1"), Labels: map[string]string{labelProject: "p", labelService: "needs", labelDependsOn: "dep:service_started:true"}}, container.HostConfig{}, true)
	started := w.inspect("needs").State.StartedAt
	w.push("dep:1", recipe{content: "2", program: idleProgram(t)})
	p := w.plan(fleet.Selection{All: true})
	if !strings.Contains(strings.Join(p.Warnings, "; "), "needs is restarted afterwards") {
		t.Errorf("%q", p.Warnings)
	}
	o, k := w.carryOut(p)
	if now := w.inspect("needs"); !o.Succeeded() || now.ID != id || now.State.StartedAt == started {
		t.Errorf("%+v\n%s", o, w.log(k))
	}
}
