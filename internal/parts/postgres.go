package parts

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Postgres gives the address of an empty database of its own on a real PostgreSQL server, one for all tests of the process:
// postgres://… on loopback. It is what a person would make with createdb, and the user owns it.
func Postgres(t testing.TB, createDatabase func(dsn, name string) error) string {
	t.Helper()
	bin := postgresBin(t)
	NeedRoot(t)
	postgres.once.Do(func() { postgres.start(bin) })
	if postgres.failure != "" {
		Missing(t, postgres.failure)
	}
	postgres.mu.Lock()
	defer postgres.mu.Unlock()
	postgres.databases++
	name := "test" + strconv.Itoa(postgres.databases)
	if err := createDatabase(postgres.dsn("postgres"), name); err != nil {
		t.Fatal(err)
	}
	return postgres.dsn(name)
}

// postgresBin finds the server's programs, which Debian keeps out of PATH, the newest version's first.
func postgresBin(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		Missing(t, "PostgreSQL's server is not installed")
	}
	return filepath.Dir(slices.Max(found))
}

// runPostgres needs no durability: what is lost with the machine is a test. The server refuses to run as root.
const runPostgres = `
chown postgres "$1"
cd "$1"
as="setpriv --reuid postgres --regid postgres --clear-groups"
$as "$BIN/initdb" --pgdata "$1/data" --username postgres --auth trust --no-sync --locale C --encoding UTF8 >"$1/log" 2>&1
$as "$BIN/postgres" -D "$1/data" -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
	-c max_connections=200 >>"$1/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -INT $server
wait $server
rm -rf --one-file-system "$1"
`

var postgres server

// server is the one PostgreSQL of a process.
type server struct {
	once    sync.Once
	failure string
	address string
	leash   io.Closer

	mu        sync.Mutex
	databases int
}

func (s *server) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", s.address, database)
}

func (s *server) start(bin string) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		s.failure = err.Error()
		return
	}
	s.address = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(s.address)
	dir, leash, err := onLeash("postgres", fmt.Sprintf("BIN=%s PORT=%s\n%s", bin, port, runPostgres))
	if err != nil {
		s.failure = "PostgreSQL cannot be started: " + err.Error()
		return
	}
	s.leash = leash
	if err := s.wait(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.failure = "PostgreSQL does not start: " + err.Error() + "\n" + string(log[max(0, len(log)-2000):])
	}
}

// wait returns when the server takes connections.
func (s *server) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
