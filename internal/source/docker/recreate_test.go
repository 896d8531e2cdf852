package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/registry"
	"redflag/internal/source"
)

// workshop is a world whose containers are made anew.
type work = source.Work

type workshop struct {
	*world
	m *machine.Machine
	// jobs is the folder of the jobs on the machine.
	jobs string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	return newWorkshopOf(t, parts.Engine(t), New)
}

func newWorkshopOf(t *testing.T, engine parts.Daemon, of func(*registry.Client, Options) *Source) *workshop {
	t.Helper()
	w := newWorld(t, engine, of)
	w.source.Grace = 400 * time.Millisecond
	return &workshop{w, &machine.Machine{Root: "/", Runner: machine.Exec{}, Now: time.Now}, t.TempDir()}
}

// make runs a container of a person's making.
func (w *workshop) make(name string, config container.Config, host container.HostConfig, start bool) string {
	w.Helper()
	if host.NetworkMode == "" {
		host.NetworkMode = "none"
	}
	r, err := w.api.ContainerCreate(w.Context(), client.ContainerCreateOptions{Name: name, Config: &config, HostConfig: &host})
	if err != nil {
		w.Fatal(err)
	}
	if start {
		w.start(r.ID)
	}
	return r.ID
}

func (w *workshop) start(name string) {
	w.Helper()
	if _, err := w.api.ContainerStart(w.Context(), name, client.ContainerStartOptions{}); err != nil {
		w.Fatal(err)
	}
}

// web runs the container web of one image, and publishes a newer one under the tag.
func (w *workshop) web(tag string, newer recipe) (id string) {
	w.Helper()
	w.pushed(tag, recipe{content: "1", program: idleProgram(w), env: []string{"FROM_IMAGE=1"}, volume: "/data"})
	id = w.make("web", container.Config{Image: w.ref(tag), Labels: map[string]string{labelPost: `["/idle", "well"]`}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}}, true)
	if newer.program == nil {
		newer.program = idleProgram(w)
	}
	newer.content = "2"
	w.push(tag, newer)
	return id
}

func (w *workshop) plan(sel fleet.Selection) fleet.Plan {
	w.Helper()
	p, err := w.source.Plan(w.Context(), w.m, sel)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *workshop) work() source.Work {
	w.Helper()
	dir, err := os.MkdirTemp(w.m.Path(w.jobs), "job")
	if err != nil {
		w.Fatal(err)
	}
	dir = filepath.Join(w.jobs, filepath.Base(dir))
	log, err := os.Create(filepath.Join(w.m.Path(dir), source.LogFile))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { log.Close() })
	return source.Work{Dir: dir, Log: log}
}

func (w *workshop) log(k source.Work) string {
	data, _ := os.ReadFile(k.Log.Name())
	return string(data)
}

// carryOut fetches and applies.
func (w *workshop) carryOut(p fleet.Plan) (fleet.Outcome, source.Work) {
	w.Helper()
	k := w.work()
	if err := w.source.Fetch(w.Context(), w.m, p, k); err != nil {
		w.Fatalf("fetch: %v\n%s", err, w.log(k))
	}
	o, err := w.source.Apply(context.Background(), w.m, p, k)
	if err != nil {
		w.Fatalf("apply: %v\n%s", err, w.log(k))
	}
	return o, k
}

func (w *workshop) inspect(name string) container.InspectResponse {
	w.Helper()
	r, err := w.api.ContainerInspect(w.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return r.Container
}

// names gives all containers, with their states.
func (w *workshop) names() string {
	w.Helper()
	r, err := w.api.ContainerList(w.Context(), client.ContainerListOptions{All: true})
	if err != nil {
		w.Fatal(err)
	}
	var list []string
	for _, c := range r.Items {
		list = append(list, nameOf(c)+" "+string(c.State))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// put writes a file into a container's folder, and get reads it.
func (w *workshop) put(name, dir, file, content string) {
	w.Helper()
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	if err := errors.Join(t.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(content)), ModTime: time.Now()}), func() error { _, err := t.Write([]byte(content)); return err }(), t.Close()); err != nil {
		w.Fatal(err)
	}
	if _, err := w.api.CopyToContainer(w.Context(), name, client.CopyToContainerOptions{DestinationPath: dir, Content: &b}); err != nil {
		w.Fatal(err)
	}
}

func (w *workshop) get(name, file string) string {
	w.Helper()
	r, err := w.api.CopyFromContainer(w.Context(), name, client.CopyFromContainerOptions{SourcePath: file})
	if err != nil {
		return err.Error()
	}
	defer r.Content.Close()
	t := tar.NewReader(r.Content)
	if _, err := t.Next(); err != nil {
		return err.Error()
	}
	data, _ := io.ReadAll(t)
	return string(data)
}

func TestAContainerIsMadeAnewWithAllThatAPersonGaveIt(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("full:1", recipe{content: "1", program: idleProgram(t), env: []string{"VERSION=1", "COMMON=x"}, labels: map[string]string{"made": "1"}, volume: "/data", health: "ill", cmd: []string{"old-default"}})
	limit, yes := int64(64), true
	host := container.HostConfig{
		NetworkMode: "none", Binds: []string{t.TempDir() + ":/host:ro"}, RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3},
		CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"MKNOD"}, SecurityOpt: []string{"no-new-privileges"}, ReadonlyRootfs: false, ExtraHosts: []string{"db:10.0.0.1"},
		DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, ShmSize: 1 << 20, Sysctls: map[string]string{"net.ipv4.ip_forward": "0"}, Tmpfs: map[string]string{"/scratch": "size=64k"},
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}}, OomScoreAdj: 100, Init: &yes, CgroupnsMode: "host",
		MaskedPaths: []string{}, ReadonlyPaths: []string{}, GroupAdd: []string{"7"}, Annotations: nil,
		Mounts: []mount.Mount{
			{Type: mount.TypeVolume, Target: "/nameless"}, {Type: mount.TypeTmpfs, Target: "/fast", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 16}},
			{Type: mount.TypeVolume, Source: "named", Target: "/named", VolumeOptions: &mount.VolumeOptions{NoCopy: true}},
			{Type: mount.TypeBind, Source: t.TempDir(), Target: "/bound", ReadOnly: true, BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate}},
		},
		Resources: container.Resources{Memory: 64 << 20, PidsLimit: &limit, CPUShares: 512, Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 99, Hard: 100}}},
	}
	seconds := 7
	id := w.make("full", container.Config{
		Image: w.ref("full:1"), Env: []string{"MINE=yes", "COMMON=x"}, Labels: map[string]string{"mine": "kept", "com.docker.compose.image": "sha256:old"},
		StopSignal: "SIGTERM", StopTimeout: &seconds, Hostname: "my-host", WorkingDir: "/host",
		Tty: true, OpenStdin: true, Volumes: map[string]struct{}{"/asked": {}}, Healthcheck: &container.HealthConfig{Interval: 3 * time.Second},
	}, host, true)
	places := []string{"/data", "/nameless", "/asked", "/named"}
	for _, place := range places {
		w.put("full", place, "precious", "data of years")
	}
	before := w.inspect("full")
	w.push("full:1", recipe{content: "2", program: idleProgram(t), env: []string{"VERSION=2", "COMMON=x"}, labels: map[string]string{"made": "2"}, volume: "/data", health: "well", cmd: []string{"new-default"}})

	p := w.plan(fleet.Selection{All: true})
	if len(p.Changes) != 1 || p.Changes[0].Name != "full" || p.Changes[0].From == p.Changes[0].To {
		t.Fatalf("%+v", p.Changes)
	}
	o, k := w.carryOut(p)
	if !o.Succeeded() {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	after := w.inspect("full")
	if after.ID == id || after.Image == before.Image || !after.State.Running || w.names() != "full running" {
		t.Errorf("it was not made anew: %s", w.names())
	}
	for _, place := range places {
		if got := w.get("full", place+"/precious"); got != "data of years" {
			t.Errorf("the data in %s: %s", place, got)
		}
	}
	if h := after.Config.Healthcheck; h == nil || h.Interval != 3*time.Second || !slices.Equal(h.Test, []string{"CMD", "/idle", "well"}) || h.Retries != 2 {
		t.Errorf("the health check, of which the container has said but the interval: %+v", h)
	}
	wantEnv := []string{"MINE=yes", "VERSION=2", "COMMON=x"}
	slices.Sort(wantEnv)
	env := slices.DeleteFunc(slices.Clone(after.Config.Env), func(s string) bool { return strings.HasPrefix(s, "PATH=") })
	slices.Sort(env)
	if diff := cmp.Diff(wantEnv, env); diff != "" {
		t.Errorf("environment: %s", diff)
	}
	if diff := cmp.Diff(map[string]string{"mine": "kept", "made": "2", "com.docker.compose.image": after.Image}, after.Config.Labels); diff != "" {
		t.Errorf("labels: %s", diff)
	}
	if after.Config.Hostname != "my-host" || after.Config.WorkingDir != "/host" || *after.Config.StopTimeout != 7 || after.Config.Image != w.ref("full:1") || !slices.Equal(after.Config.Cmd, []string{"new-default"}) {
		t.Errorf("%+v", after.Config)
	}
	after.HostConfig.Binds = slices.DeleteFunc(after.HostConfig.Binds, func(b string) bool { return strings.HasSuffix(b, ":/data") || strings.HasSuffix(b, ":/asked") })
	before.HostConfig.Mounts[0].Source = after.HostConfig.Mounts[0].Source // which the engine had made up
	if diff := cmp.Diff(jsonOf(t, before.HostConfig), jsonOf(t, after.HostConfig)); diff != "" {
		t.Errorf("- before, + after:\n%s", diff)
	}
	if p := w.plan(fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("it is outdated after that: %v", p.Changes)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// steps are those of a recreation.
var steps = []string{"rename", "tag", "create", "stop", "start", "wait", "post"}

func TestWhicheverStepFailsTheOldContainerRunsAsBefore(t *testing.T) {
	w := newWorkshop(t)
	id := w.web("steps:1", recipe{})
	w.put("web", "/data", "precious", "data")
	before := w.inspect("web")
	for _, step := range steps {
		w.source.fail = func(name string) error {
			if name == step {
				return errors.New("it was made to fail")
			}
			return nil
		}
		o, k := w.carryOut(w.plan(fleet.Selection{All: true})) // it is still on offer after each
		w.source.fail = nil
		if o.Succeeded() || !o.RolledBack || !strings.Contains(o.Because, "made to fail") || len(o.HalfDone) > 0 || len(o.Missing) != 1 {
			t.Errorf("%s: %+v\n%s", step, o, w.log(k))
		}
		after := w.inspect("web")
		if after.ID != id || !after.State.Running || w.names() != "web running" || w.get("web", "/data/precious") != "data" || w.imageID(w.ref("steps:1")) != before.Image {
			t.Errorf("%s: %s\n%s", step, w.names(), w.log(k))
		}
		if diff := cmp.Diff(jsonOf(t, before.HostConfig), jsonOf(t, after.HostConfig)); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
}

// killed is what a step panics with, as if the process were ended there.
type killed struct{}

func TestKilledBetweenAnyTwoStepsItIsSettledAndNothingIsLost(t *testing.T) {
	w := newWorkshop(t)
	w.web("killed:1", recipe{})
	w.put("web", "/data", "precious", "data")
	for _, step := range append(slices.Clone(steps), "remove the old one") {
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
		for range 2 { // who settles may be killed too, and come again
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

func TestAnImageThatDoesNotRunLeavesTheOldOneRunning(t *testing.T) {
	w := newWorkshop(t)
	for want, newer := range map[string]recipe{
		": then I could not go on; put back as it was: web": {cmd: []string{"crash"}}, "unhealthy: I feel ill": {health: "ill"}, "wait: it ended": {program: []byte("no program")},
	} {
		id := w.web("bad:"+fmt.Sprint(len(want)), newer)
		o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
		if o.Succeeded() || !o.RolledBack || len(o.Stopped) > 0 || !strings.Contains(o.Because, want) || w.inspect("web").ID != id || w.names() != "web running" {
			t.Errorf("%s: %s: %+v\n%s", want, w.names(), o, w.log(k))
		}
		w.empty()
	}
	w.web("well:1", recipe{health: "well"})
	if o, k := w.carryOut(w.plan(fleet.Selection{All: true})); !o.Succeeded() || w.inspect("web").State.Health.Status != "healthy" {
		t.Errorf("a healthy one: %+v\n%s", o, w.log(k))
	}
}

func TestAContainerGoesBackToExactlyTheImageThatItRan(t *testing.T) {
	w := newWorkshop(t)
	w.web("undo:1", recipe{})
	before := w.inspect("web").Image
	p := w.plan(fleet.Selection{Names: []string{"web"}})
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.inspect("web").Image == before {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	sel, err := w.source.Undo(w.m, p, o, k)
	if err != nil {
		t.Fatal(err)
	}
	if o, k := w.carryOut(w.plan(sel)); !o.Succeeded() || w.inspect("web").Image != before || w.names() != "web running" {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}

func TestStoppedStaysStoppedPausedPausedAndOthersAreLeftAlone(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("many:1", recipe{content: "1", program: idleProgram(t)})
	ref := w.ref("many:1")
	none := container.HostConfig{}
	w.make("stopped", container.Config{Image: ref}, none, false)
	w.make("paused", container.Config{Image: ref}, none, true)
	if _, err := w.api.ContainerPause(t.Context(), "paused", client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	w.make("once", container.Config{Image: ref}, container.HostConfig{AutoRemove: true}, true)
	off := w.make("off", container.Config{Image: ref, Labels: map[string]string{labelUpdate: "off"}}, none, true)
	task := w.make("task", container.Config{Image: ref, Labels: map[string]string{labelSwarmTask: "x", labelSwarmService: "s"}}, none, true)
	w.make("vpn", container.Config{Image: ref}, none, true)
	w.make("behind", container.Config{Image: ref}, container.HostConfig{NetworkMode: container.NetworkMode("container:" + w.inspect("vpn").ID)}, true)
	w.push("many:1", recipe{content: "2", program: idleProgram(t)})
	p := w.plan(fleet.Selection{All: true})
	if warned := strings.Join(p.Warnings, "; "); !strings.Contains(warned, "off is left as it is") || !strings.Contains(warned, "task is left as it is") {
		t.Errorf("%q", p.Warnings)
	}
	o, k := w.carryOut(p)
	if !o.Succeeded() {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	if got := w.names(); got != "behind running, off running, once running, paused paused, stopped created, task running, vpn running" {
		t.Error(got)
	}
	if mode := w.inspect("behind").HostConfig.NetworkMode; string(mode) != "container:"+w.inspect("vpn").ID {
		t.Errorf("behind is in the network %s", mode)
	}
	if w.inspect("off").ID != off || w.inspect("task").ID != task || !w.inspect("once").HostConfig.AutoRemove {
		t.Error("others were changed")
	}
}
