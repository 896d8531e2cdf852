package source

import (
	"fmt"

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
	for _, name := range sel.Names {
		found := false
		for _, u := range updates {
			if u.Name != name && u.Name+":"+u.Arch != name && u.Name+"."+u.Arch != name {
				continue
			}
			if u.Blocked == fleet.Held {
				return nil, &fleet.Unknown{Because: u.Name + " is on hold: " + u.BlockedBecause, Remedy: "release it first: redflag unhold " + u.Name}
			}
			found = true
			list = append(list, u)
		}
		if !found {
			return nil, &fleet.Unknown{
				Because: fmt.Sprintf("no update of %q is on offer", fleet.Plain(name)), Remedy: "redflag list shows what is; redflag scan --refresh looks anew",
			}
		}
	}
	return list, nil
}
