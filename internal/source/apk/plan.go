package apk

import (
	"context"
	"crypto/sha1" //nolint:gosec // apk's own checksums of files
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: apk simulates, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	installed, err := readInstalled(m)
	if err != nil {
		return p, err
	}
	names, err := s.wanted(ctx, m, sel)
	if err != nil {
		return p, err
	}
	if p.Changes, err = simulate(ctx, m, names); err != nil {
		return p, planned(err)
	}
	complete(m, &p, installed)
	p.Restart, _ = m.Users(ctx, filesOf(p, installed))
	p.ConfigFiles = changedConfigFiles(m, p, installed)
	p.Reboot = source.RebootFor(p, restarts.MatchString)
	p.Free = source.Free(m, "/var/cache/apk", "/usr")
	if inMemory(m) {
		p.Warnings = append(p.Warnings, "this machine runs from memory: what is installed is lost at the next start unless it is committed (lbu commit)")
	}
	return p, source.GuardRemovals(p, func(c fleet.Change) bool { return protected.MatchString(c.Name) }, "choose other updates, or do this by hand after a look at what `apk upgrade --simulate` says")
}

// planned gives what apk said of a plan the form that people see.
func planned(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return r.unknown()
	}
	return &fleet.Unknown{Because: "apk cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see what `apk upgrade --simulate` says", Err: err}
}

// wanted gives the names that a selection means; none is everything.
func (s Source) wanted(ctx context.Context, m *machine.Machine, sel fleet.Selection) ([]string, error) {
	switch {
	case sel.All:
		return nil, nil
	case len(sel.Back) > 0:
		return nil, errNoWayBack
	case sel.Security:
		return nil, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	}
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return nil, err // what is on offer is not known at all
	}
	meant, err := source.Meant(f.Updates, sel)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, u := range meant {
		if u.Blocked == fleet.Pinned {
			return nil, &fleet.Unknown{Because: u.Name + " is pinned: " + u.BlockedBecause, Remedy: "release it first: redflag unhold " + u.Name}
		}
		names = append(names, u.Name)
	}
	if len(names) == 0 {
		return nil, &fleet.Unknown{Because: "nothing is selected", Remedy: "choose updates by their names, or all"}
	}
	return names, nil
}

// errNoWayBack: an older version cannot be had without a pin.
var errNoWayBack = &fleet.Unknown{
	Because: "apk cannot go back: repositories keep only the newest versions, and naming an older one would pin it in " + worldFile,
	Remedy:  "restore the machine from a backup or a snapshot",
}

// complete fills in what the databases say of the packages.
func complete(m *machine.Machine, p *fleet.Plan, installed []*pkg) {
	offers, _, err := readIndexes(m)
	if err != nil {
		p.Warnings = append(p.Warnings, "how much must be downloaded is not known for all of it")
	}
	for i, c := range p.Changes {
		if old := find(installed, c.Name); old != nil {
			p.Disk -= old.size
			p.Changes[i].Arch = fleet.Plain(old.arch)
		}
		p.Changes[i].Automatic = c.From == "" // nobody asked for what is new
		at := slices.IndexFunc(offers, func(o *pkg) bool { return o.name == c.Name && o.version == c.To })
		if c.To != "" && at >= 0 {
			p.Download += offers[at].download
			p.Disk += offers[at].size
			p.Changes[i].Arch, p.Changes[i].Origin = fleet.Plain(offers[at].arch), fleet.Plain(offers[at].from)
		}
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
}

// protected are packages without which a machine cannot be reached, started or updated any more. No plan of ours removes one.
var protected = regexp.MustCompile(`^(alpine-base|alpine-baselayout|alpine-keys|alpine-release|apk-tools|busybox|musl|openrc|busybox-openrc|openssh|openssh-server|dropbear|sudo|doas|` +
	`linux-(lts|virt|edge|rpi[0-9]*|stable)|mkinitfs|syslinux|grub|grub-(efi|bios)|networkmanager|ifupdown-ng|dhcpcd|docker|docker-engine|containerd|podman|redflag|redflag-agent)$`)

// restarts are packages that take effect with the next start.
var restarts = regexp.MustCompile(`^(linux-(lts|virt|edge|rpi[0-9]*|stable)|linux-firmware.*|intel-ucode|amd-ucode|musl|openrc)$`)

// inMemory says whether the machine is a diskless one, which keeps its state where lbu.conf names a medium.
func inMemory(m *machine.Machine) bool {
	text, err := m.ReadFile("/etc/lbu/lbu.conf", maxWorld)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "LBU_MEDIA=") {
			return true
		}
	}
	return false
}

func filesOf(p fleet.Plan, installed []*pkg) []string {
	var files []string
	for _, c := range p.Changes {
		if old := find(installed, c.Name); old != nil {
			for file := range old.files {
				files = append(files, "/"+file)
			}
		}
	}
	return files
}

// changedConfigFiles names the files below /etc of what changes that are not as their package brought them: they are kept.
func changedConfigFiles(m *machine.Machine, p fleet.Plan, installed []*pkg) []string {
	list := []string{}
	for _, c := range p.Changes {
		old := find(installed, c.Name)
		if old == nil || c.To == "" {
			continue
		}
		for file, sum := range old.files {
			if now, ok := checksum(m, "/"+file); strings.HasPrefix(file, "etc/") && ok && strings.HasPrefix(sum, "Q1") && now != sum {
				list = append(list, "/"+fleet.Plain(file))
			}
		}
	}
	slices.Sort(list)
	return list
}

// checksum is a file's as the database writes it: Q1 and a SHA-1 in base64.
func checksum(m *machine.Machine, name string) (string, bool) {
	sum, ok := source.Sum(m, name, sha1.New()) //nolint:gosec // see the import
	return "Q1" + base64.StdEncoding.EncodeToString(sum), ok
}
