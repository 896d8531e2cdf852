package registry

import "testing"

func TestAClockThatStandsStillDoesNotHoldUpAClientThatIsLimited(t *testing.T) {
	l := newLab(t, bucket(20))
	refs, digests := sixty(t, l)
	still := newClock()
	checkAll(t, start(t, Config{Now: still.Now}).ResolveAll(t.Context(), refs), digests)
}
