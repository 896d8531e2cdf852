package docker

import (
	"context"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/registry"
)

// world is an engine and a registry, both real, and what a test has done to them.
type world struct {
	testing.TB
	api    *client.Client
	source *Source
	reg    *registry.Client
	host   string // of the registry
	scene  string // the scenario that is being made
}

// newWorld gives an engine with no containers but the test's.
func newWorld(t testing.TB, engine parts.Daemon, make func(*registry.Client, Options) *Source) *world {
	t.Helper()
	reg := registry.New(registry.Config{TagLifetime: -1, CacheDir: t.TempDir()})
	t.Cleanup(reg.Close)
	w := &world{TB: t, api: engine.Client, reg: reg, host: parts.Registry(t)}
	w.source = make(reg, Options{Host: engine.Host, Getenv: noEnv})
	t.Cleanup(w.empty)
	return w
}

// empty removes every container and image: engines are shared by the tests of a process.
func (w *world) empty() {
	ctx := context.Background() // the test's own has ended
	list, err := w.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range list.Items {
		if _, err := w.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
			w.Error(err)
		}
	}
	images, err := w.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		w.Fatal(err)
	}
	for _, i := range images.Items {
		if _, err := w.api.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true}); err != nil && !errdefs.IsNotFound(err) {
			w.Error(err)
		}
	}
}

// ref names a tag in the test's registry.
func (w *world) ref(name string) string { return w.host + "/t/" + name }

func (w *world) push(name string, what any) string {
	w.Helper()
	return push(w, w.ref(name), what)
}

// pull lets the engine pull, for a platform where one is given.
func (w *world) pull(ref string, platform ...string) {
	w.Helper()
	opt := client.ImagePullOptions{}
	for _, p := range platform {
		v := recipe{platform: p}.v1Platform(w)
		opt.Platforms = append(opt.Platforms, ocispec.Platform{OS: v.OS, Architecture: v.Architecture, Variant: v.Variant})
	}
	r, err := w.api.ImagePull(w.Context(), ref, opt)
	if err == nil {
		err = r.Wait(w.Context())
	}
	if err != nil {
		w.Fatalf("pull %s: %v", ref, err)
	}
}

// pushed pushes and pulls.
func (w *world) pushed(name string, what any, platform ...string) string {
	w.Helper()
	d := w.push(name, what)
	w.pull(w.ref(name), platform...)
	return d
}

// create makes a container that is not started.
func (w *world) create(name, ref string, labels ...string) string {
	w.Helper()
	config := &container.Config{Image: ref, Labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		config.Labels[labels[i]] = labels[i+1]
	}
	r, err := w.api.ContainerCreate(w.Context(), client.ContainerCreateOptions{
		Name: name, Config: config, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		w.Fatalf("create %s from %s: %v", name, ref, err)
	}
	return r.ID
}

// run makes a container and starts it.
func (w *world) run(name, ref string) {
	w.Helper()
	if _, err := w.api.ContainerStart(w.Context(), w.create(name, ref), client.ContainerStartOptions{}); err != nil {
		w.Fatalf("start %s: %v", name, err)
	}
}

func (w *world) tag(from, to string) {
	w.Helper()
	if _, err := w.api.ImageTag(w.Context(), client.ImageTagOptions{Source: from, Target: to}); err != nil {
		w.Fatalf("tag %s as %s: %v", from, to, err)
	}
}

// imported makes an image that no registry has.
func (w *world) imported(ref, content string) {
	w.Helper()
	r, err := w.api.ImageImport(w.Context(), client.ImageImportSource{
		Source: strings.NewReader(string(archiveOf(w, recipe{content: content}))), SourceName: "-",
	}, ref, client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/idle"]`}})
	if err != nil {
		w.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || strings.Contains(string(text), "rror") {
		w.Fatalf("import %s: %v: %s", ref, err, text)
	}
}

func (w *world) imageID(ref string) string {
	w.Helper()
	r, err := w.api.ImageInspect(w.Context(), ref)
	if err != nil {
		w.Fatal(err)
	}
	return r.ID
}

// scan looks, and holds the finding to what every one of them promises.
func (w *world) scan() (fleet.Finding, error) {
	w.Helper()
	f, err := w.source.Scan(w.Context(), machine.Local())
	uncertain := slices.ContainsFunc(f.Checks, func(c fleet.Check) bool { return c.Answer == fleet.CannotAnswer })
	if uncertain && err == nil {
		w.Error("an answer is unknown, and the finding is whole")
	}
	for _, c := range f.Checks {
		if c.Answer == fleet.CannotAnswer && (c.Because == "" || c.Remedy == "") {
			w.Errorf("%s is unknown because %q, and the remedy is %q", c.Name, c.Because, c.Remedy)
		}
		outdated := slices.ContainsFunc(f.Updates, func(u fleet.Update) bool {
			return u.Name == c.Name && u.Kind != fleet.Version && slices.Equal(u.Containers, c.Containers)
		})
		if outdated != (c.Answer == fleet.Outdated) {
			w.Errorf("%s %v: answer %s, and an update is %v", c.Name, c.Containers, c.Answer, outdated)
		}
	}
	return f, err
}

// outcome is what a person reads of one container.
type outcome struct {
	Answer  fleet.Answer
	Kinds   string // of its updates: "rebuild recreate"
	Because string // a part of it
}

// outcomes gives for each container what the finding says.
func outcomes(t testing.TB, f fleet.Finding) map[string]outcome {
	t.Helper()
	all := map[string]outcome{}
	for _, c := range f.Checks {
		for _, name := range c.Containers {
			if _, twice := all[name]; twice {
				t.Errorf("%s is in two checks", name)
			}
			var kinds []string
			for _, u := range f.Updates {
				if slices.Contains(u.Containers, name) {
					kinds = append(kinds, string(u.Kind))
				}
			}
			slices.Sort(kinds)
			all[name] = outcome{c.Answer, strings.Join(kinds, " "), c.Because}
		}
	}
	return all
}

// compareOutcomes holds a finding to what is expected of each container; of Because a part is given.
func compareOutcomes(t testing.TB, f fleet.Finding, want map[string]outcome) {
	t.Helper()
	got := outcomes(t, f)
	for name, o := range want {
		g := got[name]
		if strings.Contains(g.Because, o.Because) && (o.Because != "" || g.Because == "") {
			o.Because = g.Because
			want[name] = o
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// updateOf gives the one update of a kind for a container.
func updateOf(t testing.TB, f fleet.Finding, name string, kind fleet.Kind) fleet.Update {
	t.Helper()
	var found []fleet.Update
	for _, u := range f.Updates {
		if u.Kind == kind && slices.Contains(u.Containers, name) {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d updates of kind %s: %s", name, len(found), kind, fmt.Sprint(found))
	}
	return found[0]
}

// remove deletes an image by force.
func (w *world) remove(ref string) {
	w.Helper()
	if _, err := w.api.ImageRemove(w.Context(), ref, client.ImageRemoveOptions{Force: true}); err != nil {
		w.Fatal(err)
	}
}

// quiet is a log that nobody reads.
var quiet = log.New(io.Discard, "", 0)
