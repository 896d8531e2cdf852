package advisory

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

const scores = "#model_version:v2025.03.14,score_date:2025-08-30T00:00:00+0000\ncve,epss,percentile\n" +
	"CVE-2024-2398,0.00123,0.32734\nCVE-2023-44487,0.94405,0.99970\n"

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAFeedIsKnownByItsContent(t *testing.T) {
	l := newLab(t)
	tracker, err := os.ReadFile("testdata/tracker.json")
	if err != nil {
		t.Fatal(err)
	}
	l.take(
		"testdata/almalinux", "testdata/distro-info", "testdata/kev.json",
		l.file("anything", packed(t, scores)), l.file("data", packed(t, string(tracker))),
		l.zip(osv("DSA-1-1", "Debian:12", "curl", "", "introduced 0", "fixed 2")))
	want := map[string]struct {
		records int
		licence string
		asOf    string
	}{
		"osv:AlmaLinux": {3, "MIT", "2025-01-10"}, "osv:Debian": {1, "public data", "2025-08-01"}, "debian-tracker": {14, "public data", "0001-01-01"},
		"kev": {5, "CC0-1.0", "2025-08-25"}, "epss": {2, "free with attribution", "2025-08-30"}, "eol:debian": {20, "ISC", "0001-01-01"}, "eol:ubuntu": {44, "ISC", "0001-01-01"},
	}
	for _, f := range l.open().Feeds() {
		w, ok := want[f.Name]
		delete(want, f.Name)
		if !ok || f.Records != w.records || f.Licence != w.licence || f.AsOf.Format(time.DateOnly) != w.asOf || !f.ImportedAt.Equal(now) || f.Attribution == "" {
			t.Errorf("%+v, want %+v", f, w)
		}
	}
	for name := range want {
		t.Errorf("there is no feed %s", name)
	}
}

func TestAFolderOfFeedsIsEachOfThem(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"epss.csv": scores, "README": "nothing"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done, err := l.try(dir)
	if len(done) != 1 || done[0].Name != "epss" || err == nil || !strings.Contains(err.Error(), "README is not imported: it is no feed") {
		t.Errorf("%+v, %v", done, err)
	}
	l.refuses(t.TempDir(), "there is no feed in it")
	l.refuses(filepath.Join(dir, "missing"), "no such file")
}

// bomb is an archive whose one record unpacks to a thousand times its size.
func bomb(l *lab, size int) string {
	return l.zip(`{"id":"` + strings.Repeat("A", size) + `"}`)
}

func TestBadFeedsAreRefusedAndTheLastGoodDataStays(t *testing.T) {
	l := newLab(t)
	good := []string{osv("DSA-1-1", "Debian:12", "curl", "", "introduced 0", "fixed 2"), osv("DSA-2-1", "Debian:12", "sudo", "", "introduced 0", "fixed 2"), osv("DSA-3-1", "Debian:12", "git", "", "introduced 0", "fixed 2")}
	archive := l.zip(good...)
	l.take(archive, "testdata/kev.json", "testdata/tracker.json", "testdata/secdb.json", "testdata/arch.json", l.file("epss.csv", scores))
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	kev, tracker, secdb, arch := text("testdata/kev.json"), text("testdata/tracker.json"), text("testdata/secdb.json"), text("testdata/arch.json")
	beginning, _, _ := strings.Cut(secdb, ",\n  {\n   \"pkg\": {\n    \"name\": \"cfengine\"")
	broken := bytes.Clone(whole)
	copy(broken[60:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	for _, c := range []struct{ name, content, because string }{
		{"an archive that is not whole", string(whole[:len(whole)-40]), "it is not whole"},
		{"an archive without its middle", string(whole[:80]) + string(whole[120:]), "not where its end says"},
		{"a damaged archive", string(broken), "damaged"},
		{"a malformed record", text(l.zip(good[0], good[1], good[2], `{"id":"X-1","affected":[`)), "read an OSV record"},
		{"a record of other types", text(l.zip(`{"id":7}`)), "read an OSV record"},
		{"an archive of nothing", text(l.zip()), "none of its 0 records"},
		{"an archive of another ecosystem", text(l.zip(osv("GHSA-1", "npm", "left-pad", "", "introduced 0"))), "none of its 1 records"},
		{"a record that is a bomb", text(bomb(l, 20<<20)), "has over 16 MB"},
		{"an older archive", text(l.zip(strings.ReplaceAll(strings.Join(good[:1], ""), "2025-08-01", "2025-07-01"), strings.ReplaceAll(good[1], "2025-08-01", "2025-07-01"))), "the one that is there of 2025-08-01"},
		{"an archive of the future", text(l.zip(strings.ReplaceAll(good[0], "2025-08-01", "2031-08-01"))), "it says that it is of 2031-08-01"},
		{"a third of what is there", text(l.zip(good[0])), "is it whole?"},
		{"a catalogue that is not whole", kev[:len(kev)/2], "not whole"},
		{"a catalogue that lacks entries", strings.Replace(kev, `"count": 5`, `"count": 1404`, 1), "says that it has 1404 entries, and has 5"},
		{"an older catalogue", strings.Replace(kev, "2025-08-25T17", "2024-08-25T17", 1), "the one that is there of 2025-08-25"},
		{"scores that are not whole", packed(t, scores)[:60], "not whole"},
		{"scores that are none", strings.Replace(scores, "0.94405", "94.4", 1), "is no score"},
		{"scores that are no numbers", strings.Replace(scores, "0.94405", "NaN", 1), "is no score"},
		{"scores without scores", strings.SplitAfter(scores, "percentile\n")[0], "there are no scores"},
		{"a tracker that is not whole", tracker[:len(tracker)-30], "not whole"},
		{"a tracker with something behind it", tracker + "{}", "goes on behind its end"},
		{"a tracker of other types", `{"curl":{"CVE-2024-1":{"releases":[]}}}`, "damaged"},
		{"a database of Alpine's that is not whole", secdb[:len(secdb)/2], "not whole"},
		{"a database of no release", strings.Replace(secdb, `"v3.10"`, `"../3.10"`, 1), "none of Alpine's"},
		{"a database of other types", `{"distroversion":"v3.20","reponame":"main","packages":{"a":1}}`, "damaged"},
		{"a database without flaws", `{"distroversion":"v3.20","reponame":"main","packages":[]}`, "no flaws in it"},
		{"a third of a database", beginning + "]}", "is it whole?"},
		{"Arch's tracker that is not whole", arch[:len(arch)-30], "not whole"},
		{"Arch's tracker of other types", `[{"name":"AVG-1","packages":["a"],"status":"Vulnerable","issues":["CVE-2024-0001"]},{"name":1}]`, "damaged"},
		{"Arch's tracker without flaws", `[{"name":"AVG-1"}]`, "no flaws in it"},
		{"dates of a system that is not known", `{"schema_version":"1.2.0","result":{"name":"beos","releases":[]}}`, "no system that is known"},
		{"dates without dates", `{"schema_version":"1.2.0","result":{"name":"rhel","releases":[{"name":"9"}]}}`, "no releases with dates"},
		{"dates that are not whole", `{"schema_version":"1.2.0","result":{"name":"rhel","releases":[`, "not whole"},
		{"a list of something else", `[{"name":"x"}]`, "no feed that is known"},
		{"a page of HTML", "<!DOCTYPE html><html>", "it is no feed that is known"},
		{"JSON of something else", `{"a":{"b":[1,2,{}]},"c":1}`, "of no feed that is known"},
		{"nothing", "", "it is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.TB = t
			l.refuses(l.file("feed", c.content), c.because)
		})
	}
	l.TB = t
	if _, err := (Import{Dir: l.dir, Now: now, Replace: true}).From(t.Context(), l.zip(good[0])); err != nil {
		t.Errorf("--replace takes it: %v", err)
	}
}

func TestAnArchiveThatUnpacksWithoutEndIsRefused(t *testing.T) {
	l := newLab(t)
	record := `{"id":"A","summary":"` + strings.Repeat("A", 12<<20) + `"}`
	l.refuses(l.zip(record, record, record), "unpacks to more than 150 times its size")
	l.refuses(l.file("epss.csv.gz", packed(t, scores+strings.Repeat("\n", 40<<20))), "unpacks to more than 150 times its size")
}

func TestAFeedThatIsReadAtOnceIsBounded(t *testing.T) {
	l := newLab(t)
	l.refuses(l.file("arch.json", `[{"name":"AVG-1"},`+strings.Repeat(" ", maxCatalogue+1)), "it has over 32 MB")
}

func TestAnArchiveOfAMillionFilesIsRefusedUnread(t *testing.T) {
	l := newLab(t)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range maxEntries + 1 {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%06d.json", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	l.refuses(l.file("all.zip", b.String()), fmt.Sprintf("has %d files", maxEntries+1))
	lying := b.Bytes() // its end says that it has one file
	end := bytes.LastIndex(lying, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint16(lying[end+10:], 1)
	binary.LittleEndian.PutUint32(lying[end+12:], 46)
	binary.LittleEndian.PutUint32(lying[end+16:], 0)
	l.refuses(l.file("all.zip", string(lying)), "not where its end says")
}

func TestADamagedFeedOnTheShelfIsToldAndTheOthersServe(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json", "testdata/kev.json", "testdata/almalinux")
	file := fileOf(l.dir, "debian-tracker")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{3, 30, len(data) / 2, len(data) - 60, len(data) - 3} {
		damaged := bytes.Clone(data)
		damaged[at] ^= 0x55
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		advice, known := l.advise(debian, update("curl", "curl", "7.88.1-10", "7.88.1-10+deb12u6"))
		if !strings.Contains(known.Unknown+advice.Unknown, "damaged") {
			t.Errorf("a damaged byte at %d: %+v, %+v", at, advice, known)
		}
		if got := l.affected(Subject{Ecosystem: "AlmaLinux:9", Name: "thunderbird", Version: "1-1"}); len(got) != 2 {
			t.Errorf("a damaged byte at %d: the others say %v", at, got)
		}
	}
	l.take("testdata/tracker.json")
	if got := l.affected(Subject{Ecosystem: "Debian:12", Name: "curl", Version: "7.88.1-10"}); len(got) != 2 {
		t.Errorf("mended by a new import: %v", got)
	}
}

func TestAnAddressIsAskedWithItsETag(t *testing.T) {
	l := newLab(t)
	asked := []string{}
	text := scores
	mode := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-None-Match"))
		if r.URL.RawQuery != "" || r.ContentLength > 0 || len(r.Cookies()) > 0 {
			t.Errorf("it was told more than the address: %v", r)
		}
		etag := fmt.Sprintf(`"%d"`, len(text))
		w.Header().Set("ETag", etag)
		switch {
		case mode == "broken off":
			w.Header().Set("Content-Length", "5000")
			fmt.Fprint(w, text[:80])
		case mode == "huge":
			w.Header().Set("Content-Length", "9999999999999")
		case mode == "failing":
			http.Error(w, "down", http.StatusBadGateway)
		case mode == "loop":
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case r.Header.Get("If-None-Match") == etag:
			w.WriteHeader(http.StatusNotModified)
		default:
			fmt.Fprint(w, text)
		}
	}))
	defer server.Close()
	from := server.URL + "/epss_scores-current.csv.gz"
	l.take(from)
	l.now = now.Add(time.Hour)
	done, err := l.try(from)
	if err != nil || len(done) != 1 || !done[0].Unchanged || !done[0].CheckedAt.Equal(l.now) || !done[0].ImportedAt.Equal(now) {
		t.Errorf("%+v, %v", done, err)
	}
	if !l.open().Feeds()[0].CheckedAt.Equal(l.now) {
		t.Error("that there is nothing newer was not noted")
	}
	for m, because := range map[string]string{"broken off": "broke off after 80 bytes", "huge": "at most", "failing": "502 Bad Gateway", "loop": "too many redirects"} {
		mode = m
		l.refuses(from, because)
	}
	mode, text = "", strings.ReplaceAll(scores, "2025-08-30", "2025-08-31")+"CVE-2024-3094,0.8,0.99\n"
	if done, err := l.try(from); err != nil || done[0].Unchanged || done[0].Records != 3 {
		t.Errorf("%+v, %v", done, err)
	}
	if asked[0] != "" || asked[1] == "" {
		t.Errorf("it was asked with %q", asked)
	}
	server.Close()
	l.refuses(from, "cannot be fetched")
}

func TestAnAddressMayNotLeadFromHTTPSToHTTP(t *testing.T) {
	r := func(address string) *http.Request { return httptest.NewRequest(http.MethodGet, address, http.NoBody) }
	check := client().CheckRedirect
	if check(r("http://b.example"), []*http.Request{r("https://a.example")}) == nil || check(r("https://b.example"), []*http.Request{r("https://a.example")}) != nil {
		t.Error("it may")
	}
}

func TestABundleCarriesAllToAMachineWithoutNetwork(t *testing.T) {
	l, isolated := newLab(t), newLab(t)
	l.take("testdata/tracker.json", "testdata/kev.json", "testdata/almalinux", "testdata/distro-info", l.file("epss.csv", scores))
	export := func(ecosystems ...string) string {
		var b bytes.Buffer
		if _, err := Export(l.dir, &b, ecosystems...); err != nil {
			t.Fatal(err)
		}
		return l.file("bundle", b.String())
	}
	bundle := export()
	isolated.take(bundle)
	for i, f := range isolated.open().Feeds() {
		w := l.open().Feeds()[i]
		f.CheckedAt, w.CheckedAt = now, now
		if fmt.Sprint(f) != fmt.Sprint(w) {
			t.Errorf("%+v, want %+v", f, w)
		}
	}
	s := Subject{Ecosystem: "Debian:12", Name: "openssh", Version: "1:9.2p1-2"}
	if got, want := isolated.affected(s), l.affected(s); !slices.Equal(got, want) || len(got) != 3 {
		t.Errorf("%v, want %v", got, want)
	}
	small := newLab(t)
	small.take(export("Debian:12"))
	if got := small.affected(s); len(got) != 3 {
		t.Errorf("a bundle of Debian 12 says %v", got)
	}
	if got := small.affected(Subject{Ecosystem: "Debian:13", Name: "libwebp", Version: "1.0"}); len(got) != 0 {
		t.Errorf("a bundle of Debian 12 speaks of Debian 13: %v", got)
	}
	names := []string{}
	for _, f := range small.open().Feeds() {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "debian-tracker eol:debian eol:ubuntu epss kev" {
		t.Errorf("a bundle of Debian 12 has %s", got)
	}
	data, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	isolated.refuses(l.file("half", string(data[:len(data)/2])), "damaged or not whole")
	if _, err := Export(t.TempDir(), &bytes.Buffer{}); err == nil {
		t.Error("an empty shelf is exported")
	}
}

func FuzzFeed(f *testing.F) {
	for _, name := range []string{"testdata/kev.json", "testdata/tracker.json", "testdata/secdb.json", "testdata/arch.json", "testdata/endoflife-alpine.json", "testdata/distro-info/debian.csv", "testdata/almalinux/ALSA-2025_0147.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(scores))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := whole(bytes.NewReader(data), 1<<20)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := writeTable(&b, p.Feed, p.entries); err != nil {
			t.Fatal(err)
		}
		table, err := newTable(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.entries {
			if v, err := table.get(e.key); err != nil || !bytes.Contains(v, e.value) {
				t.Fatalf("%q: %v", e.key, err)
			}
		}
	})
}

func FuzzTable(f *testing.F) {
	var b bytes.Buffer
	r := rule{ID: "A", Introduced: "0", Fixed: "2", Versions: []string{"1"}}
	d := detail{CVEs: []string{"CVE-2024-1234"}, Severity: "high", CVSS: 7.5}
	if err := writeTable(&b, Feed{Name: "osv:Debian", Kind: OSV}, []entry{{ruleKey("Debian:12", "a"), r.append(nil)}, {detailKey("Debian:12", "A"), d.append(nil)}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), r.append(nil))
	f.Fuzz(func(t *testing.T, data, value []byte) {
		if table, err := newTable(bytes.NewReader(data), int64(len(data))); err == nil {
			_ = table.verify() // whatever it says, it ends
		}
		if rules, err := readRules(value); err == nil {
			var again []byte
			for i := range rules {
				again = rules[i].append(again)
			}
			if back, err := readRules(again); err != nil || fmt.Sprint(back) != fmt.Sprint(rules) {
				t.Errorf("%v, %v, want %v", back, err, rules)
			}
		}
		_, _ = readDetail(value)
		_, _ = readProbability(value)
	})
}

func TestAdviceNamesWhatIsOld(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json", "testdata/kev.json", l.file("epss.csv", scores))
	l.now = now.AddDate(0, 2, 0)
	_, known := l.advise(fleet.Host{}, update("curl", "curl", "7.88.1-10", "7.88.1-10+deb12u6"))
	for _, want := range []string{"kev is of 2025-08-25", "epss is of 2025-08-30", "debian-tracker is of 2025-09-01"} {
		if !strings.Contains(known.Unknown, want) {
			t.Errorf("%q lacks %q", known.Unknown, want)
		}
	}
}

func TestAFeedThatCouldNotBeReadAgainIsRefused(t *testing.T) {
	l := newLab(t)
	l.take(l.zip(osv("DSA-1-1", "Debian:12", "curl", "", "introduced 0", "fixed 2")))
	var records []string
	for i := range 3000 {
		records = append(records, osv(fmt.Sprint("DSA-", i), fmt.Sprintf("Debian:%0380d", i), "curl", "", "introduced 0", "fixed 2"))
	}
	l.refuses(l.zip(records...), "it speaks of 3000 distributions")
	var names []entry
	for i := range 100 {
		names = append(names, entry{fmt.Sprintf("r%0400000d", i), nil})
	}
	for because, entries := range map[string][]entry{"of one package": {{"r", make([]byte, maxBlock+1)}}, "table of contents": names} {
		if err := writeTable(io.Discard, Feed{}, entries); err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("%v; want %q", err, because)
		}
	}
}
