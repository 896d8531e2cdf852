package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// report prints a scan for people.
type report struct {
	w        io.Writer
	paint    painter
	width    int
	now      time.Time
	arch     string // the host's own, which is not said of every package
	security bool   // what is shown was reduced to security updates
	priority bool   // what to patch first stands first already
}

func (r report) line(s style, format string, args ...any) {
	fmt.Fprintln(r.w, r.paint.paint(s, fmt.Sprintf(format, args...)))
}

// scan prints it all.
func (r report) scan(scan fleet.Scan) {
	r.arch = scan.Host.Arch
	r.host(scan.Host)
	for _, f := range scan.Findings {
		fmt.Fprintln(r.w)
		r.finding(f)
	}
	fmt.Fprintln(r.w)
	r.needs(scan.Host)
	r.first(scan)
	r.total(scan)
}

func (r report) host(h fleet.Host) {
	parts := []string{h.Name}
	for _, s := range []string{h.OS, h.Kernel, h.Arch} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	r.line(bold, "%s", strings.Join(parts, " · "))
}

func (r report) finding(f fleet.Finding) {
	r.heading(f)
	if f.State != fleet.OK {
		r.line(yellow, "  unknown: %s", f.Because)
		if f.Remedy != "" {
			fmt.Fprintf(r.w, "  → %s\n", f.Remedy)
		}
	}
	if f.SecurityUnknown != "" && len(f.Updates) > 0 {
		r.line(yellow, "  which of them are for security is not known: %s", f.SecurityUnknown)
	}
	for _, note := range f.Notes {
		r.line(dim, "  note: %s", note)
	}
	packages, images := packageTable(), imageTable()
	updates := f.Updates
	if !r.priority {
		updates = byUrgency(updates)
	}
	for _, u := range updates {
		if u.ImageUpdate != nil {
			r.imageRow(&images, u)
		} else {
			r.packageRow(&packages, u)
		}
	}
	packages.write(r.w, r.paint, r.width)
	images.write(r.w, r.paint, r.width)
	r.checks(f.Checks)
}

// byUrgency puts security first and what would not be installed now last.
func byUrgency(updates []fleet.Update) []fleet.Update {
	rank := func(u fleet.Update) int {
		switch {
		case u.Security:
			return 0
		case u.Blocked != "":
			return 2
		}
		return 1
	}
	sorted := slices.Clone(updates)
	slices.SortStableFunc(sorted, func(a, b fleet.Update) int { return cmp.Compare(rank(a), rank(b)) })
	return sorted
}

// heading says the answer of one source in one line.
func (r report) heading(f fleet.Finding) {
	age := ""
	if !f.AsOf.IsZero() {
		age = ", as of " + ago(r.now, f.AsOf)
	}
	answer, s := r.answer(f)
	fmt.Fprintf(r.w, "%s %s%s\n", r.paint.paint(bold, f.Source+":"), r.paint.paint(s, answer), r.paint.paint(dim, age))
}

func (r report) answer(f fleet.Finding) (string, style) {
	what, s := "up to date", green
	switch {
	case f.State != fleet.OK && len(f.Updates) == 0:
		return "unknown", yellow
	case f.State != fleet.OK:
		return "at least " + tally(f.Updates), yellow
	case len(f.Updates) > 0:
		what, s = tally(f.Updates), plain
	case r.security && f.SecurityUnknown != "":
		return "which updates are for security is not known: " + f.SecurityUnknown, yellow
	case r.security:
		what = "no security updates"
	case len(f.Checks) == 0 && containerEngine[f.Source]:
		what = "no containers, so nothing to update"
	}
	if gone := goneImages(f.Checks); gone > 0 {
		return fmt.Sprintf("%s, %s gone from the registry", what, count(gone, "image")), yellow
	}
	return what, s
}

func goneImages(checks []fleet.Check) int {
	n := 0
	for _, c := range checks {
		if c.Answer == fleet.Gone {
			n++
		}
	}
	return n
}

// tally counts updates and says how many are for security and how many are blocked.
func tally(updates []fleet.Update) string {
	security, blocked, stale := 0, 0, 0
	for _, u := range updates {
		if u.Security {
			security++
		}
		if u.Blocked != "" {
			blocked++
		}
		if !u.StaleSince.IsZero() {
			stale++
		}
	}
	var extra []string
	switch {
	case security > 0 && security == len(updates):
		extra = append(extra, "all security")
	case security > 0:
		extra = append(extra, fmt.Sprintf("%d security", security))
	}
	if blocked > 0 {
		extra = append(extra, fmt.Sprintf("%d blocked", blocked))
	}
	if stale > 0 {
		extra = append(extra, fmt.Sprintf("%d not confirmed", stale))
	}
	if len(extra) == 0 {
		return count(len(updates), "update")
	}
	return count(len(updates), "update") + " (" + strings.Join(extra, ", ") + ")"
}

// packageTable has columns for mark, name, from, an arrow, to, size and remarks.
func packageTable() table { return table{indent: "  ", spare: 2, folds: []int{2}} }

func (r report) packageRow(t *table, u fleet.Update) {
	name := u.Name
	if u.Arch != "" && u.Arch != "all" && u.Arch != r.arch && archWord[u.Arch] != r.arch {
		name += ":" + u.Arch
	}
	t.add(r.mark(u), left(name), left(digest(u.From)), cell{text: "→"}, left(digest(u.To)),
		cell{text: size(u.Size), right: true}, cell{text: remarks(u), style: dim})
}

// archWord gives what package managers call the host's own architecture otherwise than Go does.
var archWord = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armhf": "arm", "armv7h": "arm", "i686": "386"}

// mark is the first column: a sign that does not need colour.
func (r report) mark(u fleet.Update) cell {
	switch {
	case u.Advice != nil && u.Advice.Bucket.Rank() <= fleet.ThisWindow.Rank():
		return cell{text: string(u.Advice.Bucket), style: red}
	case u.Security:
		return cell{text: "security", style: red}
	case u.Blocked != "":
		return cell{text: string(u.Blocked), style: yellow}
	}
	return left("")
}

func remarks(u fleet.Update) string {
	var parts []string
	switch {
	case u.Blocked != "" && u.Security: // the first column has no room for it
		parts = append(parts, blocked(u))
	case u.Blocked != "" && u.BlockedBecause != "":
		parts = append(parts, u.BlockedBecause)
	}
	if !u.StaleSince.IsZero() {
		parts = append(parts, "not confirmed since "+u.StaleSince.UTC().Format(time.DateOnly))
	}
	if flaws := flawsText(u.Advice); flaws != "" {
		parts = append(parts, flaws)
	}
	if u.Summary != "" && u.Blocked == "" {
		parts = append(parts, u.Summary)
	}
	return strings.Join(parts, "; ")
}

// imageTable has columns for kind, name, from, an arrow, to, containers and remarks.
func imageTable() table { return table{indent: "  ", folds: []int{2, 5, 6}} }

func (r report) imageRow(t *table, u fleet.Update) {
	t.add(left(string(u.Kind)), left(u.Name), left(behind(u.From, u.FromVersion)), cell{text: "→"}, left(behind(u.To, u.ToVersion)),
		left(list(u.Containers, maxNames)), cell{text: imageRemarks(u), style: dim})
}

// maxNames is how many containers a line names.
const maxNames = 3

// behind names one side of an image's update: the version where there is one, else the digest or the tag.
func behind(id, version string) string {
	if version == "" || version == id {
		return digest(id)
	}
	if strings.HasPrefix(id, "sha256:") {
		return version + " (" + digest(id) + ")"
	}
	return id
}

func imageRemarks(u fleet.Update) string {
	var parts []string
	if u.Level != "" {
		parts = append(parts, string(u.Level))
	}
	if n := size(u.Size); n != "" {
		parts = append(parts, n)
	}
	if u.Note != "" {
		parts = append(parts, u.Note)
	}
	if !u.StaleSince.IsZero() {
		parts = append(parts, "not confirmed since "+u.StaleSince.UTC().Format(time.DateOnly))
	}
	return strings.Join(parts, ", ")
}

// checks prints the images whose answer a person must know of, and counts the rest.
func (r report) checks(checks []fleet.Check) {
	if len(checks) == 0 {
		return
	}
	t := table{indent: "  ", folds: []int{1, 2, 3}}
	number := map[fleet.Answer]int{}
	for _, c := range checks {
		number[c.Answer]++
		switch c.Answer {
		case fleet.CannotAnswer:
			t.add(cell{text: "unknown", style: yellow}, left(c.Name), left(list(c.Containers, maxNames)), left(c.Because))
		case fleet.Gone:
			t.add(cell{text: "gone", style: yellow}, left(c.Name), left(list(c.Containers, maxNames)), left(c.Because))
		case fleet.Current:
			if c.Because != "" {
				t.add(cell{text: "note", style: dim}, left(c.Name), left(list(c.Containers, maxNames)), left(c.Because))
			}
		}
		if c.VersionsUnknown != "" {
			t.add(cell{text: "unknown", style: yellow}, left(c.Name), left(list(c.Containers, maxNames)), left("whether there are newer versions: "+c.VersionsUnknown))
		}
	}
	t.write(r.w, r.paint, r.width)
	var words []string
	for _, a := range []fleet.Answer{fleet.Current, fleet.Outdated, fleet.ByDigest, fleet.LocalOnly, fleet.Gone, fleet.CannotAnswer} {
		if number[a] > 0 {
			words = append(words, fmt.Sprintf("%d %s", number[a], answerWord[a]))
		}
	}
	r.line(dim, "  %s checked: %s", count(len(checks), "image"), strings.Join(words, ", "))
}

var answerWord = map[fleet.Answer]string{
	fleet.Current: "current", fleet.Outdated: "outdated", fleet.ByDigest: "pinned", fleet.LocalOnly: "local", fleet.Gone: "gone", fleet.CannotAnswer: "unknown",
}

// needs prints what the host needs after updates that were installed already.
func (r report) needs(h fleet.Host) {
	switch h.Reboot.Needed {
	case fleet.Needed:
		r.line(yellow, "reboot needed: %s", strings.Join(h.Reboot.Because, "; "))
	case fleet.NeedUnknown:
		r.line(dim, "reboot needed or not: unknown: %s", strings.Join(h.Reboot.Because, "; "))
	}
	if len(h.Restart.Services) == 0 {
		return
	}
	var names []string
	for _, s := range h.Restart.Services {
		names = append(names, s.Name)
	}
	r.line(yellow, "%s to restart, still running replaced files: %s", count(len(names), "service"), list(names, 8))
}

// total is the last line: the whole truth in one sentence.
func (r report) total(scan fleet.Scan) {
	var updates []fleet.Update
	var unknown []string
	for _, f := range scan.Findings {
		updates = append(updates, f.Updates...)
		if f.State != fleet.OK {
			unknown = append(unknown, f.Source)
		}
	}
	what := tally(updates)
	if len(updates) == 0 {
		what = "no updates pending"
		if len(unknown) > 0 {
			what = "no updates known"
		}
		if r.security {
			what = "no security updates pending"
		}
	}
	if len(unknown) > 0 {
		r.line(yellow, "%s, and not everything is known of %s.", what, strings.Join(unknown, ", "))
		return
	}
	if len(scan.Findings) > 0 {
		r.line(bold, "%s.", what)
	}
}
