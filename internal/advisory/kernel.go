package advisory

import (
	"fmt"
	"regexp"
	"strings"

	"redflag/internal/fleet"
)

var (
	// kernelSource are the source packages of Debian's and Ubuntu's kernels: linux, linux-signed-amd64, linux-aws, linux-meta-hwe-6.8. Others begin in the same
	// way, as linux-firmware and linux-base.
	kernelSource = regexp.MustCompile(`^linux(?:-(?:signed|meta|latest))?(?:-[a-z0-9.+-]+)?$`)
	notKernels   = regexp.MustCompile(`^linux-(?:base|firmware|atm|wlan|doc|ftpd|user-chroot|show-player|minidisc|apfs|support).*`)
	// kernelPackage is a kernel's image or its modules, with its release or, of one that pulls the newest in, its flavour.
	kernelPackage = regexp.MustCompile(`^linux-(?:image|modules|modules-extra|image-unsigned)-(.+?)(?:-unsigned|-dbg)?$`)
	// signedVersion is a version of Debian's signed kernels: that of the kernel, with a plus for the last hyphen.
	signedVersion = regexp.MustCompile(`^([0-9][0-9.~rc]*)\+([0-9][^+]*)$`)
	// metaVersion is a version of Ubuntu's packages that pull in a kernel: 6.8.0.31.31 is for 6.8.0-31.31.
	metaVersion = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)\.([0-9]+)\.([0-9]+)`)
	flavours    = regexp.MustCompile(`^[0-9][^-]*(?:-[0-9][^-]*)*-([a-z].*)$`)

	// rpmKernelSource are the source packages of kernels among RPMs, and rpmKernel the packages that are a kernel or parts of one, with their flavour.
	rpmKernelSource = regexp.MustCompile(`^kernel(?:-(?:rt|uek|default|azure|64kb|preempt|longterm|lt|ml|desktop|server|linus))?$`)
	rpmKernel       = regexp.MustCompile(`^kernel(?:-(rt|uek|default|azure|64kb|64k|preempt|longterm|lt|ml|desktop|server|linus))?(?:-(?:core|modules(?:-core|-extra)?|base|extra|optional))?$`)
	// plainKernel are Alpine's and Arch's kernels, with their flavour: linux-lts, linux-virt, linux-zen. Arch has one without.
	plainKernel = regexp.MustCompile(`^linux(?:-(lts|virt|edge|rpi[0-9]*|asahi|stable|zen|hardened|rt|rt-lts))?$`)
)

// contained are the words of [fleet.Host.Virtualisation] for what shares its kernel with another machine.
var contained = map[string]bool{"docker": true, "podman": true, "lxc": true, "systemd-nspawn": true, "container": true}

// Apart says why the flaws of an installed package do not count on a host: of kernels only the one that runs does, and nothing else of its source. It is empty where
// they count. Of what a package of a distribution is called without its versions (linux-image-amd64), which kernel runs does not show, so it does not count.
func Apart(h fleet.Host, p fleet.Package) string {
	if !isKernel(p.Ecosystem, source(p)) {
		return ""
	}
	if why := aside(h, p.Name, p.Ecosystem); why != "" {
		return why
	}
	runs := true
	switch sourceOf[family(p.Ecosystem)] {
	case "apt":
		runs = kernelPackage.FindStringSubmatch(p.Name)[1] == h.Kernel
	case "dnf":
		runs = runsRPM(h.Kernel, p)
	}
	if !runs {
		return otherRuns(h)
	}
	return ""
}

// apart says why the flaws that an update of a kernel's package mends do not count; empty where they do. What pulls in the newest kernel of the flavour that runs
// counts.
func apart(h fleet.Host, u fleet.Update) string {
	if u.Build == nil || !isKernel(u.Build.Ecosystem, u.Build.Package) {
		return ""
	}
	if why := aside(h, u.Name, u.Build.Ecosystem); why != "" {
		return why
	}
	if match := kernelPackage.FindStringSubmatch(u.Name); sourceOf[family(u.Build.Ecosystem)] == "apt" && match[1] != h.Kernel && (isRelease(match[1]) || flavour(match[1]) != flavour(h.Kernel)) {
		return otherRuns(h)
	}
	return ""
}

func otherRuns(h fleet.Host) string {
	return fmt.Sprintf("it is a kernel that does not run (%s does)", fleet.Plain(h.Kernel))
}

// isKernel says whether a source package is a kernel's.
func isKernel(ecosystem, source string) bool {
	switch sourceOf[family(ecosystem)] {
	case "apt":
		return strings.HasPrefix(source, "linux") && kernelSource.MatchString(source) && !notKernels.MatchString(source)
	case "dnf":
		return strings.HasPrefix(source, "kernel") && rpmKernelSource.MatchString(source)
	case "apk", "pacman":
		return strings.HasPrefix(source, "linux") && plainKernel.MatchString(source)
	}
	return false
}

// aside says why a package of a kernel's source does not count, whatever its version: it is no kernel, one of another flavour, or the kernel is not the machine's own.
func aside(h fleet.Host, name, ecosystem string) string {
	const part = "it is built from the kernel's source, and is not the kernel"
	switch sourceOf[family(ecosystem)] {
	case "apt":
		if !kernelPackage.MatchString(name) {
			return part
		}
	case "dnf":
		match := rpmKernel.FindStringSubmatch(name)
		if match == nil {
			return part
		}
		if match[1] != "" && !strings.Contains(h.Kernel, match[1]) || match[1] == "" && strings.ContainsAny(h.Kernel, "+") {
			return otherRuns(h)
		}
	default:
		match := plainKernel.FindStringSubmatch(name)
		if match == nil {
			return part
		}
		if match[1] != "" && !strings.HasSuffix(h.Kernel, "-"+match[1]) || match[1] == "" && !strings.Contains(h.Kernel, "arch") {
			return otherRuns(h)
		}
	}
	if contained[h.Virtualisation] {
		return "the kernel that runs is not this machine's own"
	}
	return ""
}

// runsRPM says whether a kernel's package is of the one that runs. Red Hat's releases are the version, the architecture, and a flavour behind a plus; SUSE's the
// beginning of the version, and the flavour.
func runsRPM(running string, p fleet.Package) bool {
	version := bare(p.Version)
	release, _, _ := strings.Cut(running, "+")
	if release == version+"."+p.Arch || release == version {
		return true
	}
	i := strings.LastIndexByte(running, '-')
	return i > 0 && !isRelease(running[i+1:]) && (version == running[:i] || strings.HasPrefix(version, running[:i]+"."))
}

// kernel puts the kernel's own source in the place of those that sign it or pull it in.
func (s *Subject) kernel() {
	if sourceOf[family(s.Ecosystem)] != "apt" || !isKernel(s.Ecosystem, s.Name) {
		return
	}
	if family(s.Ecosystem) == "Debian" {
		s.Name = "linux" // one source for all architectures' signatures
		s.Version = signedVersion.ReplaceAllString(s.Version, "$1-$2")
		return
	}
	if strings.HasPrefix(s.Name, "linux-meta") {
		s.Version = metaVersion.ReplaceAllString(s.Version, "$1-$2.$3")
	}
	s.Name = strings.Replace(strings.Replace(s.Name, "linux-signed", "linux", 1), "linux-meta", "linux", 1)
}

// isRelease tells the release of one kernel from a flavour.
func isRelease(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }

// flavour is the part of a kernel's release that stays from one version to the next (6.1.0-28-cloud-amd64: cloud-amd64), and what packages that pull the
// newest in are named by; the series that they are limited to (generic-hwe-22.04) is no part of it. A release without one differs from all others.
func flavour(release string) string {
	found := flavours.FindStringSubmatch(release)
	if found == nil {
		name, _, _ := strings.Cut(release, "-hwe-")
		return name
	}
	return found[1]
}
