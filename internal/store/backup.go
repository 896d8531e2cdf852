package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// A backup is gzip of JSON lines: a header, then for each table its name and columns and its rows as arrays, and last how many rows there
// are. It says nothing of the engine, so a fleet moves from SQLite to PostgreSQL and back with it.

// backupHeader is the first line.
type backupHeader struct {
	Backup int       `json:"redflag_backup"`
	Schema int64     `json:"schema"`
	MadeAt time.Time `json:"made_at"`
	// Program is the version of what made it: for people, nothing goes by it.
	Program string `json:"program"`
}

// backupTable begins a table.
type backupTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// backupEnd is the last line: without it a backup is cut off.
type backupEnd struct {
	Rows *int64 `json:"rows"`
}

const (
	backupFormat = 1
	// maxBackupLine bounds what is read of one row. It is more than a host can have kept with one report, however its texts grow as JSON in
	// JSON, seven bytes for one: what was backed up can be restored.
	maxBackupLine = 8 * wire.MaxReport
)

// ErrBackup: what is to be restored is no whole backup.
var ErrBackup = errors.New("it is no whole backup")

// ErrNotEmpty: a backup is restored into an empty database alone.
var ErrNotEmpty = errors.New("the database has a fleet already")

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+) \(`)

// tables are those of a version of the schema, in the order of the migrations. They are told from the migrations, because other programs
// keep tables of their own in a database (Litestream, PostgreSQL's extensions).
func tables(version int64) ([]string, error) {
	names, err := migrationNames()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range names[:min(version, int64(len(names)))] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for _, m := range createTable.FindAllSubmatch(text, -1) {
			list = append(list, string(m[1]))
		}
	}
	return list, nil
}

// notKept are tables that no backup holds. Leases are of the moment, and feeds of advisories are public: they are imported again.
var notKept = [...]string{"leases", "feeds", "feed_parts", "feed_errors"}

// keptTables are those that a backup holds.
func keptTables(version int64) ([]string, error) {
	list, err := tables(version)
	return slices.DeleteFunc(list, func(t string) bool { return slices.Contains(notKept[:], t) }), err
}

func schemaVersion(ctx context.Context, c conn) (version int64, err error) {
	err = c.one(ctx, []any{&version}, `SELECT MAX(version) FROM schema_version`)
	return version, err
}

// Backup writes all that the store has, as it is at one moment, while others read and write on.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	packed := gzip.NewWriter(w)
	err := s.snapshot(ctx, func(c conn) error { return writeBackup(ctx, c, packed) })
	if err == nil {
		err = packed.Close()
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// snapshot reads in a transaction that sees one moment, and keeps no writer waiting.
func (s *Store) snapshot(ctx context.Context, work func(conn) error) error {
	one, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer one.Close()
	begin := "BEGIN"
	if s.dialect == postgres {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	if _, err := one.ExecContext(ctx, begin); err != nil {
		return err
	}
	err = work(conn{one, s.dialect, s.seen})
	_, endErr := one.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // nothing was written
	return errors.Join(err, endErr)
}

func writeBackup(ctx context.Context, c conn, w io.Writer) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	schema, err := schemaVersion(ctx, c)
	if err != nil {
		return err
	}
	header := backupHeader{Backup: backupFormat, Schema: schema, MadeAt: time.Now().UTC().Truncate(time.Second), Program: program()}
	if err := lines.Encode(header); err != nil {
		return err
	}
	names, err := keptTables(schema)
	if err != nil {
		return err
	}
	var rows int64
	for _, name := range names {
		n, err := writeTable(ctx, c, lines, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows += n
	}
	return lines.Encode(backupEnd{&rows})
}

// program is the version that the go command has written into this program (go help buildvcs).
func program() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

func writeTable(ctx context.Context, c conn, lines *json.Encoder, name string) (n int64, err error) {
	rows, err := c.q.QueryContext(ctx, `SELECT * FROM `+name)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	t := backupTable{Table: name}
	if t.Columns, err = rows.Columns(); err != nil {
		return 0, err
	}
	if err := lines.Encode(t); err != nil {
		return 0, err
	}
	values, into := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i := range into {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				values[i] = string(b)
			}
		}
		if err := lines.Encode(values); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

// Restore fills an empty database from a backup, also one that an older version has made: all of it or nothing. What processes share is
// made when they begin, and gives way to what the backup has, so none may be at work on the database.
func (s *Store) Restore(ctx context.Context, r io.Reader) error {
	err := s.inOwnTx(ctx, func(c conn) error {
		schema, err := schemaVersion(ctx, c)
		if err != nil {
			return err
		}
		if err := makeRoom(ctx, c, schema); err != nil {
			return err
		}
		packed, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBackup, err)
		}
		b := &restoring{c: c, schema: schema, lines: bufio.NewReaderSize(packed, 64<<10), done: map[string]bool{}}
		return b.read(ctx)
	})
	s.dictionary.forget()
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// makeRoom refuses a database that a fleet lives in, and keeps one from moving in before the transaction ends.
func makeRoom(ctx context.Context, c conn, schema int64) error {
	names, err := keptTables(schema)
	if err != nil {
		return err
	}
	if c.d == postgres {
		if _, err := c.exec(ctx, `LOCK TABLE `+strings.Join(names, ", ")+` IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
	}
	for _, name := range names {
		if name == "settings" {
			continue
		}
		var n int
		if err := c.one(ctx, []any{&n}, `SELECT COUNT(*) FROM (SELECT 1 FROM `+name+` LIMIT 1) AS few`); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("%w: its table %s is not empty", ErrNotEmpty, name)
		}
	}
	_, err = c.exec(ctx, `DELETE FROM settings`)
	return err
}

// restoring is a backup on its way into the tables.
type restoring struct {
	c      conn
	schema int64 // this program's
	lines  *bufio.Reader
	names  []string        // tables that the backup must have
	done   map[string]bool // those that have begun
	rows   int64

	// The table whose rows come, and those that are not written yet.
	table   string
	columns []column
	waiting []any
	bytes   int
}

// column is one of a table: a TEXT or a BIGINT.
type column struct {
	name string
	text bool
}

// Rows are written many at a time, which PostgreSQL does in a tenth of the time. Both engines take over 30,000 arguments.
const (
	restoreRows  = 200
	restoreBytes = 1 << 20
)

func (b *restoring) read(ctx context.Context) error {
	line, err := b.line()
	if err != nil {
		return err
	}
	from, err := b.header(line)
	if err != nil {
		return err
	}
	if from < b.schema {
		if err := b.goBack(ctx, from); err != nil {
			return err
		}
	}
	if err := b.contents(ctx); err != nil {
		return err
	}
	return migrateBetween(ctx, b.c, from, b.schema)
}

// contents reads all that follows the header.
func (b *restoring) contents(ctx context.Context) error {
	for {
		line, err := b.line()
		if err != nil {
			return err
		}
		if line[0] == '[' {
			if err := b.row(ctx, line); err != nil {
				return err
			}
			continue
		}
		var end backupEnd
		if json.Unmarshal(line, &end) == nil && end.Rows != nil {
			return b.end(ctx, *end.Rows)
		}
		if err := b.begin(ctx, line); err != nil {
			return err
		}
	}
}

// line gives the next one, which is never empty.
func (b *restoring) line() ([]byte, error) {
	var line []byte
	for {
		part, err := b.lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxBackupLine:
			return nil, fmt.Errorf("%w: a line has over %d bytes", ErrBackup, maxBackupLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, fmt.Errorf("%w: it is cut off or damaged: %w", ErrBackup, err)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			return nil, fmt.Errorf("%w: it has an empty line", ErrBackup)
		}
		return line, nil
	}
}

// header reads the first line, and gives the version of the schema that the backup is of.
func (b *restoring) header(line []byte) (schema int64, err error) {
	var h backupHeader
	switch {
	case json.Unmarshal(line, &h) != nil || h.Backup < 1 || h.Schema < 1:
		return 0, fmt.Errorf("%w: it has no header", ErrBackup)
	case h.Backup > backupFormat || h.Schema > b.schema:
		return 0, fmt.Errorf("the backup: %w (%s)", ErrNewer, fleet.Plain(h.Program))
	}
	b.names, err = keptTables(h.Schema)
	return h.Schema, err
}

// goBack makes the tables of an older version in place of ours, which are empty, so that its rows fit.
func (b *restoring) goBack(ctx context.Context, schema int64) error {
	names, err := tables(b.schema)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := b.c.exec(ctx, `DROP TABLE `+name); err != nil {
			return err
		}
	}
	if _, err := b.c.exec(ctx, `DELETE FROM schema_version`); err != nil {
		return err
	}
	return migrateBetween(ctx, b.c, 0, schema)
}

// begin takes the line that begins a table.
func (b *restoring) begin(ctx context.Context, line []byte) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	var t backupTable
	if json.Unmarshal(line, &t) != nil || !slices.Contains(b.names, t.Table) || b.done[t.Table] {
		return fmt.Errorf("%w: it has something that is no table of ours, or one twice", ErrBackup)
	}
	types, err := columnTypes(ctx, b.c, t.Table)
	if err != nil {
		return err
	}
	b.table, b.columns, b.done[t.Table] = t.Table, b.columns[:0], true
	for _, name := range t.Columns {
		text, ok := types[name]
		if !ok {
			return fmt.Errorf("%w: the table %s has other columns", ErrBackup, t.Table)
		}
		b.columns = append(b.columns, column{name, text})
		delete(types, name)
	}
	if len(types) > 0 {
		return fmt.Errorf("%w: the table %s lacks columns", ErrBackup, t.Table)
	}
	return nil
}

// columnTypes gives the columns of a table, and which of them hold text.
func columnTypes(ctx context.Context, c conn, table string) (map[string]bool, error) {
	rows, err := c.q.QueryContext(ctx, `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	text := map[string]bool{}
	for _, t := range types {
		text[t.Name()] = t.DatabaseTypeName() == "TEXT"
	}
	return text, errors.Join(err, rows.Err())
}

func (b *restoring) row(ctx context.Context, line []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var values []any
	if err := decoder.Decode(&values); err != nil || len(values) != len(b.columns) || b.table == "" {
		return fmt.Errorf("%w: a row is none", ErrBackup)
	}
	for i, v := range values {
		value, err := b.columns[i].value(v)
		if err != nil {
			return err
		}
		b.waiting = append(b.waiting, value)
	}
	b.rows++
	b.bytes += len(line)
	if len(b.waiting) < restoreRows*len(b.columns) && b.bytes < restoreBytes {
		return nil
	}
	return b.flush(ctx)
}

// value gives what is written of a value that was read. SQLite would take a text for a number too.
func (c column) value(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if c.text {
			return v, nil
		}
	case json.Number:
		n, err := v.Int64()
		if err == nil && !c.text {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%w: a row has a value that cannot be one of %s", ErrBackup, c.name)
}

// flush writes the rows that wait.
func (b *restoring) flush(ctx context.Context) error {
	if len(b.waiting) == 0 {
		return nil
	}
	var names []string
	for _, c := range b.columns {
		names = append(names, c.name)
	}
	query := `INSERT INTO ` + b.table + ` (` + strings.Join(names, ", ") + `) VALUES ` + b.c.d.places(len(b.waiting), len(names))
	_, err := b.c.exec(ctx, query, b.waiting...)
	b.waiting, b.bytes = b.waiting[:0], 0
	return err
}

// end holds what was read to what was written. The checksum of the file is behind its last line, so it is read to where it ends.
func (b *restoring) end(ctx context.Context, rows int64) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	if rows != b.rows || len(b.done) != len(b.names) {
		return fmt.Errorf("%w: %d of its %d rows are there, in %d of %d tables", ErrBackup, b.rows, rows, len(b.done), len(b.names))
	}
	switch _, err := b.lines.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return fmt.Errorf("%w: it goes on after its end", ErrBackup)
	default:
		return fmt.Errorf("%w: it is cut off or damaged: %w", ErrBackup, err)
	}
}
