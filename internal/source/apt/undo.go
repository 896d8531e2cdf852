package apt

import (
	"fmt"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	versions "redflag/internal/version"
)

// Undo implements source.Installer: each change the other way round.
func (s Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	return source.Back(o, versions.CompareDebian)
}

// back gives the words that go back to versions: those that were kept here by their files, others by what archives have.
func back(m *machine.Machine, changes []fleet.Change) []string {
	words := []string{"install"}
	for _, c := range changes {
		if file := keptFile(c.Name, c.To, c.Arch); c.To != "" && isFile(m, file) {
			words = append(words, file)
		} else {
			words = append(words, word(c.Name, c.Arch, c.To))
		}
	}
	return words
}

// movedOn warns of packages that are not any more what the job left that is undone.
func movedOn(db *Database, changes []fleet.Change) []string {
	now := newSnapshot(db).Versions
	var list []string
	for _, c := range changes {
		switch is := now[c.Name+":"+c.Arch]; is {
		case c.From, c.To:
		case "":
			list = append(list, fmt.Sprintf("%s was removed since", fleet.Plain(c.Name)))
		default:
			list = append(list, fmt.Sprintf("%s was changed since: it is at %s", fleet.Plain(c.Name), fleet.Plain(is)))
		}
	}
	return list
}

// dragged warns of removals that nobody has asked for: what goes because it needs what goes.
func dragged(p fleet.Plan) []string {
	asked := map[string]bool{}
	for _, c := range p.Selection.Back {
		asked[c.Name+" "+c.Arch] = true
	}
	var list []string
	for _, c := range p.Changes {
		if c.To == "" && !asked[c.Name+" "+c.Arch] {
			list = append(list, fmt.Sprintf("%s is removed as well: it does not fit to the rest any more", c.Name))
		}
	}
	return list
}
