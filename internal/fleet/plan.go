package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Selection says which of the pending updates are meant. Exactly one of its fields is set.
type Selection struct {
	// All: every update that an ordinary upgrade would install now.
	All bool `json:"all,omitempty"`
	// Security: those for security.
	Security bool `json:"security,omitempty"`
	// Names are packages (curl, libc6:i386) or containers' images, by their names in a finding.
	Names []string `json:"names,omitempty"`
	// Back names versions to go back to, as an undo does: changes with their To, and removals.
	Back []Change `json:"back,omitempty"`
	// Mend: what the package manager needs to have every package's needs met again, after something was interrupted.
	Mend bool `json:"mend,omitempty"`
}

// Action is what a change does.
type Action string

// Actions. A remove leaves configuration files, a purge does not.
const (
	Install   Action = "install"
	Upgrade   Action = "upgrade"
	Downgrade Action = "downgrade"
	Remove    Action = "remove"
	Purge     Action = "purge"
	Recreated Action = "recreate" // a container, from another image
)

// Change is one thing that a plan changes.
type Change struct {
	Action Action `json:"action"`
	// Name and Arch are the package's; for a container its name, and the image's architecture.
	Name string `json:"name"`
	Arch string `json:"arch"`
	// From is the version that is there, empty for an install; To is the one that comes, empty for a removal. For a container they are the
	// digests of its images.
	From string `json:"from"`
	To   string `json:"to"`
	// Image is the reference of a container's image.
	Image string `json:"image,omitempty"`
	// Security: the change brings a security update.
	Security bool `json:"security,omitempty"`
	// Automatic: it comes because another needs it.
	Automatic bool `json:"automatic,omitempty"`
	// Origin says who offers To.
	Origin string `json:"origin,omitempty"`
}

// String gives a change as people write it: upgrade curl 1 → 2.
func (c Change) String() string {
	switch {
	case c.To == "":
		return fmt.Sprintf("%s %s %s", c.Action, c.Name, c.From)
	case c.From == "":
		return fmt.Sprintf("%s %s %s", c.Action, c.Name, c.To)
	}
	return fmt.Sprintf("%s %s %s → %s", c.Action, c.Name, c.From, c.To)
}

// CompareChanges orders changes: removals first, because they are what one must see.
func CompareChanges(a, b Change) int {
	order := []Action{Remove, Purge, Downgrade, Install, Upgrade, Recreated}
	return cmp.Or(cmp.Compare(slices.Index(order, a.Action), slices.Index(order, b.Action)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
}

// Plan is an exact transaction: what will change, and nothing else. An approval is of one plan.
type Plan struct {
	// Source is the source of updates whose plan it is.
	Source    string    `json:"source"`
	Selection Selection `json:"selection"`
	// Changes are sorted by [CompareChanges].
	Changes []Change `json:"changes"`
	// Download is what must be fetched, and Disk by how much more is used afterwards, in bytes.
	Download int64 `json:"download"`
	Disk     int64 `json:"disk"`
	// ConfigFiles were changed on this machine and belong to what changes: they are kept as they are, and what came instead is left beside them.
	ConfigFiles []string `json:"config_files"`
	// Free is how much room there is where the downloads go and where they are unpacked, in bytes: the smaller of the two; 0 where it is not known.
	Free int64 `json:"free"`
	// Reboot says whether it is known to need one.
	Reboot Reboot `json:"reboot"`
	// Restart names the services that run files which it replaces.
	Restart Restart `json:"restart"`
	// Warnings are what a person should know before the approval.
	Warnings  []string  `json:"warnings"`
	PlannedAt time.Time `json:"planned_at"`
}

// NewPlan gives a plan that changes nothing yet, with every list in place.
func NewPlan(source string, sel Selection, now time.Time) Plan {
	return Plan{
		Source: source, Selection: sel, Changes: []Change{}, ConfigFiles: []string{}, Warnings: []string{}, PlannedAt: now.UTC(),
		Reboot: Reboot{Needed: NeedUnknown, Because: []string{}}, Restart: Restart{Needed: NeedUnknown, Services: []Service{}},
	}
}

// Digest is what an approval is of: it is the same for the same changes of the same source, whenever they were planned.
func (p Plan) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "redflag plan 1\n%q\n", p.Source)
	for _, c := range slices.SortedFunc(slices.Values(p.Changes), CompareChanges) {
		fmt.Fprintf(h, "%q %q %q %q %q %q\n", c.Action, c.Name, c.Arch, c.Image, c.From, c.To)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Differences says in what another plan is not this one: each change of it that is not here, and each that is missing there.
func (p Plan) Differences(other Plan) []string {
	key := func(c Change) Change {
		return Change{Action: c.Action, Name: c.Name, Arch: c.Arch, Image: c.Image, From: c.From, To: c.To}
	}
	has := func(list []Change, c Change) bool {
		return slices.ContainsFunc(list, func(o Change) bool { return key(o) == key(c) })
	}
	var list []string
	for _, c := range other.Changes {
		if !has(p.Changes, c) {
			list = append(list, "it would now "+c.String())
		}
	}
	for _, c := range p.Changes {
		if !has(other.Changes, c) {
			list = append(list, "it would not "+c.String()+" any more")
		}
	}
	return list
}

// After is what is done once a plan has been carried out, if that succeeded. It is part of what is approved.
type After struct {
	// RestartServices restarts the services that still run replaced files, but for those that must not be restarted unasked.
	RestartServices bool `json:"restart_services,omitempty"`
	// Reboot reboots the host if it needs it.
	Reboot bool `json:"reboot,omitempty"`
}

// Outcome is what became of a plan: by what is there afterwards, and by nothing that a tool said.
type Outcome struct {
	// Done are the changes that happened, those that nobody planned among them; Missing are planned ones that did not.
	Done    []Change `json:"done"`
	Missing []Change `json:"missing"`
	// Because says why it did not succeed; empty when it did.
	Because string `json:"because"`
	Remedy  string `json:"remedy"`
	// HalfDone names what was left in the middle: packages that dpkg did not finish with.
	HalfDone []string `json:"half_done"`
	// RolledBack: what had been changed was put back.
	RolledBack bool `json:"rolled_back"`
	// ConfigFiles are to be looked at: a new version lies beside each.
	ConfigFiles []string `json:"config_files"`
	// Stopped names the services and containers that ran before and do not run any more.
	Stopped []string `json:"stopped"`
	// Restarted names the services that were restarted afterwards.
	Restarted []string `json:"restarted"`
	// Rebooted: the host was rebooted afterwards, and has come back.
	Rebooted bool    `json:"rebooted,omitempty"`
	Reboot   Reboot  `json:"reboot"`
	Restart  Restart `json:"restart"`
}

// NewOutcome gives an outcome of nothing, with every list in place.
func NewOutcome() Outcome {
	return Outcome{
		Done: []Change{}, Missing: []Change{}, HalfDone: []string{}, ConfigFiles: []string{}, Stopped: []string{}, Restarted: []string{},
		Reboot: Reboot{Needed: NeedUnknown, Because: []string{}}, Restart: Restart{Needed: NeedUnknown, Services: []Service{}},
	}
}

// Succeeded says whether all that was planned is done, nothing half, and what ran before runs.
func (o Outcome) Succeeded() bool {
	return o.Because == "" && len(o.Missing) == 0 && len(o.HalfDone) == 0 && len(o.Stopped) == 0
}
