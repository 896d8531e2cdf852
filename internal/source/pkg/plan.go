package pkg

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: pkg simulates, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	installed, err := query(ctx, m)
	if err != nil {
		return p, err
	}
	p.Restart.Because = "which services run files of packages cannot be seen on FreeBSD"
	p.Free = source.Free(m, "/var/cache/pkg", "/usr/local")
	switch {
	case sel.Mend:
		return p, nil // what is missing is found and brought by a repair
	case len(sel.Back) > 0:
		err = s.back(ctx, m, &p, installed)
	default:
		err = s.forth(ctx, m, &p)
	}
	if err != nil {
		return p, err
	}
	complete(&p, installed)
	return p, source.GuardRemovals(p, needed, "choose other updates, or do this by hand after a look at what `pkg upgrade -n` says")
}

// forth plans an upgrade.
func (s Source) forth(ctx context.Context, m *machine.Machine, p *fleet.Plan) error {
	names, secure, err := s.wanted(ctx, m, p.Selection)
	if err != nil {
		return err
	}
	t, err := simulate(ctx, m, names)
	if err != nil {
		return err
	}
	if t.first && len(names) > 0 && !slices.Contains(names, "pkg") {
		return &fleet.Unknown{Because: "pkg renews itself before anything else, and what it would do then is not known yet", Remedy: "renew it first: redflag install pkg"}
	}
	if t.first {
		p.Warnings = append(p.Warnings, "pkg renews itself first: plan again after that, for the rest")
	}
	if len(t.again) > 0 {
		p.Warnings = append(p.Warnings, "put in place again in the version that they have: "+strings.Join(t.again, ", "))
	}
	for i, c := range t.changes {
		if c.Action == fleet.Downgrade {
			return &fleet.Unknown{
				Because: "the plan would put an older version of " + c.Name + " in place: a repository has nothing newer any more", Remedy: "see `pkg upgrade -n`, and the priorities of the repositories (pkg.conf(5))",
			}
		}
		t.changes[i].Security = slices.Contains(secure, c.Name)
	}
	p.Changes, p.Download, p.Disk = append(p.Changes, t.changes...), t.download, t.disk
	return nil
}

// wanted gives the names that a selection means, and those of updates for security. None is everything.
func (s Source) wanted(ctx context.Context, m *machine.Machine, sel fleet.Selection) (names, secure []string, err error) {
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return nil, nil, err // what is on offer is not known at all
	}
	for _, u := range f.Updates {
		if u.Security {
			secure = append(secure, u.Name)
		}
	}
	if sel.All {
		return nil, secure, nil
	}
	if sel.Security && f.SecurityUnknown != "" {
		return nil, nil, &fleet.Unknown{Because: "which updates are for security is not known: " + f.SecurityUnknown, Remedy: "choose updates by their names, or all"}
	}
	meant, err := source.Meant(f.Updates, sel)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range meant {
		names = append(names, u.Name)
	}
	if len(names) == 0 {
		return nil, nil, &fleet.Unknown{Because: "nothing is selected", Remedy: "choose updates by their names, or all"}
	}
	return names, secure, nil
}

// complete fills in what is known of the packages, and what they mean to the machine.
func complete(p *fleet.Plan, installed []installedPackage) {
	abi := ""
	if own := find(installed, "pkg"); own != nil {
		abi = own.arch
	}
	base := false
	for i, c := range p.Changes {
		p.Changes[i].Arch, p.Changes[i].Automatic = abi, c.From == ""
		if old := find(installed, c.Name); old != nil {
			p.Changes[i].Arch = old.arch
		}
		if c.To != "" && restarts.MatchString(c.Name) {
			p.Reboot.Needed = fleet.Needed
			p.Reboot.Because = append(p.Reboot.Because, c.Name)
		}
		base = base || strings.HasPrefix(c.Name, basePrefix)
	}
	if base {
		p.Warnings = append(p.Warnings, "the base system itself changes: on ZFS a boot environment made now is a way back (bectl create NAME)")
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
}

// basePrefix begins the names of the base system's own packages, where it is made of packages.
const basePrefix = "FreeBSD-"

// restarts are packages that take effect with the next start: kernels, modules for them, and what process 1 is.
var restarts = regexp.MustCompile(`^(FreeBSD-kernel-.*|FreeBSD-(runtime|clibs|bootloader|zfs|rc)|.*-kmod(-.*)?|nvidia-driver(-.*)?|cpu-microcode.*|devcpu-data.*)$`)

// protected are packages without which a machine cannot be reached, started or updated any more. No plan of ours removes one.
var protected = regexp.MustCompile(`^(pkg|FreeBSD-(runtime|clibs|rc|utilities|kernel-.*|bootloader|zfs|ufs|ssh|pkg-bootstrap|openssl|openssl-lib|libexecinfo|dhclient)|openssh-portable.*|sudo|doas|` +
	`ca_root_nss|wpa_supplicant.*|docker|podman|redflag|redflag-agent)$`)

func needed(c fleet.Change) bool { return protected.MatchString(c.Name) }
