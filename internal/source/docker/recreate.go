package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// remake is how far one container is. It is written down before each step, so that whoever comes after us knows what there is to put back.
type remake struct {
	Change fleet.Change `json:"change"`
	Host   string       `json:"host"` // the engine
	Set    int          `json:"set"`  // those of one number are carried out together, or none of them
	Old    string       `json:"old"`  // its ID
	Aside  string       `json:"aside"`
	New    string       `json:"new"`
	// Spec makes the old container again, should the engine have removed it (--rm), or Compose.
	Spec   json.RawMessage `json:"spec"`
	Policy json.RawMessage `json:"policy"` // its restart policy
	Runs   bool            `json:"runs"`
	Paused bool            `json:"paused"`
	// OldImage is the ID of the image that it ran, Tagged that of the one that the tag meant (empty for none), Image the new one's.
	OldImage string `json:"old_image"`
	Tagged   string `json:"tagged"`
	Image    string `json:"image"`
	// Volumes are those that it has data in, by their places: the new one must have them too.
	Volumes map[string]string `json:"volumes,omitempty"`
	// Unit is systemd's, which makes it anew whenever it is restarted.
	Unit string `json:"unit,omitempty"`
	// Compose makes it anew, where it can; Copied: it has copied files into it.
	Compose *composed `json:"compose,omitempty"`
	Copied  bool      `json:"copied,omitempty"`
	// Post: there is a command for the new one, which has ended well if it is Posted.
	Post    bool   `json:"post,omitempty"`
	Posted  bool   `json:"posted,omitempty"`
	State   string `json:"state"`
	Because string `json:"because"`
	// Left names an old container that could not be removed.
	Left string `json:"left,omitempty"`

	engine *engine
	steer  steering
	// byCommand: Podman's command makes it, with these options before the image's name, and these words after it.
	byCommand        bool
	options, command []string
	// late: it is created only when what it leans on has been made anew by Compose, which does that and the starting in one.
	late bool
	// rehash is a Compose whose hash of the service goes by the image's ID too: it is asked for the new one, so that it would not make it anew once more.
	rehash *composed
}

// name is the container's in its engine.
func (k *remake) name() string { return ownName(k.Change.Name) }

// States of a remake.
const (
	remakeBegun = "begun"
	remakeMade  = "made" // it runs as it should; the old one is to be removed
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
	renamed map[string]string // the IDs of the new containers, by the old ones'
	again   map[string]string // the IDs of old containers that had to be made again, by what they were
	restart []string          // running containers that are to be restarted afterwards
}

func (s *Source) recreation(m *machine.Machine, w source.Work, engines []*engine) *recreation {
	return &recreation{Source: s, m: m, w: w, engines: engines, renamed: map[string]string{}, again: map[string]string{}}
}

// Apply implements source.Installer. Each container's successor is created before it is touched, and if that one does not come to run as it should, the
// old one is put back as it was, and with it all that are carried out together. After the first that fails no other is begun.
func (s *Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	engines, err := s.engines(ctx, m)
	defer closeAll(engines)
	if err != nil {
		return fleet.Outcome{}, err
	}
	r := s.recreation(m, w, engines)
	sets, err := r.prepareAll(ctx, p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	var failed error
	for _, set := range sets {
		if failed = r.carryOut(ctx, set); failed != nil {
			break
		}
	}
	r.restartOthers(ctx)
	return r.outcome(ctx, p, failed), nil
}

// prepareAll reads all that is needed for every container, and changes nothing.
func (r *recreation) prepareAll(ctx context.Context, p fleet.Plan) ([][]*remake, error) {
	d := &drafting{ctx: ctx, m: r.m, source: r.Source, plan: &p, engines: r.engines}
	if err := d.look(); err != nil {
		return nil, err
	}
	nodes, err := d.nodes()
	if err != nil {
		return nil, err
	}
	var sets [][]*remake
	for n, nodes := range inSets(nodes) {
		var set []*remake
		for _, node := range nodes {
			i := slices.IndexFunc(p.Changes, func(c fleet.Change) bool { return c.Name == node.name })
			old, err := d.find(node.name)
			if err != nil {
				return nil, err
			}
			k, err := r.prepare(ctx, old, p.Changes[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", node.name, err)
			}
			k.Set = n
			k.late = slices.ContainsFunc(set, func(o *remake) bool { return o.Compose != nil && slices.Contains(d.leansOn(old), o.Change.Name) })
			set = append(set, k)
		}
		sets = append(sets, set)
	}
	r.restart = d.restarts()
	return sets, nil
}

func (r *recreation) prepare(ctx context.Context, old seen, c fleet.Change) (*remake, error) {
	e := old.engine
	id, err := e.imageAt(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := steer(old.Config.Labels)
	if err != nil {
		return nil, err
	}
	k := &remake{
		Change: c, Host: e.host, Old: old.ID, Aside: ownName(c.Name) + asideSuffix + old.ID[:shortID], Image: id, OldImage: old.Image, State: remakeBegun,
		Volumes: map[string]string{}, Post: len(s.post) > 0, engine: e, steer: s,
	}
	if err := r.byPodman(ctx, k, old); err != nil {
		return nil, err
	}
	if state := old.State; state != nil {
		k.Runs, k.Paused = state.Running || state.Restarting, state.Paused
	}
	for _, v := range old.Mounts {
		if v.Type == mount.TypeVolume && v.Name != "" && !(k.Unit != "" && anonymousName.MatchString(v.Name)) {
			k.Volumes[v.Destination] = v.Name
		}
	}
	if here, err := e.api.ImageInspect(ctx, e.inFull(c.Image)); err == nil {
		k.Tagged = here.ID
	}
	if old.isComposed() && c.From != c.To {
		if err := r.byCompose(ctx, k, old); err != nil {
			return nil, err
		}
	}
	again, err := r.like(ctx, k, old.Config.Image, old.Image, false)
	if err != nil {
		return nil, err
	}
	if k.Spec, err = json.Marshal(again); err != nil {
		return nil, err
	}
	k.Policy, err = json.Marshal(old.HostConfig.RestartPolicy)
	return k, err
}

// byPodman finds out who makes a container of Podman's anew: its unit, or Podman's own command.
func (r *recreation) byPodman(ctx context.Context, k *remake, old seen) error {
	switch unit := old.Config.Labels[labelUnit]; {
	case old.whole == nil: // Docker's
	case unit != "":
		k.Unit = unit
	case len(old.native.command) > 0:
		again, err := r.replayOf(ctx, r.m, old)
		if err != nil {
			return err
		}
		k.byCommand, k.command = true, again.command
		k.options, err = again.again(old)
		return err
	}
	return nil
}

// byCompose finds out whether Compose makes a container anew, and what it would have to copy into it.
func (r *recreation) byCompose(ctx context.Context, k *remake, old seen) error {
	command, without := k.engine.composedOf(ctx, r.m, old.InspectResponse)
	if without != "" {
		k.rehash = command
		return nil
	}
	k.Compose = command
	file, err := k.engine.copiedInto(ctx, old.InspectResponse)
	k.Copied = file != ""
	return err
}

// like makes the specification of a container like the old one. Anew: what that one has from its image alone is left to the new image.
func (r *recreation) like(ctx context.Context, k *remake, ref, imageID string, anew bool) (spec, error) {
	e := k.engine
	raw, err := e.get(ctx, "/containers/"+k.Old+"/json")
	if err != nil {
		return spec{}, err
	}
	l := likeness{old: raw, ref: ref, imageID: imageID, hostname: e.machineName(ctx), others: map[string]bool{}}
	if anew {
		l.renamed = r.renamed
		if l.image, err = e.get(ctx, "/images/"+k.OldImage+"/json"); err != nil {
			r.say("%s: the image that it runs is gone: what it had from it is kept", k.Change.Name)
		}
	}
	old, err := e.byID(ctx, k.Old)
	if err != nil {
		return spec{}, err
	}
	for _, from := range old.HostConfig.VolumesFrom {
		name, _, _ := strings.Cut(from, ":")
		if other, err := e.byID(ctx, name); err == nil {
			for _, m := range other.Mounts {
				l.others[m.Destination] = true
			}
		}
	}
	s, err := l.spec()
	if err != nil {
		return s, err
	}
	if e.libpod.Load() {
		s.forPodman()
		s.ByCommand, s.Options, s.Command = k.byCommand, followWords(k.options, l.renamed), k.command
		return s, nil
	}
	image, err := e.api.ImageInspect(ctx, imageID)
	if err == nil && image.Descriptor != nil { // containerd's store has images of several platforms under one ID
		s.Platform = k.Change.Arch
	}
	return s, nil
}

// carryOut makes the containers of a set anew, all of them or none.
func (r *recreation) carryOut(ctx context.Context, set []*remake) error {
	for _, k := range set {
		r.say("%s: from %s to %s", k.Change.Name, k.Change.From, k.Change.To)
		if err := r.command(ctx, k, "pre", k.Old, k.steer.pre); err != nil {
			return &fleet.Unknown{
				Because: fmt.Sprintf("the command that %s asks for before its update (%s) failed, so nothing was changed: %s", k.Change.Name, labelPre, fleet.Plain(err.Error())),
				Remedy:  "see the log, and the container's label " + labelPre,
			}
		}
	}
	r.list = append(r.list, set...)
	if err := r.note(); err != nil {
		return err
	}
	if err := r.replace(ctx, set); err != nil {
		return r.giveUp(ctx, set, err)
	}
	return r.commit(ctx, set)
}

// command runs one of a person's commands in a container that runs.
func (r *recreation) command(ctx context.Context, k *remake, what, id string, command []string) error {
	if len(command) == 0 || !k.Runs {
		return nil
	}
	if k.Paused {
		r.say("%s: its %s command is left out: it is paused", k.Change.Name, what)
		return nil
	}
	return r.step(ctx, k, what, func(ctx context.Context) error {
		said, err := k.engine.exec(ctx, id, command)
		r.quote(said)
		return err
	})
}

// step does one step, with the time that an engine may take for one. A test may make each fail in turn.
func (r *recreation) step(ctx context.Context, k *remake, name string, do func(context.Context) error) error {
	r.say("  %s: %s", k.Change.Name, name)
	if r.fail != nil {
		if err := r.fail(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	limit := slow
	switch name {
	case "wait":
		limit = maxHealth
	case "pre", "post":
		limit = maxCommand
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (r *recreation) grace() time.Duration {
	if r.Grace > 0 {
		return r.Grace
	}
	return grace
}

func (r *recreation) say(format string, args ...any) {
	if r.w.Log != nil {
		fmt.Fprintf(r.w.Log, format+"\n", args...)
	}
}

// quote puts what a container said into the log.
func (r *recreation) quote(said []byte) {
	if len(said) == 0 {
		return
	}
	for line := range strings.Lines(string(said)) {
		r.say("    | %s", fleet.Plain(line))
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

// runsNow says whether a container runs, or is started again and again.
func runsNow(c container.InspectResponse) bool {
	return c.State != nil && (c.State.Running || c.State.Restarting)
}
