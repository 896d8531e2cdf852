package docker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
)

// quadlets is a workshop on a machine whose systemd makes its containers.
type quadlets struct{ *workshop }

// sh does something on the machine.
func (w quadlets) sh(script string) string {
	w.Helper()
	r, err := w.m.Run(context.WithoutCancel(w.Context()), machine.Command{Name: "sh", Args: []string{"-ec", script}})
	if err != nil || r.Code != 0 {
		w.Fatalf("%s: %v %d %s", script, err, r.Code, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
}

// quadlet puts a quadlet there, and starts its unit.
func (w quadlets) quadlet(file, unit, text string) {
	w.Helper()
	if err := os.WriteFile(w.m.Path(filepath.Join("/etc/containers/systemd", file)), []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
	w.sh("systemctl daemon-reload; systemctl start " + unit)
	w.Cleanup(func() {
		w.sh("systemctl stop " + unit + " || true; rm -f /etc/containers/systemd/" + file + "; systemctl daemon-reload")
	})
}

// web is a container of a quadlet, with a name of its own, and newer content under its tag.
func (w quadlets) web(tag string, newer recipe, more string) {
	w.Helper()
	w.pushed(tag, recipe{content: "1", program: idleProgram(w)})
	w.quadlet("web.container", "web.service", "[Container]\nContainerName=web\nImage="+w.ref(tag)+"\nNetwork=none\nVolume=precious:/data\n"+more+"\n[Service]\nRestart=always\n")
	if newer.program == nil {
		newer.program = idleProgram(w)
	}
	newer.content = "2"
	w.push(tag, newer)
}

func TestContainersOfSystemdAreMadeAnewByTheirUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it boots a systemd")
	}
	m, engine := parts.Quadlets(t)
	for name, test := range map[string]func(quadlets){
		"a quadlet is restarted, and goes back":          updateAndUndo,
		"one that does not run gives way to the old one": crashInUnit,
		"whoever is killed when":                         killedInUnit,
		"what is left to others":                         leftToOthers,
		"podman generate systemd":                        generated,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshopOf(t, engine, NewPodman)
			w.m, w.jobs = m, "/var/tmp"
			test(quadlets{w})
		})
	}
}

func updateAndUndo(w quadlets) {
	w.web("unit:1", recipe{}, "AutoUpdate=registry")
	before := w.inspect("web")
	w.put("web", "/data", "precious", "data")
	p := w.plan(fleet.Selection{All: true})
	if warned := strings.Join(p.Warnings, "; "); len(p.Changes) != 1 || !strings.Contains(warned, "web: its unit web.service is restarted") || !strings.Contains(warned, "podman-auto-update.timer is off") {
		w.Errorf("%+v %q", p.Changes, p.Warnings)
	}
	o, k := w.carryOut(p)
	after := w.inspect("web")
	if !o.Succeeded() || after.Image == before.Image || !runsNow(after) || w.get("web", "/data/precious") != "data" || w.sh("systemctl is-active web.service") != "active" {
		w.Fatalf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
	sel, err := w.source.Undo(w.m, p, o, k)
	if err != nil {
		w.Fatal(err)
	}
	if o, k := w.carryOut(w.plan(sel)); !o.Succeeded() || w.inspect("web").Image != before.Image || w.names() != "web running" {
		w.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func crashInUnit(w quadlets) {
	w.web("crash:1", recipe{cmd: []string{"crash"}}, "")
	before := w.inspect("web")
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	if after := w.inspect("web"); o.Succeeded() || !o.RolledBack || after.Image != before.Image || !runsNow(after) || w.imageID(w.ref("crash:1")) != before.Image || w.sh("systemctl is-active web.service") != "active" {
		w.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func killedInUnit(w quadlets) {
	w.web("killed:1", recipe{}, `Label='redflag.post=["/idle", "well"]'`)
	for _, step := range []string{"tag", "restart its unit", "note", "wait", "post", "remove the old one"} {
		p, k := w.plan(fleet.Selection{All: true}), w.work()
		if err := w.source.Fetch(w.Context(), w.m, p, k); err != nil {
			w.Fatal(err)
		}
		before := w.inspect("web").Image
		w.source.fail = func(name string) error {
			if name == step {
				panic(killed{})
			}
			return nil
		}
		_, _ = w.applied(p, k)
		w.source.fail = nil
		for range 2 {
			o, err := w.source.Settle(context.Background(), w.m, p, k)
			if err != nil || len(o.HalfDone)+len(o.Stopped) > 0 || o.Succeeded() != (step == "remove the old one") || o.RolledBack == o.Succeeded() {
				w.Errorf("%s: %+v, %v\n%s", step, o, err, w.log(k))
			}
		}
		if w.names() != "web running" || (w.inspect("web").Image == before) != (step != "remove the old one") {
			w.Errorf("%s: %s\n%s", step, w.names(), w.log(k))
		}
	}
}

func leftToOthers(w quadlets) {
	w.web("left:1", recipe{}, "AutoUpdate=registry")
	w.quadlet("pulls.container", "pulls.service", "[Container]\nContainerName=pulls\nImage="+w.ref("left:1")+"\nNetwork=none\nPull=newer\n")
	kube := "apiVersion: v1\nkind: Pod\nmetadata: {name: kube}\nspec: {hostNetwork: true, containers: [{name: web, image: " + w.ref("left:1") + "}]}\n"
	if err := os.WriteFile(w.m.Path("/etc/kube.yaml"), []byte(kube), 0o644); err != nil {
		w.Fatal(err)
	}
	w.quadlet("kube.kube", "kube.service", "[Kube]\nYaml=/etc/kube.yaml\n")
	w.push("left:1", recipe{content: "3", program: idleProgram(w)})
	w.sh("systemctl start " + autoUpdateTimer)
	defer w.sh("systemctl stop " + autoUpdateTimer)
	p := w.plan(fleet.Selection{All: true})
	warned := strings.Join(p.Warnings, "; ")
	for _, want := range []string{
		"web is left as it is: Podman updates it by itself", "pulls is left as it is: the unit pulls.service pulls the image itself", "kube-web is left as it is: podman kube play made it",
	} {
		if len(p.Changes) != 0 || !strings.Contains(warned, want) {
			w.Errorf("%s: %+v %q", want, p.Changes, p.Warnings)
		}
	}
	if p := w.plan(fleet.Selection{Names: []string{"web"}}); len(p.Changes) != 1 || !strings.Contains(strings.Join(p.Warnings, "; "), "does the same to it by itself") {
		w.Errorf("who names it wants it now: %+v %q", p.Changes, p.Warnings)
	}
	m := w.m
	w.m = &machine.Machine{Root: m.Root, Runner: away{}, Now: m.Now}
	defer func() { w.m = m }()
	if p := w.plan(fleet.Selection{Names: []string{"web"}}); len(p.Changes) != 0 || !strings.Contains(strings.Join(p.Warnings, "; "), "systemd does not answer: `podman pull "+w.ref("left:1")+" && systemctl restart web.service`") {
		w.Errorf("without systemd: %+v %q", p.Changes, p.Warnings)
	}
}

// away is a machine without programs.
type away struct{}

// Run implements machine.Runner.
func (away) Run(context.Context, machine.Command) (machine.Result, error) {
	return machine.Result{}, errors.Join(machine.ErrNotInstalled)
}

func generated(w quadlets) {
	w.pushed("gen:1", recipe{content: "1", program: idleProgram(w)})
	for name, how := range map[string]string{"made": "--new", "kept": ""} {
		w.sh("podman create --name " + name + " --network=none " + w.ref("gen:1") + "; cd /etc/systemd/system; podman generate systemd --files " + how + " --name " + name + "; systemctl daemon-reload; systemctl start container-" + name)
		w.Cleanup(func() {
			w.sh("systemctl stop container-" + name + "; rm /etc/systemd/system/container-" + name + ".service; podman rm -f -i " + name)
		})
	}
	kept := w.inspect("kept").ID
	w.push("gen:1", recipe{content: "2", program: idleProgram(w)})
	p := w.plan(fleet.Selection{All: true})
	if warned := strings.Join(p.Warnings, "; "); len(p.Changes) != 1 || !strings.Contains(warned, "made: its unit container-made.service is restarted") || !strings.Contains(warned, "kept is left as it is: the unit container-kept.service starts it") {
		w.Errorf("%+v %q", p.Changes, p.Warnings)
	}
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.inspect("made").Image != w.imageID(w.ref("gen:1")) || w.inspect("kept").ID != kept || w.sh("systemctl is-active container-made container-kept") != "active\nactive" {
		w.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}
