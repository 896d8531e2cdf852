package docker

import (
	"fmt"
	"os"
	"os/user"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Every user may run an engine of Podman's. Root sees those that listen; what is done for one of them is done as that user, and with nothing that is root's: such an
// engine says whatever its user wants.

// usersDir has a folder for each user who is logged in, or lingers (pam_systemd(8), loginctl(1)).
const usersDir = "/run/user"

// maxUsers bounds how many users' engines are asked: more people than that are on no machine with containers of their own.
const maxUsers = 64

// usersSockets gives the sockets of the engines of all users, for root.
func usersSockets(m *machine.Machine) (list []string) {
	entries, err := m.ReadDir(usersDir)
	if err != nil {
		return nil // no systemd, or nobody is there
	}
	for _, e := range entries {
		socket := path.Join(usersDir, e.Name(), "podman/podman.sock")
		if _, err := strconv.Atoi(e.Name()); err != nil || len(list) == maxUsers {
			continue
		}
		if _, err := m.Stat(socket); err == nil {
			list = append(list, "unix://"+socket)
		}
	}
	slices.Sort(list)
	return list
}

// inUsersDir finds the user in a path of the users' folders.
var inUsersDir = regexp.MustCompile(usersDir + `/([0-9]{1,10})/`)

// ownerOfSocket gives the user whose engine listens at an address. In a user's folder that is the user, whatever is there: it could be exchanged between
// two looks. Another socket that cannot be looked at is taken for root's.
func ownerOfSocket(host string) int {
	file, isSocket := strings.CutPrefix(host, "unix://")
	if !isSocket {
		return os.Geteuid()
	}
	if found := inUsersDir.FindStringSubmatch(file); found != nil {
		if uid, err := strconv.Atoi(found[1]); err == nil {
			return uid
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return uidOf(info)
}

// isOurs says whether an engine is that of the user that we are, or root's, who gave us leave to speak to it.
func (e *engine) isOurs() bool { return e.owner == 0 || e.owner == os.Geteuid() }

// called gives a container's name beside those of other engines: web@ann is the container web of the user ann. An engine's own names have no @, so that no user can give a
// container the name of another's.
func (e *engine) called(name string) string {
	if e.isOurs() {
		return name
	}
	owner := strconv.Itoa(e.owner)
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return ownName(name) + "@" + fleet.Plain(owner)
}

// ownName gives a container's name as its engine has it.
func ownName(name string) string {
	own, _, _ := strings.Cut(name, "@")
	return own
}

// asUser gives the words before a command that make it the owner's.
func (e *engine) asUser() []string {
	if e.isOurs() {
		return nil
	}
	owner := strconv.Itoa(e.owner)
	group, home := owner, "/"
	if u, err := user.LookupId(owner); err == nil {
		group, home = u.Gid, u.HomeDir
	}
	return []string{
		"setpriv", "--reuid=" + owner, "--regid=" + group, "--clear-groups",
		"env", "-i", "HOME=" + home, "XDG_RUNTIME_DIR=" + path.Join(usersDir, owner), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

// asOwner is how a person types a command for the owner.
func (e *engine) asOwner() string {
	if e.isOurs() {
		return ""
	}
	return fmt.Sprintf("sudo -u '#%d' ", e.owner)
}

const (
	// maxAccounts bounds what is read of the list of users: 100,000 are 6 MB.
	maxAccounts = 8 << 20
	// firstUser is the first number of a person's account (login.defs(5), UID_MIN).
	firstUser = 1000
)

// silentUsers names the users whose storage has containers of Podman's and whose engine does not listen, as far as root can see.
func (s *Source) silentUsers(m *machine.Machine) (names []string) {
	if !s.root || s.brand.name != podmanBrand.name || s.host != "" || s.getenv(s.brand.env) != "" {
		return nil
	}
	accounts, err := m.ReadFile("/etc/passwd", maxAccounts)
	if err != nil {
		return nil // no Linux
	}
	for line := range strings.Lines(string(accounts)) {
		account := strings.Split(line, ":") // passwd(5)
		if len(account) < 7 || len(names) == maxUsers {
			continue
		}
		uid, err := strconv.Atoi(account[2])
		if err != nil || uid < firstUser || !storesContainers(m, path.Join(account[5], ".local/share")) {
			continue
		}
		if _, err := m.Stat(path.Join(usersDir, account[2], "podman/podman.sock")); err != nil {
			names = append(names, account[0])
		}
	}
	return names
}

// unseen says whose containers there are and cannot be asked for.
func (s *Source) unseen(m *machine.Machine) error {
	names := s.silentUsers(m)
	if len(names) == 0 {
		return nil
	}
	return &fleet.Unknown{
		Because: "there are containers of Podman's of " + fleet.Plain(strings.Join(few(names, maxNames), ", ")) + ", and the API service of these users is off",
		Remedy:  "start it: `systemctl --user --machine=" + fleet.Plain(names[0]) + "@ enable --now podman.socket`",
	}
}
