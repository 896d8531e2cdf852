package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// channel is the name under which processes on one PostgreSQL tell each other what has changed.
const channel = "redflag"

// Notify tells a text of less than 8,000 bytes to the other processes on this database. On SQLite there are none.
func (s *Store) Notify(ctx context.Context, text string) error {
	if s.dialect != postgres {
		return nil
	}
	if _, err := s.write.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, text); err != nil {
		return fmt.Errorf("tell the other processes: %w", err)
	}
	return nil
}

// Listen calls heard with what other processes tell (and this one), until ctx ends or the connection does. It calls ready when it
// listens: what was told before is lost, so who depends on it looks for himself then. On SQLite it waits.
func (s *Store) Listen(ctx context.Context, ready func(), heard func(text string)) error {
	if s.dialect != postgres {
		ready()
		<-ctx.Done()
		return ctx.Err()
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("listen to other processes: %w", err)
	}
	defer conn.Close()
	err = conn.Raw(func(raw any) error {
		c := raw.(*stdlib.Conn).Conn()
		defer c.Close(context.WithoutCancel(ctx)) // it must not return to the pool and listen on
		return listen(ctx, c, ready, heard)
	})
	return fmt.Errorf("listen to other processes: %w", err)
}

func listen(ctx context.Context, c *pgx.Conn, ready func(), heard func(string)) error {
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	ready()
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		heard(n.Payload)
	}
}
