package fwupd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// What the source is meant to be.
var (
	_ source.Installer = Source{}
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
)

func TestScan(t *testing.T) { sourcetest.Replay(t, Source{}) }

func recorded(t *testing.T, name string) *machine.Machine {
	t.Helper()
	return sourcetest.Machine(t, filepath.Join("testdata/machines", name))
}

func TestFirmwareIsInstalledByAPersonAndByNobodyElse(t *testing.T) {
	m := recorded(t, "laptop")
	if !(Source{}).Present(m) {
		t.Error("it is not seen")
	}
	_, err := Source{}.Plan(t.Context(), m, fleet.Selection{Names: []string{"System Firmware"}})
	if because, remedy := fleet.Explain(err); because != "System Firmware: firmware is installed by a person: fwupdmgr update "+strings.Repeat("a", 40)+" (it needs external power, it needs a reboot)" || remedy == "" {
		t.Errorf("%q, %q", because, remedy)
	}
	if _, err = (Source{}).Plan(t.Context(), m, fleet.Selection{Names: []string{"curl"}}); !strings.Contains(err.Error(), `no update of "curl"`) {
		t.Error(err)
	}
	for sel, want := range map[string]int{"all": 3, "security": 2} {
		p, err := Source{}.Plan(t.Context(), m, fleet.Selection{All: sel == "all", Security: sel == "security"})
		if err != nil || len(p.Changes) != 0 || len(p.Warnings) != want {
			t.Errorf("%s: %+v, %v", sel, p, err)
		}
	}
	if _, err = (Source{}).Plan(t.Context(), m, fleet.Selection{Back: []fleet.Change{{Name: "System Firmware"}}}); err == nil {
		t.Error("there is a way back")
	}
	if _, err = (Source{}).Apply(t.Context(), m, fleet.Plan{}, source.Work{}); err == nil {
		t.Error("it was installed")
	}
	if _, err = (Source{}).Plan(t.Context(), recorded(t, "no-bus"), fleet.Selection{All: true}); err == nil {
		t.Error("nothing is known, and nothing is to do")
	}
}

func TestWhatMakersNameSaysWhatToPatchFirst(t *testing.T) {
	f, err := Source{}.Scan(t.Context(), recorded(t, "laptop"))
	if err != nil {
		t.Fatal(err)
	}
	advisor := advisory.Advisor{Matcher: advisory.NewMatcher(&advisory.Shelf{}), Now: time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)}
	got := map[string]string{}
	for _, u := range f.Updates {
		advice, err := advisor.Update(fleet.Host{}, u)
		if err != nil {
			t.Fatal(err)
		}
		if advice != nil {
			got[u.Name] = fmt.Sprint(advice.Bucket, " ", len(advice.Mends), " ", advice.Mends[0].ID, " ", advice.Mends[0].Severity, " ", advice.Mends[0].FixedIn)
		}
	}
	want := map[string]string{"System Firmware": "this window 1 CVE-2024-0762 critical 0.1.43", "UEFI dbx": "this window 1 vendor-1  371"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnUpdateOfADeviceThatCameBetweenTwoQuestionsIsTold(t *testing.T) {
	s := sourcetest.NewScript(t)
	s.Answer("fwupdmgr --json get-devices", sourcetest.Reply{Stdout: `{"Devices":[]}`})
	s.Answer("fwupdmgr --json get-updates", sourcetest.Reply{Stdout: `{"Devices":[{"Name":"Dock","DeviceId":"d","Version":"1","Releases":[{"Version":"2"}]}]}`})
	s.Answer("fwupdmgr --json get-remotes", sourcetest.Reply{Stdout: fmt.Sprintf(`{"Remotes":[{"Id":"lvfs","Kind":"download","Enabled":true,"Mtime":%d}]}`, time.Now().Unix())})
	if f := s.Finding(Source{}); len(f.Updates) != 1 || f.Updates[0].Name != "Dock" {
		t.Errorf("%+v", f)
	}
}

func TestTheInventoryIsOfDevicesThatTellTheirVersion(t *testing.T) {
	list, err := Source{}.Packages(t.Context(), recorded(t, "laptop"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.Name+" "+p.Version)
	}
	want := "System Firmware 0.1.40, SSD 980 PRO 1TB bbbbbbbb 5B2QGXA7, SSD 980 PRO 1TB cccccccc 3B2QGXA7, UEFI dbx 77, Keyboard \ufffd[31m\ufffd 1"
	if strings.Join(got, ", ") != want {
		t.Errorf("%q", got)
	}
}

func TestWhatIsFetchedAlreadyIsNoFailure(t *testing.T) {
	s := sourcetest.NewScript(t)
	if os.Geteuid() != 0 {
		if err := (Source{}).Refresh(t.Context(), s.Machine()); err == nil {
			t.Error("anybody may refresh")
		}
		return
	}
	for code, because := range map[int]string{0: "", 2: "", 101: "fwupd cannot be asked: Failed to download metadata for lvfs: network is unreachable"} {
		s.Answer("fwupdmgr --json refresh", sourcetest.Reply{Code: code, Stderr: "Idle…: 0%\n",
			Stdout: `{"Error":{"Domain":"FwupdError","Code":21,"Message":"Failed to download metadata for lvfs: network is unreachable"}}`})
		if got, _ := fleet.Explain(Source{}.Refresh(t.Context(), s.Machine())); got != because {
			t.Errorf("%d: %q", code, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"webcam", "laptop", "before-2.0", "no-bus"} {
		files, err := filepath.Glob("testdata/machines/" + name + "/commands/*.stdout")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("no JSON: " + strings.Repeat("x", fleet.PlainLimit)))
	f.Fuzz(func(t *testing.T, text []byte) {
		var said struct {
			Devices []device `json:"Devices"`
		}
		err := parse(machine.Result{Stdout: text}, "get-updates", &said)
		if because, _ := fleet.Explain(err); fleet.Plain(because) != because {
			t.Fatalf("%q", because)
		}
		for i, name := range names(said.Devices) {
			u, ok := said.Devices[i].update(name)
			for _, word := range []string{name, u.To, u.From, u.Origin, u.BlockedBecause, u.Summary} {
				if fleet.Plain(word) != word {
					t.Fatalf("%q can be shown", word)
				}
			}
			if ok && (u.Blocked == "" || u.To == "" && said.Devices[i].Releases[0].Version == "") {
				t.Fatalf("%+v", u)
			}
		}
	})
}
