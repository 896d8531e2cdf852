package rpm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// released gives a machine with an os-release.
func released(t *testing.T, text string) *machine.Machine {
	t.Helper()
	m := &machine.Machine{Root: t.TempDir(), Now: time.Now}
	if err := os.MkdirAll(filepath.Join(m.Root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.Root, "etc/os-release"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestADistributionsOwnPackagesHaveTheNameOfItsReleaseInOSVsWords(t *testing.T) {
	for _, c := range []struct{ id, version, vendor, want string }{
		{"almalinux", "9.4", "AlmaLinux", "AlmaLinux:9"},
		{"almalinux", "9.4", "Fedora Project", ""},
		{"rocky", "8.10", "Rocky Enterprise Software Foundation", "Rocky Linux:8"},
		{"rhel", "9.4", "Red Hat, Inc.", "Red Hat:enterprise_linux:9"},
		{"opensuse-leap", "15.5", "SUSE LLC <https://www.suse.com/>", "openSUSE:Leap 15.5"},
		{"opensuse-leap", "15.5", "openSUSE", "openSUSE:Leap 15.5"},
		{"opensuse-leap", "15.5", "http://packman.links2linux.de", ""},
		{"opensuse-leap", "15.5", "obs://build.opensuse.org/home:someone", ""},
		{"opensuse-tumbleweed", "20260101", "openSUSE", "openSUSE:Tumbleweed"},
		{"sles", "15.5", "SUSE LLC <https://www.suse.com/>", "SUSE:Linux Enterprise 15 SP5"},
		{"sles_sap", "15", "SUSE LLC <https://www.suse.com/>", "SUSE:Linux Enterprise 15"},
		{"mageia", "9", "Mageia.Org", "Mageia:9"},
		{"azurelinux", "3.0", "Microsoft Corporation", "Azure Linux:3"},
		{"fedora", "41", "Fedora Project", ""},
		{"almalinux", "", "AlmaLinux", ""},
		{"almalinux", "kitten", "AlmaLinux", ""},
	} {
		m := released(t, "ID=\""+c.id+"\"\nVERSION_ID=\""+c.version+"\"\n")
		if got := distributionOf(m).of(c.vendor); got != c.want {
			t.Errorf("%s %s, %s: %q, want %q", c.id, c.version, c.vendor, got, c.want)
		}
	}
}

func TestAMachineWhosePackagesAreAnImageIsSaidToBeOne(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   map[string]string
		because string
	}{
		{"an ordinary one", nil, ""},
		{"one that has transactional-update and does not need it", map[string]string{"usr/sbin/transactional-update": "", "etc/fstab": "/dev/sda1 / btrfs rw,relatime 0 0\n"}, ""},
		{"a read-only root", map[string]string{"usr/sbin/transactional-update": "", "etc/fstab": "# ro\n/dev/sda1 / btrfs noatime,ro 0 0\n"}, "changed by transactional-update"},
		{"MicroOS", map[string]string{"usr/lib/systemd/system/transactional-update.service": "", "etc/os-release": "ID=\"opensuse-microos\"\n"}, "changed by transactional-update"},
		{"CoreOS", map[string]string{"run/ostree-booted": ""}, "rpm-ostree or bootc replaces"},
	} {
		m := released(t, "ID=toys\n")
		for name, text := range c.files {
			file := filepath.Join(m.Root, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		f := fleet.Finding{Updates: []fleet.Update{{Name: "a"}, {Name: "b", Blocked: fleet.Held, BlockedBecause: "a lock"}}}
		Leave(m, &f)
		got, _ := fleet.Explain(Changeable(m))
		if a := f.Updates[0]; !strings.Contains(got, c.because) || (got == "") != (c.because == "") || (a.Blocked == fleet.KeptBack) != (c.because != "") || !strings.Contains(a.BlockedBecause, c.because) {
			t.Errorf("%s: %q, %+v", c.name, got, a)
		}
		if f.Updates[1].BlockedBecause != "a lock" {
			t.Errorf("%s: %+v", c.name, f.Updates[1])
		}
	}
}

const installedList = "perl-libs\t4\t5.32.1\t481.el9\tx86_64\tperl-5.32.1-481.el9.src.rpm\tAlmaLinux\t(none)\n" +
	"perl-Errno\t0\t1.30\t481.el9\tx86_64\tperl-5.32.1-481.el9.src.rpm\tAlmaLinux\t(none)\n" +
	"nginx\t1\t1.22.1\t1.module_el9.1+1+aa\tx86_64\tnginx-1.22.1-1.module_el9.1+1+aa.src.rpm\tAlmaLinux\tnginx:1.22:9010020221110084745:9\n" +
	"htop\t0\t3.2\t1.el9\tx86_64\thtop-3.2-1.el9.src.rpm\tFedora Project\t(none)\n" +
	"odd\t0\t1\t1\tnoarch\t(none)\t(none)\t(none)\n"

func TestTheSourcePackageBehindAnUpdateHasItsEpochItsStreamAndItsDistribution(t *testing.T) {
	installed, err := parseInstalled([]byte(installedList))
	if err != nil {
		t.Fatal(err)
	}
	m := released(t, "ID=almalinux\nVERSION_ID=9.4\n")
	offers := map[Package]Offer{}
	f := fleet.Finding{}
	offer := func(nevra, source, vendor string) {
		p := pkg(nevra)
		f.Updates = append(f.Updates, fleet.Update{Name: p.Name, Arch: p.Arch, To: p.EVR, From: Before(Newest(installed), p)})
		offers[p] = Offer{source, vendor}
	}
	offer("perl-Errno-1.30-481.1.el9.x86_64", "perl-5.32.1-481.1.el9.src.rpm", "AlmaLinux")
	offer("nginx-1:1.22.1-2.module_el9.1+2+bb.x86_64", "nginx-1.22.1-2.module_el9.1+2+bb.src.rpm", "AlmaLinux")
	offer("nginx-1:1.26.1-2.el9.x86_64", "nginx-1.26.1-2.el9.src.rpm", "AlmaLinux")
	offer("htop-3.3-1.el9.x86_64", "htop-3.3-1.el9.src.rpm", "Fedora Project")
	offer("perl-libs-4:5.32.1-482.el9.x86_64", "perl-5.32.1-482.el9.src.rpm", "Somebody")
	offer("odd-2-1.noarch", "odd-2-1.src.rpm", "AlmaLinux")
	Judge(m, &f, installed, &Advisories{}, offers)
	var got []*fleet.Build
	for _, u := range f.Updates {
		got = append(got, u.Build)
	}
	want := []*fleet.Build{
		{Ecosystem: "AlmaLinux:9", Package: "perl", From: "4:5.32.1-481.el9", To: "4:5.32.1-481.1.el9"},
		{Ecosystem: "AlmaLinux:9", Package: "nginx", From: "1:1.22.1-1.module_el9.1+1+aa", To: "1:1.22.1-2.module_el9.1+2+bb", Module: "nginx:1.22"},
		{Package: "nginx", From: "1:1.22.1-1.module_el9.1+1+aa", To: "1:1.26.1-2.el9"},
		{Package: "htop", From: "3.2-1.el9", To: "3.3-1.el9"},
		{Package: "perl", From: "4:5.32.1-481.el9", To: "4:5.32.1-482.el9"},
		nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	Judge(m, &f, installed, &Advisories{}, nil)
	if b := f.Updates[0].Build; b.To != "" || b.Ecosystem != "" {
		t.Errorf("the source's version is not told, and it is said: %+v", b)
	}
	if b := f.Updates[1].Build; b.To != "1:1.22.1-2.module_el9.1+2+bb" || b.Ecosystem != "AlmaLinux:9" {
		t.Errorf("%+v", b)
	}
}

func TestAnAdvisoryAboutAnotherStreamOfAModuleDoesNotCount(t *testing.T) {
	update := func(id, stream, version string) string {
		return `<update from="x@almalinux.org" type="security"><id>` + id + `</id><severity>Important</severity><pkglist><collection><module name="nginx" stream="` + stream + `"/>` +
			`<package name="nginx" epoch="1" version="` + version + `" release="1" arch="x86_64"/></collection></pkglist></update>`
	}
	list, err := parseAdvisories(strings.NewReader("<updates>" + update("A", "1.22", "1.22.2") + update("B", "1.24", "1.22.1") + "</updates>"))
	if err != nil {
		t.Fatal(err)
	}
	var a Advisories
	a.add(list)
	p := pkg("nginx-1:1.22.0-1.x86_64")
	p.Module = "nginx:1.22"
	want := []fleet.Notice{{ID: "A", By: "almalinux.org", Security: true, Severity: "high", FixedIn: "1:1.22.2-1"}}
	if diff := cmp.Diff(want, notices(a.Between(p, "1:1.22.3-1"))); diff != "" {
		t.Error(diff)
	}
	if p.Module = ""; len(a.Between(p, "1:1.22.3-1")) != 2 {
		t.Error("of what is of no stream that is known one of them is left out")
	}
}

func TestCVEsThatOnlyTheTitlesOfBugsNameAreFound(t *testing.T) {
	list, err := parseAdvisories(strings.NewReader(`<updates><update from="updates@fedoraproject.org" type="security"><id>FEDORA-2026-1</id><references>` +
		`<reference type="bugzilla" id="1" title="CVE-2026-10001 CVE-2026-10002 httpd: slow [fedora-41]"/></references></update>` +
		`<update type="bugfix"><id>FEDORA-2026-2</id><references><reference type="bugzilla" id="1" title="not about CVE-2026-10003"/></references></update></updates>`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"CVE-2026-10001", "CVE-2026-10002"}, list[0].CVEs); diff != "" || len(list[1].CVEs) != 0 {
		t.Error(diff, list[1].CVEs)
	}
}
