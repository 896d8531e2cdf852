package apt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: apt itself says what it would do, through its hook, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	db, err := s.ready(m, sel)
	if err != nil {
		return p, err
	}
	finding, err := s.offered(ctx, m, sel)
	if err != nil {
		because, _ := fleet.Explain(err)
		if len(finding.Updates) == 0 && !sel.All && !sel.Mend && len(sel.Back) == 0 {
			return p, err // what is on offer is not known at all
		}
		p.Warnings = append(p.Warnings, "what is on offer is not known for certain: "+because)
	}
	words, err := wanted(m, db, sel, finding, &p)
	if err != nil || words == nil {
		return p, err
	}
	said, err := s.askForWhatIsThere(ctx, m, &words, &p)
	if err != nil {
		return p, err
	}
	p.Changes = said.changes()
	markSecurity(finding, &p)
	p.Warnings = append(p.Warnings, dragged(p)...)
	if err := guard(m, db, p); err != nil {
		return p, err
	}
	if len(p.Changes) == 0 {
		return p, nil
	}
	s.measure(ctx, m, words, &p)
	p.ConfigFiles = changedConfigFiles(ctx, m, p)
	foresee(ctx, m, &p)
	return p, nil
}

// ready refuses to plan where apt would refuse to work.
func (s Source) ready(m *machine.Machine, sel fleet.Selection) (*Database, error) {
	if len(s.Hook) == 0 {
		return nil, &fleet.Unknown{Because: "apt cannot be asked for a plan, because this program cannot name itself", Remedy: "call it by its full path"}
	}
	db, err := s.database(m)
	if err != nil {
		return nil, err
	}
	left := db.interrupted()
	if len(left) == 0 || sel.Mend && db.Journal == 0 {
		return db, nil
	}
	if who := s.atWork(m); who != "" {
		return nil, &fleet.Unknown{Because: who + " is at work on the packages", Remedy: "wait until it has ended, and try again", Err: ErrInterrupted}
	}
	return nil, &fleet.Unknown{
		Because: "dpkg was interrupted, and has not finished with " + strings.Join(left, ", "), Remedy: "let it finish first: redflag repair",
		Err: ErrInterrupted,
	}
}

// ErrInterrupted: dpkg was interrupted in the middle of its work.
var ErrInterrupted = errors.New("dpkg was interrupted")

// offered gives what is on offer. What apt would keep back matters only where updates are chosen from it: else apt is not asked.
func (s Source) offered(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Finding, error) {
	if sel.All || sel.Mend || len(sel.Back) > 0 {
		s.Hook = nil
		s.StateDir = "" // what is kept there has apt's word in it
	}
	return s.Scan(ctx, m)
}

// wanted gives the words of apt-get's command line that mean a selection; nil where nothing is to be done.
func wanted(m *machine.Machine, db *Database, sel fleet.Selection, finding fleet.Finding, p *fleet.Plan) ([]string, error) {
	switch {
	case sel.All:
		return []string{"dist-upgrade"}, nil
	case sel.Mend:
		return []string{mendWord, "install"}, nil
	case len(sel.Back) > 0:
		p.Warnings = append(p.Warnings, movedOn(db, sel.Back)...)
		return back(m, sel.Back), nil
	}
	words := []string{"install"}
	for _, u := range finding.Updates {
		if sel.Security && u.Security && u.Blocked == "" {
			words = append(words, word(u.Name, u.Arch, u.To))
		}
	}
	if err := missing(db, finding.Updates, sel.Names); err != nil {
		return nil, err
	}
	for _, name := range sel.Names {
		u, err := pick(finding.Updates, name)
		if err != nil {
			return nil, err
		}
		if u.Blocked == fleet.Phased {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s is %s: named, it is installed all the same", u.Name, u.BlockedBecause))
		}
		words = append(words, word(u.Name, u.Arch, u.To))
	}
	if len(words) == 1 {
		return nil, nil
	}
	return words, nil
}

// mendWord has apt correct what does not fit together. It is ours, and never from a name.
const mendWord = "--fix-broken"

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

// missing is an error that says which of the names have no update on offer.
func missing(db *Database, updates []fleet.Update, names []string) error {
	var list []string
	because := ""
	for _, name := range names {
		if slices.ContainsFunc(updates, func(u fleet.Update) bool { return called(u.Name, u.Arch, name) }) {
			continue
		}
		list = append(list, name)
		if because == "" && !slices.ContainsFunc(db.Packages, func(p *Package) bool { return p.Installed() && called(p.Name, p.Arch, name) }) {
			because = fmt.Sprintf("no update of %q is on offer: apt has no package of that name installed here", fleet.Plain(name))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return source.NotOnOffer(list, because)
}

// called says whether a package goes by a name: curl, or libc6:i386.
func called(name, arch, as string) bool { return as == name || as == name+":"+arch }

// pick finds the update that a name means.
func pick(updates []fleet.Update, name string) (fleet.Update, error) {
	for _, u := range updates {
		if !called(u.Name, u.Arch, name) {
			continue
		}
		if u.Blocked == fleet.Held {
			return u, &fleet.Unknown{Because: u.Name + " is on hold", Remedy: "release it first: redflag unhold " + u.Name}
		}
		return u, nil
	}
	return fleet.Update{}, source.NotOnOffer([]string{name}, "")
}

// aptName is what a package may be called, with or without its architecture (Debian Policy 5.6.1). Nothing like an option fits.
var aptName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?$`)

// versionText is what a version may look like (Debian Policy 5.6.12).
var versionText = regexp.MustCompile(`^[0-9][A-Za-z0-9.+:~-]*$`)

// checkWords refuses what would not be a package to apt. Names come from archives and from servers.
func checkWords(words []string) error {
	for i, w := range words {
		if i == 0 || words[0] == mendWord {
			continue
		}
		if path.Dir(w) == source.KeptDir {
			continue // a file of ours
		}
		name, version, exact := strings.Cut(strings.TrimSuffix(w, "-"), "=")
		if !aptName.MatchString(name) || exact && !versionText.MatchString(version) {
			return fmt.Errorf("%q is no name of a package", fleet.Plain(w))
		}
	}
	return nil
}

// askForWhatIsThere asks for a plan, and where apt does not know some of the versions to go back to, for one without them: it is said which.
func (s Source) askForWhatIsThere(ctx context.Context, m *machine.Machine, words *[]string, p *fleet.Plan) (*plan, error) {
	for {
		said, output, err := s.askFor(ctx, m, *words)
		if err == nil || len(p.Selection.Back) == 0 {
			return said, err
		}
		left := slices.DeleteFunc(slices.Clone(*words), func(w string) bool {
			if !lacks(output, w) {
				return false
			}
			name, version, _ := strings.Cut(w, "=")
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s cannot go back: its version %s was not kept here, and no source has it any more", name, version))
			return true
		})
		if len(left) == len(*words) {
			return nil, err
		}
		if len(left) == 1 {
			return nil, &fleet.Unknown{Because: strings.Join(p.Warnings, "; "), Remedy: "get the packages elsewhere, and install them by hand"}
		}
		*words = left
	}
}

// lacks says whether apt complains that it does not have what a word names.
func lacks(output []byte, word string) bool {
	name, version, exact := strings.Cut(word, "=")
	if !exact {
		return false
	}
	bare, _, _ := strings.Cut(name, ":")
	text := string(output)
	return strings.Contains(text, fmt.Sprintf("Version '%s' for '%s' was not found", version, name)) ||
		strings.Contains(text, fmt.Sprintf("Version '%s' for '%s' was not found", version, bare)) ||
		strings.Contains(text, "Unable to locate package "+name+"\n") || strings.Contains(text, "Unable to locate package "+bare+"\n")
}

// askFor has apt plan what the words say and tell our hook, which stops it there. What apt complained of comes with an error.
func (s Source) askFor(ctx context.Context, m *machine.Machine, words []string) (*plan, []byte, error) {
	if err := checkWords(words); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	args := append(append([]string{"-s", "-q", "-o", "Debug::NoLocking=1"}, settled(words)...), hookOption(s.Hook, "-")...)
	result, err := m.Run(ctx, machine.Command{Name: "apt-get", Args: append(args, words...)})
	if err != nil {
		return nil, nil, noTransaction(err.Error(), err)
	}
	p, err := parsePlan(result.Stdout)
	switch said := complaint(result); {
	case err != nil:
		return nil, result.Stderr, noTransaction(err.Error(), err)
	case p != nil:
		return p, nil, nil
	case strings.Contains(said, "Unmet dependencies"), strings.Contains(said, "unmet dependencies") && words[0] == "dist-upgrade":
		return nil, result.Stderr, &fleet.Unknown{Because: "packages that are installed lack others that they need", Remedy: "let apt mend that first: redflag repair"}
	case said != "":
		return nil, result.Stderr, noTransaction(said, nil)
	case result.Code != 0:
		return nil, result.Stderr, noTransaction(fmt.Sprintf("apt-get ended with code %d and no word", result.Code), nil)
	}
	return &plan{}, nil, nil // there is nothing to do: apt does not even call its hooks
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
func markSecurity(finding fleet.Finding, p *fleet.Plan) {
	security := map[string]bool{}
	for _, u := range finding.Updates {
		security[u.Name+" "+u.To] = u.Security
	}
	for i, c := range p.Changes {
		p.Changes[i].Security = security[c.Name+" "+c.To]
	}
}
