package server

import (
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// withFeeds is a server on a database that keeps feeds in a folder of its own.
func withFeeds(t testing.TB, dsn string, addresses ...string) *Server {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	srv := New(Config{Store: s, OrderKey: ed25519.NewKeyFromSeed(make([]byte, 32)), AdvisoryDir: filepath.Join(t.TempDir(), "advisories"), Feeds: addresses})
	t.Cleanup(func() {
		if err := errors.Join(srv.feeds.end(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// trackerOf is a feed in the form of Debian's tracker with one flaw of openssl, which is mended in a version.
func trackerOf(fixed string) string {
	return `{"openssl": {"CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "` + fixed + `", "urgency": "high"}}}}}`
}

// imports sends a feed.
func imports(t testing.TB, s *Server, text string) ImportedFeeds {
	t.Helper()
	done, err := s.ImportFeed(t.Context(), strings.NewReader(text), "tracker.json", false)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// has reports of one host that has a version of openssl.
func has(t testing.TB, s *Server, version string) fleet.HostID {
	t.Helper()
	_, secret, err := s.cfg.Store.NewToken(t.Context(), store.Token{Seats: 1, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.cfg.Store.Enroll(t.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Machine: "m", Host: fleet.Host{Name: "payroll-7"}}, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := wire.Report{
		Sequence: 1, Digests: wire.Digests{}, Host: &fleet.Host{Name: "payroll-7", OSID: "debian", OSVersion: "12"},
		Packages: &wire.PackageChange{Added: []fleet.Package{{Source: "apt", Name: "openssl", Arch: "amd64", Version: version, Ecosystem: "Debian:12"}}},
	}
	if _, err := s.cfg.Store.SaveReport(t.Context(), id, r, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.exposure.Outdated()
	return id
}

// vulnerable gives the names of what the fleet has.
func vulnerable(t testing.TB, s *Server) []string {
	t.Helper()
	list, _, err := s.exposure.List(t.Context(), exposure.Filter{}, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, v := range list {
		names = append(names, v.ID)
	}
	return names
}

func TestEachProcessComesToTheSameFeeds(t *testing.T) {
	dsn := parts.Postgres(t, store.CreateDatabase)
	one, two := withFeeds(t, dsn), withFeeds(t, dsn)
	has(t, one, "3.0.13-1")
	for _, s := range []*Server{one, two} {
		if err := s.syncFeeds(t.Context()); err != nil || len(vulnerable(t, s)) != 0 {
			t.Fatal(err)
		}
	}
	if done := imports(t, one, trackerOf("3.0.15-1")); len(done.Feeds) != 1 || done.Feeds[0].Name != "debian-tracker" || done.Feeds[0].From != "tracker.json" || done.Feeds[0].Licence == "" {
		t.Fatalf("%+v", done)
	}
	if got := vulnerable(t, one); !slices.Equal(got, []string{"CVE-2026-0001"}) {
		t.Errorf("where it was imported: %q", got)
	}
	if err := two.syncFeeds(t.Context()); err != nil || !slices.Equal(vulnerable(t, two), []string{"CVE-2026-0001"}) {
		t.Errorf("in another process: %q, %v", vulnerable(t, two), err)
	}
	// The other one replaces it, and the first one has not heard of it when it imports too.
	imports(t, two, trackerOf("3.0.12-1"))
	if done := imports(t, one, trackerOf("3.0.12-1")); !done.Feeds[0].Unchanged {
		t.Errorf("the same again: %+v", done)
	}
	if got := vulnerable(t, one); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if err := one.DeleteFeed(t.Context(), "debian-tracker"); err != nil {
		t.Fatal(err)
	}
	if err := two.syncFeeds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(two.feeds.dir, "*")); err != nil || len(files) != 0 {
		t.Errorf("what is left of it: %q, %v", files, err)
	}
}

func TestAFeedThatIsRefusedOrDamagedLeavesTheLastGoodOne(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "fleet.db")
	s := withFeeds(t, dsn)
	has(t, s, "3.0.13-1")
	imports(t, s, trackerOf("3.0.15-1"))
	for what, text := range map[string]string{"cut off": trackerOf("3.0.15-1")[:60], "nothing": "", "no feed": "hello", "a bundle that is none": "\x28\xb5\x2f\xfd and then nothing"} {
		var u *fleet.Unknown
		if _, err := s.ImportFeed(t.Context(), strings.NewReader(text), "x", false); !errors.As(err, &u) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := vulnerable(t, s); !slices.Equal(got, []string{"CVE-2026-0001"}) {
		t.Errorf("%q", got)
	}
	if left, err := filepath.Glob(filepath.Join(s.feeds.dir, "staging", "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	// The disk damages its copy; the next process finds it, and copies it again from the database.
	file := advisory.FileOf(s.feeds.dir, "debian-tracker")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	again := &feeds{store: s.cfg.Store, dir: s.feeds.dir, exposure: s.exposure}
	if _, err := again.sync(t.Context()); err != nil || len(again.shelf.Damaged) > 0 || !slices.Equal(vulnerable(t, s), []string{"CVE-2026-0001"}) {
		t.Errorf("%v, %v, %q", err, again.shelf.Damaged, vulnerable(t, s))
	}
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
}

func TestAFeedThatIsKeptDamagedIsToldAndReplacedByAnImport(t *testing.T) {
	s := withFeeds(t, filepath.Join(t.TempDir(), "fleet.db"))
	id := has(t, s, "3.0.13-1")
	about := `{"name":"debian-tracker","kind":"debian-tracker"}`
	if err := s.cfg.Store.SaveFeed(t.Context(), store.Feed{Name: "debian-tracker", About: about, CheckedAt: time.UnixMilli(1)}, "", strings.NewReader("of another version"), time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.syncFeeds(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if of, err := s.exposure.OfHosts(t.Context(), []store.Host{{ID: id}}); err != nil || !strings.Contains(of[id].Unknown, "damaged") {
		t.Errorf("%+v, %v", of, err)
	}
	imports(t, s, trackerOf("3.0.15-1"))
	if got := vulnerable(t, s); !slices.Equal(got, []string{"CVE-2026-0001"}) {
		t.Errorf("%q", got)
	}
}

func TestABundleBringsAllFeedsToAServerWithoutNetwork(t *testing.T) {
	from, to := withFeeds(t, filepath.Join(t.TempDir(), "a.db")), withFeeds(t, filepath.Join(t.TempDir(), "b.db"))
	imports(t, from, trackerOf("3.0.15-1"))
	imports(t, from, `{"dateReleased":"2026-01-01T00:00:00Z","count":1,"vulnerabilities":[{"cveID":"CVE-2026-0001","dateAdded":"2026-01-01"}]}`)
	var bundle strings.Builder
	if _, err := advisory.Export(from.feeds.dir, &bundle); err != nil {
		t.Fatal(err)
	}
	if done := imports(t, to, bundle.String()); len(done.Feeds) != 2 {
		t.Errorf("%+v", done)
	}
	known, err := to.Advisories(t.Context())
	if err != nil || len(known.Feeds) != 2 || known.Feeds[1].Kind != advisory.KEV || known.Feeds[1].Publisher == "" || !known.Feeds[1].Stale {
		t.Errorf("%+v, %v", known, err)
	}
}

// watched is a server of feeds that notes all that it is sent.
type watched struct {
	*httptest.Server
	mu   sync.Mutex
	sent []string
}

func watch(t *testing.T, answer string) *watched {
	t.Helper()
	w := &watched{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		var all strings.Builder
		_ = r.Write(&all) // to memory
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.sent = append(w.sent, all.String()+string(body))
		w.mu.Unlock()
		out.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			out.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(out, answer) // who asked is gone
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *watched) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent)
}

func TestNothingOfTheInventoryLeavesAndNobodyIsAskedUnlessTheConfigurationNamesHim(t *testing.T) {
	publisher := watch(t, trackerOf("3.0.15-1"))
	// Whatever goes out of this process goes through this, or to the publisher himself.
	var listener net.ListenConfig
	proxy, err := listener.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	var calls sync.WaitGroup
	out := 0
	calls.Go(func() {
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			out++
			c.Close()
		}
	})
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	address := publisher.URL + "/tracker/data/json"
	silent := withFeeds(t, filepath.Join(t.TempDir(), "silent.db"))
	has(t, silent, "3.0.13-1")
	imports(t, silent, trackerOf("3.0.15-1"))
	if _, err := silent.FetchFeed(t.Context(), address, false); !errors.Is(err, ErrAddress) {
		t.Errorf("an address that is not named: %v", err)
	}
	if err := errors.Join(silent.fetchFeeds(t.Context()), silent.syncFeeds(t.Context())); err != nil || len(vulnerable(t, silent)) != 1 {
		t.Errorf("%v, %q", err, vulnerable(t, silent))
	}
	if sent := publisher.all(); len(sent) != 0 {
		t.Errorf("nobody is to be asked, and this was sent: %q", sent)
	}
	named := withFeeds(t, filepath.Join(t.TempDir(), "named.db"), address)
	id := has(t, named, "3.0.13-1")
	now := time.Now()
	named.cfg.Now = func() time.Time { return now }
	for range 3 { // once a day
		if err := named.fetchFeeds(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(askedEvery + time.Hour)
	if err := named.fetchFeeds(t.Context()); err != nil || !slices.Equal(vulnerable(t, named), []string{"CVE-2026-0001"}) {
		t.Fatalf("%v, %q", err, vulnerable(t, named))
	}
	sent := publisher.all()
	if len(sent) != 2 || !strings.Contains(sent[1], `If-None-Match: "1"`) {
		t.Errorf("asked %d times: %q", len(sent), sent)
	}
	for _, text := range sent {
		for _, secret := range []string{"openssl", "3.0.13", "payroll", "Debian", "bookworm", id.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("%q left the server: %q", secret, text)
			}
		}
		if lines := strings.Count(text, "\r\n"); lines > 7 {
			t.Errorf("more is sent than an address and what was fetched from there: %q", text)
		}
	}
	proxy.Close()
	if calls.Wait(); out != 0 {
		t.Errorf("%d connections went out", out)
	}
}

func TestAnAddressThatIsSlowHoldsUpNothingElse(t *testing.T) {
	var s *Server
	publisher := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := errors.Join(s.DeleteFeed(r.Context(), "kev"), s.syncFeeds(r.Context())); err != nil { // while this is asked
			t.Error(err)
		}
		_, _ = io.WriteString(w, trackerOf("3.0.15-1")) // who asked is gone
	}))
	t.Cleanup(publisher.Close)
	s = withFeeds(t, filepath.Join(t.TempDir(), "fleet.db"), publisher.URL)
	has(t, s, "3.0.13-1")
	imports(t, s, `{"dateReleased":"2026-01-01T00:00:00Z","count":1,"vulnerabilities":[{"cveID":"CVE-2026-0001","dateAdded":"2026-01-01"}]}`)
	if _, err := s.FetchFeed(t.Context(), publisher.URL, false); err != nil {
		t.Error(err)
	}
	known, err := s.Advisories(t.Context())
	if got := vulnerable(t, s); err != nil || len(known.Feeds) != 1 || known.Feeds[0].Kind != advisory.Tracker || !slices.Equal(got, []string{"CVE-2026-0001"}) {
		t.Errorf("%+v, %v, %q", known.Feeds, err, got)
	}
}

func TestThePasswordInAnAddressIsNotShown(t *testing.T) {
	publisher := watch(t, trackerOf("3.0.15-1"))
	address := strings.Replace(publisher.URL, "http://", "http://mirror:s3cret@", 1) + "/all.json"
	s := withFeeds(t, filepath.Join(t.TempDir(), "fleet.db"), address)
	for range 2 { // once a day, whatever stands in it
		if err := s.fetchFeeds(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	known, err := s.Advisories(t.Context())
	if err != nil || len(known.Feeds) != 1 || len(known.Addresses) != 1 {
		t.Fatalf("%+v, %v", known, err)
	}
	done, err := s.FetchFeed(t.Context(), known.Addresses[0].URL, false)
	if err != nil || len(done.Feeds) != 1 || !done.Feeds[0].Unchanged {
		t.Errorf("by the address as it is shown: %+v, %v", done, err)
	}
	var bundle strings.Builder
	carried, err := advisory.Export(s.feeds.dir, &bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{known.Feeds[0].From, known.Addresses[0].URL, done.Feeds[0].From, carried[0].From} {
		if strings.Contains(from, "s3cret") || !strings.Contains(from, "/all.json") {
			t.Errorf("%q is shown", from)
		}
	}
	if sent := publisher.all(); len(sent) != 2 || !strings.Contains(sent[0], "Authorization: Basic") {
		t.Errorf("asked: %q", sent)
	}
}

func TestAnAddressThatHasNoFeedIsToldAndAskedAgain(t *testing.T) {
	publisher := watch(t, "<html>moved</html>")
	s := withFeeds(t, filepath.Join(t.TempDir(), "fleet.db"), publisher.URL)
	if err := s.fetchFeeds(t.Context()); err == nil {
		t.Error("a page is taken for a feed")
	}
	known, err := s.Advisories(t.Context())
	if err != nil || len(known.Addresses) != 1 || !strings.Contains(known.Addresses[0].Error, "is not imported") || len(known.Feeds) != 0 || len(known.Unknown) == 0 {
		t.Errorf("%+v, %v", known, err)
	}
	if err := s.fetchFeeds(t.Context()); err != nil || len(publisher.all()) != 1 {
		t.Errorf("asked again at once: %v, %q", err, publisher.all())
	}
}
