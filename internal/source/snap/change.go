package snap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// change is something that snapd does, in tasks.
type change struct {
	ID      string `json:"id"`
	Summary string `json:"summary"`
	Status  string `json:"status"`
	Ready   bool   `json:"ready"`
	Err     string `json:"err"`
	Tasks   []task `json:"tasks"`
}

type task struct {
	Summary  string   `json:"summary"`
	Status   string   `json:"status"`
	Log      []string `json:"log"`
	Progress struct {
		Label string `json:"label"`
		Done  int64  `json:"done"`
		Total int64  `json:"total"`
	} `json:"progress"`
}

const (
	// pollEvery is how often snapd is asked how far it is, unless it is said.
	pollEvery = 500 * time.Millisecond
	// changeLimit is how long one change may take: a large snap over a slow line.
	changeLimit = 2 * time.Hour
	// downLimit is how long snapd may be away meanwhile: when it replaces itself, it starts again.
	downLimit = 5 * time.Minute
)

// waits is the status of a change that goes on once the machine has been started again.
const waits = "Wait"

// await waits until a change has ended, and tells how far it is. That snapd is away for a while does not end it.
func (s Source) await(ctx context.Context, m *machine.Machine, id string, log io.Writer) (change, error) {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	var said string
	var downSince time.Time
	for {
		var c change
		err := get(ctx, m, "/v2/changes/"+id, &c)
		switch {
		case err == nil:
			downSince = time.Time{}
			if now := c.step(); now != said && now != "" {
				said = now
				fmt.Fprintln(log, now)
			}
			if c.Ready || c.Status == waits {
				return c, nil
			}
		case !isDown(err) || !downSince.IsZero() && m.Now().Sub(downSince) > downLimit:
			return c, err
		case downSince.IsZero():
			downSince = m.Now()
			fmt.Fprintln(log, "snapd is away, and is waited for")
		}
		select {
		case <-time.After(cmp.Or(s.Every, pollEvery)):
		case <-ctx.Done():
			return c, &fleet.Unknown{Because: "snapd has not come to an end of it", Remedy: "see `snap change " + id + "`", Err: ctx.Err()}
		}
	}
}

// isDown says whether an error is of one who is away, and comes again.
func isDown(err error) bool {
	var f *failure
	return errors.Is(err, errDown) || errors.As(err, &f) && f.Kind == "daemon-restart"
}

// step says what it is doing.
func (c change) step() string {
	for _, t := range c.Tasks {
		if t.Status != "Doing" && t.Status != "Undoing" {
			continue
		}
		if t.Progress.Total > 1 {
			// in tenths, so that a download is not a thousand lines
			return fmt.Sprintf("%s: %d0%%", fleet.Plain(t.Summary), min(10, 10*max(0, t.Progress.Done)/t.Progress.Total))
		}
		return fleet.Plain(t.Summary)
	}
	return ""
}

// failed says why a change did not succeed; nil where it did, or waits for the machine to be started again.
func (c change) failed() error {
	if c.Status == "Done" || c.Status == waits {
		return nil
	}
	reason := c.Err
	for _, t := range c.Tasks {
		if t.Status == "Error" && len(t.Log) > 0 {
			reason = t.Log[len(t.Log)-1]
		}
	}
	if reason == "" {
		reason = "it ended as " + c.Status
	}
	return explain(&failure{Message: reason})
}
