package parts

import (
	"runtime/metrics"
	"time"
)

// WatchMemory samples what this program has from the system until the returned function is called, which gives the most that was seen, in bytes.
func WatchMemory() (peak func() uint64) {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var seen uint64
		for {
			select {
			case <-tick.C:
				metrics.Read(sample)
				seen = max(seen, sample[0].Value.Uint64()-sample[1].Value.Uint64())
			case <-stop:
				most <- seen
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most
	}
}
