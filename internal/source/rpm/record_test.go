package rpm

import (
	"fmt"
	"strings"
	"testing"

	"redflag/internal/source"
)

// dnfLogged is what dnf 4.14 wrote when it upgraded toys.
const dnfLogged = `2026-11-25T20:25:43+0000 INFO --- logging initialized ---
2026-11-25T20:25:52+0000 SUBDEBUG Upgrade: toy-lib-1.2-1.el9.i686
2026-11-25T20:25:52+0000 SUBDEBUG Installed: toy-brought-0.5-1.el9.noarch
2026-11-25T20:25:52+0000 SUBDEBUG Upgrade: toy-app-1:2.1-1.el9.x86_64
2026-11-25T20:25:52+0000 SUBDEBUG Upgrade: toy-lib-1.2-1.el9.x86_64
2026-11-25T20:25:52+0000 INFO warning: /etc/toy.conf created as /etc/toy.conf.rpmnew

2026-11-25T20:25:52+0000 SUBDEBUG Erase: kernel-5.14.0-1.el9.x86_64
2026-11-25T20:25:52+0000 SUBDEBUG Upgraded: toy-app-1:2.0-3.el9.x86_64
2026-11-25T20:25:52+0000 SUBDEBUG Upgraded: toy-lib-1.0-1.el9.x86_64
2026-11-25T20:25:52+0000 SUBDEBUG Upgraded: toy-lib-1.0-1.el9.i686
`

// zyppLogged is in the form of zypper's history.
const zyppLogged = `# 2026-03-01 08:00:00 a command
2026-03-01 08:00:00|command|root@host|'zypper' 'update'|
2026-03-01 08:00:01|install|libtoy|1.0-1|x86_64|root@host|repo|0123|
2026-03-02 08:00:01|install|libtoy|1.1-1|x86_64||repo|0123|
2026-03-02 08:00:02|remove |libtoy|1.1-1|i686||
2026-03-03 08:00:01|install|libtoy|1.2-1|x86_64||repo|0123|
`

func TestLogsTellWhatWasUpgraded(t *testing.T) {
	of := []source.Owner{{Name: "toy-app", Arch: "x86_64"}, {Name: "toy-lib", Arch: "x86_64"}, {Name: "libtoy", Arch: "x86_64"}}
	said := func(list []source.Upgrade, err error) string {
		if err != nil {
			t.Error(err)
		}
		text := ""
		for _, u := range list {
			text += fmt.Sprint(u.Name, ".", u.Arch, " ", u.From, ">", u.To, " ", u.At.UTC().Day(), ", ")
		}
		return text
	}
	if got, want := said(parseDNF(strings.NewReader(dnfLogged), of)), "toy-app.x86_64 1:2.0-3.el9>1:2.1-1.el9 25, toy-lib.x86_64 1.0-1.el9>1.2-1.el9 25, "; got != want {
		t.Errorf("dnf: %s", got)
	}
	if got, want := said(parseZypp(strings.NewReader(zyppLogged), of)), "libtoy.x86_64 1.0-1>1.1-1 2, libtoy.x86_64 1.1-1>1.2-1 3, "; got != want {
		t.Errorf("zypper: %s", got)
	}
}

func FuzzLogs(f *testing.F) {
	f.Add(dnfLogged)
	f.Add(zyppLogged)
	f.Fuzz(func(_ *testing.T, text string) {
		of := []source.Owner{{Name: "toy-app", Arch: "x86_64"}, {Name: "libtoy", Arch: "x86_64"}}
		_, _ = parseDNF(strings.NewReader(text), of)
		_, _ = parseZypp(strings.NewReader(text), of)
	})
}
