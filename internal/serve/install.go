package serve

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"redflag/internal/fleet"
)

// program is what the server carries for the hosts of one platform.
type program struct {
	Platform string // linux-amd64
	SHA256   string
	path     string
	modified time.Time
}

// programs are the server's own program, for its own platform, and those that somebody put into its data folder.
type programs struct {
	dir string

	mu   sync.Mutex
	sums map[string]program // by path
}

// programsDir in the data folder holds redflag-agent_PLATFORM for other platforms.
const programsDir = "programs"

const programPrefix = "redflag-agent_"

// list gives what there is now. A program that cannot be read is left out.
func (p *programs) list() []program {
	var list []program
	found, err := filepath.Glob(filepath.Join(p.dir, programPrefix+"*"))
	if err != nil {
		return nil
	}
	for _, path := range found {
		platform := strings.TrimPrefix(filepath.Base(path), programPrefix)
		if one, err := p.read(platform, path); err == nil {
			list = append(list, one)
		}
	}
	own := runtime.GOOS + "-" + runtime.GOARCH
	if !slices.ContainsFunc(list, func(one program) bool { return one.Platform == own }) {
		if one, err := p.read(own, ownProgram()); err == nil {
			list = append(list, one)
		}
	}
	return list
}

// ownProgram is the one that runs, also where the file was replaced since.
func ownProgram() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	return exe
}

// read gives a program with its digest, which is made anew when the file has changed.
func (p *programs) read(platform, path string) (program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		return program{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return program{}, err
	}
	if known, ok := p.sums[path]; ok && known.modified.Equal(info.ModTime()) {
		return known, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return program{}, err
	}
	one := program{platform, hex.EncodeToString(h.Sum(nil)), path, info.ModTime()}
	if p.sums == nil {
		p.sums = map[string]program{}
	}
	p.sums[path] = one
	return one, nil
}

//go:embed install.sh
var installText string

var installScript = template.Must(template.New("install.sh").Parse(installText))

// install is the script that adds a host.
func (f *Fleet) install(w http.ResponseWriter, _ *http.Request) {
	u, err := url.Parse(f.URL)
	if err != nil || strings.ContainsAny(f.URL, "'\n") { // it stands in quotes
		http.Error(w, "the server's public URL cannot stand in a script", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/x-shellscript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = installScript.Execute(w, map[string]any{ // who asked is gone
		"URL": f.URL, "Pin": f.vouched.pin, "Programs": f.programs.list(), "PlainHTTP": u.Scheme == "http",
	})
}

// download is one program.
func (f *Fleet) download(w http.ResponseWriter, r *http.Request) {
	platform := r.PathValue("platform")
	list := f.programs.list()
	i := slices.IndexFunc(list, func(p program) bool { return p.Platform == platform })
	if i < 0 {
		http.Error(w, "the server carries no program for "+fleet.Plain(platform), http.StatusNotFound)
		return
	}
	if err := list[i].serve(w, r); err != nil {
		f.opt.Log.Error("a program cannot be served", "platform", platform, "err", err)
	}
}

// downloadPatience is for 30 MB over a slow line.
const downloadPatience = 15 * time.Minute

func (p program) serve(w http.ResponseWriter, r *http.Request) error {
	file, err := os.Open(p.path)
	if err != nil {
		http.Error(w, "the program cannot be read", http.StatusInternalServerError)
		return err
	}
	defer file.Close()
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(downloadPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("give the download its time: %w", err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+p.SHA256+`"`)
	http.ServeContent(w, r, "", p.modified, file)
	return nil
}
