package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "redflag"

// pkg is what we use of `go list -json`.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Name       string
	Doc        string
	Dir        string
	GoFiles    []string
}

// list asks the go command for every package of the module as one system sees it.
func list(t *testing.T, goos string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Standard,Name,Doc,Dir,GoFiles", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v", goos, err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

const root = "../.."

// allowed is one row of the table: what a package may import, of ours and of others.
type allowed struct {
	inside, outside []string
	used            map[string]bool
}

var row = regexp.MustCompile("(?m)^\\| `([a-z][a-z0-9/_-]*)` \\|([^|]*)\\|([^|]*)\\|")

// table reads the table of imports in ARCHITECTURE.md.
func table(t *testing.T) map[string]*allowed {
	t.Helper()
	text, err := os.ReadFile(path.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]*allowed{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = &allowed{inside: words(m[2]), outside: words(m[3]), used: map[string]bool{}}
	}
	if len(rows) == 0 {
		t.Fatal("ARCHITECTURE.md has no table of imports")
	}
	return rows
}

func words(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" ,`–", r) })
}

func TestImportsAreThoseOfTheTable(t *testing.T) {
	rows := table(t)
	for _, goos := range []string{"linux", "windows", "darwin", "freebsd"} {
		for _, p := range list(t, goos) {
			name := short(p.ImportPath)
			r, ok := rows[name]
			if !ok {
				t.Errorf("%s has no row in ARCHITECTURE.md's table of imports", name)
				continue
			}
			r.used[name] = true
			for _, imp := range p.Imports {
				checkImport(t, name, imp, r)
			}
		}
	}
	for name, r := range rows {
		for _, promised := range append([]string{name}, append(r.inside, r.outside...)...) {
			if !r.used[promised] {
				t.Errorf("ARCHITECTURE.md's row for %s has %s, which is not there", name, promised)
			}
		}
	}
}

func checkImport(t *testing.T, from, imp string, r *allowed) {
	t.Helper()
	switch {
	case strings.HasPrefix(imp, module+"/"):
		if !slices.Contains(r.inside, short(imp)) {
			t.Errorf("%s imports %s: not in its row", from, short(imp))
		}
		r.used[short(imp)] = true
	case strings.Contains(strings.Split(imp, "/")[0], "."):
		i := slices.IndexFunc(r.outside, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") })
		if i < 0 {
			t.Errorf("%s imports %s: not in its row", from, imp)
			return
		}
		r.used[r.outside[i]] = true
	}
}

// short takes the module and internal/ off an import path.
func short(importPath string) string {
	s := strings.TrimPrefix(importPath, module+"/")
	return strings.TrimPrefix(s, "internal/")
}
