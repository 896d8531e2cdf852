package rpmtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// Source is all that a source of RPM's world is.
type Source interface {
	source.Installer
	source.Refresher
	source.Lister
	source.Holder
	source.Repairer
}

// Kit is a package manager as it is tried in a lab.
type Kit struct {
	// Source waits for no lock.
	Source Source
	// File is the configuration of its repositories, and Scheme how it names a folder of this machine: file, dir.
	File, Scheme string
}

// repositories are those of the toys at a place; of later ones nothing is on offer until a test says so.
func repositories(place string) string {
	var text strings.Builder
	for _, r := range [][2]string{{"base", "1"}, {"updates", "1"}, {"later", "0"}} {
		text.WriteString("[" + r[0] + "]\nname=" + r[0] + "\nbaseurl=" + place + "/" + r[0] + "\nenabled=" + r[1] + "\ngpgcheck=0\n")
	}
	return text.String()
}

// Use has the lab tried with a package manager, for which everything is on offer and fetched.
func (l *Lab) Use(k Kit) *Lab {
	l.Helper()
	l.kit = k
	l.Offer(k.Scheme + ":///srv/toys")
	return l
}

// Offer has the toys on offer at a place, and fetched.
func (l *Lab) Offer(place string) {
	l.Helper()
	l.Write(l.kit.File, repositories(place))
	l.Refresh()
}

// Enable has a repository counted, or not, as its configuration says.
func (l *Lab) Enable(name string, enabled bool) {
	l.Helper()
	to := map[bool]string{false: "0", true: "1"}[enabled]
	l.Sh("sed -i '/^\\[" + name + "\\]$/,/^gpgcheck/ s/^enabled=.*/enabled=" + to + "/' " + l.kit.File)
}

// Refresh fetches what is on offer.
func (l *Lab) Refresh() {
	l.Helper()
	if err := l.kit.Source.Refresh(context.Background(), l.Machine()); err != nil {
		l.Fatal(fleet.Explain(err))
	}
}

// Sorted is a finding whose updates are in the order of their names.
func (l *Lab) Sorted() fleet.Finding {
	l.Helper()
	f := l.Finding(l.kit.Source)
	slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return strings.Compare(a.Name+a.Arch, b.Name+b.Arch) })
	return f
}

// NeedsNoNetwork tries that what was fetched can be installed, and taken back, when the repositories are gone. It needs the old toy-conf.
func (l *Lab) NeedsNoNetwork() {
	l.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(l.Path("/srv/toys"))))
	defer server.Close()
	l.Offer(server.URL)
	s, w := l.kit.Source, l.Work()
	p := l.Plan(s, fleet.Selection{All: true})
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err != nil {
		l.Fatal(fleet.Explain(err))
	}
	server.Close()
	o, err := s.Apply(context.Background(), l.Machine(), p, w)
	if err != nil || !o.Succeeded() {
		l.Fatalf("%+v, %v\n%s", o, err, l.Said(w))
	}
	l.Succeeds(s, l.Undo(s, p, o, w))
	if got := l.Installed("toy-conf"); got != "toy-conf-1.0-1.el9.noarch" {
		l.Error(got)
	}
}

// WithoutAdvisories tries that a repository which publishes none is said to, and not that nothing is for security; and that what is old is.
func (l *Lab) WithoutAdvisories() {
	l.Helper()
	l.Sh("mkdir /srv/toys/plain && cp /srv/toys/updates/*.rpm /srv/toys/plain && createrepo_c -q /srv/toys/plain && sed -i 's,toys/updates,toys/plain,' " + l.kit.File)
	l.Refresh()
	if f := l.Finding(l.kit.Source); len(f.Updates) == 0 || f.SecurityUnknown != "no advisory data in updates" {
		l.Errorf("%d updates, and what is for security is not known: %q", len(f.Updates), f.SecurityUnknown)
	}
	l.Later = 30 * 24 * time.Hour
	l.Unknown(l.kit.Source, "what is known of the repositories is 30 days old")
	l.Later = 0
}

// ToldToFail tries that a script which fails is told, whether or not the package manager does. It needs the old toy-post, toy-pre and toy-conf. With names what is
// planned beside toy-pre, which comes all the same.
func (l *Lab) ToldToFail(with ...string) {
	l.Helper()
	s, w := l.kit.Source, l.Work()
	o := l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-post"}}), w)
	if o.Succeeded() || len(o.Missing) > 0 || !slices.Equal(o.HalfDone, []string{"toy-post"}) || !strings.Contains(o.Because, "the %post script of toy-post failed; its files are installed all the same") {
		l.Errorf("a script that fails afterwards: %+v\n%s", o, l.Said(w))
	}
	w = l.Work()
	o = l.CarryOut(s, l.Plan(s, fleet.Selection{Names: append(with, "toy-pre")}), w)
	if o.Succeeded() || sourcetest.Lines(o.Missing) != "upgrade toy-pre.noarch 1.0-1.el9 → 2.0-1.el9" || !strings.Contains(o.Because, "the %pre script of toy-pre failed") {
		l.Errorf("a script that fails before: %+v\n%s", o, l.Said(w))
	}
	if got := l.Installed("toy-pre"); got != "toy-pre-1.0-1.el9.noarch" {
		l.Error(got)
	}
	for _, name := range with {
		if got := l.Installed(name); got != name+"-2.0-1.el9.noarch" {
			l.Error(got)
		}
	}
}

// KeepsBack tries that what needs a newer toy-lib is kept back while toy-lib is on hold.
func (l *Lab) KeepsBack() {
	l.Helper()
	for _, u := range l.Finding(l.kit.Source).Updates {
		if u.Name == "toy-lib" && u.Blocked != fleet.Held || u.Name == "toy-app" && (u.Blocked != fleet.KeptBack || !strings.Contains(u.BlockedBecause, "toy-lib")) {
			l.Errorf("%+v", u)
		}
	}
	for _, c := range l.Plan(l.kit.Source, fleet.Selection{All: true}).Changes {
		if c.Name == "toy-lib" || c.Name == "toy-app" {
			l.Errorf("planned: %s", c)
		}
	}
}

// KeepsReasons tries that what came because another package needs it stays known as that: when it is upgraded by its name, when it is new, when something else
// replaces it, and when all that is taken back. Install is the command that installs packages, disown the one that makes a package one that nobody chose, and marked
// gives the names of those.
func (l *Lab) KeepsReasons(install, disown string, marked func() string) {
	l.Helper()
	l.Enable("updates", false)
	l.Sh(install + " toy-app toy-old && " + disown + " toy-old")
	l.Enable("updates", true)
	l.Refresh()
	before, s := l.Everything(), l.kit.Source
	if got := marked(); got != "toy-lib toy-old" {
		l.Fatalf("before: %q", got)
	}
	for _, sel := range []fleet.Selection{{Names: []string{"toy-lib", "toy-app"}}, {All: true}} {
		p := l.Plan(s, sel)
		o, w := l.Succeeds(s, p)
		if got := marked(); !strings.HasPrefix(got, "toy-brought toy-lib") {
			l.Errorf("afterwards: %q", got)
		}
		l.Succeeds(s, l.Undo(s, p, o, w))
		if got := marked(); got != "toy-lib toy-old" || l.Everything() != before {
			l.Errorf("after the undo: %q, %s", got, l.Everything())
		}
	}
}
