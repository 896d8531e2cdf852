package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

// agentUnit is the agent as a service of systemd: it speaks to the network, as a user who may read what everybody may, and writes to its own folders alone.
// Registry credentials of root are not for it: where it is to ask registries as somebody, they are in /etc/redflag/docker/config.json.
const agentUnit = `[Unit]
Description=RedFlag agent: reports pending updates to the fleet's server
Wants=network-online.target redflag-helper.service
After=network-online.target redflag-helper.service

[Service]
ExecStart="%s" agent run
User=` + agentUser + `
Group=` + agentUser + `
Restart=on-failure
RestartSec=5
StateDirectory=redflag/agent
StateDirectoryMode=0700
CacheDirectory=redflag-agent
CacheDirectoryMode=0700
Environment=DOCKER_CONFIG=/etc/redflag/docker
UMask=0077
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallFilter=@system-service
` + hardening

// helperUnit is the root helper. It has no network and changes nothing but its own folders: what changes the machine runs in units of its own, outside of this one. It
// sees other users' processes, to tell which run replaced files.
const helperUnit = `[Unit]
Description=RedFlag helper: does what needs root for the agent

[Service]
ExecStart="%s" helper
Restart=always
RestartSec=2
StateDirectory=redflag
StateDirectoryMode=0711
RuntimeDirectory=redflag
RuntimeDirectoryMode=0755
UMask=0077
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_CHOWN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
` + hardening

const hardening = `SystemCallArchitectures=native
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
MemoryMax=512M

[Install]
WantedBy=multi-user.target
`

const unitDir = "/etc/systemd/system"

// unitNames are our services, in the order in which they start.
var unitNames = []string{"redflag-helper.service", "redflag-agent.service"}

// installUnits makes the user, the folders and the services, also where an older agent ran as root.
func (p *Program) installUnits(ctx context.Context) error {
	if err := rootAlone("install services"); err != nil {
		return err
	}
	exe, err := ownProgram()
	if err != nil {
		return err
	}
	if err := makeUser(ctx); err != nil {
		return err
	}
	if err := p.trustAgent(); err != nil {
		return err
	}
	if err := os.Chmod(p.dirs.State, 0o711); err != nil { //nolint:gosec // the agent's own folder lies in it
		return err
	}
	if err := p.giveToAgent(); err != nil {
		return err
	}
	for i, text := range []string{helperUnit, agentUnit} {
		if err := machine.WriteFile(filepath.Join(unitDir, unitNames[i]), fmt.Appendf(nil, text, exe), 0o644); err != nil {
			return err
		}
	}
	for _, words := range [][]string{{"daemon-reload"}, append([]string{"enable", "--quiet"}, unitNames...), append([]string{"restart"}, unitNames...)} {
		if err := systemctl(ctx, words...); err != nil {
			return err
		}
	}
	fmt.Fprintln(p.stdout, "The agent runs as the user "+agentUser+", with a root helper beside it, and both start with the system (redflag-agent, redflag-helper).")
	fmt.Fprintln(p.stdout, policyHint)
	if known, err := registry.LoggedIn(dockerConfigDir(), podmanAuthFiles()...); err == nil && len(known) > 0 {
		fmt.Fprintf(p.stdout, "Root's credentials for %s are used to plan and to pull, and not given to the agent: to ask there what is newer it needs some that may only read, in /etc/redflag/docker/config.json.\n", list(known, maxNames))
	}
	return nil
}

const policyHint = "What the server may have done here is in /etc/redflag/policy.toml; without that file it may plan, and install nothing."

// ownProgram gives this program's file, which must be one that the agent's user can come to.
func ownProgram() (string, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if strings.ContainsAny(exe, "\"%$\\\n") {
		return "", fmt.Errorf("the program's file %q has a name that a unit cannot have", fleet.Plain(exe))
	}
	for at := exe; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&0o001 == 0 || info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return "", &fleet.Unknown{
				Because: "the agent's user could not run " + exe + ", or others could replace it: " + at + " has the mode " + info.Mode().Perm().String(),
				Remedy:  "put the program where all may run it and root alone may write, and install from there: install -m 755 " + exe + " /usr/local/bin/redflag",
			}
		}
		if at == "/" {
			return exe, nil
		}
	}
}

// makeUser makes the agent's user and group, unless they are there.
func makeUser(ctx context.Context) error {
	if _, _, err := agentIDs(); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--comment", "RedFlag agent", agentUser)
	if out, err := cmd.CombinedOutput(); err != nil {
		return &fleet.Unknown{
			Because: "the user " + agentUser + " could not be made: " + complained(err, "useradd", out).Error(), Remedy: "make a system user and a group " + agentUser + ", and try again", Err: err,
		}
	}
	return nil
}

// trustAgent notes for root whose orders count, where an agent that ran as root has enrolled.
func (p *Program) trustAgent() error {
	id, err := agent.LoadIdentity(p.AgentDir())
	if err != nil {
		return err
	}
	if t, err := helper.LoadTrust(p.dirs.State); err == nil && t.Host == id.Host {
		return nil
	}
	if owner, err := machine.OwnerOf(filepath.Join(p.AgentDir(), agent.IdentityFile)); err != nil || owner != 0 {
		return errors.Join(err, &fleet.Unknown{Because: "the agent's identity is not root's own, so it cannot say whose orders root should obey", Remedy: "enrol this host again, as root: `redflag agent enroll URL TOKEN`"})
	}
	return helper.Trust{Host: id.Host, Server: id.Server, OrderKey: id.OrderKey}.Save(p.dirs.State)
}

// giveToAgent gives the agent's folder to its user; root's own run would else leave files that it cannot read.
func (p *Program) giveToAgent() error {
	uid, gid, err := agentIDs()
	if err != nil {
		return err
	}
	return chownAll(p.AgentDir(), uid, gid)
}

// chownAll changes the owner of a folder and of what lies in it. It follows no link.
func chownAll(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(file, uid, gid)
	})
}

func systemctl(ctx context.Context, words ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", words...).CombinedOutput()
	return complained(err, "systemctl "+strings.Join(words, " "), out)
}

// uninstallUnits takes away what installUnits has made. Who the host is in its fleet stays, for root.
func (p *Program) uninstallUnits(ctx context.Context) error {
	if err := rootAlone("remove services"); err != nil {
		return err
	}
	var problems []error
	for _, name := range []string{unitNames[1], unitNames[0]} {
		file := filepath.Join(unitDir, name)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		problems = append(problems, systemctl(ctx, "disable", "--quiet", "--now", name), os.Remove(file))
	}
	problems = append(problems, systemctl(ctx, "daemon-reload"))
	if _, err := os.Stat(p.AgentDir()); err == nil {
		problems = append(problems, chownAll(p.AgentDir(), 0, 0))
	}
	for _, dir := range []string{helper.Dir, "/var/cache/redflag-agent"} {
		problems = append(problems, os.RemoveAll(dir))
	}
	if _, _, err := agentIDs(); err == nil {
		out, err := exec.CommandContext(ctx, "userdel", agentUser).CombinedOutput()
		problems = append(problems, complained(err, "userdel", out))
	}
	return errors.Join(problems...)
}
