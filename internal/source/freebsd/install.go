package freebsd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: what freebsd-update has made ready, by its own lists of files.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	p.Restart.Because = "which services run files of the base system cannot be seen on FreeBSD"
	p.Free = source.Free(m, workDir(m), "/usr", "/boot")
	switch {
	case sel.Mend:
		return p, nil // what is begun, a repair goes on with
	case packaged(ctx, m):
		if len(sel.Names) > 0 {
			return p, source.NotOnOffer(sel.Names, "") // they are pkg's
		}
		return p, nil
	case len(sel.Back) > 0:
		return p, s.back(ctx, m, &p)
	}
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return p, err
	}
	meant := f.Updates
	if !sel.All {
		if sel.Security && f.SecurityUnknown != "" {
			return p, &fleet.Unknown{Because: "which updates are for security is not known: " + f.SecurityUnknown, Remedy: "choose all of them"}
		}
		if meant, err = source.Meant(f.Updates, sel); err != nil {
			return p, err
		}
	}
	if len(meant) == 0 {
		return p, nil
	}
	return p, s.forth(m, &p, meant[0])
}

// forth plans what is ready, if it is what is on offer.
func (s Source) forth(m *machine.Machine, p *fleet.Plan, u fleet.Update) error {
	staged, err := readManifest(m, ready)
	switch {
	case err != nil:
		return err
	case staged == nil:
		return &fleet.Unknown{Because: u.To + " is on offer, and not ready to be installed", Remedy: "sudo redflag scan --refresh fetches it"}
	case staged.begun:
		return readable(m)
	case staged.to.String() != u.To:
		return &fleet.Unknown{
			Because: fmt.Sprintf("what freebsd-update has ready is %s, and not %s", orUnknown(staged.to), u.To), Remedy: "sudo redflag scan --refresh; an upgrade to another release is finished by hand: freebsd-update install",
		}
	}
	p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: u.Name, From: u.From, To: u.To, Security: u.Security, Origin: u.Origin})
	rebootFor(p, staged)
	return nil
}

func orUnknown(v version) string {
	if v == (version{}) {
		return "of no known version"
	}
	return v.String()
}

func rebootFor(p *fleet.Plan, x *manifest) {
	p.Warnings = append(p.Warnings, fmt.Sprintf("%d files change; on ZFS freebsd-update makes a boot environment before, from FreeBSD 14 on", x.files))
	if x.kernel {
		p.Reboot = fleet.Reboot{Needed: fleet.Needed, Because: []string{"the kernel, its modules or the loader change"}}
	}
}

// back plans to take the last installation back, which is all that freebsd-update can.
func (s Source) back(ctx context.Context, m *machine.Machine, p *fleet.Plan) error {
	c := p.Selection.Back[0]
	last, err := readManifest(m, takeBack)
	if err != nil {
		return err
	}
	v, err := readVersions(ctx, m)
	if err != nil {
		return err
	}
	if last == nil || len(p.Selection.Back) != 1 || c.Name != userlandName || last.from.String() != c.To || last.to.String() != c.From || v.userland != last.to {
		return &fleet.Unknown{Because: "freebsd-update takes back its last installation alone, and that is another one", Remedy: "on ZFS, go back to a boot environment: bectl list"}
	}
	p.Changes = append(p.Changes, c)
	rebootFor(p, last)
	return nil
}

// Undo implements source.Installer.
func (Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	if len(o.Done) != 1 || o.Done[0].Name != userlandName || o.Done[0].Action == fleet.Downgrade {
		return fleet.Selection{}, &fleet.Unknown{Because: "that job has changed nothing that freebsd-update could take back", Remedy: "install it again: redflag install " + userlandName}
	}
	d := o.Done[0]
	return fleet.Selection{Back: []fleet.Change{{Action: fleet.Downgrade, Name: d.Name, Arch: d.Arch, From: d.To, To: d.From}}}, nil
}

// Files of a job.
const (
	beforeFile = "before.json"
	codeFile   = "code.json"
)

// Fetch implements source.Installer: what is planned is ready already.
func (Source) Fetch(context.Context, *machine.Machine, fleet.Plan, source.Work) error { return nil }

// command is freebsd-update: nobody reads its lists page by page.
func command(words ...string) machine.Command {
	return machine.Command{Name: "freebsd-update", Args: append([]string{"--not-running-from-cron"}, words...), Env: []string{"PAGER=cat"}}
}

// Apply implements source.Installer. freebsd-update installs what is ready, and verifies each file of it by its hash before it begins; what is ready is looked at
// once more right before.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	now, err := s.Plan(ctx, m, p.Selection)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if now.Digest() != p.Digest() {
		return fleet.Outcome{}, &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(p.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	}
	word := "install"
	if len(p.Selection.Back) > 0 {
		word = "rollback"
	}
	if err := s.carry(ctx, m, w, word); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

func (Source) carry(ctx context.Context, m *machine.Machine, w source.Work, word string) error {
	before, err := readVersions(ctx, m)
	if err != nil {
		return err
	}
	if err := w.Write(m, beforeFile, before.userland.String()); err != nil {
		return err
	}
	code, err := w.Carry(m, command(word))
	if err := errors.Join(err, w.Write(m, codeFile, code)); err != nil {
		fmt.Fprintf(w.Log, "\n%v\n", err) // what was done until then is told by what is there
	}
	return nil
}

// Settle implements source.Installer: the truth is what the system says of itself, and whether freebsd-update has put away what it had ready.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var before string
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := readVersions(ctx, m)
	if err != nil {
		return o, err
	}
	if o.HalfDone, err = s.Unfinished(m); err != nil {
		return o, err
	}
	for _, c := range p.Changes {
		if c.To == now.userland.String() {
			o.Done = append(o.Done, c)
		} else {
			o.Missing = append(o.Missing, c)
		}
	}
	if after := now.userland.String(); after != before && len(o.Done) == 0 {
		o.Done = append(o.Done, fleet.Change{Action: fleet.Upgrade, Name: userlandName, From: before, To: after})
	}
	var code int
	codeErr := w.Read(m, codeFile, &code)
	if (codeErr != nil || code == 0) && o.Succeeded() {
		return o, nil // without a code we were killed, and freebsd-update went on alone: what is there says all
	}
	said, err := w.LastRun(m)
	if err != nil {
		return o, err
	}
	o.Because, o.Remedy = explain(said, fmt.Sprintf("freebsd-update did not come to its end (code %d)", code))
	if len(o.HalfDone) > 0 {
		o.Remedy = "let it go on: redflag repair; after a new kernel, reboot first"
	}
	return o, nil
}

// reasons are freebsd-update's messages, and what they mean to a person. The first that fits counts.
var reasons = []struct {
	pattern         *regexp.Regexp
	because, remedy string
}{
	{regexp.MustCompile(`Kernel updates have been installed\.`), "the new kernel is installed, and the rest comes after a reboot", "reboot, then: redflag repair"},
	{regexp.MustCompile(`incompatible with the use of packaged base`), "the base system is made of packages here", "install them by pkg"},
	{regexp.MustCompile(`You must be root`), "only root may do this", "run it as root"},
	{regexp.MustCompile(`No space left on device`), "the disk is full", "free some space; " + "freebsd-update keeps old files in its folder"},
	{regexp.MustCompile(`No mirrors remaining, giving up|none found|Fetching .* failed`), "no server of updates can be reached", "check the network"},
	{regexp.MustCompile(`Update manifest is corrupt`), "what was fetched is broken", "sudo redflag scan --refresh"},
	{regexp.MustCompile(`No updates are available to install|No rollback directory found`), "freebsd-update has nothing ready", "sudo redflag scan --refresh"},
	{regexp.MustCompile(`Cowardly refusing`), "what the server has is older than what is installed, or its signature is wrong", "see what `freebsd-update fetch` says"},
	{regexp.MustCompile(`partially completed upgrade`), "an upgrade to another release is half done", "finish it by hand: freebsd-update install"},
	{regexp.MustCompile(`Cannot identify running kernel|kernel .* not found`), "the running kernel is none that FreeBSD publishes", "renew the kernel from its sources"},
}

func explain(said, otherwise string) (because, remedy string) {
	for _, r := range reasons {
		if r.pattern.MatchString(said) {
			return r.because, r.remedy
		}
	}
	return otherwise, "see the log"
}

// Unfinished implements source.Repairer.
func (Source) Unfinished(m *machine.Machine) ([]string, error) {
	staged, err := readManifest(m, ready)
	if err != nil || staged == nil || !staged.begun {
		return []string{}, err
	}
	return []string{userlandName}, nil
}

// Repair implements source.Repairer: freebsd-update goes on where it was ended.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	staged, err := readManifest(m, ready)
	if err != nil || staged == nil || !staged.begun {
		return fleet.NewOutcome(), err
	}
	running, err := ask(ctx, m, "-r")
	if err != nil {
		return fleet.NewOutcome(), err
	}
	v, err := readVersions(ctx, m)
	if err != nil {
		return fleet.NewOutcome(), err
	}
	if staged.kernelFirst && running != v.kernel {
		return fleet.NewOutcome(), &fleet.Unknown{Because: fmt.Sprintf("kernel %s is installed and %s runs: the rest comes after a reboot", v.kernel, running), Remedy: "reboot, then: redflag repair"}
	}
	if err := s.carry(ctx, m, w, "install"); err != nil {
		return fleet.NewOutcome(), err
	}
	return s.Settle(ctx, m, fleet.Plan{}, w)
}

// refreshLimit bounds a fetch: it looks at every file of the base system, which takes minutes on a small machine.
const refreshLimit = time.Hour

// Refresh implements source.Refresher. freebsd-update fetches what it would install with it. It ends with 1 where support has ended: that is a scan's to tell.
func (s Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if packaged(ctx, m) {
		return nil
	}
	if os.Geteuid() != 0 {
		return &fleet.Unknown{Because: "only root may fetch what is on offer for the base system", Remedy: "sudo redflag scan --refresh"}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	r, err := m.Run(ctx, command("fetch"))
	if err != nil {
		return &fleet.Unknown{Because: "what is on offer could not be fetched: " + fleet.Plain(err.Error()), Remedy: "see what `freebsd-update fetch` says", Err: err}
	}
	said := string(slices.Concat(r.Stdout, r.Stderr))
	if r.Code == 0 || strings.Contains(said, "HAS PASSED ITS END-OF-LIFE DATE") {
		return nil
	}
	because, remedy := explain(said, fmt.Sprintf("freebsd-update ended with code %d", r.Code))
	return &fleet.Unknown{Because: "what is on offer could not be fetched: " + because, Remedy: remedy}
}
