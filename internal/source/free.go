package source

import (
	"cmp"

	"redflag/internal/machine"
)

// Free gives how much room there is in all of the places: the smallest, in bytes; 0 where it is not known.
func Free(m *machine.Machine, places ...string) int64 {
	var least int64
	for _, place := range places {
		n, _, err := m.Space(place)
		if err != nil {
			return 0
		}
		least = min(cmp.Or(least, n), n)
	}
	return least
}
