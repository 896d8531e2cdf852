package docker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// remake is how far one container is. It is written down before each step, so that whoever comes after us knows what there is to put back.
type remake struct {
	Change fleet.Change `json:"change"`
	Host   string       `json:"host"` // the engine
	Old    string       `json:"old"`  // its ID
	Aside  string       `json:"aside"`
	New    string       `json:"new"`
	// Spec makes the old container again, should the engine have removed it (--rm).
	Spec   json.RawMessage `json:"spec"`
	Policy json.RawMessage `json:"policy"` // its restart policy
	Runs   bool            `json:"runs"`
	Paused bool            `json:"paused"`
	// OldImage is the ID of the image that the tag meant.
	OldImage string `json:"old_image"`
	Image    string `json:"image"` // the new image's ID
	State    string `json:"state"`
	Because  string `json:"because"`
}

// States of a remake.
const (
	remakeBegun = "begun"
	remakeDone  = "done"
	remakeBack  = "put back"
)

// asideSuffix marks a container that was put aside for the one that takes its name.
const asideSuffix = ".redflag-old-"

const remakesFile = "containers.json"

const (
	// slow is how long an engine may take for one step of a recreation: creating and starting took over 30 s on small machines.
	slow = 10 * time.Minute
	// grace is how long a new container must run before it is believed to.
	grace = 10 * time.Second
	// maxHealth bounds how long it is waited for a container to become healthy.
	maxHealth = 15 * time.Minute
)

// recreation carries out the container changes of a plan.
type recreation struct {
	*Source
	m       *machine.Machine
	w       source.Work
	engines []*engine
	list    []*remake
	renamed map[string]string // by the old ID
}

// Apply implements source.Installer. Each container's successor is created before it is touched, and if that one does not come to run as it should, the
// old one is put back as it was. After the first that fails no other is begun.
func (s *Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	engines, err := s.engines(ctx, m)
	defer closeAll(engines)
	if err != nil {
		return fleet.Outcome{}, err
	}
	r := &recreation{Source: s, m: m, w: w, engines: engines, renamed: map[string]string{}}
	var failed error
	for _, c := range r.inOrder(ctx, p.Changes) {
		if failed = r.one(ctx, c); failed != nil {
			break
		}
	}
	return r.outcome(p, failed), nil
}

// inOrder puts those that others live in before those that live in them.
func (r *recreation) inOrder(ctx context.Context, changes []fleet.Change) []fleet.Change {
	d := &drafting{ctx: ctx, plan: &fleet.Plan{Changes: changes}, engines: r.engines}
	depth := func(name string) int {
		n := 0
		for ; n < len(changes); n++ {
			_, c, err := d.find(name)
			if err != nil {
				break
			}
			if name = d.leansOn(c); name == "" {
				break
			}
		}
		return n
	}
	list := slices.Clone(changes)
	slices.SortStableFunc(list, func(a, b fleet.Change) int { return cmp.Compare(depth(a.Name), depth(b.Name)) })
	return list
}

// one makes one container anew.
func (r *recreation) one(ctx context.Context, c fleet.Change) error {
	d := &drafting{ctx: ctx, engines: r.engines}
	e, old, err := d.find(c.Name)
	if err != nil {
		return err
	}
	k, next, err := r.prepare(ctx, e, old, c)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	r.list = append(r.list, k)
	if err := r.note(); err != nil {
		return err
	}
	r.say("%s: from %s to %s", c.Name, c.From, c.To)
	err = r.replace(ctx, e, k, next)
	if err == nil {
		k.State = remakeDone
		r.renamed[k.Old] = k.New
		return r.note()
	}
	r.say("%s: %v: the old one is put back", c.Name, err)
	k.Because = fleet.Plain(err.Error())
	if back := r.putBack(ctx, e, k); back != nil {
		return errors.Join(fmt.Errorf("%s: %w", c.Name, err), fmt.Errorf("%s could not be put back: %w", c.Name, back))
	}
	k.State = remakeBack
	return errors.Join(&fleet.Unknown{Because: fmt.Sprintf("the new %s does not run as it should: %s; the old one runs again", c.Name, k.Because), Remedy: "see the log, and the notes of the image"}, r.note())
}

// prepare reads all that is needed, and changes nothing.
func (r *recreation) prepare(ctx context.Context, e *engine, old container.InspectResponse, c fleet.Change) (*remake, spec, error) {
	id, err := e.imageAt(ctx, c)
	if err != nil {
		return nil, spec{}, err
	}
	raw, err := e.api.ContainerInspect(ctx, old.ID, client.ContainerInspectOptions{})
	if err != nil {
		return nil, spec{}, err
	}
	var image bytes.Buffer
	if _, err := e.api.ImageInspect(ctx, old.Image, client.ImageInspectWithRawResponse(&image)); err != nil {
		r.say("%s: the image that it runs is gone: what it had from it is kept", c.Name)
		image.Reset()
	}
	next, err := specOf(raw.Raw, image.Bytes(), c.Image, id, r.renamed)
	if err != nil {
		return nil, spec{}, err
	}
	again, err := specOf(raw.Raw, nil, old.Config.Image, old.Image, nil)
	if err != nil {
		return nil, spec{}, err
	}
	saved, err := json.Marshal(again)
	if err != nil {
		return nil, spec{}, err
	}
	policy, err := json.Marshal(old.HostConfig.RestartPolicy)
	if err != nil {
		return nil, spec{}, err
	}
	k := &remake{
		Change: c, Host: e.host, Old: old.ID, Aside: c.Name + asideSuffix + old.ID[:shortID], Spec: saved, Policy: policy, Image: id, OldImage: old.Image, State: remakeBegun,
	}
	if s := old.State; s != nil {
		k.Runs, k.Paused = s.Running || s.Restarting, s.Paused
	}
	return k, next, nil
}

// replace puts the new container in the place of the old one, and removes that when the new one runs.
func (r *recreation) replace(ctx context.Context, e *engine, k *remake, next spec) error {
	name := k.Change.Name
	if err := r.step(ctx, "rename", func(ctx context.Context) error {
		_, err := e.api.ContainerRename(ctx, k.Old, client.ContainerRenameOptions{NewName: k.Aside})
		return err
	}); err != nil {
		return err
	}
	if err := r.tag(ctx, e, k.Image, k.Change.Image); err != nil {
		return err
	}
	if err := r.step(ctx, "create", func(ctx context.Context) (err error) {
		k.New, err = e.create(ctx, name, next)
		return errors.Join(err, r.note())
	}); err != nil {
		return err
	}
	if k.Runs {
		if err := r.swap(ctx, e, k); err != nil {
			return err
		}
	}
	return r.step(ctx, "remove the old one", func(ctx context.Context) error {
		_, err := e.api.ContainerRemove(ctx, k.Old, client.ContainerRemoveOptions{})
		if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
			return nil // it was to be removed when it stops (--rm)
		}
		return err
	})
}

// swap stops the old container and starts the new one, and waits until it runs.
func (r *recreation) swap(ctx context.Context, e *engine, k *remake) error {
	if err := r.step(ctx, "stop", func(ctx context.Context) error { return e.stop(ctx, k.Old) }); err != nil {
		return err
	}
	if err := r.step(ctx, "start", func(ctx context.Context) error {
		_, err := e.api.ContainerStart(ctx, k.New, client.ContainerStartOptions{})
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "wait", func(ctx context.Context) error { return e.settled(ctx, k.New, r.grace()) }); err != nil {
		return err
	}
	if !k.Paused {
		return nil
	}
	return r.step(ctx, "pause", func(ctx context.Context) error {
		_, err := e.api.ContainerPause(ctx, k.New, client.ContainerPauseOptions{})
		return err
	})
}

func (r *recreation) grace() time.Duration {
	if r.Grace > 0 {
		return r.Grace
	}
	return grace
}

// step does one step, with the time that an engine may take for one. A test may make each fail in turn.
func (r *recreation) step(ctx context.Context, name string, do func(context.Context) error) error {
	r.say("  %s", name)
	if r.fail != nil {
		if err := r.fail(name); err != nil {
			return err
		}
	}
	limit := slow
	if name == "wait" {
		limit = maxHealth
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (r *recreation) tag(ctx context.Context, e *engine, id, ref string) error {
	return r.step(ctx, "tag", func(ctx context.Context) error {
		_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: ref})
		return err
	})
}

// stop stops a container, which must not be started again by its restart policy meanwhile.
func (e *engine) stop(ctx context.Context, id string) error {
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	if r.Container.HostConfig != nil && !r.Container.HostConfig.AutoRemove {
		if _, err := e.api.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyDisabled}}); err != nil {
			return err
		}
	}
	if r.Container.State != nil && r.Container.State.Paused {
		if _, err := e.api.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{}); err != nil {
			return err
		}
	}
	_, err = e.api.ContainerStop(ctx, id, client.ContainerStopOptions{})
	return err
}

// create makes a container, and connects it with the networks that do not go into one request.
func (e *engine) create(ctx context.Context, name string, s spec) (id string, err error) {
	_, more := s.first()
	body, err := s.body()
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	if err := e.post(ctx, "/containers/create?name="+url.QueryEscape(name), body, &made); err != nil {
		return "", err
	}
	for _, network := range more {
		body, err := json.Marshal(fields{"Container": made.ID, "EndpointConfig": s.Networks[network]})
		if err != nil {
			return made.ID, err
		}
		if err := e.post(ctx, "/networks/"+url.PathEscape(network)+"/connect", body, nil); err != nil {
			return made.ID, err
		}
	}
	return made.ID, nil
}

// post sends JSON to the engine as it is: a typed client would drop the fields that it does not know.
func (e *engine) post(ctx context.Context, at string, body []byte, into any) error {
	address := "http://engine"
	if rest, ok := strings.CutPrefix(e.host, "tcp://"); ok {
		address = e.scheme + "://" + rest
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/v"+e.api.ClientVersion()+at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		var said struct{ Message string }
		_ = json.Unmarshal(data, &said) // else the status is all that is known
		return errors.New(cmp.Or(fleet.Plain(said.Message), resp.Status))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}

// settled waits until a container has run for a while, and is healthy where it says so.
func (e *engine) settled(ctx context.Context, id string, least time.Duration) error {
	began := time.Now()
	for {
		r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		s := r.Container.State
		switch {
		case s == nil:
			return errors.New("the engine does not say how it is")
		case s.Running && r.Container.RestartCount > 0:
			return errors.New("it ended, and its restart policy started it again")
		case !s.Running || s.Restarting:
			return fmt.Errorf("it ended with code %d %s", s.ExitCode, fleet.Plain(s.Error))
		case s.Health != nil && s.Health.Status == container.Unhealthy:
			return fmt.Errorf("it is unhealthy: %s", lastWord(s.Health))
		case (s.Health == nil || s.Health.Status == container.Healthy || s.Health.Status == container.NoHealthcheck) && time.Since(began) >= least:
			return nil
		}
		select {
		case <-time.After(min(least/4+50*time.Millisecond, time.Second)):
		case <-ctx.Done():
			return fmt.Errorf("it did not become healthy: %w", ctx.Err())
		}
	}
}

func lastWord(h *container.Health) string {
	if len(h.Log) == 0 {
		return "its check says nothing"
	}
	return fleet.Plain(strings.TrimSpace(h.Log[len(h.Log)-1].Output))
}

func (r *recreation) say(format string, args ...any) {
	if r.w.Log != nil {
		fmt.Fprintf(r.w.Log, format+"\n", args...)
	}
}

// note writes down how far all containers are.
func (r *recreation) note() error {
	data, err := json.Marshal(r.list)
	if err != nil {
		return err
	}
	return machine.WriteFile(r.m.Path(path.Join(r.w.Dir, remakesFile)), data, 0o600)
}
