package fleet

import (
	"errors"
	"fmt"
	"testing"
)

func TestExplainNamesEveryReasonOnce(t *testing.T) {
	noLists := &Unknown{Because: "no package lists", Remedy: "run apt-get update"}
	cases := []struct {
		err             error
		because, remedy string
	}{
		{nil, "", ""},
		{errors.New("boom"), "boom", ""},
		{noLists, "no package lists", "run apt-get update"},
		{fmt.Errorf("apt: %w", noLists), "apt: no package lists", "run apt-get update"},
		{errors.Join(noLists, errors.Join(noLists, errors.New("boom"))), "no package lists; boom", "run apt-get update"},
	}
	for _, c := range cases {
		because, remedy := Explain(c.err)
		if because != c.because || remedy != c.remedy {
			t.Errorf("Explain(%v) = %q, %q; want %q, %q", c.err, because, remedy, c.because, c.remedy)
		}
	}
}
