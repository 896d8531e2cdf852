package parts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Debian gives a fresh, writable root file system of a Debian suite (bookworm, trixie) as it was released, without its security archive:
// once that is added and fetched, the root has over fifty real updates. Its sources.list names this machine's own mirror, and the
// mirror's lists never expire there. The root is made once and kept below /var/cache/redflag-test; what a test gets is a [Copy].
func Debian(t testing.TB, suite string) string {
	t.Helper()
	NeedRoot(t)
	Need(t, "debootstrap")
	archive, _ := DebianArchives(t)
	dir := filepath.Join("/var/cache/redflag-test", suite+"-"+debianVersion)
	if out, err := exec.CommandContext(t.Context(), "flock", lockOf(t, dir), "sh", "-ec", makeDebian, "sh", dir, suite, archive, debianPackages).CombinedOutput(); err != nil {
		Missing(t, "debootstrap of "+suite+" fails: "+err.Error()+"\n"+tail(out))
	}
	return Copy(t, dir)
}

const (
	// debianVersion goes up when debianPackages or makeDebian change.
	debianVersion = "2"
	// debianPackages have had many security updates, or are needed by tests.
	debianPackages = "openssh-server,curl,python3,locales,nginx-light,nginx,bind9-dnsutils,perl,redis-server,rsync,xz-utils," +
		"postgresql-client,imagemagick,ghostscript,php-cli,ca-certificates,libsasl2-modules,openssl"
	// makeDebian makes the root $1 of the suite $2 from the archive $3, unless it is there. The marker comes last, so half a root is made anew.
	makeDebian = `
test ! -e "$1.complete" || exit 0
rm -rf --one-file-system "$1"
debootstrap --variant=minbase --include="$4" "$2" "$1" "$3" || { tail -n 20 "$1/debootstrap/debootstrap.log"; exit 1; }
cp -L /etc/resolv.conf "$1/etc/resolv.conf"
echo "deb $3 $2 main" >"$1/etc/apt/sources.list"
echo 'Acquire::Check-Valid-Until "false"; Acquire::Check-Date "false";' >"$1/etc/apt/apt.conf.d/01mirror"
chroot "$1" apt-get clean
touch "$1.complete"
`
)

func lockOf(t testing.TB, dir string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir + ".lock"
}

// Copy gives a writable copy of a root that is gone when the test ends: an overlay where the kernel allows one, else the files themselves.
// The original must not change in the meantime.
func Copy(t testing.TB, root string) string {
	t.Helper()
	NeedRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "root")
	out, err := exec.CommandContext(t.Context(), "sh", "-ec", copyRoot, "sh", root, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("copy %s: %v\n%s", root, err, tail(out))
	}
	t.Cleanup(func() {
		_ = exec.Command("umount", "--lazy", copied).Run() //nolint:noctx // the test's context has ended; a plain copy is no mount
	})
	return copied
}

const copyRoot = `
mkdir -m 755 "$2/root" "$2/upper" "$2/work"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" 2>/dev/null ||
	cp -a --reflink=auto "$1/." "$2/root"
`

// DebianArchives gives the addresses of Debian's archive and of its security archive on the mirror that this machine uses itself.
func DebianArchives(t testing.TB) (archive, security string) {
	t.Helper()
	Need(t, "apt-get")
	out, err := exec.CommandContext(t.Context(), "apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		Missing(t, "apt-get does not name its sources: "+err.Error())
	}
	for line := range strings.Lines(string(out)) {
		switch label, uri, _ := strings.Cut(strings.TrimSpace(line), " "); label {
		case "Debian":
			archive = uri
		case "Debian-Security":
			security = uri
		}
	}
	if archive == "" || security == "" {
		Missing(t, "this machine has no package lists of Debian and its security archive")
	}
	return archive, security
}

func tail(out []byte) string {
	return string(bytes.TrimSpace(out[max(0, len(out)-2000):]))
}
