package apt

import (
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

func TestOnARealBookworm(t *testing.T) {
	base := newLab(t, "bookworm")
	for name, test := range map[string]func(*lab){
		"its updates are those of apt":                        plain,
		"a held package is held and what needs it is kept":    held,
		"pins choose candidates as apt does":                  pins,
		"a foreign architecture's packages are listed":        foreign,
		"an unprivileged user sees the same":                  unprivileged,
		"locales change nothing":                              locales,
		"what cannot be installed is kept back":               keptBack,
		"archives that are not automatic wait":                notAutomatic,
		"another build of the same version is an update":      rebuilt,
		"removed packages with configuration are no packages": removed,
		"an interrupted dpkg is told":                         interrupted,
		"no lists is unknown":                                 noLists,
		"a source without lists is named":                     oneMissing,
		"lists expire":                                        expired,
		"lists grow stale":                                    stale,
		"a dead mirror is named":                              deadMirror,
		"apt.conf is read as apt reads it":                    configurationAsApt,
		"lists are looked for where apt looks":                sourcesAsApt,
		"lists are refreshed, or it is told why not":          refreshes,
		"a lock that is held names its holder":                refreshLocked,
		"damaged lists are told":                              damagedLists,
		"an unchanged machine is not asked again":             unchanged,
		"broken dependencies leave the list":                  brokenDependencies,
		"preferences that are not understood leave it to apt": regexPin,
	} {
		t.Run(name, func(t *testing.T) { test(base.copy(t)) })
	}
}

func find(t testing.TB, f fleet.Finding, name string) fleet.Update {
	t.Helper()
	i := slices.IndexFunc(f.Updates, func(u fleet.Update) bool { return u.Name == name })
	if i < 0 {
		t.Fatalf("no update of %s", name)
	}
	return f.Updates[i]
}

func plain(l *lab) {
	found := l.agrees()
	if len(found.Updates) < 50 {
		l.Errorf("only %d updates: the lab has lost its purpose", len(found.Updates))
	}
	if b := slices.DeleteFunc(slices.Clone(found.Updates), func(u fleet.Update) bool { return u.Blocked == "" }); len(b) > 0 {
		l.Errorf("blocked: %v", b)
	}
	u := find(l, found, "libssl3")
	if !u.Security || u.Origin != "Debian-Security/bookworm-security" || u.Size < 1_000_000 || u.Summary != "Secure Sockets Layer toolkit - shared libraries" {
		l.Errorf("libssl3: %+v", u)
	}
	if age := time.Since(found.AsOf); age < 0 || age > time.Hour {
		l.Errorf("lists that were just fetched are %s old", age)
	}
	if l.ran["apt-get"] != 1 {
		l.Errorf("apt was asked %d times", l.ran["apt-get"])
	}
}

func held(l *lab) {
	l.sh("apt-mark hold nginx-light")
	found := l.agrees()
	if u := find(l, found, "nginx-light"); u.Blocked != fleet.Held || !strings.Contains(u.BlockedBecause, "apt-mark unhold nginx-light") {
		l.Errorf("nginx-light: %+v", u)
	}
	for name, because := range map[string]string{"nginx": "nginx-light", "nginx-common": "nginx"} {
		if u := find(l, found, name); u.Blocked != fleet.KeptBack || !strings.Contains(u.BlockedBecause, because) {
			l.Errorf("%s: %+v", name, u)
		}
	}
	if u := find(l, found, "libssl3"); u.Blocked != "" {
		l.Errorf("libssl3: %+v", u)
	}
}

func pins(l *lab) {
	for _, preferences := range []string{
		"Package: *\nPin: release n=bookworm-security\nPin-Priority: 50\n",
		"Package: *\nPin: release a=oldstable-security, l=Debian-Security\nPin-Priority: -10\n",
		"Package: *\nPin: release l=Debian-Security\nPin-Priority: never\n",
		"Package: *\nPin: origin \"\"\nPin-Priority: 600\n\nPackage: *\nPin: release c=main, o=Debian\nPin-Priority: 90\n",
		"Package: libssl3 openssl\nPin: version 3.0.*\nPin-Priority: -1\n",
		"Package: *ssl*\nPin: release n=bookworm\nPin-Priority: 1001\n",
		"Package: src:openssl\nPin: release n=bookworm\nPin-Priority: 995\n",
		"# only a comment\n\nPackage: nginx:any libp[ae]*\nPin: release bookworm-security\nPin-Priority: 99\n",
		"Package: *\nPin: release v=12\nPin-Priority: 100\n",
		"Package: perl*:i386\nPin: release n=bookworm\nPin-Priority: 1001\n",
		"Package: *\nPin: release a=now\nPin-Priority: 700\n",
		"Explanation: why\nPackage: perl\nPin: version 5.36.0-7+deb12u?\nPin-Priority: 400\n\nPackage: perl\nPin: release *\nPin-Priority: -5\n",
	} {
		l.write("/etc/apt/preferences.d/test", preferences)
		before := l.Failed()
		l.agrees()
		if l.Failed() && !before {
			l.Logf("with these preferences:\n%s", preferences)
		}
	}
	l.remove("/etc/apt/preferences.d/test")
	for _, conf := range []string{
		"APT::Default-Release \"bookworm\";",
		"APT { Default-Release \"n=bookworm-security\"; }; // and more",
		"APT::Default-Release \"/^bookworm$/\";\n#clear APT::Default-Release;",
		"Dir::Etc::sourceparts \"none\";",
		"Dir { Etc { sourcelist \"/dev/null\"; }; };",
	} {
		l.write("/etc/apt/apt.conf", conf)
		before := l.Failed()
		l.agrees()
		if l.Failed() && !before {
			l.Logf("with this configuration:\n%s", conf)
		}
	}
}

func foreign(l *lab) {
	l.sh("dpkg --add-architecture i386; sed -i 's/^Types/Architectures: amd64\\nTypes/' /etc/apt/sources.list.d/security.sources")
	l.agrees()
	l.sh(`apt-get update -q -o Acquire::Languages=none -o APT::Update::Error-Mode=any
		v=$(dpkg-query -W -f '${Version}' liblzma5)
		apt-get install -q -y --no-install-recommends liblzma5:i386=$v`)
	mine := strings.NewReplacer("Architecture: all", "Architecture: i386")
	l.install(mine.Replace(control("mine", "1.0")))
	l.repo("own", "", "Suite: here\n", mine.Replace(control("mine", "1.1")), control("mine", "2.0"))
	found := l.agrees()
	if u := find(l, found, "mine"); u.Arch != "i386" || u.To != "1.1" || u.Blocked != "" {
		l.Errorf("mine: %+v", u)
	}
	// The two architectures of a library must have the same version, and only one of them has an update.
	if u := find(l, found, "liblzma5"); u.Arch != "amd64" || u.Blocked != fleet.KeptBack {
		l.Errorf("liblzma5: %+v", u)
	}
	l.remove("/var/lib/apt/lists/*bookworm_main_binary-i386_Packages")
	l.unknown("bookworm main/i386", "apt-get update")
}

func unprivileged(l *lab) {
	l.user = "nobody:nogroup"
	l.agrees()
}

func locales(l *lab) {
	l.sh("localedef -i de_DE -f UTF-8 de_DE.UTF-8; localedef -i tr_TR -f UTF-8 tr_TR.UTF-8")
	for _, locale := range []string{"de_DE.UTF-8", "tr_TR.UTF-8"} {
		if said := l.sh("LC_ALL=" + locale + " apt list --upgradable 2>/dev/null"); strings.Contains(string(said), "upgradable from") {
			l.Errorf("apt does not speak %s here, so this proves nothing", locale)
		}
		l.env = []string{"LANG=" + locale, "LC_ALL=" + locale, "LC_MESSAGES=" + locale, "LANGUAGE=" + locale[:2]}
		l.sh("echo LANG=" + locale + " >/etc/default/locale; apt-mark hold openssl")
		if u := find(l, l.agrees(), "openssl"); u.Blocked != fleet.Held {
			l.Errorf("openssl: %+v", u)
		}
	}
}

func keptBack(l *lab) {
	l.install(control("stuck", "1.0"))
	l.repo("own", "", "Origin: Own\nLabel: Own\nSuite: here\n", control("stuck", "2.0", "Depends: does-not-exist (>= 3)"))
	u := find(l, l.agrees(), "stuck")
	if u.Blocked != fleet.KeptBack || u.BlockedBecause == "" || u.Origin != "Own/here" || u.Arch != "all" || u.Security {
		l.Errorf("stuck: %+v", u)
	}
}

func notAutomatic(l *lab) {
	for _, name := range []string{"one", "two", "three"} {
		l.install(control(name, "1.0"))
	}
	l.repo("experimental", "", "Suite: experimental\nNotAutomatic: yes\n", control("one", "2.0"), control("two", "2.0"))
	l.agrees()
	l.repo("backports", "", "Suite: backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n", control("two", "1.5"), control("three", "1.0"), control("three", "1.1"))
	l.agrees()
}

func rebuilt(l *lab) {
	l.install(control("mine", "1.0", "Depends: libc6"))
	l.repo("own", "", "Suite: here\n", control("mine", "1.0", "Depends: libc6, perl-base"))
	if u := find(l, l.agrees(), "mine"); u.From != u.To {
		l.Errorf("mine: %+v", u)
	}
	l.repo("same", "", "", control("mine", "1.0", "Depends: libc6"))
	l.agrees()
}

func removed(l *lab) {
	l.sh("dpkg --force-depends --remove rsync nginx-light >/dev/null 2>&1; dpkg-query -W -f '${Status}' nginx-common")
	l.sh("apt-get -q -y -f install >/dev/null 2>&1 || true")
	l.agrees()
}

func interrupted(l *lab) {
	before := len(l.agrees().Updates)
	l.write("/srv/half/DEBIAN/control", control("half", "1.0")+"\nMaintainer: nobody <nobody@example.org>\n")
	l.sh("dpkg-deb -b /srv/half /srv/half.deb && dpkg --unpack /srv/half.deb")
	if found := l.unknown("interrupted", "dpkg --configure -a"); len(found.Updates) != before {
		l.Errorf("%d updates, and there were %d", len(found.Updates), before)
	}
	l.sh("dpkg --configure -a")
	l.agrees()
	l.write("/srv/half/DEBIAN/postinst", "#!/bin/sh\nexec test -e /srv/well\n")
	state := l.sh("chmod 755 /srv/half/DEBIAN/postinst; dpkg-deb -b /srv/half /srv/half.deb >/dev/null; dpkg -i /srv/half.deb >/dev/null 2>&1 || dpkg-query -W -f '${db:Status-Status}' half")
	if string(state) != "half-configured" {
		l.Errorf("dpkg left half %q", state)
	}
	l.unknown("dpkg was interrupted, or is at work, on half", "dpkg --configure -a")
	l.sh("touch /srv/well; dpkg --configure -a")
	l.agrees()
	// The journal has the newest record of a package: here one that says it is newer than any on offer.
	record := l.sh("dpkg-query -s tzdata | sed 's/^Version: .*/Version: 9999/'")
	l.write("/var/lib/dpkg/updates/0000", string(record))
	l.write("/var/lib/dpkg/updates/tmp.i", "half a rec")
	found := l.unknown("interrupted", "dpkg --configure -a")
	if len(found.Updates) != before-1 {
		l.Errorf("%d updates with tzdata's in the journal, and there were %d", len(found.Updates), before)
	}
}

func noLists(l *lab) {
	l.remove("/var/lib/apt/lists/*")
	if found := l.unknown("there are no package lists on this machine", "apt-get update"); len(found.Updates) != 0 {
		l.Errorf("updates from nowhere: %v", found.Updates)
	}
}

func oneMissing(l *lab) {
	before := len(l.agrees().Updates)
	l.write("/etc/apt/sources.list.d/dead.sources", "Types: deb\nURIs: https://dead.example.org/debian\nSuites: x\nComponents: main\n\nTypes: deb\nURIs: https://off.example.org/\nSuites: x\nComponents: main\nEnabled: no\n")
	found := l.unknown("no package lists for https://dead.example.org/debian/ x", "apt-get update")
	if len(found.Updates) != before {
		l.Errorf("%d updates, and there were %d", len(found.Updates), before)
	}
	if _, err := l.scan(); err != nil && strings.Contains(err.Error(), "off.example.org") {
		l.Errorf("a source that is switched off is missed: %v", err)
	}
}

func expired(l *lab) {
	l.install(control("old", "1.0"))
	until := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC1123)
	l.repo("own", "check-date=yes check-valid-until=yes", "Suite: here\nValid-Until: "+until+"\n", control("old", "2.0"))
	l.agrees()
	l.later = 72 * time.Hour
	if found := l.unknown("expired for file:/srv/own/ ./", "apt-get update"); find(l, found, "old").To != "2.0" {
		l.Error("the list is gone")
	}
	l.write("/etc/apt/sources.list.d/own.list", "deb [trusted=yes check-valid-until=no] file:/srv/own ./\n")
	l.agrees()
}

func stale(l *lab) {
	l.later = 6 * 24 * time.Hour
	before := l.agrees()
	l.later = 9 * 24 * time.Hour
	found := l.unknown("last fetched 9 days ago", "apt-get update")
	if len(found.Updates) != len(before.Updates) || !found.AsOf.Equal(before.AsOf) {
		l.Errorf("%d updates as of %s, and there were %d as of %s", len(found.Updates), found.AsOf, len(before.Updates), before.AsOf)
	}
}

func deadMirror(l *lab) {
	// Three days later a refresh begins, and no source answers.
	l.later = 3 * 24 * time.Hour
	l.sh("touch -d '3 days' /var/lib/apt/lists/partial")
	l.unknown("the last refresh did not reach", "apt-get update")
}

func damagedLists(l *lab) {
	before := len(l.agrees().Updates)
	l.sh("cd /var/lib/apt/lists && truncate -s -20 *security*Packages")
	if found := l.unknown("is damaged", "apt-get update"); len(found.Updates) < before/2 {
		l.Errorf("%d updates of %d are left", len(found.Updates), before)
	}
	l.sh("cd /var/lib/apt/lists && for f in *_Packages; do head -c $(stat -c %s $f) /dev/urandom >x && mv x $f; done")
	l.unknown("there is no package in it", "apt-get update")
	l.write("/var/lib/dpkg/status", "<html>not found</html>")
	l.unknown("there is no package in it", "")
}

func unchanged(l *lab) {
	s := l.source()
	s.StateDir = l.TempDir()
	first, err := s.Scan(l.Context(), l.machine())
	if err != nil {
		l.Fatal(err)
	}
	second, err := s.Scan(l.Context(), l.machine())
	if err != nil || l.ran["apt-get"] != 1 || !slices.Equal(listed(first), listed(second)) || len(second.Updates) == 0 {
		l.Errorf("apt was asked %d times; %d updates, then %d; %v", l.ran["apt-get"], len(first.Updates), len(second.Updates), err)
	}
	l.sh("apt-mark hold openssl")
	third, err := s.Scan(l.Context(), l.machine())
	if err != nil || find(l, third, "openssl").Blocked != fleet.Held {
		l.Errorf("after a change: %v, %+v", err, find(l, third, "openssl"))
	}
}

func brokenDependencies(l *lab) {
	before := len(l.agrees().Updates)
	l.write("/srv/sad/DEBIAN/control", control("sad", "1.0", "Depends: does-not-exist")+"\nMaintainer: nobody <nobody@example.org>\n")
	l.sh("dpkg-deb -b /srv/sad /srv/sad.deb && dpkg --force-depends -i /srv/sad.deb")
	found := l.unknown("which updates are kept back is not known", "apt-get -f install")
	if len(found.Updates) != before {
		l.Errorf("%d updates, and there were %d", len(found.Updates), before)
	}
}

func regexPin(l *lab) {
	l.write("/etc/apt/preferences.d/test", "Package: /^libssl/\nPin: version *\nPin-Priority: -1\n")
	found := l.unknown("the regular expression /^libssl/ is not understood", "")
	names := listed(found)
	if len(names) < 10 || slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, "libssl") }) {
		l.Errorf("not apt's plan: %v", names)
	}
}

func TestOnARealTrixie(t *testing.T) {
	if testing.Short() {
		t.Skip("one suite is enough for a quick look")
	}
	base := newLab(t, "trixie")
	t.Run("its updates are those of apt", func(t *testing.T) { base.copy(t).agrees() })
	t.Run("a held package is held", func(t *testing.T) {
		l := base.copy(t)
		updates := l.agrees().Updates
		if len(updates) == 0 {
			t.Skip("trixie has no updates at all now")
		}
		l.sh("apt-mark hold " + updates[0].Name)
		if u := find(t, l.agrees(), updates[0].Name); u.Blocked != fleet.Held {
			t.Errorf("%+v", u)
		}
	})
}
