package apt

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// TestTheChangelogOfAPendingPackageNamesItsCVEs is a debootstrapped Debian 12 whose openssl has been fetched and not installed.
func TestTheChangelogOfAPendingPackageNamesItsCVEs(t *testing.T) {
	l := newLab(t, "bookworm")
	found := l.agrees()
	s := Source{StateDir: t.TempDir()}
	if err := s.Claims(t.Context(), l.machine(), found.Updates, false); err != nil {
		t.Fatal(err)
	}
	if u := find(t, found, "openssl"); u.Claims != nil || u.Build.Ecosystem != "Debian:12" || u.Build.Package != "openssl" {
		t.Fatalf("nothing was fetched yet: %+v of %+v", u.Claims, u.Build)
	}
	l.sh("apt-get -q -y --download-only --no-install-recommends install openssl")
	l.sh("for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do mv $f $f.off; done") // whoever asks a network now fails
	if err := s.Claims(t.Context(), l.machine(), found.Updates, false); err != nil {
		t.Fatal(err)
	}
	u := find(t, found, "openssl")
	if u.Claims == nil || !strings.Contains(u.Claims.From, "changelog") {
		t.Fatalf("openssl claims %+v", u.Claims)
	}
	if want := cvesOfChangelog(l, u); !slices.Equal(want, slices.Sorted(slices.Values(u.Claims.IDs))) || len(want) < 10 {
		t.Errorf("openssl claims %v, its changelog as dpkg-parsechangelog reads it names %v", u.Claims.IDs, want)
	}
	if lib := find(t, found, "libssl3"); lib.Claims == nil || !slices.Equal(lib.Claims.IDs, u.Claims.IDs) {
		t.Errorf("libssl3 is of the same source, and claims %+v", lib.Claims)
	}
	l.sh("apt-get clean")
	again := slices.Clone(found.Updates)
	if err := s.Claims(t.Context(), l.machine(), again, false); err != nil || find(t, fleet.Finding{Updates: again}, "openssl").Claims == nil {
		t.Errorf("what was read is forgotten with the package: %v", err)
	}
}

// cvesOfChangelog reads the entries in another way: by perl in the root, with dpkg's own comparison of versions.
func cvesOfChangelog(l *lab, u fleet.Update) []string {
	out := l.sh(`cd /tmp; dpkg-deb -x /var/cache/apt/archives/openssl_*.deb out
zcat out/usr/share/doc/openssl/changelog.Debian.gz | while IFS= read -r line; do
	case "$line" in
	openssl\ \(*) v=${line#*\(}; v=${v%%\)*}; in=no
		if dpkg --compare-versions "$v" gt "` + u.Build.From + `" && dpkg --compare-versions "$v" le "` + u.Build.To + `"; then in=yes; fi;;
	*) test "$in" != yes || printf '%s\n' "$line";;
	esac
done`)
	return slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`CVE-\d{4}-\d{4,}`).FindAllString(string(out), -1))))
}

func TestADamagedPackageHasNoChangelog(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "broken.deb")
	if err := os.WriteFile(file, []byte("!<arch>\nnothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := changelogIn(t.Context(), machine.Local(), file); err == nil {
		t.Errorf("it gives %q", text)
	}
}

func TestClaimsAreThoseBetweenTwoVersions(t *testing.T) {
	const text = `xz-utils (5.8.1-1+deb13u2) trixie-security; urgency=medium

  * GHSA-5qpq-xqfv-j9pg ("Invalid write"). cve-2026-1111 again.

 -- Somebody <somebody@example.org>  Sun, 27 Sep 2026 15:30:44 +0200

xz-utils (5.8.1-1+deb13u1) trixie; urgency=medium

  * CVE-2026-34743: Buffer overflow; CVE-2026-1111

 -- Somebody <somebody@example.org>  Wed, 01 Jul 2026 22:00:37 +0300

xz-utils (5.8.1-1~bpo12+1) bookworm-backports; urgency=medium

  * CVE-2025-99999 stands above an older entry and is older itself

 -- Somebody <somebody@example.org>  Wed, 01 Jul 2026 22:00:37 +0300

xz-utils (5.8.1-1) unstable; urgency=medium

  * CVE-2025-31115

 -- Somebody <somebody@example.org>  Thu, 03 Apr 2025 23:02:58 +0200
`
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"5.8.1-1", "5.8.1-1+deb13u2", []string{"GHSA-5qpq-xqfv-j9pg", "CVE-2026-1111", "CVE-2026-34743"}},
		{"5.8.1-1+deb13u1", "5.8.1-1+deb13u2", []string{"GHSA-5qpq-xqfv-j9pg", "CVE-2026-1111"}},
		{"5.8.1-1+deb13u2", "5.8.1-1+deb13u2", []string{}},
		{"5.8.0-1", "5.8.1-1+deb13u1", []string{"CVE-2026-34743", "CVE-2026-1111", "CVE-2025-99999", "CVE-2025-31115"}},
		{"1:0", "5.8.1-1+deb13u2", []string{}}, // an epoch is above all
	} {
		got, err := parseClaims(strings.NewReader(text), c.from, c.to)
		if err != nil || !slices.Equal(got.IDs, c.want) {
			t.Errorf("from %s to %s: %v, %v; want %v", c.from, c.to, got, err, c.want)
		}
	}
	if _, err := parseClaims(strings.NewReader("nothing\n"), "1", "2"); err == nil {
		t.Error("a text without an entry is a changelog that claims nothing")
	}
}

func FuzzClaims(f *testing.F) {
	f.Add("a (1) b; urgency=low\n\n  * CVE-2024-1234\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseClaims(strings.NewReader(text), "0", "9")
		if err == nil && len(c.IDs) > maxClaims {
			t.Error(len(c.IDs))
		}
	})
}

func TestAnEcosystemIsThatOfTheArchive(t *testing.T) {
	for _, c := range []struct {
		r    release
		want string
	}{
		{release{origin: "Debian", label: "Debian", suite: "oldstable", codename: "bookworm", version: "12.15"}, "Debian:12"},
		{release{origin: "Debian", label: "Debian-Security", suite: "oldstable-security", codename: "bookworm-security", version: "12"}, "Debian:12"},
		{release{origin: "Debian", label: "Debian", suite: "oldstable-updates", codename: "bookworm-updates", version: "12-updates"}, "Debian:12"},
		{release{origin: "Debian Backports", label: "Debian Backports", suite: "stable-backports", codename: "bookworm-backports"}, ""},
		{release{origin: "Debian", label: "Debian", suite: "unstable", codename: "sid"}, ""},
		{release{origin: "Ubuntu", label: "Ubuntu", suite: "noble-security", codename: "noble", version: "24.04"}, "Ubuntu:24.04:LTS"},
		{release{origin: "Ubuntu", label: "Ubuntu", suite: "questing", codename: "questing", version: "25.10"}, "Ubuntu:25.10"},
		{release{origin: "UbuntuESMApps", label: "UbuntuESMApps", suite: "focal-apps-security", codename: "focal", version: "20.04"}, "Ubuntu:Pro:20.04:LTS"},
		{release{origin: "LP-PPA-ondrej-php", suite: "noble", codename: "noble", version: "24.04"}, ""},
		{release{origin: "nginx", label: "nginx", suite: "bookworm", codename: "bookworm"}, ""},
	} {
		if got := c.r.ecosystem(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
	}
}

func TestWhatIsNotTheDistributionsIsOfNoEcosystem(t *testing.T) {
	debian := []*index{{suite: &suite{release: &release{origin: "Debian", label: "Debian", version: "12.15"}}}}
	other := []*index{{suite: &suite{release: &release{origin: "nginx", label: "nginx"}}}}
	at := func(source, text string, on []*index) *version {
		return &version{source: source, sourceVersion: text, on: on}
	}
	for _, c := range []struct {
		name     string
		from, to *version
		want     string
	}{
		{"both are Debian's", at("nginx", "1", debian), at("nginx", "2", debian), "Debian:12"},
		{"the old one is in no list any more", at("nginx", "1", nil), at("nginx", "2", debian), "Debian:12"},
		{"the old one is another's", at("nginx", "1", other), at("nginx", "2", debian), ""},
		{"the new one is another's", at("nginx", "1", debian), at("nginx", "2", other), ""},
		{"another's altogether", at("nginx", "1", nil), at("nginx", "2", other), ""},
		{"another source has taken over the name", at("mysql", "1", debian), at("mariadb", "2", debian), ""},
	} {
		if got := build(c.from, c.to).Ecosystem; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
