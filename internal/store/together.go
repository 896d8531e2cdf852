package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// together does the work of many at once in one transaction of SQLite's: to commit is most of what a report costs there, and hosts that
// report at the same time change the same pages. Each one's work is all there or not at all, whatever becomes of the others', and nobody is
// told that his is done before all of it is on the disk.
type together struct {
	db *sql.DB

	mu      sync.Mutex
	waiting []*job
	led     bool // somebody does the work of those who wait

	turn   sync.Mutex // held by who uses the writer
	writer writer
}

// maxTogether bounds one transaction: so many reports are done in a fraction of a second.
const maxTogether = 32

// job is one's work.
type job struct {
	ctx      context.Context //nolint:containedctx // it waits in a queue
	work     func(queryer) error
	err      error
	panicked any
	done     chan struct{}
}

// do does work in a transaction with others', and gives its own error, or that of the commit.
func (t *together) do(ctx context.Context, work func(queryer) error) error {
	j := &job{ctx: ctx, work: work, done: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, j)
	lead := !t.led
	t.led = true
	t.mu.Unlock()
	if lead {
		go t.lead()
	}
	<-j.done
	if j.panicked != nil {
		panic(j.panicked)
	}
	return j.err
}

// lead does the work of who waits until nobody does.
func (t *together) lead() {
	for {
		t.mu.Lock()
		n := min(len(t.waiting), maxTogether)
		jobs := t.waiting[:n:n]
		t.waiting = t.waiting[n:]
		if n == 0 {
			t.led, t.waiting = false, nil
		}
		t.mu.Unlock()
		if n == 0 {
			return
		}
		if err := t.commit(jobs); err != nil {
			for _, j := range jobs {
				if j.err == nil {
					j.err = err
				}
			}
		}
		for _, j := range jobs {
			close(j.done)
		}
	}
}

// commit does jobs in one transaction. Its error is that of all who have none of their own.
func (t *together) commit(jobs []*job) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	ctx := context.Background() // each job's own cut-off would undo others' work
	if err := t.writer.begin(ctx, t.db); err != nil {
		return err
	}
	for _, j := range jobs {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		if err := j.within(ctx, &t.writer); err != nil {
			return errors.Join(fmt.Errorf("the transaction that this was part of has ended: %w", err), t.writer.end(ctx, `ROLLBACK`))
		}
	}
	return t.writer.end(ctx, `COMMIT`)
}

// close lets go of the connection.
func (t *together) close() error {
	t.turn.Lock()
	defer t.turn.Unlock()
	return t.writer.close()
}

// within does the work behind a savepoint, and undoes what is not done to its end. It gives an error when the whole transaction is lost:
// when a disk is full, SQLite may undo all of it (https://sqlite.org/lang_transaction.html).
func (j *job) within(ctx context.Context, w *writer) error {
	if _, err := w.ExecContext(ctx, `SAVEPOINT job`); err != nil {
		return err
	}
	func() {
		defer func() {
			if j.panicked = recover(); j.panicked != nil {
				j.err = fmt.Errorf("panic: %v", j.panicked)
			}
		}()
		j.err = j.work(w)
	}()
	if j.err != nil {
		if _, err := w.ExecContext(ctx, `ROLLBACK TO job`); err != nil {
			return errors.Join(j.err, err)
		}
	}
	_, err := w.ExecContext(ctx, `RELEASE job`)
	return err
}
