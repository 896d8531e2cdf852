package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
)

// settled waits until a container has run for a while, and is healthy where it says so.
func (e *engine) settled(ctx context.Context, id string, least time.Duration) error {
	began := time.Now()
	for {
		c, err := e.byID(ctx, id)
		switch {
		case errdefs.IsNotFound(err):
			return errors.New("it ended, and the engine has removed it (--rm)")
		case err != nil:
			return err
		}
		s := c.State
		if e.libpod.Load() {
			e.checkHealth(ctx, c, began)
		}
		switch {
		case s == nil:
			return errors.New("the engine does not say how it is")
		case s.Restarting:
			return fmt.Errorf("it ended with code %d, and is started again and again by its restart policy", s.ExitCode)
		case c.RestartCount > 0:
			return errors.New("it ended, and its restart policy started it again")
		case !s.Running:
			return errors.New(strings.TrimSpace(fmt.Sprintf("it ended with code %d %s", s.ExitCode, fleet.Plain(s.Error))))
		case s.Health != nil && s.Health.Status == container.Unhealthy:
			return fmt.Errorf("it is unhealthy: %s", lastWord(s.Health))
		case (s.Health == nil || s.Health.Status == container.Healthy || s.Health.Status == container.NoHealthcheck) && time.Since(began) >= least:
			return nil
		}
		select {
		case <-time.After(min(least/4+50*time.Millisecond, time.Second)):
		case <-ctx.Done():
			return fmt.Errorf("it did not become healthy within %s", time.Since(began).Round(time.Second))
		}
	}
}

// lastWord is what a container's own check said last.
func lastWord(h *container.Health) string {
	if len(h.Log) == 0 || strings.TrimSpace(h.Log[len(h.Log)-1].Output) == "" {
		return "its check says nothing"
	}
	return fleet.Plain(strings.TrimSpace(h.Log[len(h.Log)-1].Output))
}
