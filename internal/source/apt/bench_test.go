package apt

import (
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"redflag/internal/parts"
)

// leastRatio is how many times as fast as apt our reader has to be.
const leastRatio = 4

// BenchmarkReader compares our reader with `apt list --upgradable` on the same root, in turns. Both find the files in the page cache, and
// apt its own cache built. x-apt is apt's time divided by ours; MiB-peak is the most memory that this whole program had from the system.
func BenchmarkReader(b *testing.B) {
	l := newLab(b, "bookworm")
	var lines []string
	list := func() time.Duration {
		began := time.Now()
		output := l.sh("exec apt list --upgradable 2>/dev/null")
		took := time.Since(began)
		lines = upgradable(b, output)
		return took
	}
	list()
	debug.FreeOSMemory()
	m, peak := l.machine(), parts.WatchMemory()
	var ours, theirs []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		f, err := (Source{}).Scan(b.Context(), m)
		ours = append(ours, time.Since(began))
		if err != nil || len(f.Updates) == 0 || len(f.Updates) != len(lines) {
			b.Fatal(len(f.Updates), len(lines), err)
		}
		if len(theirs) < 9 {
			b.StopTimer()
			theirs = append(theirs, list())
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(peak())/(1<<20), "MiB-peak")
	ratio := float64(median(theirs)) / float64(median(ours))
	b.ReportMetric(ratio, "x-apt")
	if ratio < leastRatio {
		b.Errorf("apt takes %.1f times as long, and should take %d times", ratio, leastRatio)
	}
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

// BenchmarkInventory lists what is installed behind a scan, as an agent does. x-unchanged is its time divided by that of a scan on which nothing has changed.
func BenchmarkInventory(b *testing.B) {
	l := newLab(b, "bookworm")
	s := l.source()
	s.StateDir = b.TempDir()
	m := l.machine()
	if _, err := s.Scan(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	var ours, scans []time.Duration
	for b.Loop() {
		began := time.Now()
		list, err := s.Packages(b.Context(), m)
		ours = append(ours, time.Since(began))
		if err != nil || len(list) == 0 || list[0].Ecosystem != "Debian:12" {
			b.Fatal(list, err)
		}
		b.StopTimer()
		began = time.Now()
		if _, err := s.Scan(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		scans = append(scans, time.Since(began))
		b.StartTimer()
	}
	b.ReportMetric(float64(median(ours))/float64(median(scans)), "x-unchanged")
}
