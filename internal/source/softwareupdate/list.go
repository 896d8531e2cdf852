package softwareupdate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// item is an update as softwareupdate lists it.
type item struct {
	label, title, version string
	size                  int64
	restart, deferred     bool
}

// askLimit bounds a question that macOS answers from what it has.
const askLimit = 5 * time.Minute

// listed asks for the list without asking Apple.
func listed(ctx context.Context, m *machine.Machine) ([]item, error) {
	return ask(ctx, m, askLimit, "--list", "--no-scan")
}

func ask(ctx context.Context, m *machine.Machine, limit time.Duration, args ...string) ([]item, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := m.Run(ctx, machine.Command{Name: "softwareupdate", Args: args})
	if err != nil {
		return nil, &fleet.Unknown{Because: "softwareupdate cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see what `softwareupdate --list` says", Err: err}
	}
	said := string(r.Stdout) + "\n" + string(r.Stderr) // that there is nothing goes to either, in different versions
	items, err := parseList(said)
	switch {
	case err != nil && r.Code != 0:
		because, remedy := explain(said, fmt.Sprintf("softwareupdate ended with code %d and no word", r.Code))
		return nil, &fleet.Unknown{Because: because, Remedy: remedy, Err: err}
	case err != nil:
		return nil, &fleet.Unknown{Because: "what softwareupdate says cannot be read: " + fleet.Plain(err.Error()), Remedy: "see what `softwareupdate --list` says", Err: err}
	}
	return items, nil
}

const (
	nothing = "No new software available"
	some    = "Software Update found the following"
)

// labelText is what a label may be on a command line and in the words for a person: no option, and nothing that a shell reads otherwise.
var labelText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._,()+/:&\x{00C0}-\x{024F}-]{0,200}$`)

// versionText is a version of Apple's.
var versionText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._()-]{0,60}$`)

var (
	errNeither = errors.New("it is neither a list nor that there is nothing")
	errItem    = errors.New("an update is not as expected")
)

// parseList reads the list in its two forms. From macOS 10.15 on it is
//
//   - Label: Safari18.5-18.5
//     Title: Safari, Version: 18.5, Size: 100000KiB, Recommended: YES, Action: restart,
//
// and before that, with a hyphen in the place of the star for what is not recommended,
//
//   - Safari12.1.1-12.1.1
//     Safari (12.1.1), 67518K [recommended] [restart]
func parseList(said string) ([]item, error) {
	var list []item
	label, found := "", strings.Contains(said, some)
	for line := range strings.Lines(said) {
		text := strings.TrimSpace(line)
		mark, rest, marked := strings.Cut(text, " ")
		switch {
		case !found || text == "":
		case marked && (mark == "*" || mark == "-"):
			if label != "" {
				return nil, fmt.Errorf("%w: %q", errItem, fleet.Plain(label))
			}
			label = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), "Label:"))
		case label != "":
			i, err := parseItem(label, text)
			if err != nil {
				return nil, err
			}
			list, label = append(list, i), ""
		}
	}
	switch {
	case label != "":
		return nil, fmt.Errorf("%w: %q", errItem, fleet.Plain(label))
	case len(list) == 0 && !strings.Contains(said, nothing):
		return nil, errNeither
	}
	return list, nil
}

var (
	// field begins one of the newer form's.
	field = regexp.MustCompile(`(?:^|, ?)(Title|Version|Size|Recommended|Action|Deferred): `)
	// older is the older form.
	older = regexp.MustCompile(`^(.+?)\s*\(([^()]+)\), (\d+)K((?: \[\w+\])*)$`)
	kib   = regexp.MustCompile(`^(\d+)K`)
)

func parseItem(label, text string) (item, error) {
	i := item{label: label}
	var size string
	if found := older.FindStringSubmatch(text); found != nil {
		i.title, i.version, size, i.restart = found[1], found[2], found[3]+"K", strings.Contains(found[4], "[restart]")
	} else {
		fields := map[string]string{}
		at := field.FindAllStringSubmatchIndex(text, -1)
		for n, f := range at {
			end := len(text)
			if n+1 < len(at) {
				end = at[n+1][0]
			}
			fields[text[f[2]:f[3]]] = strings.Trim(text[f[1]:end], " ,")
		}
		i.title, i.version, size = fields["Title"], fields["Version"], fields["Size"]
		i.restart, i.deferred = fields["Action"] == "restart" || fields["Action"] == "shut down", fields["Deferred"] == "YES"
	}
	i.title = fleet.Plain(i.title)
	if !labelText.MatchString(i.label) || i.title == "" || !versionText.MatchString(i.version) {
		return i, fmt.Errorf("%w: %q %q", errItem, fleet.Plain(label), fleet.Plain(text))
	}
	if found := kib.FindStringSubmatch(size); found != nil {
		if n, err := strconv.ParseInt(found[1], 10, 64); err == nil && n < 1<<40 {
			i.size = n << 10
		}
	}
	return i, nil
}

// reasons are softwareupdate's messages, and what they mean to a person. The first that fits counts.
var reasons = []struct {
	pattern         *regexp.Regexp
	because, remedy string
}{
	{regexp.MustCompile(`(?i)must be run as root|requires root`), "only root may do this", "run it as root"},
	{regexp.MustCompile(`(?i)can.t connect to the Apple Software Update server|network connection was lost|appears to be offline`), "Apple's server cannot be reached", "check the network"},
	{regexp.MustCompile(`(?i)No such update|No updates are available`), "Apple does not offer it any more", "redflag scan --refresh, and plan again"},
	{regexp.MustCompile(`(?i)not enough (?:free )?(?:disk )?space`), "the disk is full", "free some space"},
	{regexp.MustCompile(`(?i)password|authenticat`), "an owner of the disk has to give a password", "do it by hand: sudo softwareupdate --install"},
	{regexp.MustCompile(`(?i)managed|deferred|MDM`), "whoever manages this Mac does not permit it now", "ask who manages it"},
	{regexp.MustCompile(`(?i)failed with error|Error (?:downloading|installing|updating)`), "macOS could not install it", "see the log, and /var/log/install.log"},
}

func explain(said, otherwise string) (because, remedy string) {
	for _, r := range reasons {
		if r.pattern.MatchString(said) {
			return r.because, r.remedy
		}
	}
	return otherwise, "see the log, and /var/log/install.log"
}
