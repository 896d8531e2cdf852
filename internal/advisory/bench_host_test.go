//go:build unix

package advisory

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

const (
	// trackerSources and trackerFlaws make a feed as large as Debian's tracker: 65 MB. The kernel alone has kernelFlaws.
	trackerSources = 4000
	trackerFlaws   = 40_000
	kernelFlaws    = 8000
	// mostHost is how many times as long as importing the tracker a whole host may take.
	mostHost = 0.6
)

// debianTracker writes a feed of the size and form of Debian's tracker: a third of the flaws has no fix.
func debianTracker(b *testing.B) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "tracker.json")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	fmt.Fprint(w, "{")
	for i := range trackerSources {
		flaws := (trackerFlaws - kernelFlaws) / trackerSources
		name := fmt.Sprintf("source-%d", i)
		if i == 0 {
			name, flaws = "linux", kernelFlaws
		} else {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, "%q: {", name)
		for j := range flaws {
			if j > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `"CVE-%d-%d": {"description": "a flaw of %s that somebody has described in about as many words as it takes, and then some more of them, because people do", "scope": "remote", "releases": {`, 2015+j%10, 10000+i*16+j, name)
			for k, codename := range []string{"bookworm", "bullseye", "trixie", "sid"} {
				if k > 0 {
					fmt.Fprint(w, ",")
				}
				if dice.IntN(3) == 0 {
					fmt.Fprintf(w, `%q: {"status": "open", "repositories": {%q: "1.0-1"}, "urgency": "not yet assigned", "nodsa": "Minor issue", "nodsa_reason": ""}`, codename, codename)
				} else {
					fmt.Fprintf(w, `%q: {"status": "resolved", "repositories": {%q: "1.%d-1", "%s-security": "1.%d-1"}, "fixed_version": "1.%d-1", "urgency": "not yet assigned"}`, codename, codename, j, codename, j, dice.IntN(20))
				}
			}
			fmt.Fprint(w, "}}")
		}
		fmt.Fprint(w, "}")
	}
	fmt.Fprint(w, "}")
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() < 30<<20 {
		b.Fatal("it is too small", info, err)
	}
	return name
}

// BenchmarkHost advises on a host of 3,000 packages of 2,000 sources, one of which is the kernel, with 100 pending updates and a feed as large as Debian's tracker. cpu-s is
// its processor time with opening the feeds, import-s that of the import, MiB-import the most memory of that, found how many vulnerabilities there are.
func BenchmarkHost(b *testing.B) {
	l := newLab(b)
	file := debianTracker(b)
	debug.FreeOSMemory()
	peak := parts.WatchMemory()
	began := cpu()
	l.take(file)
	least, most := cpu()-began, peak()
	packages := []fleet.Package{{Source: "apt", Name: "linux-image-6.1.0-17-amd64", From: "linux-signed-amd64", Version: "1.5+1", Ecosystem: "Debian:12"}}
	var updates []fleet.Update
	for i := range 3000 {
		source := fmt.Sprintf("source-%d", 1+i%2000)
		packages = append(packages, fleet.Package{Source: "apt", Name: fmt.Sprintf("package-%d", i), From: source, Version: "1.5-1", Ecosystem: "Debian:12"})
		if i%30 == 0 {
			updates = append(updates, update(fmt.Sprintf("package-%d", i), source, "1.5-1", "1.15-1"))
		}
	}
	var took time.Duration
	n, found := 0, 0
	for b.Loop() {
		began := cpu()
		scan := l.installed(fleet.Host{Kernel: "6.1.0-17-amd64"}, packages, updates...)
		took += cpu() - began
		n++
		found = len(scan.Vulnerabilities)
	}
	each := took / time.Duration(n)
	b.ReportMetric(each.Seconds(), "cpu-s")
	b.ReportMetric(float64(found), "found")
	b.ReportMetric(least.Seconds(), "import-s")
	b.ReportMetric(float64(most)/(1<<20), "MiB-import")
	b.ReportMetric(float64(each)/float64(least), "x-import")
	if found < 10_000 {
		b.Errorf("only %d found", found)
	}
	if ratio := float64(each) / float64(least); ratio > mostHost {
		b.Errorf("it takes %.1f times as long as importing the feed, and may take %.1f times", ratio, mostHost)
	}
}
