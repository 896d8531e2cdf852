package zypper

import (
	"context"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

// refreshLimit bounds a whole refresh: the first one of all of openSUSE takes minutes on a slow line.
const refreshLimit = 15 * time.Minute

// Refresh implements source.Refresher: it fetches the metadata of all enabled repositories. Where one does not answer, that is a *fleet.Unknown with what zypper
// says of it.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if !rpm.Root(m) {
		return &fleet.Unknown{Because: "only root may refresh zypper's metadata", Remedy: "sudo redflag scan --refresh"}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "zypper", Args: []string{"--non-interactive", "--xmlout", "refresh"}})
	if err != nil {
		return notRefreshed(err.Error(), err)
	}
	said, err := parseStream(result.Stdout)
	if err != nil {
		return notRefreshed(err.Error(), err)
	}
	if result.Code == 0 {
		return nil
	}
	text := said.complaint()
	if err := rpm.Explain(text, refusals...); err != nil {
		return err
	}
	return notRefreshed(text, nil)
}

func notRefreshed(why string, err error) error {
	return &fleet.Unknown{
		Because: "zypper's metadata could not all be refreshed: " + fleet.Plain(why), Remedy: "check the network and the proxy, or correct or disable that repository; see what `zypper refresh` says",
		Err: err,
	}
}
