package apt

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// staleAfter is how old lists may be: Debian's and Ubuntu's own timer fetches them every day.
	staleAfter = 7 * 24 * time.Hour
	// silentAfter is how far one archive may lag behind the last refresh before it counts as one that does not answer. Less would blame archives
	// for a refresh that a person, or another program's set-up, limited to one source.
	silentAfter = 2 * 24 * time.Hour
)

// condition is how trustworthy a survey is now.
type condition struct {
	survey *survey
	// asked is when apt was last told to refresh, whatever came of it; zero where that is not known.
	asked time.Time
	now   time.Time
	// fetched is when each of the survey's sources was last found on its archive; zero where that is not known.
	fetched []time.Time
}

// attempted is when apt last began to fetch lists: it then writes to its folder for what is half fetched.
func attempted(m *machine.Machine, set *settings) time.Time {
	info, err := m.Stat(path.Join(set.lists, "partial"))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().UTC()
}

// look finds out when each source was last fetched. A copied file has a young inode: nothing was fetched after the last attempt.
func (c *condition) look(m *machine.Machine) {
	c.fetched = make([]time.Time, len(c.survey.Sources))
	for i, s := range c.survey.Sources {
		if !s.Signed || s.Local {
			continue
		}
		info, err := m.Stat(s.Release)
		if err != nil {
			continue
		}
		at := earlier(changed(info), c.now)
		if !c.asked.IsZero() {
			at = earlier(at, c.asked.Add(time.Hour)) // the refresh itself takes time
		}
		c.fetched[i] = at
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// asOf is the age of what is known: when the suite that was not fetched for the longest time was fetched, or where that left no trace, published.
func (c *condition) asOf() time.Time {
	var oldest time.Time
	for i, s := range c.survey.Sources {
		at := c.fetched[i]
		if at.IsZero() {
			at = s.Date
		}
		if !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest.Truncate(time.Second)
}

// unknowns says what makes the survey's list less than whole.
func (c *condition) unknowns(set *settings, planned bool) []error {
	problems := []error{c.opaque(planned), c.interrupted()}
	if len(c.survey.Sources) == 0 {
		if len(c.survey.problems) == 0 {
			problems = append(problems, &fleet.Unknown{
				Because: "apt has no source of packages that is enabled",
				Remedy:  "enable one in " + set.conf.path("Dir::Etc::sourceparts"),
			})
		}
		return problems
	}
	return append(problems, c.missing(), c.expired(), c.silent(), c.stale())
}

func unknown(because, remedy string) error { return &fleet.Unknown{Because: because, Remedy: remedy} }

const refresh = "fetch them: sudo apt-get update"

func (c *condition) opaque(planned bool) error {
	switch {
	case !c.survey.Opaque:
		return nil
	case planned:
		return unknown("apt's preferences are not understood in full, so the list is that of apt's own plan, without what is held or kept back", "")
	default:
		return unknown("apt's preferences are not understood in full, so which versions are candidates is not known", "ask apt itself: apt list --upgradable")
	}
}

func (c *condition) interrupted() error {
	if len(c.survey.Interrupted) == 0 {
		return nil
	}
	return unknown("dpkg was interrupted, or is at work, on "+several(c.survey.Interrupted),
		"unless a package manager is running now: sudo dpkg --configure -a")
}

// missing names sources without lists.
func (c *condition) missing() error {
	var bare, lacking []string
	for _, s := range c.survey.Sources {
		switch {
		case s.Bare:
			bare = append(bare, s.Name)
		case len(s.Missing) > 0:
			lacking = append(lacking, s.Name+" "+strings.Join(s.Missing, " "))
		}
	}
	if len(bare) == len(c.survey.Sources) {
		return unknown("there are no package lists on this machine", refresh)
	}
	if names := slices.Concat(bare, lacking); len(names) > 0 {
		return unknown("there are no package lists for "+several(names), "see why they are not fetched: sudo apt-get update; or disable what is gone")
	}
	return nil
}

func (c *condition) expired() error {
	names := c.pick(func(_ int, s sourceState) bool { return !s.ValidUntil.IsZero() && s.ValidUntil.Before(c.now) })
	if len(names) == 0 {
		return nil
	}
	return unknown("the package lists have expired for "+several(names), refresh)
}

// silent names sources that did not answer when others did.
func (c *condition) silent() error {
	names := c.pick(func(i int, _ sourceState) bool { return c.lags(i) && !c.old(i) })
	if len(names) == 0 {
		return nil
	}
	return unknown("the last refresh did not reach "+several(names), "see what is wrong with it: sudo apt-get update")
}

// stale names sources that were not fetched for too long. All of them together are one reason.
func (c *condition) stale() error {
	names := c.pick(func(i int, _ sourceState) bool { return c.old(i) })
	if len(names) == 0 {
		if !c.asked.IsZero() && c.now.Sub(c.asked) > staleAfter && !slices.ContainsFunc(c.fetched, func(t time.Time) bool { return !t.IsZero() }) && !c.local() {
			return unknown("the package lists were last fetched "+days(c.now.Sub(c.asked))+" ago", refresh)
		}
		return nil
	}
	oldest := c.now
	for i := range c.fetched {
		if c.old(i) {
			oldest = earlier(oldest, c.fetched[i])
		}
	}
	if len(names) == len(c.survey.Sources) {
		return unknown("the package lists were last fetched "+days(c.now.Sub(oldest))+" ago", refresh)
	}
	return unknown("the package lists of "+several(names)+" were last fetched "+days(c.now.Sub(oldest))+" ago", refresh)
}

func (c *condition) lags(i int) bool {
	return !c.fetched[i].IsZero() && c.asked.Sub(c.fetched[i]) > silentAfter
}

func (c *condition) old(i int) bool {
	return !c.fetched[i].IsZero() && c.now.Sub(c.fetched[i]) > staleAfter
}

func (c *condition) local() bool {
	return !slices.ContainsFunc(c.survey.Sources, func(s sourceState) bool { return !s.Local })
}

func (c *condition) pick(is func(int, sourceState) bool) []string {
	var names []string
	for i, s := range c.survey.Sources {
		if is(i, s) {
			names = append(names, s.Name)
		}
	}
	return names
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }

// several names the first few.
func several(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
