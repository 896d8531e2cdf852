package command

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	inprocess "github.com/google/go-containerregistry/pkg/registry"

	"redflag/internal/fleet"
	"redflag/internal/memory"
)

// pushed makes an image of Debian with one version of openssl, and gives its digest.
func pushed(t *testing.T, at, version string) fleet.Digest {
	t.Helper()
	image, err := crane.Image(map[string][]byte{
		"usr/lib/os-release":  []byte("ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
		"var/lib/dpkg/status": []byte("Package: libssl3\nStatus: install ok installed\nSource: openssl\nArchitecture: amd64\nVersion: " + version + "\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := crane.Push(image, at); err != nil {
		t.Fatal(err)
	}
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Digest(d.String())
}

// said runs the program and gives what it printed and its exit code.
func said(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out, problems bytes.Buffer
	code := Run(t.Context(), "development", args, &out, &problems, nil)
	t.Logf("redflag %s: exit code %d\n%s%s", strings.Join(args, " "), code, &out, &problems)
	return out.String(), code
}

func TestTheFlawsOfAnImageAreListedAndWhatItsUpdateMends(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "HOME"} {
		t.Setenv(name, filepath.Join(dir, name))
	}
	srv := httptest.NewServer(inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0))))
	defer srv.Close()
	name := srv.Listener.Addr().String() + "/app:1"
	feed := filepath.Join(dir, "tracker.json")
	text := `{"openssl": {"CVE-2024-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.15-1", "urgency": "high"}}},
		"CVE-2024-0002": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}}}}`
	if err := os.WriteFile(feed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, code := said(t, "advisories", "import", feed); code != exitDone {
		t.Fatal(code)
	}
	from, to := pushed(t, name, "3.0.11-1"), pushed(t, name, "3.0.15-1")
	out, code := said(t, "image", "vulnerabilities", name)
	if code != exitUnknown || !strings.Contains(out, "it has no SBOM") || !strings.Contains(out, "--layers") {
		t.Errorf("exit code %d", code)
	}
	scan := fleet.Scan{ScannedAt: time.Now(), Findings: []fleet.Finding{{Source: "docker", State: fleet.OK, Checks: []fleet.Check{}, Updates: []fleet.Update{{
		Source: "docker", Name: name, From: string(from), To: string(to), ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Rebuild, Platform: "linux/amd64", Containers: []string{"web"}},
	}}}}}
	if _, err := memory.Save(filepath.Join(dir, "XDG_STATE_HOME/redflag"), scan); err != nil {
		t.Fatal(err)
	}
	out, code = said(t, "image", "vulnerabilities", "--layers", "--all", "--platform", "linux/amd64", name)
	for _, want := range []string{"Debian GNU/Linux 12 (bookworm)", "1, by its layers", "CVE-2024-0002", "openssl 3.0.15-1", "no fix"} {
		if !strings.Contains(out, want) || strings.Contains(out, "CVE-2024-0001") || code != exitDone {
			t.Errorf("it lacks %q, or lists what is mended (exit code %d)", want, code)
		}
	}
	out, _ = said(t, "show", "--format", "json", name)
	var found shown
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	advice := found.Updates[0].Advice
	if advice == nil || len(advice.Mends) != 1 || advice.Mends[0].ID != "CVE-2024-0001" || advice.Mends[0].Packages[0] != "openssl" || advice.Bucket != fleet.ThisWindow || len(advice.Remains) != 1 {
		t.Errorf("%+v", advice)
	}
}
