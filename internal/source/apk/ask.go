package apk

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// askLimit bounds how long apk may think: it takes 0.1 s on a small machine.
const askLimit = 2 * time.Minute

// refusal is why apk does not do something at all, in words for people.
type refusal struct{ because, remedy string }

func (r *refusal) Error() string { return r.because }

// unknown gives it the form that people see.
func (r *refusal) unknown() error {
	return &fleet.Unknown{Because: "apk cannot do this: " + r.because, Remedy: r.remedy, Err: r}
}

// upgradeWords mean an upgrade, of everything or of some packages. Apk itself comes with all the others: were it renewed first, as it is by itself, that would
// be a transaction of its own which nobody has seen.
func upgradeWords(names []string, more ...string) []string {
	words := append(append(slices.Clone(options), more...), "upgrade", "--no-self-upgrade")
	if len(names) > 0 {
		words = append(words, names...)
	}
	return words
}

// simulate has apk say what an upgrade would do.
func simulate(ctx context.Context, m *machine.Machine, names []string) ([]fleet.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "apk", Args: upgradeWords(names, "--simulate")})
	if err != nil {
		return nil, err
	}
	if result.Code != 0 {
		return nil, explain(result, "apk upgrade --simulate")
	}
	return parseSimulated(result.Stdout)
}

// step is a line about one package: (1/9) Upgrading demo-lib (1.0-r0 -> 1.1-r0). A tag of the world file stands after the name.
var step = regexp.MustCompile(`^\(\s*(\d+)/(\d+)\) (\w+) ([^\s@(]+)(?:@\S+)? \((\S+?)(?: -> (\S+?))?\)$`)

// ending is the last line: OK: 156 KiB in 9 packages.
var ending = regexp.MustCompile(`^OK: .*\d+ (?:\w+ in \d+ )?packages`)

// actions are apk's words for what it does. What is put in place again in the same version is no change.
var actions = map[string]fleet.Action{"Installing": fleet.Install, "Upgrading": fleet.Upgrade, "Downgrading": fleet.Downgrade, "Purging": fleet.Remove}

var errSimulated = errors.New("apk says something else than what an upgrade would do")

// parseSimulated reads what apk would do. Every package that it counts must be there, and the end.
func parseSimulated(out []byte) ([]fleet.Change, error) {
	list, total, steps, ended := []fleet.Change{}, 0, 0, false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		ended = ended || ending.MatchString(line)
		found := step.FindStringSubmatch(line)
		if found == nil {
			if strings.HasPrefix(line, "(") {
				return nil, fmt.Errorf("%w: %q", errSimulated, fleet.Plain(line))
			}
			continue
		}
		steps++
		var err error
		if total, err = strconv.Atoi(found[2]); err != nil {
			return nil, fmt.Errorf("%w: %q", errSimulated, fleet.Plain(line))
		}
		c, err := change(found)
		if err != nil {
			return nil, err
		}
		if c.Action != "" {
			list = append(list, c)
		}
	}
	if !ended || steps != total {
		return nil, fmt.Errorf("%w: %d of %d packages", errSimulated, steps, total)
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list, nil
}

// change makes one of the words of a step.
func change(found []string) (fleet.Change, error) {
	word, name, from, to := found[3], found[4], found[5], found[6]
	c := fleet.Change{Action: actions[word], Name: name, From: from, To: to}
	switch word {
	case "Installing":
		c.From, c.To = "", from
	case "Purging":
	case "Upgrading", "Downgrading":
		if to == "" {
			return c, fmt.Errorf("%w: no version of %s", errSimulated, fleet.Plain(name))
		}
	case "Replacing", "Reinstalling", "Updating":
		c.Action = ""
	default:
		return c, fmt.Errorf("%w: %q", errSimulated, fleet.Plain(word))
	}
	for _, v := range []string{c.From, c.To} {
		if v != "" && !versionText.MatchString(v) || !packageName.MatchString(name) {
			return c, fmt.Errorf("%w: %s %s", errSimulated, fleet.Plain(name), fleet.Plain(v))
		}
	}
	return c, nil
}

// reasons are apk's messages, and what they mean to a person. The first that fits counts.
var reasons = []struct {
	pattern         *regexp.Regexp
	because, remedy string
}{
	{regexp.MustCompile(`Unable to lock database: (.*)`), "another program is at work on the packages ($1)", "wait until it has ended, and try again"},
	{regexp.MustCompile(`(?s)unable to select packages:\n(.*)`), "no selection of packages fits: $1", "see " + worldFile + ", and what `apk upgrade --simulate` says"},
	{regexp.MustCompile(`No space left on device`), "the disk is full", "free some space: apk cache clean"},
	{regexp.MustCompile(`(?:UNTRUSTED signature|BAD signature)`), "a signature is not trusted", "install Alpine's keys: apk add alpine-keys"},
	{regexp.MustCompile(`(\S+?)-[0-9]\S*: (?:package mentioned in index not found|IO ERROR|temporary error|network error|DNS.*)`), "$1 cannot be fetched", "refresh, and plan again; or choose another mirror"},
	{regexp.MustCompile(`(?:WARNING|ERROR): (?:fetching|opening|updating and opening|Ignoring) (\S+?):? (.*)`), "$1: $2", "check the network, or correct that repository in " + repositoriesFile},
	{regexp.MustCompile(`ERROR: (.*)`), "$1", "see what apk says"},
}

// explain gives the reason for which a call of apk failed.
func explain(r machine.Result, what string) *refusal {
	return explainText(string(r.Stderr)+"\n"+string(r.Stdout), fmt.Sprintf("%s ended with code %d and no word", what, r.Code))
}

func explainText(said, otherwise string) *refusal {
	for _, r := range reasons {
		if at := r.pattern.FindStringSubmatchIndex(said); at != nil {
			fill := func(t string) string {
				return fleet.Plain(strings.Join(strings.Fields(string(r.pattern.ExpandString(nil, t, said, at))), " "))
			}
			return &refusal{fill(r.because), fill(r.remedy)}
		}
	}
	return &refusal{otherwise, "see the log"}
}
