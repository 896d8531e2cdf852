package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// A container that a unit of systemd makes is never made anew by us: that is for the unit, from the quadlet or the command that it has. It is restarted
// once its image's name means what was approved; to go back, the name means the old image again, and it is restarted once more.

// unitName is a service's (systemd.unit(5)).
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,247}\.service$`)

// inUnit finds the service in a process's control group.
var inUnit = regexp.MustCompile(`/([A-Za-z0-9:_.\\@-]{1,247}\.service)(/|\n|$)`)

// unitOfProcess gives the service that a process belongs to; empty where it belongs to none of a person's.
func unitOfProcess(m *machine.Machine, pid string) string {
	data, err := m.ReadFile(path.Join("/proc", pid, "cgroup"), maxOwn)
	if err != nil {
		return "" // no Linux, or it has ended
	}
	for line := range strings.Lines(string(data)) {
		found := inUnit.FindAllStringSubmatch(line, -1)
		if len(found) == 0 {
			continue
		}
		// The last is the innermost; a user's own manager is a service too, and who started a container by hand is in a session.
		unit := found[len(found)-1][1]
		if !strings.HasPrefix(unit, "user@") {
			return unit
		}
	}
	return ""
}

// startedBy gives the unit that starts a container which it did not make; empty where none does. A program of another service may have made it by hand, which is no such unit.
func (d *drafting) startedBy(c seen) string {
	if !c.engine.isHere() {
		return ""
	}
	unit := unitOfProcess(d.m, c.conmon)
	if unit == "" {
		return ""
	}
	said, err := c.engine.systemctl(d.ctx, d.m, "show", "--property=ExecStart", "--", unit)
	if err == nil && !strings.Contains(said, "podman start ") {
		return ""
	}
	return unit
}

// systemctl asks the systemd that runs an engine's containers: the system's, or a user's.
func (e *engine) systemctl(ctx context.Context, m *machine.Machine, words ...string) (string, error) {
	r, err := m.Run(ctx, machine.Command{Name: "systemctl", Args: append(e.managerOf(), words...)})
	if err != nil {
		return "", err
	}
	said := strings.TrimSpace(string(r.Stdout))
	if r.Code != 0 {
		return said, fmt.Errorf("systemctl %s ended with code %d%s", words[0], r.Code, lastLine(r.Stderr))
	}
	return said, nil
}

// managerOf gives the options by which systemctl speaks to the manager of an engine's owner.
func (e *engine) managerOf() []string {
	switch {
	case e.owner == 0:
		return nil
	case e.owner == os.Geteuid():
		return []string{"--user"}
	}
	return []string{"--user", fmt.Sprintf("--machine=%d@.host", e.owner)}
}

// leaveToUnit says why a unit's container is left as it is; empty where the unit can be restarted. What a person should know of that is in the plan.
func (d *drafting) leaveToUnit(c seen, unit string, named bool) string {
	name := c.engine.called(strings.TrimPrefix(c.Name, "/"))
	if why := d.notOfUnit(c, unit); why != "" {
		return why
	}
	by := fmt.Sprintf("`%spodman pull %s && systemctl %s`", c.engine.asOwner(), c.Config.Image, strings.Join(append(c.engine.managerOf(), "restart", unit), " "))
	if !c.engine.isHere() {
		return "the unit " + unit + " makes it, and systemd is not to be asked from here: " + by
	}
	said, err := c.engine.systemctl(d.ctx, d.m, "show", "--property=LoadState,NeedDaemonReload,ExecStart", "--", unit)
	switch state := property(said, "LoadState"); {
	case err != nil:
		return "the unit " + unit + " makes it, and systemd does not answer: " + by
	case state != "loaded":
		return "the unit " + unit + " made it, and systemd has it no more: " + by
	case !runsNow(c.InspectResponse):
		return "it does not run, and the unit " + unit + " makes it anew whenever that is started: " + by
	case pullsItself(c.command):
		return "the unit " + unit + " pulls the image itself whenever it starts (--pull): restart that"
	}
	if on := d.whoLeansOn(c); len(on) > 0 {
		return "the unit " + unit + " makes it, and Podman does not let it go while others live in it (" + strings.Join(on, ", ") + "): stop their units, and restart all of them"
	}
	if why := d.leaveToTimer(c, named); why != "" {
		return why
	}
	d.warn("%s: its unit %s is restarted, and makes it anew", name, unit)
	if argv := strings.Join(c.command, " "); property(said, "NeedDaemonReload") == "yes" || argv != "" && !strings.Contains(said, argv) {
		d.warn("%s: its unit %s no longer says what it said when it made this container: what it says now is what will run", name, unit)
	}
	for _, v := range c.Mounts {
		if anonymousName.MatchString(v.Name) {
			d.warn("%s: the volume at %s has no name, and %s begins with an empty one at every restart", name, v.Destination, unit)
		}
	}
	return ""
}

// notOfUnit says why the label of a unit is not believed: an image may have any label.
func (d *drafting) notOfUnit(c seen, unit string) string {
	if !unitName.MatchString(unit) {
		return "its label " + labelUnit + " is no name of a service"
	}
	r, err := c.engine.api.ImageInspect(d.ctx, c.Image)
	if err != nil {
		return "its image is gone, and whether that or systemd set its label " + labelUnit + " cannot be told"
	}
	if r.Config != nil && r.Config.Labels[labelUnit] != "" {
		return "its image, and not systemd, has the label " + labelUnit
	}
	return ""
}

// leaveToTimer leaves to Podman what a person has told Podman to update, if it does: who names it wants it now.
func (d *drafting) leaveToTimer(c seen, named bool) string {
	policy := c.Config.Labels[labelAutoUpdate]
	if policy != "registry" && policy != "image" {
		return ""
	}
	_, err := c.engine.systemctl(d.ctx, d.m, "is-active", "--quiet", autoUpdateTimer)
	name := c.engine.called(strings.TrimPrefix(c.Name, "/"))
	switch {
	case err == nil && !named:
		return "Podman updates it by itself (its label " + labelAutoUpdate + " says " + fleet.Plain(policy) + ", and " + autoUpdateTimer + " is on): name it to have it done now"
	case err == nil:
		d.warn("%s: %s does the same to it by itself, and would do it again after an undo", name, autoUpdateTimer)
	default:
		d.warn("%s has the label %s=%s, and %s is off: Podman does not update it by itself", name, labelAutoUpdate, fleet.Plain(policy), autoUpdateTimer)
	}
	return ""
}

// autoUpdateTimer runs podman auto-update, where a person has enabled it.
const autoUpdateTimer = "podman-auto-update.timer"

// property gives a property of what systemctl show says; empty where it does not have it.
func property(said, name string) string {
	for line := range strings.Lines(said) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	return ""
}

// pullsItself says whether a command of Podman's fetches its image anew whenever it runs.
func pullsItself(command []string) bool {
	for i, word := range command {
		how, ok := strings.CutPrefix(word, "--pull=")
		if !ok && word == "--pull" && i+1 < len(command) {
			how = command[i+1]
		}
		if how == "always" || how == "newer" {
			return true
		}
	}
	return false
}

// whoLeansOn names the containers without which another one cannot be removed.
func (d *drafting) whoLeansOn(c seen) (names []string) {
	for name, list := range d.seen {
		for _, o := range list {
			if o.engine == c.engine && o.ID != c.ID && slices.ContainsFunc(o.leans(), func(l lean) bool { return l.other == c.ID || l.other == strings.TrimPrefix(c.Name, "/") }) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// restartUnit lets systemd make the container anew.
func (r *recreation) restartUnit(ctx context.Context, k *remake) error {
	if _, err := k.engine.systemctl(ctx, r.m, "reset-failed", "--", k.Unit); err != nil {
		r.say("  %s: %v", k.Change.Name, err) // it has never failed, or is new to this systemd
	}
	_, err := k.engine.systemctl(ctx, r.m, "restart", "--no-ask-password", "--", k.Unit)
	return err
}

// unitBack has the unit make the container from the old image again, which the name means again. It is left in peace if it runs that.
func (r *recreation) unitBack(ctx context.Context, k *remake) error {
	e := k.engine
	if err := e.retag(ctx, k); err != nil {
		return err
	}
	now, err := e.named(ctx, k.name())
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if err == nil && now.Image == k.OldImage && runsNow(now) {
		return nil
	}
	if err := e.tagAs(ctx, k.OldImage, k.Change.Image); err != nil {
		return fmt.Errorf("give the old image its name back: %w", err)
	}
	if err := r.restartUnit(ctx, k); err != nil {
		return err
	}
	if now, err = e.named(ctx, k.name()); err == nil && now.Image != k.OldImage {
		err = errors.New("its unit did not make it from the image that it ran")
	}
	return errors.Join(err, e.retag(ctx, k))
}
