package apt

import (
	"path"
	"slices"
	"strings"

	"redflag/internal/source"
)

// settings that a plan and its execution share, whatever a host's own configuration says. Nothing is removed because nothing needs it any more,
// no configuration file is purged with its package, nothing unsigned is taken but from sources that are trusted by their own line, holds are kept, and
// what cannot be fetched is not left out.
var common = []string{
	"-o", "APT::Get::AutomaticRemove=false", "-o", "APT::Get::AutomaticRemove::Kernels=false", "-o", "APT::Get::Purge=false", "-o", "APT::Get::ReInstall=false",
	"-o", "APT::Get::AllowUnauthenticated=false", "-o", "APT::Get::Force-Yes=false", "-o", "APT::Get::allow-remove-essential=false",
	"-o", "APT::Get::allow-change-held-packages=false", "-o", "APT::Ignore-Hold=false", "-o", "APT::Get::Fix-Missing=false", "-o", "APT::Get::Fix-Broken=false",
}

// settled are those options, and those that words need. What a plan may not do is decided when it is looked at; only the way back goes down.
func settled(words []string) []string {
	down := slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "=") || path.Dir(w) == source.KeptDir })
	if down {
		return append(common[:len(common):len(common)], "--allow-downgrades")
	}
	return append(common[:len(common):len(common)], "-o", "APT::Get::allow-downgrades=false")
}

// unattended are for what is carried out: it is really done, it asks nobody, and configuration files stay as they are. Dpkg's options come after those of the
// host's configuration, which may have forced others.
var unattended = []string{
	"-y", "-q", "-o", "APT::Get::Simulate=false", "-o", "APT::Get::Download-Only=false", "-o", "APT::Get::Print-URIs=false", "-o", "Debug::pkgDPkgPM=false",
	"-o", "Acquire::Retries=1", "-o", "APT::Status-Fd=3", "-o", "Dpkg::Use-Pty=0",
	"-o", "Dpkg::Options::=--no-force-confnew,confask,remove-essential", "-o", "Dpkg::Options::=--force-confdef,confold",
}

// hookOption makes apt call a hook at a time.
func hookOption(hook []string, more ...string) []string {
	line := shellLine(append(hook[:len(hook):len(hook)], more...))
	return []string{"-o", "AptCli::Hooks::Upgrade::=" + line, "-o", "AptCli::Hooks::Install::=" + line}
}
