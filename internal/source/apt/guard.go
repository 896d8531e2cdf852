package apt

import (
	"context"
	"crypto/md5" //nolint:gosec // dpkg's own checksums of configuration files
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// protected are packages without which a machine cannot be reached, started or updated any more. No plan of ours removes one.
var protected = regexp.MustCompile(`^(openssh-server|dropbear|init|systemd|systemd-sysv|sysvinit-core|runit|dpkg|apt|libc6|libc-bin|base-files|bash|coreutils|sudo|` +
	`passwd|login|mount|util-linux|grub-.*|shim-signed|systemd-boot|u-boot-.*|raspi-firmware|initramfs-tools|network-manager|netplan\.io|ifupdown|isc-dhcp-client|` +
	`docker\.io|docker-ce|docker-ee|containerd|containerd\.io|podman|redflag|redflag-agent)$`)

// guard refuses plans that remove what the machine stands on, or go down where nobody wants to go back.
func guard(m *machine.Machine, db *Database, p fleet.Plan) error {
	essential := map[string]bool{}
	for _, pkg := range db.Packages {
		if pkg.Essential {
			essential[pkg.Name+":"+pkg.Arch] = true
		}
	}
	var down []string
	for _, c := range p.Changes {
		if c.Action == fleet.Downgrade && len(p.Selection.Back) == 0 {
			down = append(down, c.Name+" "+c.From+" → "+c.To)
		}
	}
	needed := func(c fleet.Change) bool {
		return protected.MatchString(c.Name) || essential[c.Name+":"+c.Arch] || isKernel(c.Name, m.Kernel())
	}
	if err := source.GuardRemovals(p, needed, "choose other updates, or do this by hand after a look at what `apt-get -s` says"); err != nil || len(down) == 0 {
		return err
	}
	return &fleet.Unknown{
		Because: "the plan would put older versions in place: " + strings.Join(down, ", ") + "; only an undo does that",
		Remedy:  "see which preference asks for it: apt-cache policy",
	}
}

// isKernel says whether a package is part of the kernel that runs.
func isKernel(name, release string) bool {
	return release != "" && slices.Contains([]string{"linux-image-" + release, "linux-image-unsigned-" + release, "linux-modules-" + release}, name)
}

// kernelPackage are those that take effect with the next start.
var kernelPackage = regexp.MustCompile(`^(linux-image-.*|linux-modules-.*|intel-microcode|amd64-microcode|raspi-firmware)$`)

// changedConfigFiles names the configuration files of what changes that are not as their package brought them. Where dpkg does not say, none are
// named.
func changedConfigFiles(ctx context.Context, m *machine.Machine, p fleet.Plan) []string {
	list := []string{}
	var names []string
	for _, c := range p.Changes {
		if c.From != "" && c.To != "" {
			names = append(names, c.Name+":"+c.Arch)
		}
	}
	if len(names) == 0 {
		return list
	}
	result, err := m.Run(ctx, machine.Command{Name: "dpkg-query", Args: append([]string{"-W", "-f", "${Conffiles}\n", "--"}, names...)})
	if err != nil {
		return list
	}
	for line := range strings.Lines(string(result.Stdout)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(fields[0], "/") {
			continue // obsolete ones have a third word
		}
		if sum, ok := checksum(m, fields[0]); ok && sum != fields[1] {
			list = append(list, fleet.Plain(fields[0]))
		}
	}
	slices.Sort(list)
	return list
}

func checksum(m *machine.Machine, name string) (string, bool) {
	sum, ok := source.Sum(m, name, md5.New()) //nolint:gosec // see the import
	return hex.EncodeToString(sum), ok
}
