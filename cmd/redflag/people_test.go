//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"redflag/internal/parts"
	"redflag/internal/store"
)

// typed runs the program as a person does, and gives what it says on standard output.
func typed(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...) //nolint:gosec // a test's own program
	var complaint strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(in), &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, complaint.String())
	}
	return string(out)
}

// lastLine is what scripts read.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// browser keeps cookies.
type browser struct {
	*testing.T
	http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, http.Client{Jar: jar}}
}

// read gives what an address answers in the end, and which address that is.
func (b *browser) read(resp *http.Response, err error) (status int, at, body string) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL.RequestURI(), string(data)
}

// json asks the API as a page does.
func (b *browser) json(method, address, body string) (int, string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	status, _, answer := b.read(b.Do(req))
	return status, answer
}

// ask asks the API with a key.
func ask(t *testing.T, key, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	b := newBrowser(t)
	status, _, body := b.read(b.Do(req))
	return status, body
}

func TestUpShowsThisMachineToWhoHasTheLink(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it looks at this machine")
	}
	exe, data := build(t), t.TempDir()
	up := startProcess(t, exe, "up", "--data-dir", data, "--listen", "127.0.0.1:0")
	until(t, "this machine has reported", func() bool { return strings.Contains(up.said(), " packages, ") })
	m := regexp.MustCompile(`(http://\S+)/sign-in\?link=(\S+)\n`).FindStringSubmatch(up.said())
	if m == nil {
		t.Fatal(up.said())
	}
	b, site, link := newBrowser(t), m[1], m[2]
	if status, body := b.json(http.MethodGet, site+"/api/v1/hosts", ""); status != http.StatusUnauthorized {
		t.Errorf("a stranger sees %d %s", status, body)
	}
	for range 2 { // to look at a link does not use it
		if status, _, body := b.read(b.Get(m[0][:len(m[0])-1])); status != http.StatusOK || !strings.Contains(body, `<div id="root">`) {
			t.Errorf("%d %s", status, body)
		}
	}
	if status, body := b.json(http.MethodPost, site+"/api/v1/session", `{"link":"`+link+`"}`); status != http.StatusOK || !strings.Contains(body, `"admin"`) {
		t.Errorf("who has the link: %d %s", status, body)
	}
	if status, body := newBrowser(t).json(http.MethodPost, site+"/api/v1/session", `{"link":"`+link+`"}`); status != http.StatusUnauthorized || !strings.Contains(body, "was used") {
		t.Errorf("the link again: %d %s", status, body)
	}
	if status, body := b.json(http.MethodGet, site+"/api/v1/hosts", ""); status != http.StatusOK || !strings.Contains(body, `"packages":`) {
		t.Errorf("the API: %d %s", status, body)
	}
	up.end(syscall.SIGINT)
	if said := up.said(); strings.Contains(said, "ERROR") || up.ProcessState.ExitCode() != 0 {
		t.Errorf("exit %d: %s", up.ProcessState.ExitCode(), said)
	}
	again := startProcess(t, exe, "up", "--data-dir", data, "--listen", "127.0.0.1:0")
	until(t, "it knows this machine again", func() bool { return strings.Contains(again.said(), " packages, ") })
	if strings.Contains(again.said(), link) {
		t.Error("a link is printed twice")
	}
	again.end(syscall.SIGINT)
}

func TestTheServersDataAreAdministeredBesideIt(t *testing.T) {
	exe, data := build(t), t.TempDir()
	server := startProcess(t, exe, "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--tls", "off")
	until(t, "the server listens", func() bool { return strings.Contains(server.said(), "/sign-in?link=") })
	site := regexp.MustCompile(`at (http://\S+)`).FindStringSubmatch(server.said())[1]
	run := func(in string, args ...string) string {
		t.Helper()
		return typed(t, in, append([]string{exe}, append(args, "--data-dir", data)...)...)
	}
	key := lastLine(run("", "apikey", "create", "--name", "ci", "--scope", "admin"))
	if status, body := ask(t, key, site+"/api/v1/me"); status != http.StatusOK || !strings.Contains(body, "key ci") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, key, site+"/metrics"); status != http.StatusOK || !strings.Contains(body, "redflag_hosts 0") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask(t, "rf_key_x", site+"/metrics"); status != http.StatusUnauthorized {
		t.Errorf("a stranger reads /metrics: %d", status)
	}
	run("correct horse\n", "user", "create", "anna", "--role", "operator", "--password-stdin")
	link := lastLine(run("", "user", "create", "bert"))
	b := newBrowser(t)
	if status, body := b.json(http.MethodPost, site+"/api/v1/session", `{"name":"anna","password":"correct horse"}`); status != http.StatusOK || !strings.Contains(body, "operator") {
		t.Errorf("%d %s", status, body)
	}
	if !strings.HasPrefix(link, site+"/sign-in?link=") {
		t.Errorf("%q", link)
	}
	if list := run("", "user", "list"); list != "admin  admin     by link\nanna   operator  by password\nbert   viewer    by link\n" {
		t.Errorf("%q", list)
	}
	run("", "user", "delete", "anna")
	if status, body := b.json(http.MethodGet, site+"/api/v1/me", ""); status != http.StatusUnauthorized {
		t.Errorf("who was removed sees %d %s", status, body)
	}
	token := lastLine(run("", "token", "create", "--label", "site=berlin"))
	if token == "" {
		t.Error("no token")
	}
	server.end(syscall.SIGTERM)
	restoreElsewhere(t, exe, data, key)
}

// restoreElsewhere moves a fleet to PostgreSQL, where its keys are good.
func restoreElsewhere(t *testing.T, exe, data, key string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleet.gz")
	typed(t, "", exe, "backup", file, "--data-dir", data)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again := exec.CommandContext(t.Context(), exe, "restore", file, "--data-dir", data) //nolint:gosec // a test's own program
	if out, err := again.CombinedOutput(); err == nil || !strings.Contains(string(out), "move it away") {
		t.Errorf("over a fleet: %v %s", err, out)
	}
	database := parts.Postgres(t, store.CreateDatabase)
	typed(t, "", exe, "restore", file, "--database", database)
	server := startProcess(t, exe, "serve", "--data-dir", t.TempDir(), "--database", database, "--listen", "127.0.0.1:0", "--tls", "off")
	where := regexp.MustCompile(`at (http://\S+)`)
	until(t, "the server listens", func() bool { return where.MatchString(server.said()) })
	status, body := ask(t, key, where.FindStringSubmatch(server.said())[1]+"/api/v1/users")
	var users struct {
		Items []store.User `json:"items"`
	}
	if err := json.Unmarshal([]byte(body), &users); err != nil || status != http.StatusOK || len(users.Items) != 2 {
		t.Errorf("%d %s", status, body)
	}
	server.end(syscall.SIGTERM)
}
