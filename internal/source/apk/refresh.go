package apk

import (
	"context"
	"os"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// refreshLimit bounds a whole refresh.
const refreshLimit = 10 * time.Minute

// Refresh implements source.Refresher. apk's exit code is the number of repositories that failed.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if os.Geteuid() != 0 {
		return &fleet.Unknown{Because: "only root may fetch the repositories' indexes", Remedy: "sudo redflag scan --refresh"}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "apk", Args: []string{"--wait", "60", "update"}})
	if err != nil {
		return &fleet.Unknown{Because: "the repositories' indexes could not be fetched: " + fleet.Plain(err.Error()), Remedy: "see what `apk update` says", Err: err}
	}
	if result.Code == 0 {
		return nil
	}
	r := explain(result, "apk update")
	return &fleet.Unknown{Because: "the repositories' indexes could not all be fetched: " + r.because, Remedy: r.remedy, Err: r}
}
