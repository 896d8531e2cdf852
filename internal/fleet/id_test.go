package fleet

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAHostsIDComesBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := HostID(rapid.Int64Range(0, 1<<idBits-1).Draw(t, "id"))
		text := id.String()
		for _, s := range []string{text, strings.ToUpper(text)} {
			if got, err := ParseHostID(s); err != nil || got != id {
				t.Fatalf("%d is written %q and read %d, %v", int64(id), s, int64(got), err)
			}
		}
		data, err := json.Marshal(id)
		var back HostID
		if err != nil || json.Unmarshal(data, &back) != nil || back != id {
			t.Fatalf("%d is %s in JSON and comes back as %d", int64(id), data, int64(back))
		}
	})
}

func TestWhatIsNoHostsIDIsRefused(t *testing.T) {
	for _, s := range []string{"", "1", "00000000000", "000000000i", "000000000\x00", "../../etc/p", "ääääää"} {
		if id, err := ParseHostID(s); err == nil {
			t.Errorf("%q is read as %d", s, int64(id))
		}
	}
}
