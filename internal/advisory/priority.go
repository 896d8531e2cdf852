package advisory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

const (
	// probable and rare are from where EPSS makes a flaw urgent: a chance of one in ten within 30 days, or one of the twentieth of all that are likeliest.
	probable = 0.10
	rare     = 0.95
	// severe is a CVSS score of the rating high.
	severe = 7.0
)

// Rank says in which bucket a flaw belongs that a version has, and why, in words: by the rules for updates, but that what nobody can mend yet is to be tracked, unless it
// is exploited or likely to be.
func Rank(f fleet.Flaw, now time.Time) (fleet.Bucket, string) {
	without := ""
	switch {
	case f.WontFix:
		without = "it will not be mended"
	case f.FixedIn == "":
		without = "there is no fix yet"
	}
	with := func(words string) string {
		if without == "" {
			return words
		}
		return words + ", and " + without
	}
	switch {
	case f.Suppressed != nil:
		return fleet.Track, fmt.Sprintf("it is suppressed until %s: %s", f.Suppressed.Until.Format(time.DateOnly), f.Suppressed.Reason)
	case f.Exploited != nil:
		return fleet.ActNow, with("it " + exploited(*f.Exploited, now))
	case isLikely(f):
		return fleet.ThisWindow, with("it " + likely(f))
	case without != "":
		return fleet.Track, without + ": " + said(f)
	case isSevere(f):
		return fleet.ThisWindow, "it is " + said(f)
	case isUnrated(f):
		return fleet.ThisWindow, "nobody has said how bad it is"
	}
	return fleet.Routine, "it is " + said(f)
}

func isLikely(f fleet.Flaw) bool { return f.EPSS >= probable || f.Percentile >= rare }

func isSevere(f fleet.Flaw) bool {
	return f.Severity == "critical" || f.Severity == "high" || f.Severity == "" && f.CVSS >= severe
}

// isUnrated says that nobody has said how bad a flaw is.
func isUnrated(f fleet.Flaw) bool { return f.Severity == "" && f.Percentile == 0 }

func likely(f fleet.Flaw) string {
	return fmt.Sprintf("is exploited within 30 days with a probability of %.0f%% (EPSS, higher than %.0f%% of all)", f.EPSS*100, f.Percentile*100)
}

// bucket says when an update should be installed, and why, in words. What is suppressed does not count. The rules, in this order: something that it mends
// is exploited; is likely to be; is critical or high to the vendor, or to CVSS where the vendor says nothing; is anything; nothing is known.
func (a Advisor) bucket(u fleet.Update, advice *fleet.Advice) (fleet.Bucket, string) {
	var open []fleet.Flaw
	for _, f := range advice.Mends {
		if f.Suppressed == nil {
			open = append(open, f)
		}
	}
	for _, f := range open {
		if f.Exploited != nil {
			return fleet.ActNow, f.ID + " " + exploited(*f.Exploited, a.Now)
		}
	}
	for _, f := range open {
		if isLikely(f) {
			return fleet.ThisWindow, f.ID + " " + likely(f)
		}
	}
	for _, f := range open {
		if isSevere(f) {
			return fleet.ThisWindow, fmt.Sprintf("%s is %s", f.ID, said(f))
		}
	}
	switch {
	case len(open) > 0 && allUnrated(open):
		return fleet.ThisWindow, fmt.Sprintf("it mends %s, and nobody has said how bad that is", names(open))
	case len(open) > 0:
		return fleet.Routine, fmt.Sprintf("it mends %s, at most %s", names(open), said(open[0]))
	case len(advice.Mends) > 0:
		return fleet.Track, fmt.Sprintf("all that it mends is suppressed: %s", names(advice.Mends))
	case u.Security:
		return fleet.ThisWindow, "it is a security update, and which flaws it mends is not known"
	}
	if advice.Unknown != "" {
		return fleet.Track, "which flaws it mends is not known"
	}
	return fleet.Track, "it mends no flaw that is known"
}

func allUnrated(list []fleet.Flaw) bool {
	return !slices.ContainsFunc(list, func(f fleet.Flaw) bool { return !isUnrated(f) })
}

func said(f fleet.Flaw) string {
	switch {
	case f.Severity == "":
		return "unrated"
	case f.SeverityBy == byCVSS:
		return fmt.Sprintf("%s (CVSS %.1f)", f.Severity, f.CVSS)
	}
	return fmt.Sprintf("%s (%s)", f.Severity, f.SeverityBy)
}

func names(list []fleet.Flaw) string {
	if len(list) > 3 {
		return fmt.Sprintf("%d flaws", len(list))
	}
	var ids []string
	for _, f := range list {
		ids = append(ids, f.ID)
	}
	return strings.Join(ids, ", ")
}

// exploited says what the catalogue does.
func exploited(e fleet.Exploited, now time.Time) string {
	words := "is exploited"
	if e.Ransomware {
		words += ", by ransomware too"
	}
	words += " (CISA, since " + e.Added.Format(time.DateOnly)
	switch {
	case e.Due.IsZero():
	case now.After(e.Due.AddDate(0, 0, 1)):
		words += ", was due on " + e.Due.Format(time.DateOnly)
	default:
		words += ", due on " + e.Due.Format(time.DateOnly)
	}
	return words + ")"
}
