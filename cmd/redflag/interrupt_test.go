//go:build unix

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// slowMirror serves the root's archive, but for packages: of those it gives the first bytes and then nothing.
func (r *root) slowMirror(t *testing.T) (asked chan struct{}) {
	t.Helper()
	asked = make(chan struct{}, 100)
	files := http.FileServer(http.Dir(filepath.Join(r.dir, "srv/toys")))
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !strings.HasSuffix(q.URL.Path, ".deb") {
			files.ServeHTTP(w, q)
			return
		}
		info, err := os.Stat(filepath.Join(r.dir, "srv/toys", filepath.Base(q.URL.Path)))
		if err != nil {
			http.NotFound(w, q)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		_, _ = w.Write([]byte("!<arch>\n"))
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		asked <- struct{}{}
		<-q.Context().Done()
	}))
	t.Cleanup(mirror.Close)
	r.write("/etc/apt/sources.list", "deb [trusted=yes] "+mirror.URL+" ./\n")
	r.sh("apt-get update -q")
	return asked
}

func TestAnInterruptCancelsADownloadAndLeavesATransactionAlone(t *testing.T) {
	r := newRoot(t)
	r.offer("2", slowly)
	asked := r.slowMirror(t)
	interrupted := func(ready func()) string {
		t.Helper()
		cmd := r.command("redflag", "install", "--yes")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ready()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 130 {
			t.Errorf("exit code %d\n%s", got, out.String())
		}
		return out.String()
	}
	r.says(interrupted(func() { <-asked }), "the download is cancelled; nothing was changed")
	r.says(r.redflag(0, "history"), "cancelled")
	if got := r.versions(); got != "1 ii ;1 ii ;" {
		t.Error(got)
	}

	r.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/toys ./\n")
	r.sh("apt-get update -q")
	r.says(interrupted(func() { r.until("the slow script runs", func() bool { return r.exists("/tmp/slow") }) }), "goes on without you", "redflag log")
	r.says(r.redflag(0, "history"), "running")
	r.says(r.redflag(1, "reboot", "--yes"), "is at work") // nobody reboots into the middle
	r.write("/tmp/go", "")
	r.until("it ends by itself", func() bool { return !strings.Contains(r.redflag(0, "history"), "running") })
	r.says(r.redflag(0, "log"), "succeeded, 2 changes") // the last one, where none is named
	if got := r.versions(); got != "2 ii ;2 ii ;" {
		t.Error(got)
	}
}

func TestWhatIsLeftIsRepairedThroughAPlan(t *testing.T) {
	r := newRoot(t)
	r.says(r.redflag(0, "repair"), "nothing needs repair")
	r.offer("2", "test -e /mended || { echo it hurts; exit 3; }")
	r.says(r.redflag(1, "install", "--yes"), "dpkg fails with toy-slow", "left half done: toy-slow", "redflag repair")
	r.says(r.redflag(2, "repair"), "apt has not finished with toy-slow", "there is nobody to ask")
	r.says(r.redflag(1, "repair", "--yes"), "failed", "toy-slow")
	r.write("/mended", "")
	r.says(r.redflag(0, "repair", "--yes"), "succeeded")
	r.sh("sed -i 's/^Package: toy-plain$/&\\nDepends: toy-lost/' /var/lib/dpkg/status; : >/etc/apt/sources.list; apt-get update -q")
	r.says(r.redflag(1, "install", "--yes"), "packages that are installed lack others that they need", "redflag repair")
	r.says(r.redflag(2, "repair"), "remove", "toy-plain", "there is nobody to ask") // the plan is shown before it is done
	r.says(r.redflag(0, "repair", "--yes"), "succeeded, 1 change")
	r.says(r.redflag(0, "history"), "repair", "install toy-plain")
}

func TestResultsAreForProgramsToo(t *testing.T) {
	r := newRoot(t)
	r.offer("2", "")
	r.says(r.redflag(2, "install", "--format", "json"), "say --yes")
	r.says(r.redflag(0, "install", "toy-plain", "--yes", "--format", "json"), `"jobs": [`, `"kind": "install"`, `"state": "succeeded"`, `"action": "upgrade"`)
	r.says(r.redflag(0, "undo", "--yes", "--format", "json"), `"kind": "undo"`, `"undoes": "`)
	r.says(r.redflag(0, "history", "--format", "json"), `"undone_by": "`)
	r.says(r.redflag(0, "history"), "succeeded, undone", "undo of")
	r.says(r.redflag(0, "hold"), "nothing is on hold")
	r.says(r.redflag(0, "hold", "toy-plain", "toy-slow"), "toy-plain: on hold", "toy-slow: on hold")
	r.says(r.redflag(1, "hold", "toy-slow", "no-such"), `no package of this name is installed here: "no-such"`)
	r.says(r.redflag(0, "hold"), "toy-plain\ntoy-slow")
	r.says(r.redflag(0, "unhold", "toy-plain", "toy-slow"), "toy-plain: no longer on hold")
	r.says(r.redflag(1, "restart-services", "nginx"), "runs no files that were replaced")
	r.says(r.redflag(3, "reboot", "--if-needed"), "whether a reboot is needed is not known") // its process 1 is not its own
}
