package pkg

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// transaction is what pkg says that it would do.
type transaction struct {
	changes []fleet.Change
	// again are packages that are put in place again in the version that they have.
	again []string
	// download and disk are in bytes, rounded as pkg rounds them.
	download, disk int64
	// first: pkg renews itself, and everything else comes in a transaction after that, which nobody knows yet.
	first bool
}

// upgradeWords mean an upgrade, of everything or of some packages, without fetching catalogues (-U).
func upgradeWords(names []string, flags string) []string {
	return append([]string{"upgrade", flags}, names...)
}

// simulate has pkg say what an upgrade would do.
func simulate(ctx context.Context, m *machine.Machine, names []string) (transaction, error) {
	return simulated(ctx, m, upgradeWords(names, "-nU"))
}

// simulated reads the answer to words that have pkg simulate. Its exit code is 1 where there is something to do, in some versions.
func simulated(ctx context.Context, m *machine.Machine, words []string) (transaction, error) {
	r, err := run(ctx, m, words...)
	if err != nil {
		return transaction{}, err
	}
	t, err := parseSimulated(r.Stdout)
	switch {
	case err != nil && r.Code != 0:
		return t, explain(r, "pkg "+words[0]).unknown()
	case err != nil:
		return t, unreadable("what pkg says that it would do", err)
	}
	return t, nil
}

var errSimulated = errors.New("it is something else than what would be done")

const (
	upToDate = "Your packages are up to date."
	// renewsItself comes before a plan that has pkg alone in it.
	renewsItself = "New version of pkg detected; it needs to be installed first"
)

// sections are the headings of a plan, with the words by which the packages below them are counted at its end. One that is not known makes the plan fail.
var sections = map[string]struct {
	action fleet.Action
	count  string
}{
	"Installed packages LOCKED:":            {"", ""},
	"Installed packages to be REMOVED:":     {fleet.Remove, "removed"},
	"New packages to be INSTALLED:":         {fleet.Install, "installed"},
	"Installed packages to be UPGRADED:":    {fleet.Upgrade, "upgraded"},
	"Installed packages to be DOWNGRADED:":  {fleet.Downgrade, "downgraded"},
	"Installed packages to be REINSTALLED:": {again, "reinstalled"},
}

// again is what a section means that changes no version.
const again fleet.Action = "again"

var (
	affected = regexp.MustCompile(`^(?:The following|Deinstallation has been requested for the following) (\d+) package`)
	counted  = regexp.MustCompile(`^Number of (?:packages|groups) to be (\w+): (\d+)$`)
	toFetch  = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKMGT]?)(?:i?B)? to be downloaded`)
	moreRoom = regexp.MustCompile(`^The process will require (\d+(?:\.\d+)?) ?([kKMGT]?)(?:i?B)? more space`)
	lessRoom = regexp.MustCompile(`^The operation will free (\d+(?:\.\d+)?) ?([kKMGT]?)(?:i?B)?\.`)
)

// parseSimulated reads a plan: either that there is nothing to do, or headings with a line for each package below, and how many there are of each kind.
func parseSimulated(out []byte) (transaction, error) {
	var t transaction
	section, listed, expected, answered := "", map[string]int{}, map[string]int{}, false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, " \r\n")
		text := strings.TrimSpace(line)
		_, heading := sections[text]
		switch {
		case text == "":
			section = ""
		case heading:
			section = text
		case strings.HasPrefix(text, upToDate):
			answered = true
		case strings.HasPrefix(text, renewsItself):
			t.first = true
		case affected.MatchString(text):
			answered = true
		case section != "" && text != line:
			if err := t.add(section, text); err != nil {
				return t, err
			}
			listed[sections[section].count]++
		case strings.HasSuffix(text, ":") && (strings.HasPrefix(text, "Installed packages") || strings.HasPrefix(text, "New ")):
			return t, fmt.Errorf("%w: %q", errSimulated, fleet.Plain(text))
		default:
			t.number(text, expected)
		}
	}
	if !answered {
		return t, fmt.Errorf("%w: it has neither a plan nor that there is nothing to do", errSimulated)
	}
	for kind, n := range expected {
		if listed[kind] != n {
			return t, fmt.Errorf("%w: %d of %d packages to be %s", errSimulated, listed[kind], n, fleet.Plain(kind))
		}
	}
	slices.SortFunc(t.changes, fleet.CompareChanges)
	return t, nil
}

// number reads a line at the end of a plan.
func (t *transaction) number(text string, expected map[string]int) {
	if found := counted.FindStringSubmatch(text); found != nil {
		if n, err := strconv.Atoi(found[2]); err == nil {
			expected[found[1]] = n
		}
	}
	if n, ok := amount(toFetch, text); ok {
		t.download = n
	}
	if n, ok := amount(moreRoom, text); ok {
		t.disk = n
	}
	if n, ok := amount(lessRoom, text); ok {
		t.disk = -n
	}
}

// amount reads a number of bytes as humanize_number(3) writes it.
func amount(pattern *regexp.Regexp, text string) (int64, bool) {
	found := pattern.FindStringSubmatch(text)
	if found == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil || n > 1<<20 {
		return 0, false
	}
	for range strings.Index(" KMGT", strings.ToUpper(found[2] + " ")[:1]) {
		n *= 1024
	}
	return int64(n), true
}

var (
	fromTo    = regexp.MustCompile(`^(\S+): (\S+) -> (\S+?)(?: \[([^\]]*)\])?(?: \(.*\))?$`)
	named     = regexp.MustCompile(`^(\S+): (\S+?)(?: \[([^\]]*)\])?(?: \(.*\))?$`)
	joined    = regexp.MustCompile(`^(\S+)-([^-\s]+?)(?: \[([^\]]*)\])?(?: \(.*\))?$`) // pkg 1.4 and older, and what is installed again
	isLocked  = regexp.MustCompile(`^Package \S+ is locked `)
	errPkgSay = errors.New("a line is of no package")
)

// add reads the line of one package.
func (t *transaction) add(section, text string) error {
	action := sections[section].action
	if action == "" {
		if !isLocked.MatchString(text) {
			return fmt.Errorf("%w: %w: %q", errSimulated, errPkgSay, fleet.Plain(text))
		}
		return nil
	}
	c := fleet.Change{Action: action}
	if found := fromTo.FindStringSubmatch(text); found != nil {
		c.Name, c.From, c.To, c.Origin = found[1], found[2], found[3], found[4]
	} else if found := either(text); found != nil {
		c.Name, c.From, c.To, c.Origin = found[1], found[2], found[2], found[3]
	}
	both := action == fleet.Upgrade || action == fleet.Downgrade
	if !packageName.MatchString(c.Name) || !packageVersion.MatchString(c.From) || !packageVersion.MatchString(c.To) || both == (c.From == c.To) {
		return fmt.Errorf("%w: %w: %q", errSimulated, errPkgSay, fleet.Plain(text))
	}
	c.Origin = fleet.Plain(c.Origin)
	switch action {
	case again:
		t.again = append(t.again, c.Name)
		return nil
	case fleet.Install:
		c.From = ""
	case fleet.Remove:
		c.To, c.Origin = "", ""
	}
	t.changes = append(t.changes, c)
	return nil
}

func either(text string) []string {
	if found := named.FindStringSubmatch(text); found != nil {
		return found
	}
	return joined.FindStringSubmatch(text)
}
