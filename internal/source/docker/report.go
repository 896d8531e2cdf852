package docker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// report makes the finding of what became of the subjects.
func report(subjects []*subject, verdicts []verdict, newer offers) fleet.Finding {
	f := fleet.Finding{Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	for i, s := range subjects {
		v := verdicts[i]
		f.Updates = append(f.Updates, v.updates...)
		versions, _ := fleet.Explain(newer.unknownOf(s))
		f.Checks = append(f.Checks, fleet.Check{
			Name: s.name, Containers: s.containers, Platform: platformText(v.platform), Answer: v.answer, Because: v.because, Remedy: v.remedy,
			VersionsUnknown: versions, CheckedAt: v.checkedAt, AnsweredBy: fleet.Plain(v.answeredBy),
		})
		f.AsOf = older(f.AsOf, v.checkedAt)
	}
	f.Updates = append(f.Updates, newer.updates...)
	return f
}

func older(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// maxReasons and maxNames bound what the finding says of its unknowns: each check says its own in full.
const (
	maxReasons = 3
	maxNames   = 3
)

// unanswered sums up what could not be learnt; nil when everything was.
func unanswered(subjects []*subject, verdicts []verdict, newer offers) error {
	checks, versions := gaps{}, gaps{}
	for i, s := range subjects {
		if v := verdicts[i]; v.answer == fleet.CannotAnswer || v.err != nil {
			checks.add(s.name, v.because, v.remedy, v.err)
		} else if err := newer.unknownOf(s); err != nil {
			because, remedy := fleet.Explain(err)
			versions.add(s.name, because, remedy, err)
		}
	}
	return errors.Join(
		checks.sum(fmt.Sprintf("%d of %d images could not be checked", checks.count, len(verdicts))),
		versions.sum(fmt.Sprintf("whether there are newer versions of %d of %d images is not known", versions.count, len(verdicts))))
}

// gaps are images of which something is not known, by reason.
type gaps struct {
	count             int
	names             map[string][]string
	reasons, remedies []string
	errs              []error
}

func (g *gaps) add(name, because, remedy string, err error) {
	g.count++
	g.errs = append(g.errs, err)
	if g.names == nil {
		g.names = map[string][]string{}
	}
	if g.names[because] == nil {
		g.reasons = append(g.reasons, because)
	}
	g.names[because] = append(g.names[because], name)
	if remedy != "" && !slices.Contains(g.remedies, remedy) {
		g.remedies = append(g.remedies, remedy)
	}
}

// sum makes one error of them, under a heading; nil when there are none.
func (g *gaps) sum(heading string) error {
	if g.count == 0 {
		return nil
	}
	var parts []string
	for _, r := range few(g.reasons, maxReasons) {
		if of, ok := g.names[r]; ok {
			r = strings.Join(few(of, maxNames), ", ") + ": " + r
		}
		parts = append(parts, r)
	}
	return &fleet.Unknown{
		Because: heading + ": " + strings.Join(parts, "; "),
		Remedy:  strings.Join(few(g.remedies, maxReasons), "; "),
		Err:     errors.Join(g.errs...),
	}
}

// few cuts a list to its first n, and says how many more there are.
func few(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}
