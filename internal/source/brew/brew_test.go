package brew

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

func TestScan(t *testing.T) { sourcetest.Replay(t, Source{}) }

const program = "/opt/homebrew/bin/brew"

// scripted is the recorded Mac with Apple's processor, on which things can be done. Its Homebrew is ours.
func scripted(t *testing.T) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	if err := os.CopyFS(s.Root(), os.DirFS("testdata/machines/silicon/root")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"outdated", "info", "cache"} {
		s.Answer(strings.TrimSpace(text(t, name+".cmd")), sourcetest.Reply{Stdout: text(t, name+".stdout")})
	}
	s.Write("Users/jo/Library/Caches/Homebrew/api/formula.jws.json", "{}")
	s.Answer(program+" upgrade --dry-run --formula curl node acme/tools/private-tool", sourcetest.Reply{Stdout: formulae})
	s.Answer(program+" upgrade --dry-run --cask docker", sourcetest.Reply{Stdout: "==> Would upgrade 1 outdated package:\ndocker 4.30.0,149282 -> 4.34.2,167172\n"})
	return s
}

func text(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/machines/silicon/commands", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// formulae is a dry run in the words of Homebrew 6, which says the same at its end again, with sizes.
const formulae = `==> Would upgrade 3 outdated packages:
curl 8.9.1 -> 8.10.1
node 22.9.0 -> 22.10.0_1
acme/tools/private-tool 1.0 -> 2.0
==> Downloading bottle manifests
==> Would install 1 dependency for curl:
libnghttp3 1.6.0
==> Would upgrade 1 dependency for node:
openssl@3 3.3.1 -> 3.4.0
==> Would upgrade 4 outdated packages
curl 8.9.1 -> 8.10.1 (1.8MB)
node 22.9.0 -> 22.10.0_1 (16.2MB)
acme/tools/private-tool 1.0 -> 2.0
openssl@3 3.3.1 -> 3.4.0 (2.9MB)
==> 1 homebrew/core formula that would build from source
node
`

const everything = "install libnghttp3:arm64 1.6.0, upgrade curl:arm64 8.9.1 → 8.10.1, upgrade docker:cask 4.30.0,149282 → 4.34.2,167172, upgrade node:arm64 22.9.0 → 22.10.0_1, " +
	"upgrade openssl@3:arm64 3.3.1 → 3.4.0, upgrade private-tool:arm64 1.0 → 2.0"

func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, strings.Replace(c.String(), c.Name, c.Name+":"+c.Arch, 1))
	}
	return strings.Join(list, ", ")
}

func plan(t *testing.T, s *sourcetest.Script, sel fleet.Selection) fleet.Plan {
	t.Helper()
	p, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return p
}

func refused(t *testing.T, s *sourcetest.Script, sel fleet.Selection, because string) {
	t.Helper()
	_, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
		t.Errorf("refused because %q, want %q", got, because)
	}
}

func TestBrewIsRunAsItsOwnerAndByNobodyElse(t *testing.T) {
	if c, ok := as(501, 501, program, []string{"update"}); !ok || c.Name != program || len(c.Env) == 0 {
		t.Errorf("its owner: %+v", c)
	}
	c, ok := as(501, 0, program, []string{"update", "--quiet"})
	want := "-n -H -u #501 -- env " + strings.Join(environment, " ") + " " + program + " update --quiet"
	if got := strings.Join(c.Args, " "); !ok || c.Name != "sudo" || got != want {
		t.Errorf("root: %s %s", c.Name, got)
	}
	if _, ok := as(501, 502, program, nil); ok {
		t.Error("another user may run it")
	}
	if os.Geteuid() != 0 {
		return
	}
	for _, theirs := range []string{"opt/homebrew/Cellar", "opt/homebrew/bin/brew", "opt/homebrew/bin", "opt/homebrew"} {
		s := scripted(t)
		if err := os.Chown(filepath.Join(s.Root(), theirs), 501, 20); err != nil {
			t.Fatal(err)
		}
		if uid, err := (installation{prefix: "/opt/homebrew"}).owner(s.Machine()); err != nil || uid != 501 {
			t.Errorf("root would run what the owner of %s can exchange", theirs)
		}
	}
	s := scripted(t)
	if err := os.Chown(filepath.Join(s.Root(), "opt/homebrew/Cellar"), 501, 20); err != nil {
		t.Fatal(err)
	}
	sudo := "sudo " + strings.Replace(want, "update --quiet", "", 1)
	s.Answer(sudo+"outdated --json=v2 --greedy", sourcetest.Reply{Stdout: "{\"formulae\":[],\"casks\":[]}"})
	s.Answer(sudo+"--cache", sourcetest.Reply{Stdout: "/Users/jo/Library/Caches/Homebrew\n"})
	if f, err := (Source{}).Scan(t.Context(), s.Machine()); err != nil || len(f.Updates) != 0 || f.AsOf.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	const ask = program + " outdated --json=v2 --greedy"
	for out, because := range map[string]string{
		"":                        "what brew says is on offer cannot be read",
		"{}":                      "it has no lists of formulae and casks",
		`{"formulae":[]}`:         "it has no lists of formulae and casks",
		"curl (8.9.1) < 8.10.1\n": "what brew says is on offer cannot be read",
		`{"formulae":[{"name":"-x"}],"casks":[]}`: "is none",
	} {
		s := scripted(t)
		s.Answer(ask, sourcetest.Reply{Stdout: out})
		_, err := Source{}.Scan(t.Context(), s.Machine())
		if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
			t.Errorf("%q: unknown because %q, want %q", out, got, because)
		}
	}
	for said, because := range map[string]string{
		"Error: Another `brew update` process is already in progress.\n": "another brew is at work",
		"Error: Invalid formula: /opt/homebrew/Library/Taps/a/b.rb\n":    "Invalid formula",
		"": "brew outdated ended with code 1 and no word",
	} {
		s := scripted(t)
		s.Answer(ask, sourcetest.Reply{Stderr: said, Code: 1})
		_, err := Source{}.Scan(t.Context(), s.Machine())
		if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
			t.Errorf("%q: unknown because %q, want %q", said, got, because)
		}
	}
	s := scripted(t)
	then := time.Now().Add(-30 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(s.Root(), "Users/jo/Library/Caches/Homebrew/api/formula.jws.json"), then, then); err != nil {
		t.Fatal(err)
	}
	_, err := Source{}.Scan(t.Context(), s.Machine())
	if got, _ := fleet.Explain(err); got != "what is on offer was last fetched 30 days ago" {
		t.Errorf("%q", got)
	}
}

func TestAPlanIsWhatBrewWouldDo(t *testing.T) {
	s := scripted(t)
	p := plan(t, s, fleet.Selection{All: true})
	if got := lines(p.Changes); got != everything {
		t.Errorf("planned %s", got)
	}
	if len(p.Warnings) != 1 || !strings.HasSuffix(p.Warnings[0], ": node") || p.Reboot.Needed != fleet.NeedUnknown || p.Free == 0 {
		t.Errorf("%+v", p)
	}
	for _, c := range p.Changes {
		if c.Automatic != (c.Name == "libnghttp3" || c.Name == "openssl@3") {
			t.Errorf("%+v", c)
		}
	}
	s.Answer(program+" upgrade --dry-run --cask firefox", sourcetest.Reply{Stdout: "==> Would upgrade 1 outdated package:\nfirefox 131.0 -> 132.0.1\n"})
	if got := lines(plan(t, s, fleet.Selection{Names: []string{"firefox"}}).Changes); got != "upgrade firefox:cask 131.0 → 132.0.1" {
		t.Errorf("planned %s", got)
	}
	s.Answer(program+" upgrade --dry-run --formula curl", sourcetest.Reply{Stdout: "==> Would upgrade 1 outdated package:\ncurl 8.9.1 -> 8.10.1\n==> Would upgrade 2 dependents of upgraded formula:\nphp 8.3.1 -> 8.3.2, git 2.45 -> 2.46\n"})
	p = plan(t, s, fleet.Selection{Names: []string{"curl:arm64"}})
	if got := lines(p.Changes); got != "upgrade curl:arm64 8.9.1 → 8.10.1, upgrade git:arm64 2.45 → 2.46, upgrade php:arm64 8.3.1 → 8.3.2" || p.Reboot.Needed != fleet.NotNeeded {
		t.Errorf("planned %s", got)
	}
	for name, because := range map[string]string{
		"wget": "wget is on hold: brew pin", "iterm2": "iterm2 is on hold: brew pin", "zoom": "asks for an administrator's password: brew upgrade --cask zoom", "old-thing": "it is disabled in Homebrew", "--cask": "no update of",
	} {
		refused(t, s, fleet.Selection{Names: []string{name}}, because)
	}
	refused(t, s, fleet.Selection{Security: true}, "which updates are for security is not known")
	refused(t, s, fleet.Selection{Back: []fleet.Change{{Name: "curl"}}}, "Homebrew cannot go back")
	s.Answer(program+" upgrade --dry-run --formula curl", sourcetest.Reply{Stdout: "==> Would upgrade 2 outdated packages:\ncurl 8.9.1 -> 8.10.1\n"})
	refused(t, s, fleet.Selection{Names: []string{"curl"}}, "1 of 2 steps")
	s.Answer(program+" upgrade --dry-run --formula curl", sourcetest.Reply{Stderr: "Error: curl: no bottle available!\n"})
	refused(t, s, fleet.Selection{Names: []string{"curl"}}, "brew leaves curl out of an upgrade: curl: no bottle available!")
}

func TestADryRunIsReadInTheWordsOfAllVersions(t *testing.T) {
	want := []step{{"git", "2.23.0", "2.24.0"}, {"pcre2", "10.33", "10.34"}, {"new", "", "1"}}
	for _, out := range []string{
		"==> Would upgrade 3 outdated packages:\ngit 2.23.0 -> 2.24.0\npcre2 10.33 -> 10.34\nnew 1\n",
		"==> Would upgrade 1 outdated package:\ngit 2.23.0 -> 2.24.0\n==> Would upgrade 2 dependencies for git:\npcre2 10.33 -> 10.34, new 1\n",
		"==> Would upgrade 1 outdated package:\ngit 2.23.0 -> 2.24.0\n==> Would install 2 dependencies for git:\npcre2 10.33 -> 10.34 new 1\n",
		"==> Would upgrade 3 outdated packages:\ngit   2.23.0 -> 2.24.0 (12.3MB)\npcre2 10.33  -> 10.34 (1 KB)\nnew   1\n==> Would `brew cleanup` 3 things\n",
	} {
		if d, err := parseDryRun([]byte(out)); err != nil || !slices.Equal(d.steps, want) {
			t.Errorf("%q: %+v, %v", out, d, err)
		}
	}
	for _, out := range []string{"==> Would upgrade 1 outdated package:\ngit\n", "==> Would upgrade 1 outdated package:\n-y 1 -> 2\n", "==> Would replace 1 outdated package:\ngit 1 -> 2\n"} {
		if d, err := parseDryRun([]byte(out)); err == nil {
			t.Errorf("%q: %+v", out, d)
		}
	}
}

// poured is what brew does when it installs a version.
func poured(kind, name, version string) string {
	return `mkdir -p "$root/opt/homebrew/` + kind + `/` + name + `/` + version + `"; `
}

func TestWhatWasDoneIsWhatLiesInTheCellar(t *testing.T) {
	s := scripted(t)
	p, w := plan(t, s, fleet.Selection{All: true}), s.Work()
	s.Answer(program+" fetch --formula curl node acme/tools/private-tool", sourcetest.Reply{})
	s.Answer(program+" fetch --cask docker", sourcetest.Reply{})
	if err := (Source{}).Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	s.Answer(program+" upgrade --formula curl node acme/tools/private-tool", sourcetest.Reply{
		Stdout: "==> Upgrading curl\n", Stderr: "Error: private-tool: curl: (22) The requested URL returned error: 404\n", Code: 1,
		Do: `test "$HOMEBREW_NO_AUTO_UPDATE" = 1 || exit 98; ` + poured("Cellar", "curl", "8.10.1") + poured("Cellar", "node", "22.10.0_1") + poured("Cellar", "openssl@3", "3.4.0") + poured("Cellar", "libnghttp3", "1.6.0"),
	})
	s.Answer(program+" upgrade --cask docker", sourcetest.Reply{Stdout: "==> Upgrading docker\n", Do: poured("Caskroom", "docker", "4.34.2,167172") + `rm -r "$root/opt/homebrew/Caskroom/docker/4.30.0,149282"`})
	o, err := Source{}.Apply(t.Context(), s.Machine(), p, w)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	if got := lines(o.Done); got != strings.TrimSuffix(everything, ", upgrade private-tool:arm64 1.0 → 2.0") {
		t.Errorf("done: %s", got)
	}
	if o.Succeeded() || lines(o.Missing) != "upgrade private-tool:arm64 1.0 → 2.0" || o.Because != "something cannot be downloaded" {
		t.Errorf("%+v", o)
	}
	if _, err := (Source{}).Undo(s.Machine(), p, o, w); err == nil {
		t.Error("there is a way back")
	}
	list, err := Source{}.Packages(t.Context(), s.Machine())
	if err != nil || !slices.ContainsFunc(list, func(p fleet.Package) bool {
		return p.Name == "docker" && p.Arch == caskArch && p.Version == "4.34.2,167172"
	}) {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	s := scripted(t)
	s.Answer(program+" upgrade --dry-run --cask firefox", sourcetest.Reply{Stdout: "==> Would upgrade 1 outdated package:\nfirefox 131.0 -> 132.0.1\n"})
	one := fleet.Selection{Names: []string{"firefox"}}
	p := plan(t, s, one)
	s.Answer(program+" upgrade --cask firefox", sourcetest.Reply{Stderr: "sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper\n", Code: 1})
	o, err := Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
	if err != nil || o.Because != "an administrator's password is asked for" || len(o.Done) != 0 || len(o.Missing) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(program+" upgrade --cask firefox", sourcetest.Reply{Do: poured("Caskroom", "firefox", "132.0.1") + `rm -f "$root/job/code.json"; mkdir "$root/job/code.json"`}) // how it ended cannot be written down
	if o, err := (Source{}).Apply(t.Context(), s.Machine(), p, s.Work()); err != nil || !o.Succeeded() {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(program+" upgrade --dry-run --cask firefox", sourcetest.Reply{Stdout: "==> Would upgrade 1 outdated package:\nfirefox 131.0 -> 133.0\n"})
	_, err = Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
	if got, _ := fleet.Explain(err); !strings.HasPrefix(got, "what it would do now is not what was approved") {
		t.Errorf("%q", got)
	}
	killed := source.Work{Dir: "/other"}
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, killed); err != nil || o.Because != "it was ended before it began to change anything" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestAHoldIsAPinOfBrew(t *testing.T) {
	s := scripted(t)
	s.Answer(program+" pin wget", sourcetest.Reply{Stderr: "Warning: wget already pinned\n"})
	s.Answer(program+" pin --cask iterm2", sourcetest.Reply{})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"wget", "iterm2:cask"}, true); err != nil {
		t.Error(fleet.Explain(err))
	}
	if held, err := (Source{}).Held(s.Machine()); err != nil || strings.Join(held, " ") != "iterm2 wget" {
		t.Errorf("%q, %v", held, err)
	}
	s.Answer(program+" pin --cask firefox", sourcetest.Reply{Stderr: "Error: invalid option: --cask\n", Code: 1})
	for name, because := range map[string]string{"firefox": "invalid option: --cask", "nobody": "is not installed", "../x": "is not installed"} {
		if got, _ := fleet.Explain(Source{}.Hold(t.Context(), s.Machine(), []string{name}, true)); !strings.Contains(got, because) {
			t.Errorf("%s: %q", name, got)
		}
	}
	s.Answer(program+" unpin wget", sourcetest.Reply{})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"wget"}, false); err == nil {
		t.Error("a pin that was not taken away is told as taken away")
	}
}

func TestARefreshThatFailsSaysWhy(t *testing.T) {
	s := scripted(t)
	s.Answer(program+" update --quiet", sourcetest.Reply{})
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err != nil {
		t.Error(err)
	}
	s.Answer(program+" update --quiet", sourcetest.Reply{Stderr: "fatal: unable to access 'https://github.com/Homebrew/brew/': Could not resolve host: github.com\n", Code: 1})
	if got, _ := fleet.Explain(Source{}.Refresh(t.Context(), s.Machine())); got != "what is on offer could not be fetched: something cannot be downloaded" {
		t.Error(got)
	}
}
