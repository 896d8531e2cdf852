package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// unpacked is how much more an image takes on the disk than on the wire, as images go: layers are compressed to a third.
const unpacked = 3

// room notes how much room there is for the engines' images, where their folder is on this machine.
func (d *drafting) room() {
	for _, e := range d.engines {
		if free := e.free(d.ctx, d.m); free > 0 && (d.plan.Free == 0 || free < d.plan.Free) {
			d.plan.Free = free
		}
	}
	if d.plan.Free > 0 && d.plan.Download*(1+unpacked) > d.plan.Free {
		d.warn("the disk may be too small for the new images: %d MB are free, and what is downloaded (%d MB) takes up to %d times as much", d.plan.Free>>20, d.plan.Download>>20, 1+unpacked)
	}
}

// enough refuses what cannot fit, before anything is fetched: an engine that fills the disk of its containers stops more than this update.
func (e *engine) enough(ctx context.Context, m *machine.Machine, p fleet.Plan) error {
	free := e.free(ctx, m)
	if free == 0 || p.Download < free {
		return nil
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("the new images do not fit: %d MB are free where %s keeps its images, and %d MB would be downloaded", free>>20, e.brand.title, p.Download>>20),
		Remedy:  "make room: " + e.brand.name + " system df shows what takes it",
	}
}

// free gives how much room there is where an engine of this machine keeps its images, in bytes; 0 where that is not known.
func (e *engine) free(ctx context.Context, m *machine.Machine) int64 {
	if !strings.HasPrefix(e.host, "unix://") {
		return 0
	}
	info, err := e.info(ctx)
	if err != nil || info.DockerRootDir == "" {
		return 0
	}
	return machine.Room(m.Path(info.DockerRootDir))
}

// info gives what an engine says of itself.
func (e *engine) info(ctx context.Context) (system.Info, error) {
	var info system.Info
	err := e.ask(ctx, func(ctx context.Context) error {
		r, err := e.api.Info(ctx, client.InfoOptions{})
		info = r.Info
		return err
	})
	return info, err
}
