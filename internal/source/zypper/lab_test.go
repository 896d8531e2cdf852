package zypper

import (
	"testing"
	"time"

	"redflag/internal/source/rpm/rpmtest"
)

// What the source is meant to be.
var _ rpmtest.Source = Source{}

// ordinary are the toys that a machine has installed.
var ordinary = []string{"toy-lib-1.0-1.el9.x86_64.rpm", "toy-app-*", "toy-conf-*", "toy-old-*", "kernel-5.14.0-1.*", "kernel-5.14.0-2.*", "kernel-5.14.0-3.*"}

// newLab gives a lab whose metadata is fetched.
func newLab(t *testing.T, words ...string) *rpmtest.Lab {
	t.Helper()
	l := rpmtest.New(t, words...)
	l.Write("/etc/zypp/zypp.conf", "[main]\nmultiversion = provides:multiversion(kernel)\n")
	l.Write("/etc/os-release", "NAME=Toys\nID=toys\nVERSION_ID=15\n")
	return l.Use(rpmtest.Kit{Source: quick(), File: "/etc/zypp/repos.d/toys.repo", Scheme: "dir"})
}

func quick() Source { return Source{LockWait: time.Nanosecond} }

// everything is what the ordinary toys become, as a plan.
const everything = "remove toy-old.noarch 1.0-1.el9, install kernel.x86_64 5.14.0-4.el9, install toy-brought.noarch 0.5-1.el9, " +
	"install toy-replacement.noarch 3.0-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9, " +
	"upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9"
