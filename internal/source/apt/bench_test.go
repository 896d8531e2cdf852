package apt

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

// BenchmarkScan compares our reader with `apt list --upgradable` on the same root in the same run. Both find the files in the page cache,
// and apt its own cache built.
func BenchmarkScan(b *testing.B) {
	l := newLab(b, "bookworm")
	list := func() time.Duration {
		began := time.Now()
		l.sh("exec apt list --upgradable 2>/dev/null")
		return time.Since(began)
	}
	list()
	theirs := []time.Duration{list(), list(), list(), list(), list()}
	runtime.GC()
	m, peak := l.machine(), watchHeap()
	var ours []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		if f, err := (Source{}).Scan(b.Context(), m); err != nil || len(f.Updates) == 0 {
			b.Fatal(len(f.Updates), err)
		}
		ours = append(ours, time.Since(began))
	}
	b.ReportMetric(float64(peak())/(1<<20), "MiB-peak-heap")
	b.ReportMetric(float64(median(theirs))/float64(median(ours)), "x-faster")
}

// BenchmarkUnchanged is the scan of a machine on which nothing has changed since the last one.
func BenchmarkUnchanged(b *testing.B) {
	l := newLab(b, "bookworm")
	s := l.source()
	s.StateDir = b.TempDir()
	m := l.machine()
	if _, err := s.Scan(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if f, err := s.Scan(b.Context(), m); err != nil || len(f.Updates) == 0 {
			b.Fatal(len(f.Updates), err)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// watchHeap samples the heap until the returned function is called, which gives the most that was seen.
func watchHeap() (peak func() uint64) {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var seen uint64
		for {
			select {
			case <-tick.C:
				metrics.Read(sample)
				seen = max(seen, sample[0].Value.Uint64())
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
