package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// NotOffered says of which names a source has no update on offer. They may be another source's.
type NotOffered struct{ Names []string }

func (n *NotOffered) Error() string { return "no update of " + strings.Join(n.Names, ", ") }

// NotOnOffer is the *[fleet.Unknown] of such names, with the reason of the first where there is a better one.
func NotOnOffer(names []string, because string) error {
	if because == "" {
		because = fmt.Sprintf("no update of %q is on offer", fleet.Plain(names[0]))
	}
	return &fleet.Unknown{Because: because, Remedy: "redflag list shows what is; redflag scan --refresh looks anew", Err: &NotOffered{names}}
}

// PlanAll plans a selection with every source. Names are each planned by the sources that have them on offer: all of them, or it is an error. Of all updates and of those for
// security, a source that cannot plan has a plan that says so, beside those of the others; where none can, that is an error.
func PlanAll(ctx context.Context, m *machine.Machine, installers []Installer, sel fleet.Selection) ([]fleet.Plan, error) {
	if len(sel.Names) > 0 {
		return planNames(ctx, m, installers, sel.Names)
	}
	plans, failed := []fleet.Plan{}, []error{}
	for _, i := range installers {
		plan, err := i.Plan(ctx, m, sel)
		if err != nil {
			failed = append(failed, err)
			plan = fleet.NewPlan(i.Name(), sel, m.Now())
			plan.Because, plan.Remedy = fleet.Explain(err)
			plan.Warnings = append(plan.Warnings, "what "+i.Name()+" would do is not known: "+plan.Because)
		}
		plans = append(plans, plan)
	}
	if len(failed) == len(installers) {
		return nil, errors.Join(failed...)
	}
	return plans, nil
}

func planNames(ctx context.Context, m *machine.Machine, installers []Installer, names []string) ([]fleet.Plan, error) {
	left := slices.Clone(names)
	plans, failed, strange := []fleet.Plan{}, []error{}, error(nil)
	for _, i := range installers {
		theirs := names
		plan, err := i.Plan(ctx, m, fleet.Selection{Names: theirs})
		var not *NotOffered
		if errors.As(err, &not) {
			strange = err
			if theirs = without(names, not.Names); len(theirs) == 0 {
				continue
			}
			plan, err = i.Plan(ctx, m, fleet.Selection{Names: theirs})
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		plans, left = append(plans, plan), without(left, theirs)
	}
	switch {
	case len(left) == 0:
		return plans, nil // a source that failed was not meant
	case len(failed) > 0:
		return nil, errors.Join(failed...)
	case len(installers) == 1 && strange != nil:
		return nil, strange
	}
	return nil, NotOnOffer(left, "")
}

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}
