package winget

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// listed reads the table of updates that winget prints for people. Doubt is what the table does not tell, beside what it does.
func listed(ctx context.Context, m *machine.Machine) (rows []row, doubt, err error) {
	r, err := run(ctx, m, "list", "--upgrade-available", "--include-pinned", "--accept-source-agreements", "--disable-interactivity")
	if err != nil {
		return nil, nil, err
	}
	switch uint32(r.Code) { //nolint:gosec // an HRESULT
	case 0:
	case noUpdate, noPackage:
		return nil, nil, nil
	default:
		because, remedy := explain(r.Code)
		return nil, nil, &fleet.Unknown{Because: "winget does not list updates: " + because, Remedy: remedy}
	}
	lines, err := parseTable(r.Stdout, updateColumns)
	if err != nil {
		return nil, nil, err
	}
	cut := 0
	for _, l := range lines {
		if slices.ContainsFunc(l[1:], func(field string) bool { return strings.HasSuffix(field, cutMark) }) {
			cut++
			continue
		}
		rows = append(rows, row{Name: l[0], ID: l[1], Version: l[2], Available: l[3], Source: l[4], Update: true})
	}
	if cut > 0 {
		doubt = unreadable(fmt.Sprintf("%d updates whose names or versions it has cut off", cut))
	}
	return rows, doubt, nil
}

const (
	// cutMark stands at the end of what did not fit.
	cutMark = "…"
	// updateColumns are name, ID, version, what is available, and the source. Their headings are translated, their order is not.
	updateColumns = 5
	// pinColumns are name, ID, version and source; the kind of pin follows, under a heading of several words, and what a version is pinned to.
	pinColumns = 4
)

// ruler is the line under the headings.
var ruler = regexp.MustCompile(`^-{5,}$`)

// parseTable reads the rows of winget's tables. A column begins where its heading does, counted in cells of the screen: an ideograph takes two. What is printed
// around tables is in the language of Windows and is no row: it does not fit the columns. The number in the first line after a table, in any language, is
// how many rows there are.
func parseTable(out []byte, columns int) ([][]string, error) {
	lines := strings.Split(strings.ReplaceAll(string(out), "\r\n", "\n"), "\n")
	for i, l := range lines { // what a progress bar has written before is overwritten
		lines[i] = strings.TrimRight(l[strings.LastIndexByte(l, '\r')+1:], " ")
	}
	var rows [][]string
	tables := 0
	for i := 1; i < len(lines); i++ {
		if !ruler.MatchString(lines[i]) {
			continue
		}
		starts := headings(lines[i-1])
		if n := len(starts); n < updateColumns || columns == updateColumns && n != columns {
			return nil, unreadable("the headings " + lines[i-1])
		}
		tables++
		before := len(rows)
		for i++; i < len(lines); i++ {
			fields, ok := cells(lines[i], starts[:columns])
			if !ok {
				break
			}
			rows = append(rows, fields)
		}
		if err := counted(lines[i:], len(rows)-before); tables == 1 && columns == updateColumns && err != nil {
			return nil, err
		}
		i--
	}
	if tables == 0 {
		return nil, unreadable("no table: " + strings.Join(lines, " "))
	}
	if len(rows) == 0 {
		return nil, unreadable("a table without rows")
	}
	return rows, nil
}

// headings gives the cells at which they begin.
func headings(line string) []int {
	var starts []int
	at, space := 0, true
	for _, r := range line {
		if space && r != ' ' {
			starts = append(starts, at)
		}
		space = r == ' '
		at += width(r)
	}
	return starts
}

// cells cuts a line at the columns. Not ok where it is no row: where a column does not begin after a space, is empty, or has several words and must have one.
func cells(line string, starts []int) ([]string, bool) {
	fields := make([]strings.Builder, len(starts))
	at, column, last := 0, 0, ' '
	for _, r := range line {
		if column+1 < len(starts) && at >= starts[column+1] {
			if column++; last != ' ' {
				return nil, false
			}
		}
		fields[column].WriteRune(r)
		at += width(r)
		last = r
	}
	texts := make([]string, len(fields))
	for i := range fields {
		texts[i] = strings.TrimSpace(fields[i].String())
	}
	for i, text := range texts {
		single := i == 1 || i >= 3 && len(starts) == updateColumns
		if text == "" || single && strings.ContainsRune(text, ' ') {
			return nil, false
		}
	}
	return texts, true
}

var number = regexp.MustCompile(`[0-9]+`)

// counted compares the rows with the number that winget prints after them.
func counted(rest []string, rows int) error {
	for _, line := range rest {
		if line == "" {
			continue
		}
		said := number.FindString(line)
		if n, err := strconv.Atoi(said); said == "" || err == nil && n == rows {
			return nil
		}
		return unreadable(fmt.Sprintf("%d rows, and %s", rows, line))
	}
	return nil
}

// width is how many cells of a screen a character takes (Unicode's East Asian Width, W and F; combining ones are not told apart).
func width(r rune) int {
	switch {
	case r == utf8.RuneError || r < 0x1100:
		return 1
	case r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3, r >= 0xF900 && r <= 0xFAFF, r >= 0xFE30 && r <= 0xFE6F,
		r >= 0xFF00 && r <= 0xFF60, r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1FAFF, r >= 0x20000 && r <= 0x3FFFD:
		return 2
	}
	return 1
}

// pins gives what is pinned, by lower-case IDs.
func pins(ctx context.Context, m *machine.Machine) (map[string]bool, error) {
	r, err := run(ctx, m, "pin", "list", "--accept-source-agreements", "--disable-interactivity")
	if err != nil {
		return nil, err
	}
	if code := uint32(r.Code); code == noPin { //nolint:gosec // an HRESULT
		return map[string]bool{}, nil
	} else if code != 0 {
		because, remedy := explain(r.Code)
		return nil, &fleet.Unknown{Because: "winget does not say what is pinned: " + because, Remedy: remedy}
	}
	return parsePins(r.Stdout)
}

// parsePins reads the table of pins. Without a pin winget says so, in one line and in the language of Windows.
func parsePins(out []byte) (map[string]bool, error) {
	pinned := map[string]bool{}
	if text := strings.TrimSpace(string(out)); text != "" && !strings.Contains(text, "-----") && !strings.ContainsRune(text, '\n') {
		return pinned, nil
	}
	rows, err := parseTable(out, pinColumns)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if strings.HasSuffix(r[1], cutMark) {
			return nil, unreadable("a pin whose name it has cut off")
		}
		pinned[strings.ToLower(r[1])] = true
	}
	return pinned, nil
}
