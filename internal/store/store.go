// Package store keeps the fleet in SQL: which hosts there are, what each of them last said, and what has come and gone since.
// The same statements run on SQLite, which is embedded and needs nothing, and on PostgreSQL, for a fleet that has outgrown
// one machine. What a host says of a source is a set: saving it writes only what changed, and what is absent is gone.
// Totals that pages show are counters on the host's row, kept in the transaction that changes what they count.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite
)

// Store is a fleet's database. It is safe for many goroutines, and, on PostgreSQL, for many processes.
type Store struct {
	// write and read are one pool on PostgreSQL. SQLite has one writer at a time, and readers that it never keeps waiting; of the two
	// connections that may write, one is that of together.
	write, read *sql.DB
	dialect     dialect
	// together joins transactions of SQLite's; nil on PostgreSQL, which does it itself.
	together *together

	dictionary dictionary

	// seen, where it is set, is told of every statement: a test that all of them run on both engines, and with which plan.
	seen func(query string, args []any)
}

// dialect is which of the two engines answers.
type dialect int

const (
	sqlite dialect = iota
	postgres
)

// busyPatience is how long SQLite waits for another process: a backup, an administrator's command.
const busyPatience = 10 * time.Second

// Open opens a database and brings its tables up to date: a file's path, or postgres://… .
func Open(ctx context.Context, dsn string) (*Store, error) {
	s, what := &Store{}, "of PostgreSQL"
	var err error
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		s.dialect = postgres
		err = s.openPostgres(dsn)
	} else {
		what = dsn // PostgreSQL's may have a password in it
		err = s.openSQLite(dsn)
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database %s: %w", what, err), s.Close())
	}
	return s, nil
}

// maxConnections bounds what one process takes of a PostgreSQL server, which allows 100 by default.
const maxConnections = 20

func (s *Store) openPostgres(dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	s.write, s.read = db, db
	return nil
}

// openSQLite opens the file twice: for the one writer, which is durable at each commit, and for readers.
func (s *Store) openSQLite(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	open := func(connections int, pragmas ...string) (*sql.DB, error) {
		query := url.Values{"_pragma": append(pragmas, fmt.Sprintf("busy_timeout(%d)", busyPatience.Milliseconds())), "_txlock": {"immediate"}}
		u := url.URL{Scheme: "file", Path: abs, RawQuery: query.Encode()}
		db, err := sql.Open("sqlite", u.String())
		if err == nil {
			db.SetMaxOpenConns(connections)
			db.SetMaxIdleConns(connections)
		}
		return db, err
	}
	if s.write, err = open(2, "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)"); err != nil {
		return err
	}
	s.together = &together{db: s.write}
	s.read, err = open(max(4, runtime.NumCPU()), "query_only(on)")
	return err
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.reader().one(ctx, []any{&one}, `SELECT COUNT(*) FROM schema_version`)
}

// Close ends it. It may be called once.
func (s *Store) Close() error {
	var err error
	if s.together != nil {
		err = s.together.close()
	}
	if s.read != nil && s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	if s.write != nil {
		err = errors.Join(err, s.write.Close())
	}
	return err
}

// rewrite turns a statement, written once with $1, $2 …, into the engine's own. SQLite takes $1 for a name and numbers it by
// first appearance, so there it is ?1.
func (d dialect) rewrite(query string) string {
	if d == sqlite {
		return strings.ReplaceAll(query, "$", "?")
	}
	return query
}

// queryer is what runs statements: a pool or a transaction.
type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// conn runs statements in the engine's own words.
type conn struct {
	q    queryer
	d    dialect
	seen func(query string, args []any)
}

// prepare gives a statement in the engine's own words.
func (c conn) prepare(query string, args []any) string {
	if c.seen != nil {
		c.seen(query, args)
	}
	return c.d.rewrite(query)
}

func (c conn) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	r, err := c.q.ExecContext(ctx, c.prepare(query, args), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// all calls each for every row.
func (c conn) all(ctx context.Context, each func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := c.q.QueryContext(ctx, c.prepare(query, args), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the one row of a query; sql.ErrNoRows when there is none.
func (c conn) one(ctx context.Context, into []any, query string, args ...any) error {
	found := false
	err := c.all(ctx, func(scan func(...any) error) error {
		found = true
		return scan(into...)
	}, query, args...)
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// forUpdate locks the rows of a SELECT where there can be another writer.
func (c conn) forUpdate() string {
	if c.d == postgres {
		return " FOR UPDATE"
	}
	return ""
}

func (s *Store) reader() conn { return conn{s.read, s.dialect, s.seen} }

// inTx does work in a transaction: all of it or nothing. On SQLite it may be done together with others' work, and then ctx does not cut
// it off in the middle; it must not be long.
func (s *Store) inTx(ctx context.Context, work func(conn) error) error {
	if s.together == nil {
		return s.inOwnTx(ctx, work)
	}
	return s.together.do(ctx, func(q queryer) error { return work(conn{q, s.dialect, s.seen}) })
}

// inOwnTx does work in a transaction of its own, which may be long.
func (s *Store) inOwnTx(ctx context.Context, work func(conn) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(conn{tx, s.dialect, s.seen}); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
