package memory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// scanOf is a scan with one package to update, or with what could not be looked at.
func scanOf(at time.Time, state fleet.State, names ...string) fleet.Scan {
	f := fleet.Finding{Source: "apt", State: state, ScannedAt: at, Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	for _, n := range names {
		f.Updates = append(f.Updates, fleet.Update{Source: "apt", Name: n, From: "1", To: "2"})
	}
	return fleet.Scan{ScannedAt: at, Host: fleet.Host{Name: "web1"}, Findings: []fleet.Finding{f}}
}

func TestAScanComesBackAsItWasKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "made", "yet")
	if _, err := Load(dir); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing is kept yet: %v", err)
	}
	kept, err := Save(dir, scanOf(noon, fleet.OK, "openssl"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if diff := cmp.Diff(kept, got); err != nil || diff != "" {
		t.Errorf("%v (-kept +got):\n%s", err, diff)
	}
}

func TestWhatCouldNotBeCheckedIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	for _, s := range []fleet.Scan{
		scanOf(noon, fleet.OK, "openssl"),
		scanOf(noon.Add(time.Hour), fleet.Uncertain),
	} {
		if _, err := Save(dir, s); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	updates := got.Findings[0].Updates
	if len(updates) != 1 || updates[0].Name != "openssl" || !updates[0].StaleSince.Equal(noon.Add(time.Hour)) {
		t.Errorf("remembered: %+v", updates)
	}
}

func TestADamagedMemoryNamesItsFileAndIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	for _, damage := range []string{"", "{", "[]", `{"findings":`} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", damage, err)
		}
		if _, err := Save(dir, scanOf(noon, fleet.OK, "openssl")); err != nil {
			t.Errorf("%q: %v", damage, err)
		}
		if got, err := Load(dir); err != nil || len(got.Findings) != 1 {
			t.Errorf("%q: %+v, %v", damage, got, err)
		}
	}
}

func TestAFolderThatCannotBeWrittenIsAnErrorAndTheScanIsStillGiven(t *testing.T) {
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Save(filepath.Join(inTheWay, "state"), scanOf(noon, fleet.OK, "openssl"))
	if err == nil || len(got.Findings) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOfTwoThatSaveAtOnceOneWinsWhole(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := Save(dir, scanOf(noon, fleet.OK, fmt.Sprintf("p%d", i))); err != nil {
				t.Error(err)
			}
			if got, err := Load(dir); err != nil || len(got.Findings[0].Updates) != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}
