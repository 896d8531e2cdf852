package parts

import (
	_ "embed"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed toys.sh
var toys string

// RPM gives a fresh, writable root file system that has dnf, zypper and rpm, an empty database of rpm's in the place where Fedora and SUSE have it, and in
// /srv/toys the repositories base, updates (with advisories) and later. The root is made once and kept below /var/cache/redflag-test; what a test
// gets is a [Copy].
func RPM(t testing.TB) string {
	t.Helper()
	NeedRoot(t)
	Need(t, "debootstrap")
	archive, _ := DebianArchives(t)
	dir := filepath.Join("/var/cache/redflag-test", "rpm-"+rpmVersion)
	if out, err := exec.CommandContext(t.Context(), "flock", lockOf(t, dir), "sh", "-ec", makeRPM, "sh", dir, archive, toys).CombinedOutput(); err != nil {
		Missing(t, "the root with rpm cannot be made: "+err.Error()+"\n"+tail(out))
	}
	return Copy(t, dir)
}

const (
	// rpmVersion goes up when makeRPM or toys.sh change.
	rpmVersion = "3"
	// makeRPM makes the root $1 from the archive $2, with the packages that the script $3 builds, unless it is there. Debian keeps rpm's database in
	// the home directory, because its own packages are not rpm's. The packages dnf-plugins-core and zypper do not go together, so that one's plugin for
	// version locks lies in /srv/versionlock alone.
	makeRPM = `
test ! -e "$1.complete" || exit 0
rm -rf --one-file-system "$1"
debootstrap --variant=minbase --include=dnf,rpm,zypper,createrepo-c,procps,xz-utils bookworm "$1" "$2" || { tail -n 20 "$1/debootstrap/debootstrap.log"; exit 1; }
mkdir -p "$1/etc/rpm" "$1/etc/yum.repos.d" "$1/etc/zypp/repos.d" "$1/srv/toys"
echo '%_dbpath /var/lib/rpm' >"$1/etc/rpm/macros"
cp -L /etc/resolv.conf "$1/etc/resolv.conf"
chroot "$1" sh -ec 'mkdir /tmp/plugins /srv/versionlock; cd /tmp/plugins; apt-get download -q -o APT::Sandbox::User=root dnf-plugins-core; dpkg-deb -x *.deb all
	cd all; tar -cf - etc/dnf/plugins/versionlock.* usr/lib/python3/dist-packages/dnf-plugins/versionlock.py usr/lib/python3/dist-packages/dnfpluginscore | tar -C /srv/versionlock -xf -
	rm -r /tmp/plugins'
chroot "$1" apt-get clean
echo "$3" | chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 sh -s
touch "$1.complete"
`
)
