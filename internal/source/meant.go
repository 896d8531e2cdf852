package source

import (
	"slices"

	"redflag/internal/fleet"
)

// Meant gives the updates that a selection of names, or of those for security, means: each architecture of a name that has none with it. A name that is on
// hold, or of which nothing is on offer, is a *fleet.Unknown. What is for security and blocked is left out.
func Meant(updates []fleet.Update, sel fleet.Selection) ([]fleet.Update, error) {
	var list []fleet.Update
	if sel.Security {
		for _, u := range updates {
			if u.Security && u.Blocked == "" {
				list = append(list, u)
			}
		}
	}
	var missing []string
	for _, name := range sel.Names {
		if !slices.ContainsFunc(updates, func(u fleet.Update) bool { return goesBy(u, name) }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, NotOnOffer(missing, "")
	}
	for _, name := range sel.Names {
		for _, u := range updates {
			if !goesBy(u, name) {
				continue
			}
			if u.Blocked == fleet.Held {
				return nil, &fleet.Unknown{Because: u.Name + " is on hold: " + u.BlockedBecause, Remedy: "release it first: redflag unhold " + u.Name}
			}
			list = append(list, u)
		}
	}
	return list, nil
}

// goesBy says whether an update's package goes by a name: with its architecture or without.
func goesBy(u fleet.Update, name string) bool {
	return u.Name == name || u.Name+":"+u.Arch == name || u.Name+"."+u.Arch == name
}
