package docker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

// project is a Compose project: files in a folder, and what Compose has made of them.
type project struct {
	*workshop
	dir     string
	program []string
}

// newProject writes files and lets Compose bring them up.
func newProject(w *workshop, program []string, files map[string]string) *project {
	w.Helper()
	p := &project{w, w.TempDir(), program}
	for name, text := range files {
		p.write(name, text)
	}
	return p
}

func (p *project) write(name, text string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

// up does what a person does.
func (p *project) up(files ...string) string {
	p.Helper()
	args := p.program[1:]
	for _, f := range files {
		args = append(args, "--file="+filepath.Join(p.dir, f))
	}
	cmd := exec.CommandContext(p.Context(), p.program[0], append(args, "--project-name=shop", "up", "--detach")...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+p.source.host)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.Fatalf("compose: %v\n%s", err, out)
	}
	return string(out)
}

// shop is a project of two services in two files: the app needs the database, whose data are in a volume.
func shop(w *workshop, program []string, tag, volume string) *project {
	w.Helper()
	w.pushed("db:"+tag, recipe{content: "db 1", program: idleProgram(w), volume: "/data"})
	w.pushed("app:"+tag, recipe{content: "app 1", program: idleProgram(w)})
	p := newProject(w, program, map[string]string{
		"a.yml": `
services:
  db:
    image: ` + w.ref("db:"+tag) + `
    network_mode: none
    restart: always
  app:
    image: ` + w.ref("app:"+tag) + `
    depends_on: [db]
`, "b.yml": `
services:
  db:
    environment: {PLACE: here}
    labels: {redflag.post: '["/idle", "well"]', redflag.order: "1"}
    volumes: ["` + volume + `"]
volumes: {data: {}}
`})
	p.up("a.yml", "b.yml")
	w.push("db:"+tag, recipe{content: "db 2", program: idleProgram(w), volume: "/data", env: []string{"NEW=1"}})
	w.push("app:"+tag, recipe{content: "app 2", program: idleProgram(w)})
	return p
}

// classicCompose is Debian's.
func classicCompose(t testing.TB) []string {
	t.Helper()
	parts.Need(t, "docker-compose")
	return []string{"docker-compose"}
}

// nameLike gives the name of the container of a service: shop_db_1, or shop-db-1.
func (p *project) nameLike(service string) string {
	p.Helper()
	for _, c := range strings.Split(p.names(), ", ") {
		if strings.HasPrefix(c, "shop") && strings.Contains(c, service) {
			name, _, _ := strings.Cut(c, " ")
			return name
		}
	}
	p.Fatalf("no container of %s: %s", service, p.names())
	return ""
}

func TestComposeMakesItsServicesAnewFromTheApprovedImages(t *testing.T) {
	w := newWorkshop(t)
	p := shop(w, classicCompose(t), "anew", "data:/data")
	db := p.nameLike("db")
	before := w.inspect(db)
	w.put(db, "/data", "precious", "data")
	plan := w.plan(fleet.Selection{All: true})
	if len(plan.Changes) != 2 || !strings.Contains(strings.Join(plan.Warnings, "; "), "in this order, and all or none: shop_app_1, shop_db_1") {
		t.Errorf("%+v, %q", plan.Changes, plan.Warnings)
	}
	o, k := w.carryOut(plan)
	if !o.Succeeded() || !strings.Contains(w.log(k), "compose") {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	after := w.inspect(db)
	if after.Image == before.Image || after.ID == before.ID || w.get(db, "/data/precious") != "data" || !after.State.Running || after.HostConfig.RestartPolicy.Name != "always" {
		t.Errorf("%s: %+v\n%s", w.names(), after.State, w.log(k))
	}
	if env := strings.Join(after.Config.Env, " "); !strings.Contains(env, "NEW=1") || !strings.Contains(env, "PLACE=here") {
		t.Error(env)
	}
	app := w.inspect(p.nameLike("app")).ID
	if said := p.up("a.yml", "b.yml"); w.inspect(db).ID != after.ID || w.inspect(p.nameLike("app")).ID != app {
		t.Errorf("compose makes it anew once more: %s", said)
	}
	sel, err := w.source.Undo(w.m, plan, o, k)
	if err != nil {
		t.Fatal(err)
	}
	if o, k := w.carryOut(w.plan(sel)); !o.Succeeded() || w.inspect(db).Image != before.Image || w.get(db, "/data/precious") != "data" {
		t.Errorf("undo: %+v\n%s", o, w.log(k))
	}
}

// solo is a project of one service.
func solo(w *workshop, program []string, tag string) *project {
	w.Helper()
	w.pushed("solo:"+tag, recipe{content: "1", program: idleProgram(w), volume: "/data"})
	p := newProject(w, program, map[string]string{"a.yml": `
services:
  web:
    image: ` + w.ref("solo:"+tag) + `
    network_mode: none
    restart: always
    labels: {redflag.post: '["/idle", "well"]'}
    volumes: ["data:/data"]
volumes: {data: {}}
`})
	p.up("a.yml")
	w.push("solo:"+tag, recipe{content: "2", program: idleProgram(w), volume: "/data"})
	return p
}

func TestWhereverComposeFailsOrIsInterruptedTheOldContainerRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("Compose is asked many times")
	}
	w := newWorkshop(t)
	p := solo(w, classicCompose(t), "1")
	web := p.nameLike("web")
	before := w.inspect(web)
	w.put(web, "/data", "precious", "data")
	for _, c := range []struct{ step, way string }{
		{"compose", "fails"}, {"post", "fails"}, {"compose", "killed"}, {"note", "killed"},
	} {
		plan, k := w.plan(fleet.Selection{All: true}), w.work()
		if err := w.source.Fetch(t.Context(), w.m, plan, k); err != nil {
			t.Fatal(err)
		}
		w.source.fail = func(name string) error {
			switch {
			case name != c.step:
				return nil
			case c.way == "fails":
				return errors.New("it was made to fail")
			}
			panic(killed{})
		}
		o, err := w.applied(plan, k)
		w.source.fail = nil
		if c.way == "killed" {
			o, err = w.source.Settle(context.Background(), w.m, plan, k)
		}
		if err != nil || !o.RolledBack || len(o.Missing) != 1 || len(o.Stopped)+len(o.HalfDone) > 0 {
			t.Errorf("%v: %+v, %v\n%s", c, o, err, w.log(k))
		}
		after := w.inspect(web)
		if after.Image != before.Image || !after.State.Running || after.HostConfig.RestartPolicy.Name != "always" || w.get(web, "/data/precious") != "data" || w.names() != web+" running" {
			t.Errorf("%v: %s, %+v\n%s", c, w.names(), after.State, w.log(k))
		}
		if !strings.Contains(w.log(k), "compose") {
			t.Errorf("%v: Compose was not asked: %s", c, w.log(k))
		}
	}
}

func TestComposeIsNotAskedWhereItWouldLoseAVolumeOrItsFilesSayOtherwise(t *testing.T) {
	w := newWorkshop(t)
	p := shop(w, classicCompose(t), "nameless", "/data")
	db := p.nameLike("db")
	w.put(db, "/data", "precious", "data")
	plan := w.plan(fleet.Selection{All: true})
	if said := strings.Join(plan.Warnings, "; "); !strings.Contains(said, "Compose 1 may lose") {
		t.Error(said)
	}
	o, k := w.carryOut(plan)
	if !o.Succeeded() || w.get(db, "/data/precious") != "data" {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	made := w.inspect(db).ID
	if said := p.up("a.yml", "b.yml"); w.inspect(db).ID != made || w.get(db, "/data/precious") != "data" {
		t.Errorf("compose makes it anew once more: %s", said)
	}
	// What the files say is believed only as long as it is what runs.
	w.push("db:nameless", recipe{content: "db 3", program: idleProgram(w), volume: "/data"})
	p.write("b.yml", "services: {db: {environment: {PLACE: elsewhere}}}")
	if said := strings.Join(w.plan(fleet.Selection{Names: []string{db}}).Warnings, "; "); !strings.Contains(said, db+": Compose is not asked") || !strings.Contains(said, "have changed since") {
		t.Error(said)
	}
	if err := os.Remove(filepath.Join(p.dir, "b.yml")); err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(w.plan(fleet.Selection{Names: []string{db}}).Warnings, "; "); !strings.Contains(said, "b.yml cannot be read here") {
		t.Error(said)
	}
}

// applied applies a plan until a step panics.
func (w *workshop) applied(p fleet.Plan, k work) (o fleet.Outcome, err error) {
	defer func() {
		if v := recover(); v != nil && v != (killed{}) {
			panic(v)
		}
	}()
	return w.source.Apply(context.Background(), w.m, p, k)
}

func TestWhatComposeCopiedIntoAContainerIsNotLost(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("copied:1", recipe{content: "1", program: idleProgram(t)})
	labels := map[string]string{labelProject: "p", labelService: "s", labelConfigFiles: "/nowhere.yml", labelWorkingDir: "/"}
	for name, into := range map[string]string{"secret": "/run/secrets", "config": "/"} {
		w.make(name, container.Config{Image: w.ref("copied:1"), Labels: labels}, container.HostConfig{}, false)
		w.put(name, "/", "run/secrets/", "")
		w.put(name, into, "copied", "what stands in the compose file")
		w.start(name)
	}
	w.make("written", container.Config{Image: w.ref("copied:1"), Labels: labels}, container.HostConfig{}, true)
	w.push("copied:1", recipe{content: "2", program: idleProgram(t)})
	p := w.plan(fleet.Selection{All: true})
	if len(p.Changes) != 1 || p.Changes[0].Name != "written" {
		t.Errorf("%+v", p.Changes)
	}
	for _, want := range []string{"secret is left as it is: Compose copied /run/secrets/copied into it", "config is left as it is: Compose copied /copied into it"} {
		if said := strings.Join(p.Warnings, "; "); !strings.Contains(said, want) {
			t.Errorf("%s: %s", want, said)
		}
	}
}

func TestLabelsOfAnImageDoNotNameFilesForCompose(t *testing.T) {
	w := newWorkshop(t)
	labels := map[string]string{labelProject: "p", labelService: "s", labelConfigFiles: "evil.yml", labelWorkingDir: w.TempDir(), labelConfigHash: "x"}
	w.pushed("evil:1", recipe{content: "1", program: idleProgram(t), labels: labels})
	w.make("evil", container.Config{Image: w.ref("evil:1")}, container.HostConfig{}, false)
	if err := os.WriteFile(filepath.Join(labels[labelWorkingDir], "evil.yml"), []byte("services: {s: {image: x}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.push("evil:1", recipe{content: "2", program: idleProgram(t), labels: labels})
	if said := strings.Join(w.plan(fleet.Selection{All: true}).Warnings, "; "); !strings.Contains(said, "its image, and not Compose, has the label "+labelConfigFiles) {
		t.Error(said)
	}
}
