//go:build unix

package advisory

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"redflag/internal/parts"
)

const (
	// records, statements and their JSON's size are those of AlmaLinux' archive: 5,680 advisories, 71,329 statements, 46 MB.
	records     = 5680
	eachSpeaks  = 12
	eachHas     = 8100
	mostMemory  = 40 << 20
	mostImport  = 4.0 // times what unpacking and json.Valid take
	mostPerPair = 20  // times a look into a map with the same keys
)

// cpu is the processor time that this process has had.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// almaLinux makes an archive as large as the real one.
func almaLinux(b *testing.B) string {
	b.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := range records {
		var affected []string
		for j := range eachSpeaks {
			affected = append(affected, fmt.Sprintf(`{"package":{"ecosystem":"AlmaLinux:%d","name":"package-%d-%d"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"%d.%d-1.el9_5"}]}]}`, 8+i%2, i%600, j, i, j))
		}
		text := fmt.Sprintf(`{"id":"ALSA-2025:%04d","summary":"Important: package-%d security update","affected":[%s],"related":["CVE-2025-%d","CVE-2025-%d"],"published":"2025-01-09T00:00:00Z","modified":"2025-01-10T12:53:13Z","details":"`,
			i, i%600, strings.Join(affected, ","), 10000+2*i, 10001+2*i)
		for n := 0; len(text) < eachHas; n++ {
			text += fmt.Sprintf(`Security Fix(es):\n\n  * package-%d: a flaw of the kind number %d (CVE-2025-%d)\n`, i%600, n*i, 10000+i)
		}
		w, err := z.Create(fmt.Sprintf("ALSA-2025:%04d.json", i))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(w, text+`"}`); err != nil {
			b.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return newLab(b).file("all.zip", out.String())
}

// unpack does the least that reading an archive of JSON takes.
func unpack(b *testing.B, name string) time.Duration {
	b.Helper()
	began := cpu()
	z, err := zip.OpenReader(name)
	if err != nil {
		b.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || !json.Valid(data) {
			b.Fatal(err)
		}
		r.Close()
	}
	return cpu() - began
}

// BenchmarkImport imports an archive as large as AlmaLinux'. x-unpack is how many times as long it takes as unpacking it and json.Valid; cpu-s is its
// processor time, MiB-peak the most memory that this whole program had from the system.
func BenchmarkImport(b *testing.B) {
	archive := almaLinux(b)
	least := unpack(b, archive)
	dir := b.TempDir()
	debug.FreeOSMemory()
	peak := parts.WatchMemory()
	var took time.Duration
	n := 0
	for b.Loop() {
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		began := cpu()
		done, err := Import{Dir: dir, Now: now}.From(b.Context(), archive)
		if err != nil || done[0].Records != records || done[0].Rows != records*eachSpeaks {
			b.Fatal(done, err)
		}
		took += cpu() - began
		n++
	}
	most := peak()
	each := took / time.Duration(n)
	b.ReportMetric(each.Seconds(), "cpu-s")
	b.ReportMetric(float64(most)/(1<<20), "MiB-peak")
	b.ReportMetric(float64(each)/float64(least), "x-unpack")
	if most > mostMemory {
		b.Errorf("it takes %d MiB, and may take %d", most>>20, mostMemory>>20)
	}
	if ratio := float64(each) / float64(least); ratio > mostImport {
		b.Errorf("it takes %.1f times as long as unpacking, and may take %.1f times", ratio, mostImport)
	}
}

// BenchmarkFleet matches 5,000 hosts of 400 packages each, which have 2,000 distinct versions between them. x-map is how many times as long it takes as
// looking each up in a map; cpu-s is its processor time for the whole fleet.
func BenchmarkFleet(b *testing.B) {
	l := newLab(b)
	l.take(almaLinux(b))
	const hosts, distinct, installed = 5000, 2000, 400
	subjects := make([]Subject, distinct)
	for i := range subjects {
		subjects[i] = Subject{Ecosystem: "AlmaLinux:9", Name: fmt.Sprintf("package-%d-%d", i%600, i%eachSpeaks), Version: fmt.Sprintf("%d.%d-1.el9", 2000+i, i)}
	}
	shelf := l.open()
	var took, least time.Duration
	n, hits := 0, 0
	for b.Loop() {
		began := cpu()
		m := NewMatcher(shelf)
		for h := range hosts {
			for i := range installed {
				v, err := m.Match(subjects[(h*7+i*5)%distinct])
				if err != nil {
					b.Fatal(err)
				}
				hits += len(v.Flaws)
			}
		}
		took += cpu() - began
		if m.Looked() != distinct {
			b.Fatalf("looked up %d", m.Looked())
		}
		began = cpu()
		known := map[Subject]int{}
		for _, s := range subjects {
			known[s] = len(s.Name)
		}
		for h := range hosts {
			for i := range installed {
				hits += known[subjects[(h*7+i*5)%distinct]]
			}
		}
		least += cpu() - began
		n++
	}
	if hits == 0 {
		b.Fatal("nothing is affected")
	}
	b.ReportMetric(took.Seconds()/float64(n), "cpu-s")
	b.ReportMetric(float64(took)/float64(least), "x-map")
	if ratio := float64(took) / float64(least); ratio > mostPerPair {
		b.Errorf("it takes %.1f times as long as a map, and may take %d times", ratio, mostPerPair)
	}
}
