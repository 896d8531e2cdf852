package docker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"redflag/internal/fleet"
	"redflag/internal/parts"
)

func newPodmanWorkshop(t *testing.T) *workshop {
	t.Helper()
	return newWorkshopOf(t, parts.Podman(t), NewPodman)
}

// podman runs Podman's command, as a person does.
func (w *workshop) podman(words ...string) string {
	w.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(w.Context()), "podman", append([]string{"--url=" + w.api.DaemonHost()}, words...)...).CombinedOutput()
	if err != nil {
		w.Fatalf("podman %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// described is what Podman says of a container, without what is another in each.
func (w *workshop) described(name string) fields {
	w.Helper()
	var c []fields
	if err := decode([]byte(w.podman("inspect", name)), &c); err != nil {
		w.Fatal(err)
	}
	return c[0]
}

func TestWhatPodmanMadeIsMadeAnewWithAllThatAPersonGaveIt(t *testing.T) {
	w := newPodmanWorkshop(t)
	w.pushed("full:1", recipe{content: "1", program: idleProgram(t), env: []string{"VERSION=1", "COMMON=x"}, labels: map[string]string{"made": "1"}, volume: "/data", cmd: []string{"old-default"}})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a word"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.podman("secret", "create", "word", secret)
	t.Cleanup(func() { w.empty(); w.podman("secret", "rm", "word") })
	t.Setenv("FROM_SHELL", "kept")
	w.podman("run", "-dit", "--name", "full", "--net=none", "-vnamed:/named", "-v", "/nameless", "--mount", "type=volume,dst=/mounted", "--restart", "on-failure:3", "-e", "MINE=yes", "-e", "FROM_SHELL",
		"--label", "mine=kept", "--secret", "word,target=/run/word", "--cap-add", "NET_ADMIN", "--hostname", "my-host", "--memory", "64m", "--umask", "0027", "--tz", "UTC", "--stop-timeout", "7",
		"--annotation", "a=b", "--tmpfs", "/scratch:size=64k", "--read-only", "--add-host", "db:10.0.0.1", "--ulimit=nofile=99:100", "--ulimit=nproc=64:64", "--pull", "missing", "--replace", "--log-opt", "max-size=1m",
		w.ref("full:1"), "with", "--words", "-x")
	before, id := w.described("full"), w.inspect("full").ID
	places := []string{"/data", "/nameless", "/mounted", "/named"}
	for _, place := range places {
		w.put("full", place, "precious", "data of years")
	}
	w.push("full:1", recipe{content: "2", program: idleProgram(t), env: []string{"VERSION=2", "COMMON=x"}, labels: map[string]string{"made": "2"}, volume: "/data", cmd: []string{"new-default"}})
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	if !o.Succeeded() {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	after, now := w.described("full"), w.inspect("full")
	if now.ID == id || !now.State.Running || w.names() != "full running" {
		t.Errorf("it was not made anew: %s", w.names())
	}
	for _, place := range places {
		if got := w.get("full", place+"/precious"); got != "data of years" {
			t.Errorf("the data in %s: %s", place, got)
		}
	}
	for _, v := range []string{"MINE=yes", "FROM_SHELL=kept", "VERSION=2"} {
		if !slices.Contains(now.Config.Env, v) {
			t.Errorf("%s is not in %q", v, now.Config.Env)
		}
	}
	if now.Config.Labels["made"] != "2" || now.Config.Labels["mine"] != "kept" || !slices.Equal(now.Config.Cmd, []string{"with", "--words", "-x"}) {
		t.Errorf("%+v", now.Config)
	}
	for _, name := range []string{"Secrets", "Umask", "Timezone", "StopTimeout", "Hostname", "Tty"} {
		if diff := cmp.Diff(objectOf(before["Config"])[name], objectOf(after["Config"])[name]); diff != "" || objectOf(after["Config"])[name] == nil {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if p := w.plan(fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("it is outdated after that: %v", p.Changes)
	}
}

// podmanWeb is [workshop.web] by Podman's command.
func (w *workshop) podmanWeb(tag string, newer recipe, options ...string) (id string) {
	w.Helper()
	w.pushed(tag, recipe{content: "1", program: idleProgram(w), env: []string{"FROM_IMAGE=1"}, volume: "/data"})
	id = w.podman(append(append([]string{"run", "-d", "--name=web", "--network=none"}, options...), w.ref(tag))...)
	if newer.program == nil {
		newer.program = idleProgram(w)
	}
	newer.content = "2"
	w.push(tag, newer)
	return id
}

func TestIfAStepFailsPodmansOldContainerRunsAsBefore(t *testing.T) {
	w := newPodmanWorkshop(t)
	id := w.podmanWeb("steps:1", recipe{}, "--label", labelPost+`=["/idle", "well"]`, "--restart=always")
	w.put("web", "/data", "precious", "data")
	before := w.inspect("web")
	for _, step := range []string{"create", "post"} {
		w.source.fail = func(name string) error {
			if name == step {
				return errors.New("it was made to fail")
			}
			return nil
		}
		o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
		w.source.fail = nil
		if o.Succeeded() || !o.RolledBack || !strings.Contains(o.Because, "made to fail") || len(o.HalfDone) > 0 || len(o.Missing) != 1 {
			t.Errorf("%s: %+v\n%s", step, o, w.log(k))
		}
		after := w.inspect("web")
		if after.ID != id || !after.State.Running || w.names() != "web running" || w.get("web", "/data/precious") != "data" || w.imageID(w.ref("steps:1")) != before.Image {
			t.Errorf("%s: %s\n%s", step, w.names(), w.log(k))
		}
	}
}

func TestKilledBetweenAnyTwoStepsPodmansContainerIsSettled(t *testing.T) {
	w := newPodmanWorkshop(t)
	w.podmanWeb("killed:1", recipe{}, "--rm", "--volume=kept:/data", "--label", labelPost+`=["/idle", "well"]`)
	w.put("web", "/data", "precious", "data")
	for _, step := range []string{"rename", "create", "stop", "start", "post", "remove the old one"} {
		p, k := w.plan(fleet.Selection{All: true}), w.work()
		if err := w.source.Fetch(t.Context(), w.m, p, k); err != nil {
			t.Fatal(err)
		}
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
				t.Errorf("%s: %+v, %v\n%s", step, o, err, w.log(k))
			}
		}
		if w.names() != "web running" || w.get("web", "/data/precious") != "data" {
			t.Errorf("%s: %s", step, w.names())
		}
	}
}

func TestWhatWasMadeOverPodmansAPIIsMadeAnewOverIt(t *testing.T) {
	w := newPodmanWorkshop(t)
	id := w.web("api:1", recipe{health: "well"})
	before := w.inspect("web")
	w.put("web", "/data", "precious", "data")
	p := w.plan(fleet.Selection{Names: []string{"web"}})
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.inspect("web").ID == id || w.get("web", "/data/precious") != "data" || w.names() != "web running" {
		t.Fatalf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
	sel, err := w.source.Undo(w.m, fleet.Plan{}, o, k)
	if err != nil {
		t.Fatal(err)
	}
	if o, k := w.carryOut(w.plan(sel)); !o.Succeeded() || w.inspect("web").Image != before.Image {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func TestOfPodsOnlyWhatAPersonPutThereIsMadeAnew(t *testing.T) {
	w := newPodmanWorkshop(t)
	w.pushed("pod:1", recipe{content: "1", program: idleProgram(t)})
	w.podman("pod", "create", "--name=shop", "--network=none")
	t.Cleanup(func() { w.podman("pod", "rm", "--all", "--force", "--time=0") })
	w.podman("run", "-d", "--pod=shop", "--name=web", w.ref("pod:1"))
	file := filepath.Join(t.TempDir(), "kube.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: kube}\nspec: {hostNetwork: true, containers: [{name: web, image: "+w.ref("pod:1")+"}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.podman("play", "kube", file)
	w.push("pod:1", recipe{content: "2", program: idleProgram(t)})
	pod, kube := w.described("web")["Pod"], w.inspect("kube-web").ID
	p := w.plan(fleet.Selection{All: true})
	if warned := strings.Join(p.Warnings, "; "); len(p.Changes) != 1 || !strings.Contains(warned, "kube-web is left as it is: podman kube play made it") {
		t.Errorf("%+v, %q", p.Changes, p.Warnings)
	}
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.described("web")["Pod"] != pod || !w.inspect("web").State.Running || w.inspect("kube-web").ID != kube {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func TestAnImageThatDoesNotRunLeavesPodmansOldOneRunning(t *testing.T) {
	w := newPodmanWorkshop(t)
	for want, newer := range map[string]recipe{": then I could not go on; put back as it was: web": {cmd: []string{"crash"}}, "unhealthy: its check says nothing": {health: "ill"}} {
		id := w.podmanWeb("bad:1", newer, "--restart=always")
		o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
		if o.Succeeded() || !o.RolledBack || !strings.Contains(o.Because, want) || w.inspect("web").ID != id || w.names() != "web running" {
			t.Errorf("%s: %s: %+v\n%s", want, w.names(), o, w.log(k))
		}
		w.empty()
	}
}

func TestPodmanGoesBackToAnImageThatHasLostItsName(t *testing.T) {
	w := newPodmanWorkshop(t)
	both := func(content string) any {
		return index(t, []recipe{{content: content, program: idleProgram(t)}, {content: content, platform: "linux/arm64"}})
	}
	first := w.pushed("lost:1", both("1"))
	w.podman("run", "-d", "--name=web", "--network=none", w.ref("lost:1"))
	before := w.inspect("web").Image
	w.push("lost:1", both("2"))
	p := w.plan(fleet.Selection{All: true})
	o, k := w.carryOut(p)
	if !o.Succeeded() {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	for _, digest := range slices.Compact([]string{first, p.Changes[0].From}) {
		unpublish(w, w.ref("lost:1"), digest)
	}
	sel, err := w.source.Undo(w.m, p, o, k)
	if err != nil {
		t.Fatal(err)
	}
	p = w.plan(sel)
	if warned := strings.Join(p.Warnings, "; "); strings.Contains(warned, "fetched again") {
		t.Error(warned)
	}
	if o, k := w.carryOut(p); !o.Succeeded() || w.inspect("web").Image != before {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func TestComposeMakesItsServicesAnewOnPodmanToo(t *testing.T) {
	w := newPodmanWorkshop(t)
	w.pushed("compose:1", recipe{content: "1", program: idleProgram(t)})
	p := newProject(w, classicCompose(t), map[string]string{"a.yml": "services: {app: {image: '" + w.ref("compose:1") + "', network_mode: none, volumes: ['data:/data']}}\nvolumes: {data: {}}\n"})
	p.up("a.yml")
	name := p.nameLike("app")
	w.put(name, "/data", "precious", "data")
	before := w.inspect(name)
	w.push("compose:1", recipe{content: "2", program: idleProgram(t)})
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	after := w.inspect(name)
	if !o.Succeeded() || after.Image == before.Image || !runsNow(after) || w.get(name, "/data/precious") != "data" || !strings.Contains(w.log(k), name+": compose") {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func TestACommandThatMeansSomethingElseByNowIsNotFollowed(t *testing.T) {
	w := newPodmanWorkshop(t)
	file := filepath.Join(t.TempDir(), "env")
	for _, text := range []string{"MODE=kept\n", "MODE=edited\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if w.names() == "" {
			w.podmanWeb("means:1", recipe{}, "--env-file", file)
		}
	}
	before := w.inspect("web").ID
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	if o.Succeeded() || !o.RolledBack || !strings.Contains(o.Because, "not like the old one in the variable MODE") || w.inspect("web").ID != before || w.names() != "web running" || strings.Contains(w.log(k), "web: stop") {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}
