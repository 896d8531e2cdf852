package store

import (
	"path/filepath"
	"testing"
	"time"

	"redflag/internal/parts"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// onBoth runs a test on an empty database of each engine. It is given its address, so that it may open it again.
func onBoth(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "fleet.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, parts.Postgres(t, CreateDatabase)) })
}

// open opens a database for a test.
func open(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestADatabaseIsOpenedAgainAsItWas(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		for range 2 {
			s, err := Open(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
