package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// createPatience is for a server that takes connections a moment before it answers.
const createPatience = 10 * time.Second

// CreateDatabase makes an empty database on a PostgreSQL server, as createdb does. The name is not quoted. It is for tests.
func CreateDatabase(dsn, name string) (err error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), createPatience)
	defer cancel()
	for {
		if _, err = db.ExecContext(ctx, "CREATE DATABASE "+name); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
