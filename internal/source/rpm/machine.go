package rpm

import (
	"os"
	"path"

	"redflag/internal/machine"
)

// databases are where rpm keeps what is installed: sqlite, ndb and Berkeley DB, before and after Fedora and SUSE moved it.
var databases = []string{
	"/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/Packages",
	"/usr/lib/sysimage/rpm/Packages", "/usr/share/rpm/rpmdb.sqlite",
}

// HasDatabase says whether the machine's own packages are rpm's. On others rpm may be installed as a tool.
func HasDatabase(m *machine.Machine) bool {
	for _, file := range databases {
		if _, err := m.Stat(file); err == nil {
			return true
		}
	}
	return false
}

// HasProgram says whether the machine has one of the programs.
func HasProgram(m *machine.Machine, names ...string) bool {
	for _, name := range names {
		for _, dir := range []string{"/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"} {
			if info, err := m.Stat(path.Join(dir, name)); err == nil && !info.IsDir() {
				return true
			}
		}
	}
	return false
}

// Root says whether we run as root, who alone may change packages.
func Root(*machine.Machine) bool { return os.Geteuid() == 0 }
