package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	monday  = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	tuesday = monday.AddDate(0, 0, 1)
)

func names(f Finding) []string {
	list := []string{}
	for _, u := range f.Updates {
		name := u.Name
		if !u.StaleSince.IsZero() {
			name += " (stale)"
		}
		list = append(list, name)
	}
	return list
}

func TestWhatIsNoLongerOnOfferIsForgotten(t *testing.T) {
	before := Finding{Source: "apt", State: OK, Updates: []Update{{Name: "curl"}, {Name: "openssl"}}}
	now := Finding{Source: "apt", State: OK, Updates: []Update{{Name: "curl"}}}
	if diff := cmp.Diff([]string{"curl"}, names(now.After(before))); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAFailedScanDidNotMentionStaysAndIsStale(t *testing.T) {
	before := Finding{Source: "apt", State: OK, Updates: []Update{{Name: "curl"}, {Name: "openssl"}}}
	now := Finding{Source: "apt", State: Uncertain, ScannedAt: monday, Updates: []Update{{Name: "curl"}}}
	got := now.After(before)
	if diff := cmp.Diff([]string{"curl", "openssl (stale)"}, names(got)); diff != "" {
		t.Error(diff)
	}
	later := Finding{Source: "apt", State: Uncertain, ScannedAt: tuesday}.After(got)
	if since := later.Updates[1].StaleSince; !since.Equal(monday) {
		t.Errorf("stale since %v, want the first scan that could not confirm it, %v", since, monday)
	}
}

func TestAnImageThatWasAnsweredIsNotKeptByAnothersFailure(t *testing.T) {
	before := Finding{Source: "docker", Updates: []Update{
		{Name: "nginx:1", ImageUpdate: &ImageUpdate{Kind: Rebuild}},
		{Name: "redis:7", ImageUpdate: &ImageUpdate{Kind: Rebuild}},
	}}
	now := Finding{Source: "docker", State: Uncertain, ScannedAt: monday, Checks: []Check{
		{Name: "nginx:1", Answer: Current},
		{Name: "redis:7", Answer: CannotAnswer},
	}}
	if diff := cmp.Diff([]string{"redis:7 (stale)"}, names(now.After(before))); diff != "" {
		t.Error(diff)
	}
}

func TestAnImageThatNoLongerRunsIsForgottenWhateverFailsBeside(t *testing.T) {
	before := Finding{Source: "docker", Updates: []Update{
		{Name: "nginx:1", ImageUpdate: &ImageUpdate{Kind: Rebuild}},
		{Name: "redis:7", ImageUpdate: &ImageUpdate{Kind: Rebuild}},
	}}
	now := Finding{Source: "docker", State: Uncertain, ScannedAt: monday, Checks: []Check{{Name: "redis:7", Answer: CannotAnswer}}}
	if diff := cmp.Diff([]string{"redis:7 (stale)"}, names(now.After(before))); diff != "" {
		t.Error(diff)
	}
	now.Checks = nil // the engine did not say what runs
	if diff := cmp.Diff([]string{"nginx:1 (stale)", "redis:7 (stale)"}, names(now.After(before))); diff != "" {
		t.Error(diff)
	}
}

func TestAVersionStaysWhileTheTagsCannotBeListed(t *testing.T) {
	before := Finding{Source: "docker", Updates: []Update{
		{Name: "nginx:1.0", ImageUpdate: &ImageUpdate{Kind: Rebuild}},
		{Name: "nginx:1.0", ImageUpdate: &ImageUpdate{Kind: Version, Level: Minor}},
	}}
	now := Finding{Source: "docker", State: Uncertain, ScannedAt: monday, Checks: []Check{{Name: "nginx:1.0", Answer: Current, VersionsUnknown: "500"}}}
	if diff := cmp.Diff([]string{"nginx:1.0 (stale)"}, names(now.After(before))); diff != "" {
		t.Error(diff)
	}
	now.Checks[0].VersionsUnknown = ""
	if got := names(now.After(before)); len(got) > 0 {
		t.Errorf("remembered %q", got)
	}
}

func TestASourceThatWasNotLookedAtKeepsItsFinding(t *testing.T) {
	before := Scan{Findings: []Finding{{Source: "apt", State: OK}, {Source: "docker", State: OK, Updates: []Update{{Name: "nginx:1"}}}}}
	now := Scan{Findings: []Finding{{Source: "apt", State: OK, Updates: []Update{{Name: "curl"}}}}}
	got := now.After(before)
	if len(got.Findings) != 2 || len(got.Findings[0].Updates) != 1 || len(got.Findings[1].Updates) != 1 {
		t.Errorf("got %+v", got.Findings)
	}
}
