// Package page serves the dashboard: one page that asks the API for everything, and what it loads. It knows nothing of a fleet.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

// PathSignIn is where people sign in; with ?link=SECRET, at the push of a button.
const PathSignIn = "/sign-in"

// pages are the dashboard's own addresses, by their first word. What is behind it the dashboard knows.
var pages = []string{"", "sign-in", "updates", "hosts", "images", "packages", "history", "work", "rollouts", "jobs", "vulnerabilities", "audit", "settings", "add"}

// file is one as it is sent.
type file struct {
	kind, tag     string
	plain, zipped []byte
}

// New reads the files, and gives the handler of every address that is nobody else's.
func New(files fs.FS) (http.Handler, error) {
	ready := map[string]file{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		ready[name], err = read(files, name)
		return err
	})
	if err == nil && ready[index].plain == nil {
		err = fmt.Errorf("it has no %s", index)
	}
	if err != nil {
		return nil, fmt.Errorf("read the dashboard: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "there is nothing to do here but to look", http.StatusMethodNotAllowed)
			return
		}
		secure(w.Header())
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if f, ok := ready[name]; ok && name != index {
			f.send(w, r, http.StatusOK)
			return
		}
		status := http.StatusOK
		if first, _, _ := strings.Cut(name, "/"); !slices.Contains(pages, first) {
			status = http.StatusNotFound // and the dashboard says so
		}
		ready[index].send(w, r, status)
	}), nil
}

const index = "index.html"

// read prepares a file: nobody waits for it to be compressed again.
func read(files fs.FS, name string) (file, error) {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return file{}, err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return file{}, err
	}
	if _, err := w.Write(data); err != nil {
		return file{}, err
	}
	if err := w.Close(); err != nil {
		return file{}, err
	}
	sum := sha256.Sum256(data)
	return file{kind: mime.TypeByExtension(path.Ext(name)), tag: fmt.Sprintf(`"%x"`, sum[:12]), plain: data, zipped: packed.Bytes()}, nil
}

func (f file) send(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache") // it is asked for again, and mostly has not changed
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if status == http.StatusOK && r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.zipped
	}
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // an error: the reader is gone
	}
}

// secure sets the headers that keep the dashboard to itself: nothing comes from another host, and nothing that a host says can become a
// script.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // a link that signs in stands in an address
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
