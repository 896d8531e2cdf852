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
		f.Checks = append(f.Checks, fleet.Check{
			Name: s.name, Containers: s.containers, Platform: platformText(v.platform), Answer: v.answer,
			Because: sentence(v.because, newer.remark(s)), Remedy: v.remedy, CheckedAt: v.checkedAt, AnsweredBy: fleet.Plain(v.answeredBy),
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

// unanswered sums up what could not be learnt, in one error; nil when everything was.
func unanswered(subjects []*subject, verdicts []verdict) error {
	names := map[string][]string{}
	var reasons, remedies []string
	var errs []error
	count := 0
	for i, v := range verdicts {
		if v.answer != fleet.CannotAnswer && v.err == nil {
			continue
		}
		count++
		errs = append(errs, v.err)
		if names[v.because] == nil {
			reasons = append(reasons, v.because)
		}
		names[v.because] = append(names[v.because], subjects[i].name)
		if v.remedy != "" && !slices.Contains(remedies, v.remedy) {
			remedies = append(remedies, v.remedy)
		}
	}
	if count == 0 {
		return nil
	}
	var parts []string
	for _, r := range few(reasons, maxReasons) {
		if of, ok := names[r]; ok {
			r = strings.Join(few(of, maxNames), ", ") + ": " + r
		}
		parts = append(parts, r)
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("%d of %d images could not be checked: %s", count, len(verdicts), strings.Join(parts, "; ")),
		Remedy:  strings.Join(few(remedies, maxReasons), "; "),
		Err:     errors.Join(errs...),
	}
}

// few cuts a list to its first n, and says how many more there are.
func few(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}
