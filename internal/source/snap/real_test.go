package snap

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
)

// having is the state of a snapd that has a snap in two revisions, made on the machine itself.
const having = `{"data":{"patch-level":6,"patch-sublevel":3,
"snaps":{"snapd":{"type":"snapd","sequence":[{"name":"snapd","revision":"x1"}],"active":true,"current":"x1"},"hello":{"type":"app","sequence":[{"name":"hello","revision":"x1"},
{"name":"hello","revision":"x2"}],"active":true,"current":"x2"}}},
"changes":{},"tasks":{},"last-change-id":0,"last-task-id":0,"last-lane-id":0,"last-notice-id":0}`

func meta(version string) string {
	return "name: hello\nversion: '" + version + "'\nsummary: greets\nbase: none\ndescription: greets\n"
}

func TestARealSnapdIsUnderstood(t *testing.T) {
	root := parts.Snapd(t, map[string]string{
		"var/lib/snapd/state.json": having, "snap/hello/x1/meta/snap.yaml": meta("2.9"), "snap/hello/x2/meta/snap.yaml": meta("2.10"), "snap/snapd/x1/meta/snap.yaml": "name: snapd\nversion: '2.57'\ntype: snapd\nsummary: snapd\ndescription: snapd\n",
		"var/lib/snapd/snaps/snapd_x1.snap": "", "var/lib/snapd/snaps/hello_x1.snap": "", "var/lib/snapd/snaps/hello_x2.snap": "", "etc/os-release": "ID=debian\nVERSION_ID=12\n",
	})
	m := &machine.Machine{Root: root, Now: time.Now}
	if !(Source{}).Present(m) {
		t.Error("it is not seen")
	}
	if first := firstStart(t, m); first.Status != "Done" || len(first.Tasks) == 0 || first.failed() != nil {
		t.Errorf("its first start: %+v", first)
	}
	list, err := Source{}.Packages(t.Context(), m)
	if err != nil || len(list) != 2 || list[0].Name != "hello" || list[0].Version != "2.10 (x2)" {
		t.Fatalf("%v, %v", list, err)
	}
	if f, err := (Source{}).Scan(t.Context(), m); err != nil || len(f.Updates) > 0 || f.AsOf.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
	if words, err := notes(t.Context(), m); err != nil || !strings.HasPrefix(strings.Join(words, ";"), "snapd installs no updates by itself until 2") {
		t.Errorf("%q, %v", words, err)
	}
	p, err := Source{}.Plan(t.Context(), m, fleet.Selection{Back: []fleet.Change{{Name: "hello", From: "2.10 (x2)", To: "2.9 (x1)"}}})
	if err != nil || lines(p.Changes) != "downgrade hello 2.10 (x2) → 2.9 (x1)" || p.Reboot.Needed != fleet.NotNeeded {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err = (Source{}).Plan(t.Context(), m, fleet.Selection{Back: []fleet.Change{{Name: "hello", To: "2.8 (x0)"}}}); err == nil {
		t.Error("a revision that is not there")
	}
	because, _ := fleet.Explain(Source{}.Hold(t.Context(), m, []string{"hello"}, true))
	if because != "this snapd is older than 2.58, and cannot hold a snap" {
		t.Errorf("a hold: %q", because)
	}
	for name, want := range map[string]string{"nobody": "snap \"nobody\" is not installed", "hello": "it was installed from a file, and the store does not know it"} {
		_, err := begin(t.Context(), m, name, instruction{Action: "refresh", Revision: "7"})
		if because, remedy := fleet.Explain(err); because != want || remedy == "" {
			t.Errorf("%s: %q", name, because)
		}
	}
	w := work(t, root)
	o, err := quick.Apply(t.Context(), m, p, w)
	if err != nil || !o.Succeeded() || lines(o.Done) != lines(p.Changes) {
		t.Errorf("%+v, %v", o, err)
	}
	sel, err := Source{}.Undo(m, p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = (Source{}).Plan(t.Context(), m, sel); err != nil || lines(p.Changes) != "downgrade hello 2.9 (x1) → 2.10 (x2)" {
		t.Fatalf("%+v, %v", p, err)
	}
	if o, err = quick.Apply(t.Context(), m, p, w); err != nil || !o.Succeeded() || lines(o.Done) != lines(p.Changes) {
		t.Errorf("and back: %+v, %v", o, err)
	}
	done, err := Source{}.await(t.Context(), m, "99", nil)
	if err == nil {
		t.Errorf("a change that there is not: %+v", done)
	}
}

// firstStart waits for the change that is snapd's first start.
func firstStart(t *testing.T, m *machine.Machine) change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		done, err := quick.await(ctx, m, "1", io.Discard)
		if err == nil {
			return done
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // it has not begun
	}
}

func work(t *testing.T, root string) source.Work {
	t.Helper()
	p := played{T: t, root: root}
	return p.work()
}
