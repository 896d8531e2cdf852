package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// writer is SQLite's one connection that writes. It does statements to their end, because SQLite answers a cut-off by undoing the whole
// transaction, and it remembers those that it has compiled, because to compile one often takes longer than to run it. One goroutine uses it
// at a time.
type writer struct {
	conn     *sql.Conn
	compiled map[string]*sql.Stmt
	once     map[string]bool // seen once; a statement with numbers in it seldom comes again
}

// Bounds of what is remembered. The store has fewer statements that are always the same.
const (
	maxCompiled = 200
	maxOnce     = 1000
)

// begin begins a transaction, on a new connection where there is none that is good.
func (w *writer) begin(ctx context.Context, db *sql.DB) error {
	if w.conn == nil {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		w.conn, w.compiled, w.once = conn, map[string]*sql.Stmt{}, map[string]bool{}
	}
	_, err := w.ExecContext(ctx, `BEGIN IMMEDIATE`)
	if err != nil {
		err = errors.Join(err, w.close())
	}
	return err
}

// end ends the transaction. What cannot be ended is closed, which undoes it.
func (w *writer) end(ctx context.Context, how string) error {
	_, err := w.ExecContext(ctx, how)
	if err != nil {
		err = errors.Join(err, w.close())
	}
	return err
}

func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	var err error
	for _, st := range w.compiled {
		err = errors.Join(err, st.Close())
	}
	// The pool must not give it to anybody as it is, with a transaction that may be open: so it is told that it is bad, and closes it.
	if badErr := w.conn.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(badErr, driver.ErrBadConn) {
		err = errors.Join(err, badErr)
	}
	w.conn = nil
	return err
}

// statement gives a statement that is compiled; nil where it is not.
func (w *writer) statement(ctx context.Context, query string) *sql.Stmt {
	if st := w.compiled[query]; st != nil || len(w.compiled) >= maxCompiled {
		return st
	}
	if !w.once[query] {
		if len(w.once) >= maxOnce {
			clear(w.once)
		}
		w.once[query] = true
		return nil
	}
	st, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil // who runs it is told
	}
	delete(w.once, query)
	w.compiled[query] = st
	return st
}

// ExecContext implements queryer.
func (w *writer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = context.WithoutCancel(ctx)
	if st := w.statement(ctx, query); st != nil { //nolint:sqlclosecheck // it is used again
		return st.ExecContext(ctx, args...)
	}
	return w.conn.ExecContext(ctx, query, args...)
}

// QueryContext implements queryer.
func (w *writer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = context.WithoutCancel(ctx)
	if st := w.statement(ctx, query); st != nil { //nolint:sqlclosecheck // it is used again
		return st.QueryContext(ctx, args...)
	}
	return w.conn.QueryContext(ctx, query, args...)
}
