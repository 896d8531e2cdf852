package flatpak

import (
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

func TestSizesAreReadInEveryLocale(t *testing.T) {
	for text, want := range map[string]int64{
		"146 bytes": 146, "1 byte": 1, "1.0?kB": 1000, "1.0\u00a0kB": 1000, "1,2\u202fGB": 1_200_000_000, "163\u00a0bytes": 163, "4.0 MB": 4_000_000,
		"": 0, "-": 0, "viel": 0, "1.0 Kio": 0, "99999999999999999999 TB": 0, "kB": 0,
	} {
		if got := parseSize(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestAMaskCoversWhatFlatpakSaysItDoes(t *testing.T) {
	r, ok := parseRef("app/org.demo.App/x86_64/stable")
	if !ok {
		t.Fatal("no ref")
	}
	for pattern, want := range map[string]bool{
		"org.demo.App": true, "org.demo.*": true, "app/org.demo.App/x86_64/stable": true, "org.demo.App//stable": true, "org.demo.App//beta": false,
		"runtime/org.demo.App": false, "org.demo": false, "org.demo.App/*/stable": true, "app/*": true, "*": true, "org.demo.App/": true, "a/b/c/d/e": false, "": false, "[": false, "org?demo.App": false,
	} {
		if got := covers(pattern, r); got != want {
			t.Errorf("%q covers it: %v", pattern, got)
		}
	}
}

func TestATableThatIsNoneIsUnknown(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "\n": true, "a\tb\tc\n": true, "\t\tc\n": true, "a\tb\n": false, "a\tb\t\n": false, "Warnung: nichts\n": false, "a\tb\tc\td\n": false,
	} {
		if _, err := rows([]byte(text), 3); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	const header = "Looking for matches…\n\n\n"
	for text, want := range map[string]string{
		header + " 1.\t   \torg.demo.Platform.GL\t2\ti\tdemo\t< 152 bytes\n 2.\t   \torg.demo.Platform\t2\ti\tdemo\t< 207 bytes\n\nProceed with these changes to the system installation? [Y/n]: n\n": "runtime/org.demo.Platform.GL/x86_64/2 152, runtime/org.demo.Platform/x86_64/2 207",
		header + " 1.\t   \torg.demo.Platform.Locale\t2\ti\tdemo\t< 1.5 MB (partial)\n":                                                                                                               "runtime/org.demo.Platform.Locale/x86_64/2 1500000",
		header + " 1.\t   \torg.demo.Platform\t2\tr\n":         "",
		header + " 1.\t   \torg.demo.Platform\t2\tr\tdemo\t\n": "",
		"Nothing to do.\n": "",
	} {
		list, _ := parseSteps([]byte(text), "x86_64")
		var got []string
		for _, c := range list {
			got = append(got, c.ref.String()+" "+fleet.Plain(strings.TrimSpace(itoa(c.download))))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestWhatMayBeMaskedIsNotUpdated(t *testing.T) {
	const one, two = "4c5848e9ecec152db4410f3c4336a1fad12fc2bd16ce409c2eda44716b27f81b", "81fb5fa6577ecc0b2f412f1e006bc0ec40f5c16e9db31a874d2ceb9cf23e9d3b"
	if !root() {
		return // what was asked lies where only root looks
	}
	s := sourcetest.NewScript(t)
	s.Write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	dir := "root/.local/share/flatpak/app/org.demo.App/x86_64/stable"
	s.Write("root/.local/share/flatpak/repo/config", "")
	s.Write(dir+"/"+one+"/deploy", "")
	deploy(t, s, dir, one)
	s.Write("var/cache/redflag/flatpak/user-root.json", `{"asked":"`+time.Now().UTC().Format(time.RFC3339)+`","refs":{"app/org.demo.App/x86_64/stable":{"origin":"demo","to":"`+two+`"}}}`)
	s.Answer("flatpak mask --user", sourcetest.Reply{Code: 1, Stderr: "error: it fails\n"})
	if f := s.Unknown(Source{}, "flatpak does not answer: it fails"); len(f.Updates) != 1 || f.Updates[0].Blocked != fleet.KeptBack {
		t.Errorf("%+v", f)
	}
	if p := s.Plan(Source{}, fleet.Selection{All: true}); len(p.Changes) > 0 {
		t.Errorf("%+v", p.Changes)
	}
	s.Answer("flatpak mask --user", sourcetest.Reply{Stdout: "No masked patterns\n"})
	if f := s.Finding(Source{}); len(f.Updates) != 1 || f.Updates[0].Blocked != "" {
		t.Errorf("%+v", f)
	}
}

func TestEveryCommandIsToTheLetter(t *testing.T) {
	const one, two = "4c5848e9ecec152db4410f3c4336a1fad12fc2bd16ce409c2eda44716b27f81b", "81fb5fa6577ecc0b2f412f1e006bc0ec40f5c16e9db31a874d2ceb9cf23e9d3b"
	s := sourcetest.NewScript(t)
	dir := "var/lib/flatpak/app/org.demo.App/x86_64/stable"
	s.Write("var/lib/flatpak/repo/config", "[core]\nrepo_version=1\n")
	s.Write(dir+"/"+one+"/deploy", "")
	deploy(t, s, dir, one)
	// The answers are those that flatpak 1.16 gave to the same questions about the same columns in another order.
	s.Answer("flatpak list --system --all --columns=ref:f,name:f,version:f,origin:f,options:f,active:f", sourcetest.Reply{Stdout: "org.demo.App/x86_64/stable\tDemo\t1.0\tdemo\tcurrent\t4c5848e9ecec\n"})
	s.Answer("flatpak remote-ls --system --updates --all --arch=x86_64 --columns=ref:f,version:f,download-size:f,installed-size:f,runtime:f,options:f,commit:f demo",
		sourcetest.Reply{Stdout: "app/org.demo.App/x86_64/stable\t2.0\t146 bytes\t1.0?kB\t\t\t81fb5fa6577e\n", Stderr: "bwrap: Failed to make / slave: Invalid argument\n"})
	s.Answer("flatpak remote-info --system --show-commit demo app/org.demo.App/x86_64/stable", sourcetest.Reply{Stdout: two + "\n"})
	m := s.Machine()
	if err := (Source{StateDir: t.TempDir()}).Refresh(t.Context(), m); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	p, err := Source{}.Plan(t.Context(), m, fleet.Selection{All: true})
	if !root() {
		return // what was asked lies where only root looks
	}
	if err != nil || lines(p.Changes) != "upgrade org.demo.App" || p.Download != 146 {
		t.Fatalf("%+v, %v", p, err)
	}
	if f, err := (Source{}).Scan(t.Context(), m); err != nil || f.Updates[0].Summary != "Demo: 1.0 → 2.0" {
		t.Errorf("%+v, %v", f, err)
	}
	const update = "flatpak update --system -y --noninteractive --no-related --no-deps "
	s.Answer(update+"--no-deploy --commit="+two+" app/org.demo.App/x86_64/stable", sourcetest.Reply{Stdout: "Updating app/org.demo.App/x86_64/stable\n"})
	s.Answer(update+"--no-pull --commit="+two+" app/org.demo.App/x86_64/stable", sourcetest.Reply{
		Do: `mkdir "$root/` + dir + "/" + two + `"; ln -sfn ` + two + ` "$root/` + dir + `/active"`, Stdout: "Updating app/org.demo.App/x86_64/stable\n",
	})
	w := s.Work()
	if err := (Source{}).Fetch(t.Context(), m, p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	o, err := Source{}.Apply(t.Context(), m, p, w)
	if err != nil || !o.Succeeded() || lines(o.Done) != "upgrade org.demo.App" {
		t.Errorf("%+v, %v", o, err)
	}
	if sel, err := (Source{}).Undo(m, p, fleet.NewOutcome(), w); err == nil {
		t.Errorf("nothing was done, and is undone: %+v", sel)
	}
	s.Write("var/lib/flatpak/repo/config", "[core]\nxa.masked=app/org.demo.App/x86_64/stable;\n")
	s.Answer("flatpak mask --system --remove app/org.demo.App/x86_64/stable", sourcetest.Reply{})
	because, _ := fleet.Explain(Source{}.Hold(t.Context(), m, []string{"org.demo.App"}, false))
	if because != "org.demo.App is masked by hand: app/org.demo.App/x86_64/stable" {
		t.Errorf("a mask that stays: %q", because)
	}
}

func TestWhoRunsWhatIsReplacedIsTold(t *testing.T) {
	s := sourcetest.NewScript(t)
	const commit = "4c5848e9ecec152db4410f3c4336a1fad12fc2bd16ce409c2eda44716b27f81b"
	r, _ := parseRef("runtime/org.demo.Platform/x86_64/1")
	info := "[Application]\nname=org.demo.App\n\n[Instance]\napp-path=/var/lib/flatpak/app/org.demo.App/x86_64/stable/" + commit + "/files\nruntime-path=/var/lib/flatpak/runtime/org.demo.Platform/x86_64/1/" + commit + "/files\n"
	s.Write("run/user/1000/.flatpak/123/info", info)
	s.Write("run/user/1000/.flatpak/123/pid", "42")
	s.Write("run/user/1000/.flatpak/124/info", info) // it has ended
	s.Write("run/user/1000/.flatpak/124/pid", "43")
	s.Write("proc/42/comm", "demo")
	got := running(s.Machine(), []one{{ref: r}})
	if len(got.Services) != 1 || got.Services[0].Name != "org.demo.App" || got.Services[0].PIDs[0] != 42 || got.Needed != fleet.Needed {
		t.Errorf("%+v", got)
	}
	r.branch = "2"
	if got = running(s.Machine(), []one{{ref: r}}); len(got.Services) != 0 {
		t.Errorf("%+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("org.demo.App/x86_64/stable\tDemo\t\tdemo\tcurrent,eol=x\tb60a0936fc77\n", "org.demo.*")
	f.Add(" 1.\t   \torg.demo.Platform\t2\ti\tdemo\t< 207 bytes\n", "app/*//stable")
	f.Add("No masked patterns\n", "[")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		a := answer{Refs: map[string]offer{}}
		_ = a.installed([]byte(text), map[ref]string{{"app", "org.demo.App", "x86_64", "stable"}: strings.Repeat("b", 64)})
		for name, o := range a.Refs {
			if _, ok := parseRef(name); !ok || fleet.Plain(o.EndOfLife) != o.EndOfLife {
				t.Errorf("%q: %+v", name, o)
			}
		}
		list, err := parseSteps([]byte(text), "x86_64")
		for _, c := range list {
			if again, ok := parseRef(c.ref.String()); err == nil && (!ok || again != c.ref || c.download < 0) {
				t.Errorf("%+v", c)
			}
		}
		covers(pattern, ref{"app", "org.demo.App", "x86_64", "stable"})
		if n := parseSize(text); n < 0 {
			t.Errorf("%q has %d bytes", text, n)
		}
		parseMasks([]byte(text))
		because, remedy := explain(text, "x")
		if fleet.Plain(because) != because || fleet.Plain(remedy) != remedy {
			t.Errorf("%q", because)
		}
	})
}
