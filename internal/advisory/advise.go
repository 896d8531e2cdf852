package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Advisor says what to patch first on a host.
type Advisor struct {
	*Matcher
	Now          time.Time
	Suppressions []Suppression
}

// Advise gives each pending update of a scan its advice, and the scan what is known of advisories. Without feeds about an update it has none, unless its
// changelog claims something. A feed that cannot be read makes what it would have said unknown, and is told.
func (a Advisor) Advise(scan *fleet.Scan) {
	known := &fleet.Advisories{Feeds: []fleet.AdvisoryFeed{}}
	for _, f := range a.shelf.Feeds() {
		known.Feeds = append(known.Feeds, fleet.AdvisoryFeed{Name: f.Name, AsOf: f.Age()})
	}
	known.Support, known.Unsupported = a.support(scan.Host)
	problems := []string{}
	uncovered := map[string]bool{}
	for i := range scan.Findings {
		for j := range scan.Findings[i].Updates {
			u := &scan.Findings[i].Updates[j]
			var err error
			u.Advice, err = a.update(scan.Host, *u)
			if err != nil {
				problems = appendNew(problems, err.Error())
			}
			if u.Build != nil && u.Build.Ecosystem != "" && !a.shelf.covers(u.Build.Ecosystem) {
				uncovered[u.Build.Ecosystem] = true
			}
		}
	}
	known.Unknown = strings.Join(append(a.lacks(uncovered), problems...), "; ")
	known.Expired = a.expired(scan)
	scan.Advisories = known
}

func appendNew(list []string, s string) []string {
	if contains(list, s) {
		return list
	}
	return append(list, s)
}

// lacks says in words what the shelf has not, or has of long ago.
func (a Advisor) lacks(uncovered map[string]bool) []string {
	var words []string
	if a.shelf.Empty() {
		return []string{"no advisory data"}
	}
	for e := range uncovered {
		words = append(words, "no advisory data about "+e)
	}
	slices.Sort(words)
	for _, f := range a.shelf.Feeds() {
		if f.Stale(a.Now) {
			words = append(words, fmt.Sprintf("%s is of %s", f.Name, f.Age().Format(time.DateOnly)))
		}
	}
	for _, d := range a.shelf.Damaged {
		words = append(words, "a feed cannot be read: "+d)
	}
	if len(a.shelf.tables) > 0 {
		if !a.shelf.has(KEV) {
			words = append(words, "what is exploited is not known (kev)")
		}
		if !a.shelf.has(EPSS) {
			words = append(words, "how probable that is is not known (epss)")
		}
	}
	return words
}

// update advises on one update; nil where nothing is known.
func (a Advisor) update(h fleet.Host, u fleet.Update) (*fleet.Advice, error) {
	advice := &fleet.Advice{Mends: []fleet.Flaw{}, Remains: []fleet.Flaw{}}
	covered := u.Build != nil && u.Build.Ecosystem != "" && a.shelf.covers(u.Build.Ecosystem)
	switch {
	case u.Build == nil || !covered && u.Claims == nil:
		return nil, nil
	case !covered && u.Build.Ecosystem == "":
		advice.Unknown = "it is not the distribution's own, so no feed speaks of it"
	case !covered:
		advice.Unknown = "no advisory data about " + u.Build.Ecosystem
	}
	if why := apart(h, u); why != "" {
		advice.Bucket, advice.Because = fleet.Track, why
		return advice, nil
	}
	err := a.compare(u, covered, advice)
	a.claims(u, covered, advice)
	for _, list := range [][]fleet.Flaw{advice.Mends, advice.Remains} {
		for i := range list {
			err = errors.Join(err, a.enrich(&list[i]))
			a.suppress(&list[i], u)
		}
		slices.SortStableFunc(list, compareFlaws)
	}
	if err != nil {
		advice.Unknown = fleet.Plain(err.Error())
	}
	advice.Bucket, advice.Because = a.bucket(u, advice)
	return advice, err
}

// compare fills in what the feeds say: affected before and not after.
func (a Advisor) compare(u fleet.Update, covered bool, advice *fleet.Advice) error {
	if !covered {
		return nil
	}
	from, to := subjects(u)
	before, after := a.verdict(from), a.verdict(to)
	if err := errors.Join(before.err, after.err); err != nil {
		return err
	}
	for _, f := range before.flaws {
		if !slices.ContainsFunc(after.flaws, func(o fleet.Flaw) bool { return o.ID == f.ID }) {
			advice.Mends = append(advice.Mends, f)
		}
	}
	advice.Remains = append(advice.Remains, after.flaws...)
	return nil
}

// claims adds what the changelog alone says. A feed that knows of the flaw, or knows that the installed version has it not, goes before it.
func (a Advisor) claims(u fleet.Update, covered bool, advice *fleet.Advice) {
	if u.Claims == nil {
		return
	}
	clear := map[string]bool{}
	if covered {
		from, _ := subjects(u)
		clear = a.verdict(from).clear
	}
	for _, id := range u.Claims.IDs {
		is := func(f fleet.Flaw) bool { return f.ID == id }
		if clear[id] || slices.ContainsFunc(advice.Mends, is) || slices.ContainsFunc(advice.Remains, is) {
			continue
		}
		advice.Mends = append(advice.Mends, fleet.Flaw{ID: id, Evidence: fleet.ByChangelog, FixedIn: u.Build.To})
	}
}

func (a Advisor) suppress(f *fleet.Flaw, u fleet.Update) {
	for _, s := range a.Suppressions {
		if s.holds(a.Now) && s.covers(*f, u.Name, u.Build.Package) {
			f.Suppressed = &fleet.Suppressed{Owner: fleet.Plain(s.Owner), Reason: fleet.Plain(s.Reason), Status: s.Status, Until: s.Until.Time}
			return
		}
	}
}

// expired names the suppressions that have run out and would have covered something in a scan.
func (a Advisor) expired(scan *fleet.Scan) []string {
	var words []string
	for _, s := range a.Suppressions {
		if s.holds(a.Now) {
			continue
		}
		for _, f := range scan.Findings {
			for _, u := range f.Updates {
				if u.Advice != nil && slices.ContainsFunc(slices.Concat(u.Advice.Mends, u.Advice.Remains), func(f fleet.Flaw) bool { return s.covers(f, u.Name, u.Build.Package) }) {
					words = appendNew(words, fmt.Sprintf("the suppression of %s by %s ended on %s", fleet.Plain(s.ID), fleet.Plain(s.Owner), s.Until.Format(time.DateOnly)))
				}
			}
		}
	}
	return words
}

var (
	// kernelSource are the source packages of kernels: linux, linux-signed-amd64, linux-aws, linux-meta-hwe-6.8. Others begin in the same way, as
	// linux-firmware and linux-base.
	kernelSource = regexp.MustCompile(`^linux(?:-(?:signed|meta|latest))?(?:-[a-z0-9.+-]+)?$`)
	notKernels   = regexp.MustCompile(`^linux-(?:base|firmware|atm|wlan|doc|ftpd|user-chroot|show-player|minidisc|apfs|support).*`)
	// kernelPackage is a kernel's image or its modules, with its release or, of one that pulls the newest in, its flavour.
	kernelPackage = regexp.MustCompile(`^linux-(?:image|modules|modules-extra|image-unsigned)-(.+?)(?:-unsigned|-dbg)?$`)
	// signedVersion is a version of Debian's signed kernels: that of the kernel, with a plus for the last hyphen.
	signedVersion = regexp.MustCompile(`^([0-9][0-9.~rc]*)\+([0-9][^+]*)$`)
	// metaVersion is a version of Ubuntu's packages that pull in a kernel: 6.8.0.31.31 is for 6.8.0-31.31.
	metaVersion = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)\.([0-9]+)\.([0-9]+)`)
	flavours    = regexp.MustCompile(`^[0-9][^-]*(?:-[0-9][^-]*)*-([a-z].*)$`)
)

// subjects names what to look up for an update: before, and after.
func subjects(u fleet.Update) (from, to Subject) {
	b := u.Build
	from = Subject{Ecosystem: b.Ecosystem, Name: b.Package, Version: b.From}
	to = Subject{Ecosystem: b.Ecosystem, Name: b.Package, Version: b.To}
	if isKernel(b) {
		from.kernel()
		to.kernel()
	}
	return from, to
}

func isKernel(b *fleet.Build) bool {
	return sourceOf[family(b.Ecosystem)] == "apt" && kernelSource.MatchString(b.Package) && !notKernels.MatchString(b.Package)
}

// apart says why the flaws of a kernel's package do not count: of kernels only the one that runs does. It is empty where they count.
func apart(h fleet.Host, u fleet.Update) string {
	if !isKernel(u.Build) {
		return ""
	}
	match := kernelPackage.FindStringSubmatch(u.Name)
	switch {
	case match == nil:
		return "it is built from the kernel's source, and is not the kernel"
	case contained[h.Virtualisation]:
		return "the kernel that runs is not this machine's own"
	case match[1] != h.Kernel && (isRelease(match[1]) || flavour(match[1]) != flavour(h.Kernel)):
		return fmt.Sprintf("it is a kernel that does not run (%s does)", fleet.Plain(h.Kernel))
	}
	return ""
}

// kernel puts the kernel's own source in the place of those that sign it or pull it in.
func (s *Subject) kernel() {
	if family(s.Ecosystem) == "Debian" {
		s.Name = "linux" // one source for all architectures' signatures
		s.Version = signedVersion.ReplaceAllString(s.Version, "$1-$2")
		return
	}
	if strings.HasPrefix(s.Name, "linux-meta") {
		s.Version = metaVersion.ReplaceAllString(s.Version, "$1-$2.$3")
	}
	s.Name = strings.Replace(strings.Replace(s.Name, "linux-signed", "linux", 1), "linux-meta", "linux", 1)
}

// isRelease tells the release of one kernel from a flavour.
func isRelease(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }

// flavour is the part of a kernel's release that stays from one version to the next (6.1.0-28-cloud-amd64: cloud-amd64), and what packages that pull the
// newest in are named by; the series that they are limited to (generic-hwe-22.04) is no part of it. A release without one differs from all others.
func flavour(release string) string {
	found := flavours.FindStringSubmatch(release)
	if found == nil {
		name, _, _ := strings.Cut(release, "-hwe-")
		return name
	}
	return found[1]
}

// contained are the words of [fleet.Host.Virtualisation] for what shares its kernel with another machine.
var contained = map[string]bool{"docker": true, "podman": true, "lxc": true, "systemd-nspawn": true, "container": true}

// support says in words how long a host's release is cared for.
func (a Advisor) support(h fleet.Host) (words string, unsupported bool) {
	value, err := a.shelf.first(Support, supportKey(h.OSID, h.OSVersion))
	if err != nil || value == nil {
		return "", false
	}
	var s support
	if json.Unmarshal(value, &s) != nil || s.Until.IsZero() {
		return "", false
	}
	on := func(t time.Time) string { return t.Format(time.DateOnly) }
	switch {
	case a.Now.Before(s.Until.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s is supported until %s", s.Codename, on(s.Until)), false
	case a.Now.Before(s.Longer.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s is in long-term support until %s, its ordinary support ended on %s", s.Codename, on(s.Longer), on(s.Until)), false
	case a.Now.Before(s.Paid.AddDate(0, 0, 1)):
		return fmt.Sprintf("%s is out of support since %s; for subscribers there are updates until %s", s.Codename, on(later(s.Until, s.Longer)), on(s.Paid)), true
	}
	return fmt.Sprintf("%s is out of support since %s", s.Codename, on(later(s.Until, s.Longer))), true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
