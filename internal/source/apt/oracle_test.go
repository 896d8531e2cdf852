package apt

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
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
