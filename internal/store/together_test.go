package store

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// countGroups says how many groups there are.
func countGroups(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.reader().one(t.Context(), []any{&n}, `SELECT COUNT(*) FROM groups`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEachOfManyTransactionsIsWholeWhateverBecomesOfTheOthers(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	mine := errors.New("mine")
	add := func(c conn, n int) error {
		_, err := c.exec(t.Context(), `INSERT INTO groups (id, name, query, created_at) VALUES ($1, $2, '', 0)`, n, string(rune('a'+n%26))+newTestName())
		return err
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var work sync.WaitGroup
	for n := range 300 {
		work.Go(func() {
			defer func() {
				if r := recover(); (r != nil) != (n%6 == 4) {
					t.Errorf("%d: panic %v", n, r)
				}
			}()
			ctx := t.Context()
			if n%6 == 5 {
				ctx = gone
			}
			err := s.inTx(ctx, func(c conn) error {
				if err := add(c, n); err != nil {
					return err
				}
				switch n % 6 {
				case 3:
					return mine
				case 4:
					panic("mine")
				}
				return nil
			})
			if want := map[int]error{3: mine, 5: context.Canceled}[n%6]; !errors.Is(err, want) {
				t.Errorf("%d: %v, want %v", n, err, want)
			}
		})
	}
	work.Wait()
	if n := countGroups(t, s); n != 150 {
		t.Errorf("%d rows are there, want 150", n)
	}
}

func newTestName() string {
	return time.Now().Format(time.RFC3339Nano) + string(rune('a'+newID()%26)) + string(rune('a'+newID()%26))
}

func TestWhoIsCutOffHasDoneAllOrNothingAndHarmsNobody(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.inTx(ctx, func(c conn) error {
		cancel()
		_, err := c.exec(ctx, `INSERT INTO groups (id, name, query, created_at) VALUES (1, 'a', '', 0)`)
		return err
	}); err != nil {
		t.Error(err)
	}
	if n := countGroups(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestATransactionThatIsLostIsLostForAllWhoWerePartOfIt(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	begun, second := make(chan struct{}), make(chan error, 1)
	first := make(chan error, 1)
	insert := func(c conn, n int) error {
		_, err := c.exec(t.Context(), `INSERT INTO groups (id, name, query, created_at) VALUES ($1, $2, '', 0)`, n, newTestName())
		return err
	}
	// While the first is at work two others come, who are then one transaction.
	go func() {
		first <- s.inTx(t.Context(), func(c conn) error {
			close(begun)
			for {
				s.together.mu.Lock()
				n := len(s.together.waiting)
				s.together.mu.Unlock()
				if n == 2 {
					return insert(c, 1)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}()
	<-begun
	go func() { second <- s.inTx(t.Context(), func(c conn) error { return insert(c, 2) }) }()
	for {
		s.together.mu.Lock()
		n := len(s.together.waiting)
		s.together.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	third := s.inTx(t.Context(), func(c conn) error {
		_, err := c.exec(t.Context(), `ROLLBACK`) // as SQLite does when the disk is full
		return errors.Join(err, errors.New("full"))
	})
	if err := <-first; err != nil {
		t.Errorf("the transaction before: %v", err)
	}
	if err := <-second; err == nil || third == nil {
		t.Errorf("who was undone is told that it was done: %v, %v", err, third)
	}
	if n := countGroups(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
	if err := s.inTx(t.Context(), func(c conn) error { return insert(c, 3) }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
