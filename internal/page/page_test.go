package page

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"redflag/web"
)

func get(t *testing.T, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheDashboardIsServedAtItsAddresses(t *testing.T) {
	files, err := web.Files()
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(files)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/": 200, "/hosts": 200, "/hosts/abc": 200, "/vulnerabilities/CVE-2026-1": 200, "/rollouts/1": 200, "/jobs/1": 200, "/sign-in?link=x": 200, "/nothing": 404, "/index.html": 404, "/assets": 404} {
		w := get(t, h, http.MethodGet, path)
		if w.Code != want || !strings.Contains(w.Body.String(), `<div id="root">`) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %q", path, policy)
		}
	}
	script := get(t, h, http.MethodGet, "/assets/index.js", "Accept-Encoding", "gzip, br")
	r, err := gzip.NewReader(script.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || len(text) < 1000 || !strings.Contains(script.Header().Get("Content-Type"), "javascript") {
		t.Errorf("%d bytes, %v, %v", len(text), err, script.Header())
	}
	tag := script.Header().Get("ETag")
	if w := get(t, h, http.MethodGet, "/assets/index.js", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("what has not changed: %d", w.Code)
	}
	if w := get(t, h, http.MethodPost, "/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// maxScript is what may be loaded before the first page, packed.
const maxScript = 130 << 10

func TestTheDashboardIsSmallAndLoadsNothingFromElsewhere(t *testing.T) {
	files, err := web.Files()
	if err != nil {
		t.Fatal(err)
	}
	f, err := read(files, "assets/index.js")
	if err != nil || len(f.zipped) > maxScript {
		t.Errorf("the script is %d bytes, at most %d, %v", len(f.zipped), maxScript, err)
	}
	page, err := read(files, index)
	if err != nil || strings.Contains(string(page.plain), "http://") != strings.Contains(string(page.plain), "http://www.w3.org/2000/svg") || strings.Contains(string(page.plain), "https://") {
		t.Errorf("%s, %v", page.plain, err)
	}
}

func TestADashboardThatWasNotBuiltIsAnError(t *testing.T) {
	if _, err := New(fstest.MapFS{}); err == nil {
		t.Error("without a page there is one")
	}
}
