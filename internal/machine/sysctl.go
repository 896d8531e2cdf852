package machine

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// sysctl asks the kernels of macOS and FreeBSD, which have no /proc for it; empty where they do not say.
func (m *Machine) sysctl(ctx context.Context, name string) string {
	r, err := m.Run(ctx, Command{Name: "sysctl", Args: []string{"-n", name}})
	if err != nil || r.Code != 0 {
		return ""
	}
	return fleet.Plain(string(r.Stdout))
}

// seconds is in what kern.boottime gives: { sec = 1700000000, usec = 123456 } Tue Nov 14 22:13:20 2023
var seconds = regexp.MustCompile(`\bsec = ([0-9]{1,12})\b`)

// parseBoot reads kern.boottime; zero where it is none.
func parseBoot(said string) time.Time {
	found := seconds.FindStringSubmatch(said)
	if found == nil {
		return time.Time{}
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil || n <= 0 || n > maxUnix {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// output gives what a command prints, safe to show; empty where it fails.
func (m *Machine) output(ctx context.Context, name string, args ...string) string {
	r, err := m.Run(ctx, Command{Name: name, Args: args})
	if err != nil || r.Code != 0 {
		return ""
	}
	return fleet.Plain(strings.TrimSpace(string(r.Stdout)))
}

// unseen is why nothing is known of what processes run, where there is no /proc/PID/maps.
func unseen(system string) string { return "which files processes run cannot be seen on " + system }
