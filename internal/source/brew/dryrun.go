package brew

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// step is what brew says that it would do with one formula or cask.
type step struct{ name, from, to string }

// heading comes before steps: ==> Would upgrade 2 outdated packages:
var heading = regexp.MustCompile(`^==> Would (upgrade|install) (\d+) (?:outdated packages?|dependenc(?:y|ies) for \S+|dependents? of upgraded formulae?)\b.*$`)

// fromSource is the heading of a list of formulae that would be built here, for lack of a bottle.
var fromSource = regexp.MustCompile(`^==> \d+ .*would build from source`)

var errDryRun = errors.New("it is something else than what an upgrade would do")

// dryRun is what `brew upgrade --dry-run` says.
type dryRun struct {
	steps []step
	// built are formulae that would be built from source.
	built []string
}

// parseDryRun reads it in the words of all versions: a step for each line, several with commas, or several with spaces between them, with sizes or without. Newer
// versions say the same twice. As many as a heading counts must be there.
func parseDryRun(out []byte) (dryRun, error) {
	var d dryRun
	seen := map[string]bool{}
	expected, got, building := 0, 0, false
	check := func() error {
		if got != expected {
			return fmt.Errorf("%w: %d of %d steps", errDryRun, got, expected)
		}
		return nil
	}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		found := heading.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "==>"):
			if err := check(); err != nil {
				return d, err
			}
			expected, got, building = 0, 0, fromSource.MatchString(line)
			if found == nil && strings.Contains(line, "Would ") && !strings.Contains(line, "cleanup") && !strings.Contains(line, "autoremove") {
				return d, fmt.Errorf("%w: %q", errDryRun, fleet.Plain(line))
			}
			if found != nil {
				n, err := strconv.Atoi(found[2])
				if err != nil {
					return d, fmt.Errorf("%w: %q", errDryRun, fleet.Plain(line))
				}
				expected = n
			}
		case building && nameText.MatchString(line):
			d.built = append(d.built, path.Base(line))
		case got < expected && line != "":
			steps, err := parseSteps(line)
			if err != nil {
				return d, err
			}
			got += len(steps)
			for _, s := range steps {
				if !seen[s.name] {
					d.steps, seen[s.name] = append(d.steps, s), true
				}
			}
		}
	}
	return d, check()
}

// size is what newer versions say after a step: (12.3MB)
var size = regexp.MustCompile(`\([^()]*\)`)

// parseSteps reads: name 1.0 -> 1.1, or name 1.1 where nothing is linked, any number of times.
func parseSteps(line string) ([]step, error) {
	words := strings.Fields(strings.ReplaceAll(size.ReplaceAllString(line, " "), ", ", " "))
	var list []step
	for len(words) > 0 {
		if len(words) < 2 {
			return nil, fmt.Errorf("%w: %q", errDryRun, fleet.Plain(line))
		}
		s := step{name: words[0], to: words[1]}
		words = words[2:]
		if len(words) >= 2 && words[0] == "->" {
			s.from, s.to, words = s.to, words[1], words[2:]
		}
		if !nameText.MatchString(s.name) || !versionText.MatchString(s.to) || s.from != "" && !versionText.MatchString(s.from) {
			return nil, fmt.Errorf("%w: %q", errDryRun, fleet.Plain(line))
		}
		list = append(list, s)
	}
	return list, nil
}
