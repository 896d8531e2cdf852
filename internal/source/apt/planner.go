package apt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Plan implements source.Planner: apt itself says what it would do, through its hook, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if err := s.ready(m); err != nil {
		return p, err
	}
	wanted, err := s.wanted(ctx, m, sel)
	if err != nil || wanted == nil {
		return p, err
	}
	said, err := s.askFor(ctx, m, wanted)
	if err != nil {
		return p, err
	}
	p.Changes = said.changes()
	s.markSecurity(ctx, m, &p)
	if err := guardRemovals(m, p); err != nil {
		return p, err
	}
	s.measure(ctx, m, wanted, &p)
	p.ConfigFiles = changedConfigFiles(ctx, m, p)
	p.Reboot = rebootFor(p)
	return p, nil
}

// ready refuses to plan where apt would refuse to work.
func (s Source) ready(m *machine.Machine) error {
	if len(s.Hook) == 0 {
		return &fleet.Unknown{Because: "apt cannot be asked for a plan, because this program cannot name itself", Remedy: "call it by its full path"}
	}
	set, err := readSettings(m)
	if err != nil {
		return err
	}
	db, err := ReadDatabase(m, set.status)
	if err != nil {
		return unreadable(set.status, err)
	}
	if left := db.interrupted(); len(left) > 0 {
		return &fleet.Unknown{
			Because: "dpkg was interrupted, and has not finished with " + strings.Join(left, ", "), Remedy: "let it finish first: redflag repair",
			Err: ErrInterrupted,
		}
	}
	return nil
}

// ErrInterrupted: dpkg was interrupted in the middle of its work.
var ErrInterrupted = errors.New("dpkg was interrupted")

// wanted gives the words of apt-get's command line that mean a selection; nil where nothing is to be done.
func (s Source) wanted(ctx context.Context, m *machine.Machine, sel fleet.Selection) ([]string, error) {
	if sel.All {
		return []string{"dist-upgrade"}, nil
	}
	if len(sel.Back) > 0 {
		return back(m, sel.Back), nil
	}
	finding, err := s.Scan(ctx, m)
	if err != nil && len(finding.Updates) == 0 {
		return nil, err // what is on offer is not known at all
	}
	words := []string{"install"}
	if sel.Security {
		for _, u := range finding.Updates {
			if u.Security && u.Blocked == "" {
				words = append(words, word(u.Name, u.Arch, u.To))
			}
		}
	}
	for _, name := range sel.Names {
		u, err := pick(finding.Updates, name)
		if err != nil {
			return nil, err
		}
		words = append(words, word(u.Name, u.Arch, u.To))
	}
	if len(words) == 1 {
		return nil, nil
	}
	return words, nil
}

// word names a version of a package to apt. A package for all architectures has none there.
func word(name, arch, version string) string {
	if arch != "" && arch != "all" {
		name += ":" + arch
	}
	if version == "" {
		return name + "-" // without it
	}
	return name + "=" + version
}

// pick finds the update that a name means: curl, or libc6:i386.
func pick(updates []fleet.Update, name string) (fleet.Update, error) {
	for _, u := range updates {
		if u.Name != name && u.Name+":"+u.Arch != name {
			continue
		}
		if u.Blocked == fleet.Held {
			return u, &fleet.Unknown{Because: u.Name + " is on hold", Remedy: "release it first: redflag unhold " + u.Name}
		}
		return u, nil
	}
	return fleet.Update{}, &fleet.Unknown{Because: fmt.Sprintf("no update of %q is on offer", fleet.Plain(name)), Remedy: "redflag list shows what is; redflag scan --refresh looks anew"}
}

// aptName is what a package may be called, with or without its architecture (Debian Policy 5.6.1). Nothing like an option fits.
var aptName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?$`)

// versionText is what a version may look like (Debian Policy 5.6.12).
var versionText = regexp.MustCompile(`^[0-9][A-Za-z0-9.+:~-]*$`)

// back gives the words that go back to versions: those that were kept here by their files, others by what archives have.
func back(m *machine.Machine, changes []fleet.Change) []string {
	words := []string{"install"}
	for _, c := range changes {
		if file := keptFile(c.Name, c.To, c.Arch); c.To != "" && isFile(m, file) {
			words = append(words, file)
		} else {
			words = append(words, word(c.Name, c.Arch, c.To))
		}
	}
	return words
}

// checkWords refuses what would not be a package to apt. Names come from archives and from servers.
func checkWords(words []string) error {
	for _, w := range words[1:] {
		if path.Dir(w) == keptDir {
			continue // a file of ours
		}
		name, version, exact := strings.Cut(strings.TrimSuffix(w, "-"), "=")
		if !aptName.MatchString(name) || exact && !versionText.MatchString(version) {
			return fmt.Errorf("%q is no name of a package", fleet.Plain(w))
		}
	}
	return nil
}

// planOptions let apt plan without a lock, and allow what a plan may need. What it may not do is decided when the plan is looked at.
func (s Source) planOptions(words []string) []string {
	args := []string{"-q", "-o", "Debug::NoLocking=1"}
	if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "=") || path.Dir(w) == keptDir }) {
		args = append(args, "--allow-downgrades")
	}
	return args
}

// hookOption makes apt call a hook at a time.
func hookOption(hook []string, more ...string) []string {
	line := shellLine(append(hook[:len(hook):len(hook)], more...))
	return []string{"-o", "AptCli::Hooks::Upgrade::=" + line, "-o", "AptCli::Hooks::Install::=" + line}
}

// askFor has apt plan what the words say and tell our hook, which stops it there.
func (s Source) askFor(ctx context.Context, m *machine.Machine, words []string) (*plan, error) {
	if err := checkWords(words); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	args := append(append([]string{"-s"}, s.planOptions(words)...), hookOption(s.Hook, "-")...)
	result, err := m.Run(ctx, machine.Command{Name: "apt-get", Args: append(args, words...)})
	if err != nil {
		return nil, noTransaction(err.Error(), err)
	}
	p, err := parsePlan(result.Stdout)
	switch said := complaint(result); {
	case err != nil:
		return nil, noTransaction(err.Error(), err)
	case p != nil:
		return p, nil
	case said != "":
		return nil, noTransaction(said, nil)
	case result.Code != 0:
		return nil, noTransaction(fmt.Sprintf("apt-get ended with code %d and no word", result.Code), nil)
	}
	return &plan{}, nil // there is nothing to do: apt does not even call its hooks
}

func noTransaction(why string, err error) error {
	return &fleet.Unknown{Because: "apt does not plan this: " + fleet.Plain(why), Remedy: "see what `apt-get -s` says to it", Err: err}
}

// actions are apt's words for what it does (doc/json-hooks-protocol.md).
var actions = map[string]fleet.Action{"install": fleet.Install, "upgrade": fleet.Upgrade, "downgrade": fleet.Downgrade, "deinstall": fleet.Remove, "purge": fleet.Purge}

// changes gives the plan's changes. A package that apt mentions and does not change is none.
func (p *plan) changes() []fleet.Change {
	list := []fleet.Change{}
	for _, one := range p.Packages {
		action, ok := actions[one.Mode]
		if !ok {
			continue
		}
		c := fleet.Change{Action: action, Name: fleet.Plain(one.Name), Automatic: one.Automatic, From: fleet.Plain(one.Versions.Current.Version)}
		c.Arch = fleet.Plain(one.Versions.Current.Architecture)
		if action != fleet.Remove && action != fleet.Purge {
			to := one.Versions.Install
			c.To, c.Arch = fleet.Plain(to.Version), fleet.Plain(to.Architecture)
			if r := to.release(); len(to.Origins) > 0 {
				c.Origin = fleet.Plain(r.String())
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// markSecurity notes which of the changes bring security updates, as the scan knows them.
func (s Source) markSecurity(ctx context.Context, m *machine.Machine, p *fleet.Plan) {
	finding, err := s.Scan(ctx, m)
	if err != nil && len(finding.Updates) == 0 {
		p.Warnings = append(p.Warnings, "which of these are for security is not known")
		return
	}
	security := map[string]bool{}
	for _, u := range finding.Updates {
		security[u.Name+" "+u.To] = u.Security
	}
	for i, c := range p.Changes {
		p.Changes[i].Security = security[c.Name+" "+c.To]
	}
}

// uriLine is a line of apt-get --print-uris: 'URI' file size hash.
var uriLine = regexp.MustCompile(`(?m)^'[^']*' \S+ (\d+) `)

// diskLine is what apt says of the disk, in the C locale.
var diskLine = regexp.MustCompile(`After this operation, ([\d,.]+) ([kMG]?B) (of additional disk space will be used|disk space will be freed)`)

// measure asks apt how much is to be fetched, and how much more it will take. Where it does not say it is not known, which is no reason not
// to plan.
func (s Source) measure(ctx context.Context, m *machine.Machine, words []string, p *fleet.Plan) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "apt-get", Args: append(append([]string{"--print-uris", "-y"}, s.planOptions(words)...), words...)})
	if err != nil || result.Code != 0 {
		p.Warnings = append(p.Warnings, "how much must be downloaded is not known")
		return
	}
	for _, line := range uriLine.FindAllSubmatch(result.Stdout, -1) {
		n, err := strconv.ParseInt(string(line[1]), 10, 64)
		if err == nil {
			p.Download += n
		}
	}
	if said := diskLine.FindSubmatch(result.Stdout); said != nil {
		p.Disk = diskBytes(string(said[1]), string(said[2]))
		if strings.Contains(string(said[3]), "freed") {
			p.Disk = -p.Disk
		}
	}
}

// diskBytes reads 1,234 kB.
func diskBytes(number, unit string) int64 {
	n, err := strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
	if err != nil {
		return 0
	}
	return int64(n * map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit])
}
