// Package freebsd is the source of FreeBSD's base system where that is no packages: what freebsd-update fetches, installs and takes back. What is on offer, and
// when support ends, is read from what freebsd-update keeps of its last fetch; what would be installed, from the files that it has made ready. It is one thing with
// one version, the patch level of the release. To go to another release is left to a person.
package freebsd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/pkg"
)

// Source is FreeBSD's base system. It implements source.Installer, source.Refresher, source.Lister and source.Repairer. freebsd-update has no means to hold anything.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "freebsd" }

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	for _, file := range []string{"/usr/sbin/freebsd-update", "/bin/freebsd-version"} {
		if _, err := m.Stat(file); err != nil {
			return false
		}
	}
	return true
}

// The names are those by which VuXML speaks of the base system.
const (
	userlandName = "FreeBSD"
	kernelName   = "FreeBSD-kernel"
)

// Packages implements source.Lister: the userland, and the kernel where there is one, which a jail has not. Where the base system is packages, they are pkg's.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	v, err := readVersions(ctx, m)
	if err != nil || packaged(ctx, m) {
		return nil, err
	}
	list := []fleet.Package{{Source: s.Name(), Name: userlandName, Version: v.userland.String()}}
	if v.kernel != (version{}) {
		list = append(list, fleet.Package{Source: s.Name(), Name: kernelName, Version: v.kernel.String()})
	}
	return list, nil
}

// packaged says whether the base system is made of packages, as freebsd-update itself finds out (its check_pkgbase).
func packaged(ctx context.Context, m *machine.Machine) bool {
	for _, file := range []string{"/usr/local/sbin/pkg", "/var/db/pkg/local.sqlite"} { // without them pkg would ask whether to install itself
		if _, err := m.Stat(file); err != nil {
			return false
		}
	}
	r, err := m.Run(ctx, machine.Command{Name: "pkg", Args: []string{"which", "-q", "/usr/bin/uname"}})
	return err == nil && r.Code == 0
}

// staleAfter is how old what is known may be: patches come every few weeks, and are for security.
const staleAfter = 7 * 24 * time.Hour

// Scan implements source.Source. What freebsd-update keeps, root alone may read.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{}
	if packaged(ctx, m) {
		return f, nil // its packages are pkg's
	}
	v, err := readVersions(ctx, m)
	if err != nil {
		return f, err
	}
	if !v.userland.released() {
		return f, &fleet.Unknown{Because: "updates are published for releases, and this is " + v.userland.String(), Remedy: "renew it from its sources, or install a release"}
	}
	t, err := readTag(m)
	if err != nil {
		return f, err
	}
	if t.release != v.userland.release {
		return f, &fleet.Unknown{Because: fmt.Sprintf("what is on offer is known for %s, and this is %s", t.release, v.userland), Remedy: "sudo redflag scan --refresh"}
	}
	f.AsOf = t.fetched
	var problems []error
	if t.patch > v.userland.patch {
		u := fleet.Update{Name: userlandName, From: v.userland.String(), To: t.version().String(), Origin: "update.FreeBSD.org", Summary: "the base system"}
		u.Notices, f.SecurityUnknown = advise(ctx, m, v, t.version())
		u.Security = len(u.Notices) > 0
		if err := readable(m); err != nil {
			problems = append(problems, err)
		}
		f.Updates = append(f.Updates, u)
	}
	problems = append(problems, t.trouble(m.Now())...)
	return f, errors.Join(problems...)
}

// trouble says why what was fetched is not the last word: it is old, or nobody mends this release any more.
func (t tag) trouble(now time.Time) []error {
	var problems []error
	if age := now.Sub(t.fetched); age > staleAfter {
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("what is on offer was last fetched %d days ago", int(age.Hours()/24)), Remedy: "sudo redflag scan --refresh",
		})
	}
	if now.After(t.supportEnds) {
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("FreeBSD %s is not supported since %s: what was found since then is not mended", t.release, t.supportEnds.Format(time.DateOnly)),
			Remedy:  "go to a release that is supported: freebsd-update upgrade -r",
		})
	}
	return problems
}

// advise gives the flaws that the patches mend, by VuXML, or why that is not known.
func advise(ctx context.Context, m *machine.Machine, from versions, to version) (list []fleet.Notice, unknown string) {
	const nobody = "which patches are for security is in FreeBSD's list of flaws, which pkg has: "
	if _, err := m.Stat("/usr/local/sbin/pkg"); err != nil {
		return nil, nobody + "pkg is not installed"
	}
	have := []string{userlandName + "-" + from.userland.vuxml()}
	remain := []string{userlandName + "-" + to.vuxml()}
	if from.kernel != (version{}) {
		have, remain = append(have, kernelName+"-"+from.kernel.vuxml()), append(remain, kernelName+"-"+to.vuxml())
	}
	flaws, err := pkg.Flaws(ctx, m, have...)
	if err != nil {
		return nil, nobody + err.Error()
	}
	remains, err := pkg.Flaws(ctx, m, remain...)
	if err != nil {
		return nil, nobody + err.Error()
	}
	for _, name := range []string{userlandName, kernelName} {
		list = append(list, pkg.Mended(flaws[name], remains[name])...)
	}
	return list, pkg.Stale(m)
}

// version is a release and its patch level.
type version struct {
	release string // 14.1-RELEASE
	patch   int
}

func (v version) String() string {
	if v.patch == 0 {
		return v.release
	}
	return v.release + "-p" + strconv.Itoa(v.patch)
}

// vuxml is how VuXML writes it: 14.1_5 (periodic's security/405.pkg-base-audit does the same).
func (v version) vuxml() string {
	text := strings.TrimSuffix(v.release, "-RELEASE")
	if v.patch == 0 {
		return text
	}
	return text + "_" + strconv.Itoa(v.patch)
}

// released says whether freebsd-update has updates for such (freebsd-update(8)).
func (v version) released() bool {
	for _, word := range []string{"STABLE", "CURRENT", "PRERELEASE"} {
		if strings.HasSuffix(v.release, word) {
			return false
		}
	}
	return true
}
