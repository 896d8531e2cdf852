package pacman

import (
	"context"
	"crypto/md5" //nolint:gosec // pacman's own checksums of configuration files
	"encoding/hex"
	"regexp"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// protected are packages without which a machine cannot be reached, started or updated any more. No plan of ours removes one, unless what replaces it
// provides it.
var protected = regexp.MustCompile(`^(openssh|dropbear|systemd|systemd-sysvcompat|filesystem|glibc|bash|coreutils|sudo|shadow|util-linux|pam|pacman|archlinux-keyring|` +
	`grub|systemd-boot|limine|refind|mkinitcpio|dracut|booster|networkmanager|dhcpcd|iwd|netctl|connman|linux|linux-(lts|zen|hardened|rt|rt-lts)|` +
	`docker|containerd|podman|redflag|redflag-agent)$`)

func guard(p fleet.Plan, in []*pkg) error {
	return source.GuardRemovals(p, func(c fleet.Change) bool {
		d := dependency{name: c.Name}
		return protected.MatchString(c.Name) && !slices.ContainsFunc(in, d.isMet)
	}, "do this by hand after a look at what `pacman -Syu` says")
}

// restarts are packages that take effect with the next start.
var restarts = regexp.MustCompile(`^(linux|linux-(lts|zen|hardened|rt|rt-lts)|linux-firmware.*|intel-ucode|amd-ucode|glibc|systemd|dbus|dbus-broker)$`)

// measure fills in what a plan means for the machine: room, configuration files, services.
func (w *world) measure(ctx context.Context, m *machine.Machine, p *fleet.Plan, in []*pkg) {
	for _, q := range in {
		p.Download += q.download
		p.Disk += q.size
	}
	var files []string
	for _, c := range p.Changes {
		old := find(w.installed, c.Name)
		if old == nil {
			continue
		}
		p.Disk -= old.size
		if old.readFiles(m, w.conf) != nil {
			continue // which services run it is a help, no promise
		}
		for _, f := range old.files {
			files = append(files, "/"+f)
		}
		for file, sum := range old.backup {
			if now, ok := checksum(m, "/"+file); ok && now != sum {
				p.ConfigFiles = append(p.ConfigFiles, "/"+fleet.Plain(file))
			}
		}
	}
	slices.Sort(p.ConfigFiles)
	p.Restart, _ = m.Users(ctx, files)
	p.Free = source.Free(m, w.conf.cacheDirs[0], "/usr")
	p.Reboot = source.RebootFor(*p, restarts.MatchString)
}

func checksum(m *machine.Machine, name string) (string, bool) {
	sum, ok := source.Sum(m, name, md5.New()) //nolint:gosec // see the import
	return hex.EncodeToString(sum), ok
}
