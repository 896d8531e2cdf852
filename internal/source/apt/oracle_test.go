package apt

import (
	stdcmp "cmp"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	debversion "github.com/knqyf263/go-deb-version"
)

// trickyConfiguration has all that apt.conf's grammar allows.
const trickyConfiguration = `// a comment with "one quote
# another
APT { Architecture "amd64"; // after
  Architectures { "amd64"; "i386"; };
  Get::Always-Include-Phased-Updates yes;
  /* over
     lines "; */ Default-Release "sta/*no comment*/ble";
};
apt::get::never-include-phased-updates "false" ; Acquire::http::Proxy "http://127.0.0.1:3128//x"; # hash
Acquire::Check-Valid-Until "0";
Dir::Etc { sourcelist "my.list"; sourceparts "/etc/apt/my.d"; };
DPkg::Post-Invoke { "echo ';{}'"; };
DPkg::Post-Invoke:: "second";
Own "1"; OWN::Sub "2";
#clear Own::Sub;
Acquire::Languages "none"; Acquire
{
  Max-ValidTime "86400"; Max-ValidTime::Debian "5";
}
Quote::"With Space" "x";
`

// configurationAsApt compares our reading of apt.conf with apt-config's.
func configurationAsApt(l *lab) {
	l.write("/etc/apt/apt.conf.d/zz-test", trickyConfiguration)
	l.write("/etc/apt/apt.conf.d/zz-bad name", "Own \"bad\";")
	l.write("/etc/apt/apt.conf.d/zz-test.dpkg-old", "Own \"bad\";")
	set, err := readSettings(l.machine())
	if err != nil {
		l.Fatal(err)
	}
	for _, name := range []string{
		"APT::Architecture", "APT::Default-Release", "APT::Get::Always-Include-Phased-Updates", "APT::Get::Never-Include-Phased-Updates",
		"Acquire::http::Proxy", "Acquire::Check-Valid-Until", "Own", "Own::Sub", "Acquire::Max-ValidTime",
		"Acquire::Max-ValidTime::Debian", "Dir::Etc::sourcelist",
	} {
		theirs := strings.TrimSuffix(string(l.sh("apt-config dump --format '%f=%v%n' | grep -i '^"+name+"=' | tail -n 1 | cut -d= -f2- || true")), "\n")
		if ours := set.conf.text(name, ""); ours != theirs {
			l.Errorf("%s is %q, apt has %q", name, ours, theirs)
		}
	}
	for name, path := range map[string]string{
		"Dir::Etc::sourcelist/f": set.conf.path("Dir::Etc::sourcelist"), "Dir::Etc::sourceparts/f": set.conf.path("Dir::Etc::sourceparts"),
		"Dir::State::lists/f": set.lists, "Dir::State::status/f": set.status, "Dir::Etc::preferencesparts/f": set.conf.path("Dir::Etc::preferencesparts"),
	} {
		if theirs := string(l.sh("eval $(apt-config shell X " + name + ") && printf %s \"$X\"")); strings.TrimSuffix(theirs, "/") != path {
			l.Errorf("%s is %q, apt has %q", name, path, theirs)
		}
	}
	if got, want := set.conf.list("DPkg::Post-Invoke"), []string{"echo ';{}'", "second"}; !slices.Equal(got, want) {
		l.Errorf("DPkg::Post-Invoke is %q", got)
	}
}

// sourcesAsApt compares the names of lists with those that apt looks for.
func sourcesAsApt(l *lab) {
	l.sh("dpkg --add-architecture i386")
	l.write("/etc/apt/sources.list", `# comment
deb http://user:pass@a.example.org:8080/de_bian/~x  stable main non-free # after
deb [arch=amd64,arm64 trusted=yes signed-by=/x#y] https://b.example.org/with%20space/ st+able/up~dates main
deb	tor+http://c.example.org	sid	main
deb [arch-=i386] mirror+file:/etc/apt/mirrors.txt sid main
deb-src http://a.example.org/ sid main
deb file:/srv/repo ./
deb copy:///srv/repo/$(ARCH) flat/
deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - Official amd64 DVD]/ bookworm main contrib
deb http://[2001:db8::1]:80/x sid main
deb http://d.example.org sid main main
`)
	l.write("/etc/apt/sources.list.d/a.sources", `
# a stanza of comments

Types: deb deb-src
URIs: http://e.example.org/x
 http://f.example.org
Suites: one two/three
# in between
Components: main
  contrib
Architectures: amd64
X-Other: yes

Enabled: no
Types: deb
URIs: http://off.example.org
Suites: x
Components: main

types: deb
uris: file:///srv/flat
suites: /
Trusted: yes

Types: deb
URIs: http://g.example.org
Suites: x
Components: main
Architectures-Add: armhf
Targets: Translations
`)
	l.write("/etc/apt/sources.list.d/b.list.save", "deb http://saved.example.org x main\n")
	l.write("/etc/apt/sources.list.d/c+d.list", "deb http://plus.example.org x main\n")
	set, _ := readSettings(l.machine())
	db, err := ReadDatabase(l.machine(), set.status)
	if err != nil {
		l.Fatal(err)
	}
	entries, err := set.entries(l.machine(), set.architectures(l.machine(), db))
	if err != nil {
		l.Fatal(err)
	}
	ours := map[string]bool{}
	for _, e := range entries {
		for _, k := range e.lacks() {
			ours[set.lists+"/"+e.uri.listName(suitePath(e.suite)+k.path())] = true
		}
	}
	theirs := map[string]bool{}
	for line := range strings.Lines(string(l.sh("apt-get indextargets --no-release-info --format '$(FILENAME)' 'Created-By: Packages'"))) {
		theirs[strings.TrimSpace(line)] = true
	}
	if diff := cmp.Diff(theirs, ours); diff != "" || len(theirs) < 20 {
		l.Errorf("%d lists; - apt's, + ours:\n%s", len(theirs), diff)
	}
}

// anyVersion makes versions that are hard to compare.
func anyVersion(r *rand.Rand) string {
	pieces := []string{"0", "1", "09", "10", "a", "Z", "~", "~~", "+", ".", "-", "-0", "+b1", "deb12u1", "~rc1", "99999999999999999999", "00"}
	v := fmt.Sprint(r.IntN(3))
	for range r.IntN(6) {
		v += pieces[r.IntN(len(pieces))]
	}
	if r.IntN(3) == 0 {
		v = fmt.Sprint(r.IntN(3)) + ":" + v
	}
	return strings.TrimRight(v, "-") // a hyphen and no revision is no version to dpkg
}

// versionsAsDpkg compares our order of versions with dpkg's.
func versionsAsDpkg(l *lab) {
	r := rand.New(rand.NewPCG(1, 2))
	var script strings.Builder
	var pairs [][2]string
	for range 700 {
		a, b := anyVersion(r), anyVersion(r)
		pairs = append(pairs, [2]string{a, b})
		fmt.Fprintf(&script, "if dpkg --compare-versions '%s' lt '%s' 2>/dev/null; then echo -1; elif dpkg --compare-versions '%s' gt '%s' 2>/dev/null; then echo 1; else echo 0; fi\n", a, b, a, b)
	}
	l.write("/srv/compare", script.String())
	for i, line := range strings.Fields(string(l.sh("sh /srv/compare"))) {
		if ours := fmt.Sprint(compareVersions(pairs[i][0], pairs[i][1])); ours != line {
			l.Errorf("%q and %q compare as %s, dpkg says %s", pairs[i][0], pairs[i][1], ours, line)
		}
	}
}

func TestVersionsCompareAsInAnotherImplementation(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		sameOrder(t, anyVersion(r), anyVersion(r))
	}
}

// tooLong is a number that go-deb-version, which counts in 64 bits, does not know from another.
var tooLong = regexp.MustCompile(`[0-9]{18}`)

// sameOrder compares two versions here and in go-deb-version, where that takes them for versions.
func sameOrder(t *testing.T, a, b string) {
	t.Helper()
	x, errX := debversion.NewVersion(a)
	y, errY := debversion.NewVersion(b)
	if errX != nil || errY != nil || tooLong.MatchString(a+" "+b) {
		return
	}
	if ours, theirs := compareVersions(a, b), stdcmp.Compare(x.Compare(y), 0); ours != theirs {
		t.Errorf("%q and %q compare as %d, go-deb-version says %d", a, b, ours, theirs)
	}
}

func FuzzCompareVersions(f *testing.F) {
	for _, v := range []string{"1:2.36.1-8+deb12u1", "0.0~git20230101-1", "1.0-0", "", ":", "-", "~", "255.4-1ubuntu8.19", "5.2.15-2+b13"} {
		f.Add(v, "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if compareVersions(a, b) != -compareVersions(b, a) || compareVersions(a, a) != 0 {
			t.Errorf("no order of %q and %q", a, b)
		}
		for _, c := range a + b {
			if !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-~:", c) {
				return
			}
		}
		if strings.Count(a, ":") < 2 && strings.Count(b, ":") < 2 && len(epochOf(a))+len(epochOf(b)) < 12 {
			sameOrder(t, a, b)
		}
	})
}

func epochOf(v string) string {
	epoch, _ := cutEpoch(v)
	return epoch
}
