package apt

import (
	"strings"
	"testing"
)

// What is odd and what apt makes of it: either we make the same of it, or we do not know.

func TestWhatIsOddOnARealBookworm(t *testing.T) {
	base := newLab(t, "bookworm")
	for name, test := range map[string]func(*lab){
		"an apt that refuses its sources is no up to date":       conflictingSources,
		"an apt that refuses a list is no up to date":            brokenStanza,
		"an apt that refuses its configuration is no up to date": invalidDefaultRelease,
		"names may be written in capitals":                       capitals,
		"lines may end as on Windows":                            windowsLines,
		"fields may be written in lower case":                    lowerFields,
		"an empty status is no empty machine":                    emptyStatus,
		"a pin may go on in the next line":                       foldedPin,
		"a pin with an unknown key is left to apt":               unknownPinKey,
		"a line with a space in it ends no stanza":               lineOfSpace,
		"a package without a version is not installed":           withoutVersion,
	} {
		t.Run(name, func(t *testing.T) { test(base.copy(t)) })
	}
}

// alone leaves the lab with one archive, of these lists of packages, and with foo 1.0 installed.
func (l *lab) alone(packages string) {
	l.Helper()
	l.install(control("foo", "1.0"))
	l.remove("/etc/apt/sources.list*")
	l.remove("/var/lib/apt/lists/*")
	l.write("/srv/odd/Packages", packages)
	l.write("/etc/apt/sources.list.d/odd.list", "deb [trusted=yes] file:/srv/odd ./\n")
	l.sh("mkdir -p /var/lib/apt/lists/partial; apt-get update -q || true")
}

func offer(name, version string) string {
	return control(name, version, "Filename: x.deb", "Size: 1", "SHA256: "+strings.Repeat("0", 64)) + "\n\n"
}

func conflictingSources(l *lab) {
	l.alone(offer("foo", "1.0"))
	l.agrees()
	for _, key := range []string{"a", "b"} {
		l.write("/etc/apt/sources.list.d/"+key+".sources", "Types: deb\nURIs: file:/srv/odd\nSuites: ./\nSigned-By: /usr/share/keyrings/"+key+".gpg\n")
	}
	l.remove("/etc/apt/sources.list.d/odd.list")
	l.unknown("Signed-By", "")
}

func brokenStanza(l *lab) {
	l.alone(offer("foo", "1.0"))
	l.sh("cd /var/lib/apt/lists && printf 'Version: 3\\n\\n' >>$(ls | grep Packages)")
	l.unknown("", "")
	if _, err := l.scan(); err == nil {
		l.Error("it is up to date, and apt does not read the list")
	}
}

func invalidDefaultRelease(l *lab) {
	l.alone(offer("foo", "1.0"))
	l.write("/etc/apt/apt.conf.d/99odd", `APT::Default-Release "nosuch";`)
	l.unknown("nosuch", "")
}

func capitals(l *lab) {
	l.alone(strings.Replace(offer("foo", "1.1"), "Package: foo", "Package: Foo", 1))
	if found := l.agrees(); len(found.Updates) != 1 {
		l.Errorf("%d updates", len(found.Updates))
	}
}

func windowsLines(l *lab) {
	l.alone(strings.ReplaceAll(offer("bar", "1")+offer("foo", "1.1")+offer("zoo", "1"), "\n", "\r\n"))
	if found := l.agrees(); len(found.Updates) != 1 {
		l.Errorf("%d updates", len(found.Updates))
	}
}

func lowerFields(l *lab) {
	l.alone(strings.NewReplacer("Package:", "package:", "Version:", "version:", "Architecture:", "architecture:").Replace(offer("foo", "1.1")))
	if found := l.agrees(); len(found.Updates) != 1 {
		l.Errorf("%d updates", len(found.Updates))
	}
}

func emptyStatus(l *lab) {
	l.write("/var/lib/dpkg/status", "")
	l.unknown("there is no package in it", "")
}

func foldedPin(l *lab) {
	l.alone(offer("foo", "1.1"))
	l.write("/etc/apt/preferences.d/odd", "Package: *\nPin: origin\n \"\"\nPin-Priority: -1\n")
	l.agrees()
	l.write("/etc/apt/preferences.d/odd", "Package: *\nPin: release\n a=nosuch\nPin-Priority: -1\n")
	l.agrees()
}

func unknownPinKey(l *lab) {
	l.alone(offer("foo", "1.1"))
	l.write("/etc/apt/preferences.d/odd", "Package: *\nPin: release x=1\nPin-Priority: 900\n")
	l.unknown("the condition x=1 is not understood", "")
}

func lineOfSpace(l *lab) {
	l.alone(offer("foo", "1.1"))
	l.write("/etc/apt/preferences.d/odd", "Package: foo\n \nPin: version 1.0\nPin-Priority: 1001\n")
	l.agrees()
}

func withoutVersion(l *lab) {
	l.alone(offer("foo", "1.0") + offer("bar", "2"))
	l.sh("printf 'Package: bar\\nStatus: install reinstreq half-installed\\nPriority: optional\\nSection: misc\\nArchitecture: all\\n\\n' >>/var/lib/dpkg/status")
	found, _ := l.scan()
	if len(found.Updates) != 0 {
		l.Errorf("invented: %+v", found.Updates)
	}
}
