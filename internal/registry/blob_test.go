package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"redflag/internal/fleet"
)

const blobText = "a layer, or something like it"

func TestABlobIsWrittenToAFileAndVerified(t *testing.T) {
	d := fleet.Digest(digest.FromString(blobText))
	tries := 0
	for _, c := range []struct {
		name string
		do   http.HandlerFunc
		kind error // nil where it arrives
	}{
		{"as it is", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, blobText) }, nil},
		{"the second time, whole", func(w http.ResponseWriter, _ *http.Request) {
			if tries++; tries == 1 {
				w.Header().Set("Content-Length", "1000")
				fmt.Fprint(w, "half of something else, and longer than it")
				return
			}
			fmt.Fprint(w, blobText)
		}, nil},
		{"another", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "something else") }, ErrBadAnswer},
		{"endless", drown, ErrBadAnswer},
		{"not there", http.NotFound, ErrGone},
		{"not for us", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, ErrDenied},
		{"an error without an end", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			drown(w, r)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, only("/blobs/", c.do))
			into, err := os.Create(t.TempDir() + "/blob")
			if err != nil {
				t.Fatal(err)
			}
			defer into.Close()
			err = start(t, Config{}).Blob(t.Context(), l.canonical(t, "app", d), d, 1<<20, into)
			if strings.HasPrefix(c.name, "an error") {
				if err == nil {
					t.Error("taken")
				}
				return
			}
			if !errors.Is(err, c.kind) {
				t.Fatalf("%v, want %v", err, c.kind)
			}
			if c.kind != nil {
				return
			}
			if got, err := io.ReadAll(into); err != nil || string(got) != blobText {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestAFullDiskIsNoFaultOfTheRegistry(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0) // Linux' device for this; it cannot be made shorter either
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	q := question{limit: 1 << 20, into: full}
	_, err = q.read(&http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(blobText))})
	if because, remedy := fleet.Explain(err); !strings.Contains(because, "cannot be written") || !strings.Contains(remedy, "/dev") {
		t.Errorf("because %q, remedy %q", because, remedy)
	}
}
