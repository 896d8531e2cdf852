//go:build unix

package exposure

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

const (
	// A fleet of 5,000 hosts with 2,000 distinct versions of packages between them, 400 on each, and 20 updates on offer on each.
	benchHosts, benchPairs, benchInstalled, benchOffers = 5000, 2000, 400, 20
	// mostFleet bounds the processor time of matching and counting all of it, and mostReport that of one report, as a part of that.
	mostFleet  = time.Second
	mostReport = 0.1
)

// cpu is the processor time that this process has had.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// largeFeed speaks of 500 packages, with ten flaws each, one mended in each version from 1 to 10.
func largeFeed() string {
	var b strings.Builder
	for p := range 500 {
		fmt.Fprintf(&b, ",\n%q: {", fmt.Sprint("source", p))
		for f := range 10 {
			fmt.Fprintf(&b, `%s"CVE-2026-%d": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "%d", "urgency": "medium"}}}`, strings.Repeat(", ", min(f, 1)), 10000+p*10+f, f+1)
		}
		b.WriteString("}")
	}
	return "{" + b.String()[1:] + "}"
}

// pair is one of the distinct versions.
func pair(i int) fleet.Package {
	return pkg(fmt.Sprint("source", i%500), fmt.Sprint(1+i/500*2))
}

// largeFleet fills a store, and gives one of its hosts.
func largeFleet(b *testing.B, l *lab) fleet.HostID {
	b.Helper()
	_, secret, err := l.store.NewToken(b.Context(), store.Token{Seats: store.AnySeats, CreatedAt: noon, ExpiresAt: noon.AddDate(1, 0, 0)})
	if err != nil {
		b.Fatal(err)
	}
	var work together
	var one fleet.HostID
	for h := range benchHosts {
		work.do(func() error {
			name := fmt.Sprint("host", h)
			id, err := l.store.Enroll(b.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Machine: name, Host: fleet.Host{Name: name}}, "", noon)
			if err != nil {
				return err
			}
			if h == 0 {
				one = id
			}
			r := wire.Report{Sequence: 1, Digests: wire.Digests{}, Host: &fleet.Host{Name: name}, Packages: &wire.PackageChange{}, Findings: []fleet.Finding{{Source: "apt", State: fleet.OK}}}
			for i := range benchInstalled {
				p := pair((h*7 + i*5) % benchPairs)
				r.Packages.Added = append(r.Packages.Added, p)
				if i < benchOffers {
					r.Findings[0].Updates = append(r.Findings[0].Updates, upd(p.Name, p.Version, p.Version+".1"))
				}
			}
			_, err = l.store.SaveReport(b.Context(), id, r, "", noon)
			return err
		})
	}
	if err := work.wait(); err != nil {
		b.Fatal(err)
	}
	return one
}

// together does work on many goroutines: the store joins what comes at the same time.
type together struct {
	work  sync.WaitGroup
	slots chan struct{}
	once  sync.Once
	err   error
}

func (g *together) do(work func() error) {
	if g.slots == nil {
		g.slots = make(chan struct{}, 32)
	}
	g.slots <- struct{}{}
	g.work.Go(func() {
		defer func() { <-g.slots }()
		if err := work(); err != nil {
			g.once.Do(func() { g.err = err })
		}
	})
}

func (g *together) wait() error {
	g.work.Wait()
	return g.err
}

// BenchmarkFleet reads a fleet of 5,000 hosts from its database, matches its 2,000 distinct versions and counts what it has, and then takes one report with
// one new version over. The times are of this process's processor: read-s of reading what hosts have, match-s of matching and counting, report-ms of a report
// until it is taken over, and list-ms of a list that has to be made anew. MiB is what it keeps in memory.
func BenchmarkFleet(b *testing.B) {
	l := newLab(b, sqlite(b))
	one := largeFleet(b, l)
	l.feed(largeFeed())
	var read, match, report, list time.Duration
	var before, after runtime.MemStats
	n := 0
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := cpu()
		e := New(l.store, l.now)
		if err := e.Renew(b.Context()); err != nil {
			b.Fatal(err)
		}
		read += cpu() - began
		began = cpu()
		if err := e.Feeds(b.Context(), l.shelf); err != nil {
			b.Fatal(err)
		}
		all := benchList(b, e)
		match += cpu() - began
		looked := e.Matched()
		if all < 1000 || looked < benchPairs {
			b.Fatalf("%d vulnerabilities, %d versions were looked up", all, looked)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		l.pass(time.Second)
		r := wire.Report{Sequence: int64(2 + n), Digests: wire.Digests{}, Packages: &wire.PackageChange{Added: []fleet.Package{pkg("source1", fmt.Sprint("0.", n))}}}
		if _, err := l.store.SaveReport(b.Context(), one, r, "", l.now()); err != nil {
			b.Fatal(err)
		}
		e.Outdated()
		began = cpu()
		if err := e.Renew(b.Context()); err != nil {
			b.Fatal(err)
		}
		report += cpu() - began
		if got := e.Matched() - looked; got != 1 {
			b.Fatalf("a report with one new version: %d were looked up", got)
		}
		began = cpu()
		benchList(b, e)
		list += cpu() - began
		n++
	}
	each := func(d time.Duration) float64 { return d.Seconds() / float64(n) }
	b.ReportMetric(each(read), "read-s")
	b.ReportMetric(each(match), "match-s")
	b.ReportMetric(each(report)*1000, "report-ms")
	b.ReportMetric(each(list)*1000, "list-ms")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
	if each(match) > mostFleet.Seconds() {
		b.Errorf("matching and counting take %.2f s, and may take %v", each(match), mostFleet)
	}
	if ratio := float64(report) / float64(match); ratio > mostReport {
		b.Errorf("a report takes %.2f of what all of it does, and may take %.2f", ratio, mostReport)
	}
}

// benchList makes the list, and says how long it is.
func benchList(b *testing.B, e *Exposure) int {
	b.Helper()
	all, err := e.vulnerabilities(b.Context(), Filter{})
	if err != nil {
		b.Fatal(err)
	}
	return len(all)
}

// BenchmarkPages asks for pages in the same fleet: a vulnerability's hosts, hosts with their counters, and updates with what to do first first.
func BenchmarkPages(b *testing.B) {
	l := newLab(b, sqlite(b))
	largeFleet(b, l)
	l.feed(largeFeed())
	list, _, err := l.List(b.Context(), Filter{}, store.Page{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	id := list[0].ID
	hosts, _, err := l.store.Hosts(b.Context(), store.HostFilter{}, store.Page{})
	if err != nil {
		b.Fatal(err)
	}
	for name, ask := range map[string]func() error{
		"hosts-of-a-vulnerability": func() error { _, _, err := l.Hosts(b.Context(), id, 0, store.Page{}); return err },
		"counters-of-100-hosts":    func() error { _, err := l.OfHosts(b.Context(), hosts); return err },
		"updates-by-priority": func() error {
			_, _, err := l.Offers(b.Context(), store.OfferFilter{}, store.Page{})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
