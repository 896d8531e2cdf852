package dnf

import (
	"context"
	"regexp"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

// refreshLimit bounds a whole refresh: the first one of all of Fedora takes minutes on a slow line.
const refreshLimit = 15 * time.Minute

// failures are dnf's messages of a refresh in the C locale. The first that fits explains it.
var failures = []rpm.Reason{
	{Pattern: regexp.MustCompile(`superuser privileges|Permission denied`), Because: "only root may refresh dnf's metadata", Remedy: "sudo redflag scan --refresh"},
	{Pattern: regexp.MustCompile(`already locked by (\d+)`), Because: "process $1 is at work on the packages", Remedy: "wait until it has ended, and refresh again"},
	{Pattern: regexp.MustCompile(`Failed to download metadata for repo '([^']*)': (?s:(.*?))\n*\z`), Because: "the repository $1 cannot be refreshed: $2",
		Remedy: "check the network and the proxy, or correct or disable that repository"},
	{Pattern: regexp.MustCompile(`Error: (?s:(.*))`), Because: "$1", Remedy: "see what `sudo dnf makecache` says"},
}

// Refresh implements source.Refresher: it fetches the metadata of all enabled repositories. One that does not answer is a *fleet.Unknown that names it, also where
// the configuration lets dnf go on without it.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	name := program(m)
	if name == "" {
		return errYum
	}
	if !rpm.Root(m) {
		return &fleet.Unknown{Because: "only root may refresh dnf's metadata", Remedy: "sudo redflag scan --refresh"}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: name, Args: []string{
		"-q", "makecache", "--refresh", "--setopt=skip_if_unavailable=0", "--setopt=*.skip_if_unavailable=0", "--setopt=exit_on_lock=1", "--setopt=retries=2", "--setopt=timeout=20",
	}})
	if err != nil {
		return &fleet.Unknown{Because: "dnf's metadata could not be refreshed: " + fleet.Plain(err.Error()), Remedy: "see what `sudo dnf makecache` says", Err: err}
	}
	if result.Code == 0 {
		return nil
	}
	said := string(result.Stderr) + "\n" + string(result.Stdout)
	if err := rpm.Explain(said, failures...); err != nil {
		return err
	}
	return &fleet.Unknown{Because: "dnf's metadata could not be refreshed: " + oneLine(said), Remedy: "see what `sudo dnf makecache` says"}
}
