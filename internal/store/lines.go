package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// maxLog bounds what is kept of one job's lines, in bytes. A distribution upgrade says 1 MB; what comes after the bound stays on the host.
const maxLog = 8 << 20

// streaming is a job of which lines come.
type streaming struct {
	id                 JobID
	state              wire.State // of the order
	work               bool       // the order carries the job out
	next, lines, bytes int
}

// Progress keeps what the tools said: of the lines those that continue what is there, so that a batch which comes late, twice or after a gap loses and doubles
// nothing. It gives the number of the line that is waited for. Of an order that has ended nothing more is kept, and all of it is taken for said, so that who says
// it comes to an end.
func (s *Store) Progress(ctx context.Context, id fleet.HostID, p wire.Progress, now time.Time) (next int, err error) {
	err = s.inTx(ctx, func(c conn) error {
		j, err := lockStreaming(ctx, c, id, p.Order)
		if err != nil {
			return err
		}
		if !j.work || j.state.Ended() && j.state != wire.Lost {
			next = max(j.next, p.From+len(p.Lines))
			return nil
		}
		if j.state != wire.Running && len(p.Lines) > 0 { // lines come from what has begun, and from what was given up too soon
			if err := begun(ctx, c, j, p.Order, now); err != nil {
				return err
			}
		}
		next, err = j.add(ctx, c, p, now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("keep what the tools said: %w", err)
	}
	return next, nil
}

func lockStreaming(ctx context.Context, c conn, id fleet.HostID, order wire.OrderID) (streaming, error) {
	var j streaming
	lock := ""
	if c.d == postgres {
		lock = " FOR UPDATE OF j"
	}
	var work int64
	err := c.one(ctx, []any{&j.id, &j.state, &work, &j.next, &j.lines, &j.bytes},
		`SELECT j.id, o.state, j.work_order, j.next_line, j.lines, j.bytes FROM orders AS o JOIN jobs AS j ON j.id = o.job_id WHERE o.id = $1 AND o.host_id = $2`+lock, int64(order), id)
	j.work = wire.OrderID(work) == order
	return j, notFound(err, ErrNoOrder)
}

// begun notes that a host is at an order, which its lines say.
func begun(ctx context.Context, c conn, j streaming, order wire.OrderID, now time.Time) error {
	if _, err := c.exec(ctx, `UPDATE orders SET state = $1, because = '', changed_at = $2 WHERE id = $3 AND state = $4`, string(wire.Running), now.UnixMilli(), int64(order), string(j.state)); err != nil {
		return err
	}
	_, err := c.exec(ctx, `UPDATE jobs SET state = $1, because = '', remedy = '', changed_at = $2 WHERE id = $3 AND state IN (`+quoted(JobApproved, JobWaiting, JobUnknown)+`)`,
		string(JobRunning), now.UnixMilli(), int64(j.id))
	return err
}

// add keeps those lines of a batch that continue what is there.
func (j streaming) add(ctx context.Context, c conn, p wire.Progress, now time.Time) (next int, err error) {
	fresh := p.Lines
	if p.From > j.next {
		fresh = nil // there is a gap: they come again
	} else {
		fresh = fresh[min(j.next-p.From, len(fresh)):]
	}
	kept, bytes := j.keep(fresh)
	if len(kept) > 0 {
		if _, err := c.exec(ctx, `INSERT INTO job_lines (job_id, first, body) VALUES ($1, $2, $3)`, int64(j.id), j.lines, strings.Join(kept, "\n")); err != nil {
			return j.next, err
		}
	}
	_, err = c.exec(ctx, `UPDATE jobs SET step = $1, percent = $2, next_line = $3, lines = $4, bytes = $5, heard_at = $6 WHERE id = $7`,
		p.Step, p.Percent, j.next+len(fresh), j.lines+len(kept), bytes, now.UnixMilli(), int64(j.id))
	return j.next + len(fresh), err
}

// keep gives those lines for which there is room, and, once, a line that says that there are more; and how many bytes are kept with them: over the bound
// where no more are.
func (j streaming) keep(fresh []string) (kept []string, bytes int) {
	bytes = j.bytes
	for i, l := range fresh {
		if bytes > maxLog {
			return nil, bytes
		}
		if bytes += len(l) + 1; bytes > maxLog {
			return append(fresh[:i:i], "… and more, which is kept on the host alone: redflag log"), bytes
		}
	}
	return fresh, bytes
}

// Lines are a part of what the tools said.
type Lines struct {
	Lines []string `json:"lines"`
	// From is the number of the first of them, and Next that after the last.
	From int `json:"from"`
	Next int `json:"next"`
	// Whole: nothing more will come after them.
	Whole bool `json:"whole"`
}

// MaxLines bounds the lines of one answer.
const MaxLines = 5000

// Lines gives lines of a job from a number on, as many as are wanted and are there.
func (s *Store) Lines(ctx context.Context, id JobID, from, limit int) (Lines, error) {
	got := Lines{Lines: []string{}, From: from}
	err := s.snapshot(ctx, func(c conn) error {
		var state JobState
		var kept int
		if err := c.one(ctx, []any{&state, &kept}, `SELECT state, lines FROM jobs WHERE id = $1`, int64(id)); err != nil {
			return notFound(err, ErrNoJob)
		}
		got.From = min(from, kept)
		err := readLines(ctx, c, id, got.From, min(limit, MaxLines), &got.Lines)
		got.Next = got.From + len(got.Lines)
		got.Whole = got.Next == kept && state.Ended() && state != JobUnknown
		return err
	})
	return got, err
}

// linesBatch is how many batches are read at once: most have a few lines, and none over wire.MaxBatch.
const linesBatch = 200

func readLines(ctx context.Context, c conn, id JobID, from, limit int, lines *[]string) error {
	for next := from; len(*lines) < limit; {
		before := len(*lines)
		if err := c.all(ctx, func(scan func(...any) error) error {
			var first int
			var body string
			if err := scan(&first, &body); err != nil {
				return err
			}
			all := strings.Split(body, "\n")
			all = all[min(max(next-first, 0), len(all)):]
			all = all[:min(len(all), limit-len(*lines))]
			*lines = append(*lines, all...)
			next += len(all)
			return nil
		}, `SELECT first, body FROM job_lines WHERE job_id = $1 AND first >= COALESCE((SELECT MAX(first) FROM job_lines WHERE job_id = $1 AND first <= $2), 0) ORDER BY first LIMIT $3`,
			int64(id), next, linesBatch); err != nil {
			return err
		}
		if len(*lines) == before {
			return nil
		}
	}
	return nil
}
