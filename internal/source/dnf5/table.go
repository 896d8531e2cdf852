package dnf5

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

// table is what dnf says that it would do.
type table struct {
	out, in []row
	// problems are why something is skipped, a text each.
	problems []string
	download int64
	disk     int64
	// nothing: dnf says that there is nothing to do.
	nothing bool
}

type row struct {
	rpm.Package
	Repo string
	// Automatic: it comes because another needs it.
	Automatic bool
}

// assume has dnf say what a command would do, and answer no. (To dnf5, unlike to apt, --assumeno is a promise to do nothing.)
func (s Source) assume(ctx context.Context, m *machine.Machine, words ...string) (table, error) {
	result, err := run(ctx, m, append([]string{"--assumeno", "-C"}, words...)...)
	if err != nil {
		return table{}, err
	}
	t, err := parseTable(string(result.Stdout), string(result.Stderr))
	switch {
	case err != nil:
		return t, noAnswer(err.Error(), err)
	case len(t.in)+len(t.out) > 0 && strings.Contains(string(result.Stderr), "Operation aborted by the user"):
		return t, nil
	case t.nothing && result.Code == 0:
		return t, nil
	}
	return t, refusal(result)
}

// sections are the headings of dnf 5's table of a transaction (libdnf5-cli's transaction_table), and what stands below them.
var sections = map[string]string{
	"Installing": "in", "Installing dependencies": "dependency", "Installing weak dependencies": "dependency", "Upgrading": "in", "Downgrading": "in",
	"Reinstalling": "", "Removing": "out", "Removing dependent packages": "out", "Removing unused dependencies": "out", "Changing reason": "",
	"Installing groups": "", "Upgrading groups": "", "Removing groups": "", "Installing environments": "", "Upgrading environments": "", "Removing environments": "",
	"Enabling module streams": "", "Disabling modules": "", "Resetting modules": "", "Switching module streams": "",
	"Skipping packages with conflicts": "", "Skipping packages with broken dependencies": "",
}

// parseTable reads the table of a transaction. A heading that is not known is an error: what stands below it would be lost.
func parseTable(stdout, stderr string) (table, error) {
	var t table
	way, known := "", false
	for line := range strings.Lines(stdout) {
		line = strings.TrimRight(line, " \n")
		switch heading, isHeading := strings.CutSuffix(line, ":"); {
		case line == "":
		case line == "Nothing to do.":
			t.nothing = true
		case line == "Transaction Summary:":
			t.measure(stderr)
			return t, nil
		case strings.HasPrefix(line, "Package ") && strings.HasSuffix(line, " Size"):
		case isHeading && !strings.HasPrefix(line, " "):
			if way, known = sections[heading]; !known {
				return t, fmt.Errorf("its table has a part %q that is not known here", fleet.Plain(heading))
			}
		case strings.HasPrefix(line, " ") && known:
			if err := t.add(way, line); err != nil {
				return t, err
			}
		default:
			return t, fmt.Errorf("it says %q", fleet.Plain(line))
		}
	}
	t.measure(stderr)
	return t, nil
}

// add reads a row: name, architecture, version, repository, size. One that is indented more is what the one above replaces.
func (t *table) add(way, line string) error {
	if way == "" {
		return nil
	}
	f := strings.Fields(line)
	if replaced := len(f) > 0 && f[0] == "replacing"; replaced {
		way, f = "out", f[1:]
	}
	if len(f) < 4 {
		return fmt.Errorf("a row of its table is %q", fleet.Plain(line))
	}
	epoch, version, release := rpm.CutEVR(f[2])
	r := row{Package: rpm.Package{Name: fleet.Plain(f[0]), Arch: fleet.Plain(f[1]), EVR: fleet.Plain(rpm.EVR(epoch, version, release))}, Repo: fleet.Plain(f[3])}
	if release == "" {
		return fmt.Errorf("a row of its table is %q", fleet.Plain(line))
	}
	if way == "out" {
		t.out = append(t.out, r)
		return nil
	}
	r.Automatic = way == "dependency"
	t.in = append(t.in, r)
	return nil
}

// What dnf 5 says of sizes on standard error.
var (
	downloadLine = regexp.MustCompile(`Need to download ([\d.]+ \w+)\.`)
	diskLine     = regexp.MustCompile(`After this operation, ([\d.]+ \w+) (extra will be used|will be freed)`)
	problemText  = regexp.MustCompile(`(?m)^Problem(?: \d+)?: .*(?:\n  .*)*`)
)

func (t *table) measure(stderr string) {
	if found := downloadLine.FindStringSubmatch(stderr); found != nil {
		t.download = bytesOf(found[1])
	}
	if found := diskLine.FindStringSubmatch(stderr); found != nil {
		t.disk = bytesOf(found[1])
		if strings.Contains(found[2], "freed") {
			t.disk = -t.disk
		}
	}
	for _, p := range problemText.FindAllString(stderr, maxProblems) {
		t.problems = append(t.problems, oneLine(p))
	}
}

// maxProblems bounds how many reasons are kept.
const maxProblems = 1000

// why gives what dnf says of a package that it skips.
func (t *table) why(name string) string {
	for _, p := range t.problems {
		if strings.Contains(p, " "+name+"-") {
			return p
		}
	}
	return ""
}

// bytesOf reads 59 KiB; 0 where that is no size.
func bytesOf(text string) int64 {
	value, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || n < 0 || n > 1e9 {
		return 0
	}
	return int64(n * map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit])
}

// number reads a number of bytes; 0 where it is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func packages(rows []row) []rpm.Package {
	var list []rpm.Package
	for _, r := range rows {
		list = append(list, r.Package)
	}
	return list
}
