package zypper

import "testing"

func TestAJobCarriesAPlanOutAndAnotherTakesItBack(t *testing.T) {
	l := newLab(t, ordinary...)
	if step := l.ThereAndBack(quick(), l.Everything); step.Percent != 100 || step.Text == "" {
		t.Errorf("its last step is %+v", step)
	}
}
