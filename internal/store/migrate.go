package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// clustered marks a table that is kept in the order of its key: SQLite has a word for it, PostgreSQL's heap has none.
const clustered = "/* clustered */"

// advisoryLock keeps two processes from migrating one PostgreSQL at once.
const advisoryLock = 0x72656466 // "redf"

// migrate brings the tables up to this program's version, each step in a transaction of its own. It only goes forward: a database
// of a newer program is refused and left as it is.
func (s *Store) migrate(ctx context.Context) error {
	names, err := migrationNames()
	if err != nil {
		return err
	}
	if err := s.inOwnTx(ctx, func(c conn) error {
		_, err := c.exec(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)`)
		return err
	}); err != nil {
		return err
	}
	for i, name := range names {
		if err := s.step(ctx, int64(i+1), name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var version int64
	if err := s.reader().one(ctx, []any{&version}, `SELECT COALESCE(MAX(version), 0) FROM schema_version`); err != nil {
		return err
	}
	if version > int64(len(names)) {
		return fmt.Errorf("%w: use that one, or restore a backup", ErrNewer)
	}
	return nil
}

// ErrNewer: a database, or a backup, was made by a newer version of RedFlag.
var ErrNewer = errors.New("it is of a newer version of RedFlag")

// migrationNames gives the files, the first of which leads to version 1.
func migrationNames() ([]string, error) { return fs.Glob(migrations, "migrations/*.sql") }

// step does one migration, if it was not done yet.
func (s *Store) step(ctx context.Context, version int64, name string) error {
	return s.inOwnTx(ctx, func(c conn) error {
		if c.d == postgres {
			if _, err := c.exec(ctx, `SELECT pg_advisory_xact_lock($1)`, advisoryLock); err != nil {
				return err
			}
		}
		var done int64
		if err := c.one(ctx, []any{&done}, `SELECT COUNT(*) FROM schema_version WHERE version >= $1`, version); err != nil || done > 0 {
			return err
		}
		return apply(ctx, c, version, name)
	})
}

// migrateBetween brings the tables from one version to another within a transaction.
func migrateBetween(ctx context.Context, c conn, from, to int64) error {
	names, err := migrationNames()
	if err != nil {
		return err
	}
	for v := from + 1; v <= to; v++ {
		if err := apply(ctx, c, v, names[v-1]); err != nil {
			return err
		}
	}
	return nil
}

// apply does one migration and notes that it was done.
func apply(ctx context.Context, c conn, version int64, name string) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	for _, statement := range statements(string(text), c.d) {
		if _, err := c.q.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%w in %q", err, statement)
		}
	}
	_, err = c.exec(ctx, `INSERT INTO schema_version (version) VALUES ($1)`, version)
	return err
}

// statements splits a migration, in which a semicolon ends a statement and stands nowhere else.
func statements(text string, d dialect) []string {
	word := ""
	if d == sqlite {
		word = "WITHOUT ROWID"
	}
	var lines []string
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "--")
		lines = append(lines, strings.ReplaceAll(code, clustered, word))
	}
	var list []string
	for s := range strings.SplitSeq(strings.Join(lines, "\n"), ";") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}
