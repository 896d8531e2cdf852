package dnf

import (
	"context"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/rpm/rpmtest"
)

// What the source is meant to be.
var (
	_ source.Installer = Source{}
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
	_ source.Repairer  = Source{}
)

const repositories = `
[base]
name=Base
baseurl=file:///srv/toys/base
gpgcheck=0
[updates]
name=Updates
baseurl=file:///srv/toys/updates
gpgcheck=0
[later]
name=Later
baseurl=file:///srv/toys/later
gpgcheck=0
enabled=0
`

var ordinary = []string{
	"toy-lib-1.0-1.el9.x86_64.rpm", "toy-lib-1.0-1.el9.i686.rpm", "toy-app-*", "toy-conf-*", "toy-old-*",
	"kernel-5.14.0-1.*", "kernel-5.14.0-2.*", "kernel-5.14.0-3.*",
}

func newLab(t *testing.T, words ...string) *rpmtest.Lab {
	t.Helper()
	l := rpmtest.New(t, words...)
	l.Write("/etc/dnf/dnf.conf", "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n")
	l.Write("/etc/os-release", "NAME=Toys\nID=toys\nVERSION_ID=9\n")
	l.Write("/etc/yum.repos.d/toys.repo", repositories)
	refresh(l)
	return l
}

func refresh(l *rpmtest.Lab) {
	l.Helper()
	if err := (Source{}).Refresh(context.Background(), l.Machine()); err != nil {
		l.Fatal(fleet.Explain(err))
	}
}

func quick() Source { return Source{LockWait: time.Nanosecond} }

const everything = "remove kernel.x86_64 5.14.0-1.el9, remove toy-old.noarch 1.0-1.el9, install kernel.x86_64 5.14.0-4.el9, install toy-brought.noarch 0.5-1.el9, " +
	"install toy-replacement.noarch 3.0-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9, " +
	"upgrade toy-lib.i686 1.0-1.el9 → 1.2-1.el9, upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9"
