package helper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"redflag/internal/job"
	"redflag/internal/wire"
)

// Look asks what has become of an order, and for what the tools have said from a line on.
type Look struct {
	Order wire.OrderID `json:"order"`
	From  int          `json:"from"`
}

// ErrNoOrder: the host has no such order.
var ErrNoOrder = errors.New("this host has no such order")

// Look tells of an order, with its lines from the one that is asked for: the logs of its jobs, one after the other, numbered from 0.
func (h *Helper) Look(_ context.Context, l Look) (Report, error) {
	h.mu.Lock()
	o, known := h.orders[l.Order]
	var r Report
	var jobs []job.ID
	if known {
		r, jobs = o.report(), append(jobs, o.Jobs...)
	}
	h.mu.Unlock()
	if !known {
		return Report{}, ErrNoOrder
	}
	var err error
	r.Lines, r.More, err = o.lines.from(h, jobs, max(l.From, 0), r.State.Ended())
	if err == nil && !r.State.Ended() {
		r.Step, r.Percent = o.lines.step(h, jobs)
	}
	return r, err
}

// lines reads the lines of an order, and remembers where it is: mostly the next ones are asked for.
type lines struct {
	mu       sync.Mutex
	next     int // the number of the line that the reader gives next
	part     int // the job that it reads
	reader   *job.Reader
	progress *job.Progress
	at       job.ID // whose progress it is
	said     string // the last line that says something
}

// lastLine is said where an order has said more than is sent.
const lastLine = "the rest stays on the host: redflag log %s"

// from gives lines, at most as many as go into one message.
func (l *lines) from(h *Helper, jobs []job.ID, from int, ended bool) (list []string, more bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == nil || from < l.next {
		l.next, l.part, l.reader = 0, 0, nil
	}
	for len(list) < wire.MaxBatch {
		if l.part >= len(jobs) {
			return list, false, nil
		}
		if l.reader == nil {
			l.reader = job.NewReader(h.Machine, jobs[l.part])
		}
		over := ended || l.part < len(jobs)-1
		want := wire.MaxBatch - len(list)
		if l.next < from {
			want = min(from-l.next, wire.MaxBatch)
		}
		some, err := l.reader.Lines(want, over)
		if err != nil {
			return list, false, fmt.Errorf("read the log of %s: %w", jobs[l.part], err)
		}
		for _, line := range some {
			if line != "" {
				l.said = line
			}
			switch {
			case l.next < from || l.next >= wire.MaxLines:
			case l.next == wire.MaxLines-1:
				list = append(list, fmt.Sprintf(lastLine, jobs[l.part]))
			default:
				list = append(list, line)
			}
			l.next++
		}
		if len(some) == 0 {
			if !over || l.part == len(jobs)-1 {
				return list, false, nil
			}
			l.part, l.reader = l.part+1, nil
		}
		if l.next > wire.MaxLines {
			return list, false, nil
		}
	}
	return list, true, nil
}

// step says what the last job is doing.
func (l *lines) step(h *Helper, jobs []job.ID) (string, int) {
	if len(jobs) == 0 {
		return "", -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := jobs[len(jobs)-1]
	if l.at != last {
		l.at, l.progress = last, job.NewProgress(h.Machine, last)
	}
	j, err := job.Get(h.Machine, last)
	if err != nil {
		return "", -1
	}
	s := l.progress.Last()
	switch {
	case j.State == job.Rebooting:
		return "it reboots", -1
	case j.State == job.Held || j.State == job.Approved:
		return "", -1
	case s.Text == "" && l.said != "": // a source that says what it does in its log
		return strings.TrimSpace(l.said), -1
	case s.Text == "" && j.Plan.Source != "":
		return j.Plan.Source + ": " + string(j.State), -1
	}
	return s.Text, s.Percent
}
