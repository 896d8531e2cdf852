package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// pair is one line of what is known: a word and its value. A value of several lines stands below itself.
type pair struct{ word, value string }

// writePairs prints what has a value, aligned.
func writePairs(w io.Writer, pairs []pair) {
	t := table{}
	for _, p := range pairs {
		if p.value != "" {
			t.add(left(p.word), left(p.value))
		}
	}
	t.write(w, false, 0)
}

func updatePairs(u fleet.Update) []pair {
	security := ""
	if u.Security {
		security = "yes"
	}
	pairs := []pair{
		{"name", u.Name},
		{"source", u.Source},
		{"architecture", u.Arch},
		{"installed", u.From},
		{"available", u.To},
		{"security", security},
		{"origin", u.Origin},
		{"download", size(u.Size)},
		{"summary", u.Summary},
		{"blocked", blocked(u)},
		{"not confirmed since", moment(u.StaleSince)},
	}
	if u.ImageUpdate != nil {
		pairs = append(pairs, imagePairs(*u.ImageUpdate)...)
	}
	return pairs
}

func blocked(u fleet.Update) string {
	if u.BlockedBecause == "" {
		return string(u.Blocked)
	}
	return fmt.Sprintf("%s: %s", u.Blocked, u.BlockedBecause)
}

func imagePairs(i fleet.ImageUpdate) []pair {
	return []pair{
		{"kind", kindWords(i)},
		{"installed version", i.FromVersion},
		{"available version", i.ToVersion},
		{"installed built", moment(i.FromCreated)},
		{"available built", moment(i.ToCreated)},
		{"platform", i.Platform},
		{"containers", strings.Join(i.Containers, ", ")},
		{"code", i.SourceURL},
		{"release notes", i.ReleaseNotes},
		{"note", i.Note},
		{"runs otherwise", changesText(i.Changes)},
	}
}

// changesText writes in what the newer image runs otherwise.
func changesText(changes []fleet.ImageChange) string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = fmt.Sprintf("%s: %s → %s", c.What, cmp.Or(c.From, "none"), cmp.Or(c.To, "none"))
	}
	return strings.Join(list, "; ")
}

// kindWords explains a kind of image update where it is shown alone.
func kindWords(i fleet.ImageUpdate) string {
	switch i.Kind {
	case fleet.Rebuild:
		return "rebuild: the tag has new content for this platform"
	case fleet.Recreate:
		return "recreate: newer content is already here, the container does not run it"
	case fleet.Version:
		return fmt.Sprintf("version: a newer tag (%s)", i.Level)
	}
	return string(i.Kind)
}

func checkPairs(c fleet.Check) []pair {
	return []pair{
		{"image", c.Name},
		{"answer", answerWord[c.Answer]},
		{"because", c.Because},
		{"to do", c.Remedy},
		{"newer versions", unknownVersions(c)},
		{"platform", c.Platform},
		{"containers", strings.Join(c.Containers, ", ")},
		{"checked", moment(c.CheckedAt)},
		{"answered by", c.AnsweredBy},
	}
}

func unknownVersions(c fleet.Check) string {
	if c.VersionsUnknown == "" {
		return ""
	}
	return "unknown: " + c.VersionsUnknown
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}
