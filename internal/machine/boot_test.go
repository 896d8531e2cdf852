package machine

import "testing"

func TestTheStartOfAProcessIsReadBehindAnyName(t *testing.T) {
	for stat, want := range map[string]string{
		"1 (systemd) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 77 9 9":       "77",
		"1 (a) b (c 1 2) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9": "4711",
		"1 (short) S 0": "",
		"":              "",
	} {
		if got := parseStartTime([]byte(stat)); got != want {
			t.Errorf("%q: %q, want %q", stat, got, want)
		}
	}
}
