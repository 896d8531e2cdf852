package api

import (
	"encoding/json"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Compared is what the hosts of a rollout have planned, with what they have in common once and where they differ on top.
type Compared struct {
	// Digest is what an approval of all that is planned now is of; empty where nothing is.
	Digest string `json:"digest"`
	// Planned counts the jobs whose plans wait for an approval.
	Planned int `json:"planned"`
	// Common are the changes that every plan has. Where nothing waits for an approval any more, they and the variants are of all that was planned.
	Common   []fleet.Change `json:"common"`
	Variants []Variant      `json:"variants"`
	// More counts the hosts whose plans are not in variants, because there are too many different ones: each job has its own.
	More int `json:"more"`
}

// Variant is what some hosts have planned beside what all have: their plans are the same.
type Variant struct {
	Hosts   []JobRef       `json:"hosts"`
	Changes []fleet.Change `json:"changes"`
	// Download and Disk are the most that one of the hosts fetches, and by how much more it uses afterwards, in bytes.
	Download    int64           `json:"download"`
	Disk        int64           `json:"disk"`
	Warnings    []string        `json:"warnings"`
	ConfigFiles []string        `json:"config_files"`
	Reboot      fleet.Need      `json:"reboot" enum:"yes,no,unknown"`
	Because     []string        `json:"reboot_because"`
	Restart     []fleet.Service `json:"restart"`
}

// maxVariants bounds what is compared: nobody reads more, and each may be a whole upgrade.
const maxVariants = 200

// comparison takes in one job after the other.
type comparison struct {
	planned []store.Approvable
	common  map[fleet.Change]int // how many jobs have it
	jobs    int
	order   []string
	by      map[string]*Variant
	more    int
}

func newComparison() *comparison {
	return &comparison{common: map[fleet.Change]int{}, by: map[string]*Variant{}}
}

// add takes in a job.
func (c *comparison) add(j store.PlannedJob) error {
	if j.State == store.JobPlanned {
		c.planned = append(c.planned, j.Approvable())
	}
	v := variantOf(j.Plans)
	key, err := keyOf(v)
	if err != nil {
		return err
	}
	c.jobs++
	for _, ch := range v.Changes {
		c.common[essence(ch)]++
	}
	ref := refs([]store.Job{j.Job})[0]
	if same := c.by[key]; same != nil {
		same.Hosts = append(same.Hosts, ref)
		same.Download, same.Disk = max(same.Download, v.Download), max(same.Disk, v.Disk)
		return nil
	}
	if len(c.by) >= maxVariants {
		c.more++
		return nil
	}
	v.Hosts = []JobRef{ref}
	c.by[key] = v
	c.order = append(c.order, key)
	return nil
}

// variantOf lays the plans of one host together.
func variantOf(plans []fleet.Plan) *Variant {
	v := &Variant{Changes: []fleet.Change{}, Warnings: []string{}, ConfigFiles: []string{}, Because: []string{}, Restart: []fleet.Service{}, Reboot: fleet.NeedUnknown}
	for _, p := range plans {
		v.Changes = append(v.Changes, p.Changes...)
		v.Download += p.Download
		v.Disk += p.Disk
		v.Warnings = append(v.Warnings, p.Warnings...)
		v.ConfigFiles = append(v.ConfigFiles, p.ConfigFiles...)
		v.Because = append(v.Because, p.Reboot.Because...)
		for _, s := range p.Restart.Services {
			v.Restart = append(v.Restart, fleet.Service{Name: s.Name, Kind: s.Kind, PIDs: []int{}, Files: []string{}})
		}
		switch {
		case v.Reboot == fleet.Needed:
		case p.Reboot.Needed != fleet.NeedUnknown:
			v.Reboot = p.Reboot.Needed
		}
	}
	slices.SortStableFunc(v.Changes, fleet.CompareChanges)
	return v
}

// keyOf is the same for hosts whose plans are the same in all that a person should see.
func keyOf(v *Variant) (string, error) {
	same := *v
	same.Download, same.Disk = 0, 0
	key, err := json.Marshal(same)
	return string(key), err
}

// essence is what makes a change the same on another host.
func essence(c fleet.Change) fleet.Change {
	return fleet.Change{Action: c.Action, Name: c.Name, Arch: c.Arch, Image: c.Image, From: c.From, To: c.To}
}

// compared gives the result. It may be asked for once.
func (c *comparison) compared() Compared {
	out := Compared{Planned: len(c.planned), Common: []fleet.Change{}, Variants: []Variant{}, More: c.more}
	if len(c.planned) > 0 {
		out.Digest = store.ApprovalDigest(c.planned)
	}
	common := func(ch fleet.Change) bool { return c.common[essence(ch)] == c.jobs }
	for i, key := range c.order {
		v := c.by[key]
		for _, ch := range v.Changes {
			if i == 0 && common(ch) {
				out.Common = append(out.Common, ch)
			}
		}
		v.Changes = slices.DeleteFunc(v.Changes, common)
		out.Variants = append(out.Variants, *v)
	}
	// What differs most is on top; the ordinary case, where many hosts do the same, comes last.
	slices.SortStableFunc(out.Variants, func(a, b Variant) int { return len(a.Hosts) - len(b.Hosts) })
	return out
}
