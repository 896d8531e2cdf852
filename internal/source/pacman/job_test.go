package pacman

import "testing"

func TestAJobCarriesAPlanOutAndAnotherTakesItBack(t *testing.T) {
	l := newLab(t)
	l.refresh()
	l.ThereAndBack(quick(), l.installed)
}
