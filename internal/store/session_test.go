package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"redflag/internal/wire"
)

func TestACopyOfAHostIsNoticedAndNamed(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := enrol(t, s, "a")
		speak := func(name, address string, minute int) error {
			return s.Session(t.Context(), id, Session{Name: name, Address: address, At: noon.Add(time.Duration(minute) * time.Minute)})
		}
		for _, c := range []struct {
			name, address string
			minute        int
			want          error
		}{
			{"first", "192.0.2.1", 0, nil},
			{"first", "192.0.2.1", 1, nil},
			{"second", "192.0.2.1", 2, nil},      // the agent was started anew
			{"first", "192.0.2.1", 1, ErrLate},   // what it said before comes late
			{"third", "192.0.2.99", 3, nil},      // it may have been started anew once more
			{"second", "192.0.2.1", 4, ErrClone}, // but the one before is alive
			{"third", "192.0.2.99", 5, nil},
		} {
			if err := speak(c.name, c.address, c.minute); !errors.Is(err, c.want) || err != nil && c.want == nil {
				t.Errorf("%s in minute %d: %v, want %v", c.name, c.minute, err, c.want)
			}
		}
		h, err := s.Host(t.Context(), id)
		if err != nil || !strings.Contains(h.Clone, "192.0.2.1") || !strings.Contains(h.Clone, "192.0.2.99") {
			t.Errorf("it is named as %q, %v", h.Clone, err)
		}
		_, secret, err := s.NewToken(t.Context(), Token{Seats: 1, ExpiresAt: noon.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Enroll(t.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Machine: "machine of a"}, "", noon)
		if err != nil || again != id {
			t.Fatalf("enrolled again: %v, %v", again, err)
		}
		if h, err := s.Host(t.Context(), id); err != nil || h.Clone != "" {
			t.Errorf("enrolled again, it is still called a copy: %q, %v", h.Clone, err)
		}
	})
}

func TestAReportOfAnotherSessionChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := enrol(t, s, "a")
		if err := s.Session(t.Context(), id, Session{Name: "first", At: noon}); err != nil {
			t.Fatal(err)
		}
		_, err := s.SaveReport(t.Context(), id, wire.Report{Session: "other", Sequence: 1}, "", noon)
		if !errors.Is(err, ErrLate) {
			t.Error(err)
		}
	})
}
