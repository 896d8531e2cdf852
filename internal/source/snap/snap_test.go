package snap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"redflag/internal/fleet"
	"redflag/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the source is meant to be.
var (
	_ source.Installer = Source{}
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
)

const (
	lxd     = `{"id":"J60k4JY0HppjwOjW8dZdYc8obXKxujRu","title":"LXD","summary":"container and VM manager","installed-size":97280000,"install-date":"2026-01-02T03:04:05Z","name":"lxd","developer":"canonical","status":"active","type":"app","version":"5.21.2-2f4ba6b","channel":"5.21/stable","tracking-channel":"5.21/stable","revision":"`
	lxdRest = `","confinement":"strict","private":false,"devmode":false,"jailmode":false,"apps":[{"snap":"lxd","name":"daemon","daemon":"simple","enabled":true,"active":true},{"snap":"lxd","name":"lxc"}]}`
	core    = `{"name":"core22","status":"active","type":"base","version":"20260101","channel":"latest/stable","tracking-channel":"latest/stable","revision":"1033"}`
	local   = `{"name":"mine","status":"active","type":"app","version":"0.1","revision":"x3","hold":"2318-01-01T00:00:00Z"}`
	runs1   = `{"name":"firefox","status":"active","type":"app","version":"128.0","channel":"latest/stable","revision":"4000","refresh-inhibit":{"proceed-time":"2026-03-09T00:00:00Z"}}`
	before  = "[" + lxd + `30131` + lxdRest + "," + core + "," + local + "," + runs1 + "]"
	offers  = `[{"name":"lxd","version":"5.21.3-c5ae129","revision":"31333","channel":"5.21/stable","type":"app","summary":"container and VM manager","download-size":91234304,"status":"available"},` +
		`{"name":"mine","version":"0.2","revision":"7","channel":"latest/stable","type":"app","download-size":4096,"status":"available"}]`
)

// quick asks more often than on a machine.
var quick = Source{Every: time.Millisecond}

// with gives what is installed once lxd has another revision.
func with(version, revision string) string {
	return "[" + strings.Replace(lxd, "5.21.2-2f4ba6b", version, 1) + revision + lxdRest + "," + core + "," + local + "," + runs1 + "]"
}

func TestAScanTellsWhatTheStoreHasAndWhatIsHeld(t *testing.T) {
	p := newPlayed(t)
	f := p.scan()
	if f.State != fleet.OK || len(f.Updates) != 2 || !f.AsOf.Equal(p.now) || f.SecurityUnknown != noAdvisories {
		t.Fatalf("%+v", f)
	}
	u := f.Updates[0]
	if u.Name != "lxd" || u.From != "5.21.2-2f4ba6b (30131)" || u.To != "5.21.3-c5ae129 (31333)" || u.Size != 91234304 || u.Origin != "5.21/stable" || u.Blocked != "" {
		t.Errorf("%+v", u)
	}
	if u := f.Updates[1]; u.From != "0.1 (x3)" || u.Blocked != fleet.Held || u.BlockedBecause != "until it is released" {
		t.Errorf("%+v", u)
	}
	if strings.Join(f.Notes, ";") != "snapd installs updates by itself, the next time at 2026-03-02 18:41 UTC" {
		t.Errorf("%q", f.Notes)
	}
	p.tells("GET /v2/system-info", `{"version":"2.61.3","on-classic":true,"refresh":{"hold":"2026-04-01T00:00:00Z","next":"2026-03-02T18:41:00Z"}}`)
	if got := strings.Join(p.scan().Notes, ";"); got != "snapd installs no updates by itself until 2026-04-01 00:00 UTC (refresh.hold)" {
		t.Errorf("%q", got)
	}
	list, err := Source{}.Packages(t.Context(), p.machine())
	if err != nil || len(list) != 4 || list[2].Version != "5.21.2-2f4ba6b (30131)" {
		t.Errorf("%v, %v", list, err)
	}
	if held, err := (Source{}).Held(p.machine()); err != nil || strings.Join(held, " ") != "mine" {
		t.Errorf("%q, %v", held, err)
	}
}

func TestTheStoreIsAskedOnceAnHourUnlessSomethingHasChanged(t *testing.T) {
	p := newPlayed(t)
	s := Source{StateDir: t.TempDir()}
	asks := func(want int) {
		t.Helper()
		if _, err := s.Scan(t.Context(), p.machine()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(strings.Join(p.asked, "\n"), "GET /v2/find"); got != want {
			t.Errorf("the store was asked %d times, want %d", got, want)
		}
	}
	asks(1)
	asks(1)
	p.tells("GET /v2/snaps", with("5.21.3-c5ae129", "31333"))
	asks(2)
	p.now = p.now.Add(askEvery)
	asks(3)
	p.now = p.now.Add(-48 * time.Hour) // the clock was put right
	asks(4)
	if err := s.Refresh(t.Context(), p.machine()); err != nil {
		t.Fatal(err)
	}
	asks(5)
	if err := os.WriteFile(filepath.Join(s.StateDir, answerFile), []byte("null"), 0o600); err != nil {
		t.Fatal(err)
	}
	asks(6)
	s.StateDir = filepath.Join(s.StateDir, answerFile, "no folder")
	asks(7) // what cannot be kept is known all the same
}

func TestExactlyThePlannedRevisionIsAskedForAndTakenBack(t *testing.T) {
	p := newPlayed(t)
	plan := p.plan(fleet.Selection{All: true})
	if got := lines(plan.Changes); got != "upgrade lxd 5.21.2-2f4ba6b (30131) → 5.21.3-c5ae129 (31333)" {
		t.Fatal(got)
	}
	if plan.Reboot.Needed != fleet.NotNeeded || strings.Join(plan.Warnings, ";") != "the services of lxd are stopped and started again: daemon" || plan.Download != 91234304 {
		t.Errorf("%+v", plan)
	}
	p.begins(`POST /v2/snaps/lxd {"action":"refresh","revision":"31333"}`, "12", with("5.21.3-c5ae129", "31333"))
	w := p.work()
	o, err := quick.Apply(t.Context(), p.machine(), plan, w)
	if err != nil || !o.Succeeded() || lines(o.Done) != lines(plan.Changes) {
		t.Fatalf("%+v, %v", o, err)
	}
	if got := p.log(); !strings.Contains(got, "Download snap: 20%\nsnapd is away, and is waited for\nRefresh snap: Done\n") {
		t.Errorf("%q", got)
	}
	if o, err = quick.Settle(t.Context(), p.machine(), plan, w); err != nil || !o.Succeeded() {
		t.Errorf("settled: %+v, %v", o, err)
	}
	if sel, err := (Source{}).Undo(p.machine(), plan, fleet.NewOutcome(), w); err == nil {
		t.Errorf("nothing was done, and is undone: %+v", sel)
	}
	sel, err := Source{}.Undo(p.machine(), plan, o, w)
	if err != nil {
		t.Fatal(err)
	}
	p.tells("GET /v2/snaps?select=all", "["+lxd+`30131`+lxdRest+","+lxd+`31333`+lxdRest+"]")
	back := p.plan(sel)
	if got := lines(back.Changes); got != "downgrade lxd 5.21.3-c5ae129 (31333) → 5.21.2-2f4ba6b (30131)" {
		t.Fatal(got)
	}
	p.begins(`POST /v2/snaps/lxd {"action":"revert","revision":"30131"}`, "13", before)
	if o, err = quick.Apply(t.Context(), p.machine(), back, p.work()); err != nil || !o.Succeeded() || lines(o.Done) != lines(back.Changes) {
		t.Errorf("%+v, %v", o, err)
	}
	p.tells("GET /v2/snaps", with("5.21.3-c5ae129", "31333"))
	p.tells("GET /v2/snaps?select=all", "["+lxd+`31333`+lxdRest+"]")
	p.refused(sel, "is not kept any more")
	if _, err := quick.Apply(t.Context(), p.machine(), plan, p.work()); err == nil {
		t.Error("what has changed since the approval was installed")
	}
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	const refresh = `POST /v2/snaps/lxd {"action":"refresh","revision":"31333"}`
	for name, c := range map[string]struct{ message, kind, because string }{
		"it runs":       {`cannot refresh "lxd": snap "lxd" has running apps (daemon, lxc), pids: 1,2`, "", "it runs, and snapd replaces nothing that runs: daemon, lxc"},
		"a conflict":    {`snap "lxd" has "refresh-snap" change in progress`, "snap-change-conflict", "snapd is at work on it already"},
		"not permitted": {"access denied", "login-required", "snapd lets only root do this"},
		"withdrawn":     {"no snap revision available as specified", "snap-revision-not-available", "the store does not give out this revision any more"},
		"a full disk":   {"insufficient space in /var/lib/snapd", "insufficient-disk-space", "the disk is full"},
		"no words":      {"", "", "it refuses, with the status 400"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayed(t)
			plan := p.plan(fleet.Selection{Names: []string{"lxd"}})
			p.refuses(refresh, c.message, c.kind)
			o, err := quick.Apply(t.Context(), p.machine(), plan, p.work())
			if err != nil || o.Succeeded() || len(o.Done) > 0 || len(o.Missing) != 1 || !strings.HasPrefix(o.Because, c.because) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
	t.Run("a task that fails, after which snapd puts everything back", func(t *testing.T) {
		p := newPlayed(t)
		plan := p.plan(fleet.Selection{Names: []string{"lxd"}})
		p.does(refresh, func() string { return `{"type":"async","status-code":202,"status":"Accepted","change":"12"}` })
		p.tells("GET /v2/changes/12", `{"id":"12","summary":"Refresh snap","status":"Error","ready":true,"err":"cannot perform the following tasks:","tasks":[{"summary":"Run post-refresh hook","status":"Error","log":["x","ERROR run hook \"post-refresh\": exit status 1"]}]}`)
		o, err := quick.Apply(t.Context(), p.machine(), plan, p.work())
		if err != nil || o.Succeeded() || o.Because != `ERROR run hook "post-refresh": exit status 1` {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("a change that is no change", func(t *testing.T) {
		p := newPlayed(t)
		plan := p.plan(fleet.Selection{Names: []string{"lxd"}})
		p.does(refresh, func() string { return `{"type":"async","status-code":202,"change":"../snaps"}` })
		if o, err := quick.Apply(t.Context(), p.machine(), plan, p.work()); err != nil || o.Because != "snapd does not say what it has begun" {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("done, and something else besides", func(t *testing.T) {
		p := newPlayed(t)
		plan := p.plan(fleet.Selection{Names: []string{"lxd"}})
		p.begins(refresh, "12", strings.Replace(with("5.21.3-c5ae129", "31333"), `"1033"`, `"1044"`, 1))
		if o, err := quick.Apply(t.Context(), p.machine(), plan, p.work()); err != nil || !strings.Contains(o.Because, "upgrade core22 20260101 (1033) → 20260101 (1044) was not planned") {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("a job that was killed before it began", func(t *testing.T) {
		p := newPlayed(t)
		plan := p.plan(fleet.Selection{Names: []string{"lxd"}})
		if o, err := quick.Settle(t.Context(), p.machine(), plan, p.work()); err != nil || o.Succeeded() || len(o.Missing) != 1 {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	unknown := func(name, because string, what func(p *played)) {
		t.Run(name, func(t *testing.T) {
			p := newPlayed(t)
			what(p)
			if f := p.scan(); f.State != fleet.Uncertain || !strings.Contains(f.Because, because) || f.Remedy == "" {
				t.Errorf("%+v", f)
			}
		})
	}
	const find, snaps = "GET /v2/find?select=refresh", "GET /v2/snaps"
	unknown("the store cannot be reached", "what the Snap Store has on offer is not known: the Snap Store cannot be reached", func(p *played) {
		p.refuses(find, `Get "https://api.snapcraft.io": no such host`, "dns-failure")
	})
	unknown("snapd starts again", "daemon is restarting", func(p *played) {
		p.does(snaps, func() string {
			return `{"type":"sync","status-code":200,"result":null,"maintenance":{"kind":"daemon-restart","message":"daemon is restarting"}}`
		})
	})
	unknown("no list", "cannot be read", func(p *played) { p.tells(snaps, `{"snaps":[]}`) })
	unknown("no JSON", "snapd's answer cannot be read", func(p *played) { p.does(snaps, func() string { return "<html>" }) })
	unknown("another envelope", "an answer of an unknown type", func(p *played) { p.does(snaps, func() string { return "{}" }) })
	unknown("a snap that is a path", "snapd speaks of a snap", func(p *played) { p.tells(snaps, `[{"name":"../x","revision":"1"}]`) })
	unknown("too much", "over 16777216 bytes", func(p *played) {
		p.does(snaps, func() string { return `{"type":"sync","result":"` + strings.Repeat("x", maxBody) + `"}` })
	})
	t.Run("nobody listens", func(t *testing.T) {
		p := newPlayed(t)
		p.root = t.TempDir()
		if err := os.MkdirAll(filepath.Join(p.root, filepath.Dir(stateFile)), 0o755); err != nil {
			t.Fatal(err)
		}
		if (Source{}).Present(p.machine()) {
			t.Error("it is there")
		}
		if err := os.WriteFile(filepath.Join(p.root, stateFile), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if f := p.scan(); !(Source{}).Present(p.machine()) || !strings.Contains(f.Because, "snapd does not listen") || f.Remedy != "start it: systemctl start snapd.socket" {
			t.Errorf("%+v", f)
		}
	})
	t.Run("nothing is installed", func(t *testing.T) {
		p := newPlayed(t)
		p.tells(snaps, "[]")
		p.tells(find, "[]")
		if f := p.scan(); f.State != fleet.OK || len(f.Updates) != 0 {
			t.Errorf("%+v", f)
		}
	})
}

func TestASystemThatIsMadeOfSnapsStartsAgain(t *testing.T) {
	p := newPlayed(t)
	p.tells("GET /v2/snaps", `[{"name":"pc-kernel","type":"kernel","version":"6.8","revision":"10"},{"name":"core24","type":"base","version":"1","revision":"2"}]`)
	p.tells("GET /v2/find?select=refresh", `[{"name":"pc-kernel","version":"6.8.1","revision":"11"},{"name":"core24","version":"2","revision":"3"}]`)
	if got := p.plan(fleet.Selection{All: true}).Reboot; got.Needed != fleet.Needed || strings.Join(got.Because, " ") != "pc-kernel" {
		t.Errorf("%+v", got)
	}
	p.tells("GET /v2/system-info", `{"on-classic":false}`)
	if got := p.plan(fleet.Selection{All: true}).Reboot; strings.Join(got.Because, " ") != "core24 pc-kernel" {
		t.Errorf("%+v", got)
	}
}

func TestASelectionThatCannotBeIsRefused(t *testing.T) {
	p := newPlayed(t)
	p.refused(fleet.Selection{Security: true}, "which updates are for security is not known")
	p.refused(fleet.Selection{Names: []string{"mine"}}, "mine is on hold: until it is released")
	p.refused(fleet.Selection{Names: []string{"core22"}}, "no update of")
	p.tells("GET /v2/snaps?select=all", before)
	p.refused(fleet.Selection{Back: []fleet.Change{{Name: "nobody", To: "1 (1)"}}}, "is not installed any more")
	p.tells("GET /v2/find?select=refresh", `[{"name":"firefox","version":"129","revision":"4001"}]`)
	if got := p.plan(fleet.Selection{Names: []string{"firefox"}}).Warnings; strings.Join(got, ";") != "firefox runs, and cannot be replaced before it is closed" {
		t.Errorf("%q", got)
	}
}

func TestAHoldIsSnapdsOwn(t *testing.T) {
	p := newPlayed(t)
	p.begins(`POST /v2/snaps/lxd {"action":"hold","time":"forever","hold-level":"general"}`, "20", before)
	p.begins(`POST /v2/snaps/lxd {"action":"unhold"}`, "21", before)
	for _, hold := range []bool{true, false} {
		if err := quick.Hold(t.Context(), p.machine(), []string{"lxd"}, hold); err != nil {
			t.Error(err)
		}
	}
	p.refuses(`POST /v2/snaps/lxd {"action":"unhold"}`, "unknown action unhold", "")
	because, _ := fleet.Explain(quick.Hold(t.Context(), p.machine(), []string{"lxd"}, false))
	if because != "this snapd is older than 2.58, and cannot hold a snap" {
		t.Error(because)
	}
	if err := quick.Hold(t.Context(), p.machine(), []string{"../lxd"}, true); err == nil {
		t.Error("what is not installed was held")
	}
}

func TestARevisionIsReadFromWhatItIsCalled(t *testing.T) {
	for text, want := range map[string]string{"5.21 (30131)": "30131", "1 (x3)": "x3", "1 (2) (3)": "3", "": "", "(1)": "", "1 (rm)": "", "1 ()": "", "1 (1) ": "", "1 (xx1)": ""} {
		if got := revisionOf(text); got != want {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"type":"sync","status-code":200,"result":` + before + `}`))
	f.Add([]byte(refusal(400, `snap "lxd" has running apps (daemon), pids: 1`, "snap-change-conflict")))
	f.Add([]byte(refusal(400, "has running apps ()", "")))
	f.Add([]byte(refusal(400, strings.Repeat("x", fleet.PlainLimit), "dns-failure")))
	f.Add([]byte(`{"type":"async","change":"1","maintenance":{"kind":"daemon-restart"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReply(data)
		var u *fleet.Unknown
		if err != nil && !errors.As(err, &u) {
			t.Fatalf("%v is no reason for people", err)
		}
		if because, remedy := fleet.Explain(err); fleet.Plain(because) != because || err != nil && remedy == "" {
			t.Fatalf("%q, %q", because, remedy)
		}
		_ = r
	})
}
