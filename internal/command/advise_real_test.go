package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// advisedOffline has a Debian whose openssl was fetched and not installed say what that mends, without any network and any feed, and then with a feed.
func advisedOffline(d debian) {
	d.Helper()
	d.in("root", nil, "apt-get", "-q", "-y", "--download-only", "--no-install-recommends", "install", "openssl")
	scan, _ := d.scan("root")
	other := scan.Findings[0].Updates[slices.IndexFunc(scan.Findings[0].Updates, func(u fleet.Update) bool { return u.Security && u.Build.Package != "openssl" })]
	if out, code := d.in("root", nil, "redflag", "advisories", "changelogs", other.Name); code != exitDone || !strings.HasPrefix(out, other.Name+": ") {
		d.Errorf("`redflag advisories changelogs %s` ends with %d: %s", other.Name, code, out)
	}
	if err := os.Rename(filepath.Join(d.root, "etc/resolv.conf"), filepath.Join(d.root, "etc/resolv.conf.off")); err != nil {
		d.Fatal(err)
	}
	scan, _ = d.scan("root")
	if u := scan.Findings[0].Updates[slices.IndexFunc(scan.Findings[0].Updates, func(u fleet.Update) bool { return u.Name == other.Name })]; u.Claims == nil {
		d.Errorf("what the changelog of %s claims is forgotten", other.Name)
	}
	out, code := d.in("root", nil, "redflag", "show", "openssl")
	for _, want := range []string{"CVE-20", "evidence", "the changelog inside openssl_", "no advisory data", "what it claims is not more than that"} {
		if !strings.Contains(out, want) || code != exitDone {
			d.Errorf("`redflag show openssl` (exit code %d) lacks %q:\n%s", code, want, out)
		}
	}
	u := d.shows("openssl")
	if u.Advice == nil || len(u.Advice.Mends) < 10 || u.Advice.Mends[0].Evidence != fleet.ByChangelog || u.Advice.Bucket != fleet.ThisWindow {
		d.Errorf("without feeds: %+v", u.Advice)
	}
	i := slices.IndexFunc(scan.Findings[0].Updates, func(u fleet.Update) bool { return u.Claims == nil && u.Security })
	if u := scan.Findings[0].Updates[i]; u.Advice != nil || u.Build == nil || u.Build.Ecosystem != "Debian:12" {
		d.Errorf("nothing is known of %s %+v, and it is said: %+v", u.Name, u.Build, u.Advice)
	}
	// One of them by Debian's tracker, one of which it says that the installed version never had it, and the rest still by the changelog.
	known, never := u.Claims.IDs[0], u.Claims.IDs[1]
	tracker := `{"openssl": {"` + known + `": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "` + u.Build.To + `", "urgency": "high"}}},
		"` + never + `": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"}}}}}`
	kev := `{"catalogVersion": "1", "dateReleased": "2026-01-01T00:00:00Z", "count": 1, "vulnerabilities": [{"cveID": "` + known + `", "dateAdded": "2026-01-01", "dueDate": "2026-01-22", "knownRansomwareCampaignUse": "Known"}]}`
	for name, text := range map[string]string{"tracker.json": tracker, "kev.json": kev} {
		if err := os.WriteFile(filepath.Join(d.root, "tmp", name), []byte(text), 0o600); err != nil {
			d.Fatal(err)
		}
	}
	if out, code := d.in("root", nil, "redflag", "advisories", "import", "/tmp/tracker.json", "/tmp/kev.json"); code != exitDone {
		d.Errorf("import ends with %d: %s", code, out)
	}
	u = d.shows("openssl")
	if u.Advice == nil || u.Advice.Bucket != fleet.ActNow || u.Advice.Mends[0].ID != known || u.Advice.Mends[0].Evidence != fleet.ByAdvisory || len(u.Advice.Mends) != len(u.Claims.IDs)-1 {
		d.Errorf("with feeds: %+v", u.Advice)
	}
	if slices.ContainsFunc(u.Advice.Mends, func(f fleet.Flaw) bool { return f.ID == never }) {
		d.Errorf("%s counts, which the tracker says it never had", never)
	}
	d.vulnerable(known, u.Build.To)
	out, _ = d.in("root", nil, "redflag", "scan", "--source", "apt", "--sort", "priority")
	if !strings.Contains(out, "act now: openssl: "+known+" is exploited, by ransomware too") {
		d.Errorf("`redflag scan --sort priority`:\n%s", out)
	}
	out, _ = d.in("nobody", []string{"XDG_STATE_HOME=/tmp/state"}, "redflag", "scan", "--source", "apt", "--format", "json")
	if !strings.Contains(out, "cannot be seen by this user") {
		d.Error("a user who cannot see root's feeds is not told so")
	}
}

// vulnerable has the root list what it has now: one flaw that openssl's update mends, and one of bash that nothing does.
func (d debian) vulnerable(id, to string) {
	d.Helper()
	tracker := `{"openssl": {"` + id + `": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "` + to + `", "urgency": "high"}}}},
		"bash": {"CVE-2022-0001": {"releases": {"bookworm": {"status": "open", "urgency": "medium"}}}, "CVE-2022-0002": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1", "urgency": "high"}}}}}`
	if err := os.WriteFile(filepath.Join(d.root, "tmp", "more.json"), []byte(tracker), 0o600); err != nil {
		d.Fatal(err)
	}
	if out, code := d.in("root", nil, "redflag", "advisories", "import", "/tmp/more.json"); code != exitDone {
		d.Errorf("import ends with %d: %s", code, out)
	}
	out, code := d.in("root", nil, "redflag", "vulnerabilities", "--format", "json")
	var list vulnerabilityList
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitDone {
		d.Fatalf("it ends with %d: %v: %s", code, err, out)
	}
	find := func(id string) fleet.Vulnerability {
		i := slices.IndexFunc(list.Vulnerabilities, func(v fleet.Vulnerability) bool { return v.ID == id })
		if i < 0 {
			return fleet.Vulnerability{}
		}
		return list.Vulnerabilities[i]
	}
	if v := find(id); v.Bucket != fleet.ActNow || v.Mend != fleet.MendByUpdate || v.Package != "openssl" || len(v.Updates) == 0 || !slices.Contains(v.Installed, "libssl3") {
		d.Errorf("%+v", v)
	}
	if v := find("CVE-2022-0001"); v.Bucket != fleet.Track || v.Mend != fleet.NotMendedYet || !slices.Equal(v.Installed, []string{"bash"}) || v.Evidence != fleet.ByAdvisory {
		d.Errorf("%+v", v)
	}
	if v := find("CVE-2022-0002"); v.ID != "" {
		d.Errorf("it was mended long ago: %+v", v)
	}
	if list.Advisories.Unmatched != 0 {
		d.Errorf("%d packages of a debootstrapped Debian are not Debian's", list.Advisories.Unmatched)
	}
}

func (d debian) shows(name string) fleet.Update {
	d.Helper()
	out, _ := d.in("root", nil, "redflag", "show", name, "--format", "json")
	var s shown
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Updates) != 1 {
		d.Fatalf("show %s: %v: %s", name, err, out)
	}
	return s.Updates[0]
}
