package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// working is a host with a job that it is at.
func working(t testing.TB, s *Store, name string) (fleet.HostID, Job) {
	t.Helper()
	id, _, j := patient(t, s, name)
	j = approve(t, s, j)
	told(t, s, id, j.WorkOrder, wire.Running)
	return id, j
}

// everyLine reads all lines of a job, some at a time.
func everyLine(t testing.TB, s *Store, id JobID, some int) []string {
	t.Helper()
	var list []string
	for {
		part, err := s.Lines(t.Context(), id, len(list), some)
		if err != nil || part.From != len(list) || part.Next != len(list)+len(part.Lines) {
			t.Fatalf("from %d: %+v, %v", len(list), part, err)
		}
		if len(part.Lines) == 0 {
			return list
		}
		list = append(list, part.Lines...)
	}
}

func TestNoLineIsLostOrDoubledWhateverIsSentAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			id, j := working(t, s, fmt.Sprint("m", n))
			said := rapid.SliceOfN(rapid.StringMatching(`[a-z ]{0,8}`), 0, 60).Draw(r, "lines")
			have := 0
			for range rapid.IntRange(1, 12).Draw(r, "batches") {
				from := rapid.IntRange(0, len(said)).Draw(r, "from")
				to := rapid.IntRange(from, len(said)).Draw(r, "to")
				next, err := s.Progress(t.Context(), id, wire.Progress{Order: j.WorkOrder, From: from, Lines: said[from:to]}, noon)
				if from <= have {
					have = max(have, to)
				}
				if err != nil || next != have {
					r.Fatalf("from %d to %d: %d, %v, want %d", from, to, next, err, have)
				}
			}
			got := everyLine(t, s, j.ID, rapid.IntRange(1, 9).Draw(r, "some"))
			if strings.Join(got, "\n") != strings.Join(said[:have], "\n") || len(got) != have {
				r.Fatalf("%q, want %q", got, said[:have])
			}
		})
	})
}

func TestLinesComeFromTheHostThatIsAtItAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id, j := working(t, s, "a")
		other, _ := working(t, s, "b")
		line := wire.Progress{Order: j.WorkOrder, Lines: []string{"x"}}
		if _, err := s.Progress(t.Context(), other, line, noon); !errors.Is(err, ErrNoOrder) {
			t.Errorf("another host's: %v", err)
		}
		if _, err := s.Progress(t.Context(), id, wire.Progress{Order: 7, Lines: []string{"x"}}, noon); !errors.Is(err, ErrNoOrder) {
			t.Errorf("nobody's: %v", err)
		}
		if next, err := s.Progress(t.Context(), id, wire.Progress{Order: j.PlanOrder, Lines: []string{"x"}}, noon); err != nil || next != 1 {
			t.Errorf("of the plan: %d, %v", next, err)
		}
		told(t, s, id, j.WorkOrder, wire.Succeeded)
		if next, err := s.Progress(t.Context(), id, line, noon); err != nil || next != 1 {
			t.Errorf("after its end: %d, %v", next, err)
		}
		if got := everyLine(t, s, j.ID, 10); len(got) != 0 {
			t.Errorf("kept: %q", got)
		}
		if part, err := s.Lines(t.Context(), j.ID, 100, 10); err != nil || !part.Whole || part.Next != 0 {
			t.Errorf("%+v, %v", part, err)
		}
	})
}

func TestALogIsBoundedAndSaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id, j := working(t, s, "loud")
		batch := make([]string, wire.MaxBatch)
		for i := range batch {
			batch[i] = strings.Repeat("x", fleet.PlainLimit)
		}
		for from := 0; from < 12*wire.MaxBatch; from += wire.MaxBatch {
			next, err := s.Progress(t.Context(), id, wire.Progress{Order: j.WorkOrder, From: from, Lines: batch}, noon)
			if err != nil || next != from+wire.MaxBatch {
				t.Fatal(next, err)
			}
		}
		got := everyLine(t, s, j.ID, MaxLines)
		if n := len(got); n > maxLog/fleet.PlainLimit+1 || n < maxLog/fleet.PlainLimit-10 || !strings.Contains(got[n-1], "and more") || strings.Contains(got[n-2], "and more") {
			t.Errorf("%d lines, the last of them %q", n, got[n-1])
		}
	})
}

func TestManyBatchesAtOnceLoseNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		one, two := open(t, dsn), open(t, dsn)
		id, j := working(t, one, "a")
		const lines = 40
		var work sync.WaitGroup
		for _, s := range []*Store{one, two, one, two} { // one host's lines by two servers, and each twice
			work.Go(func() {
				for next := 0; next < lines; {
					var err error
					if next, err = s.Progress(t.Context(), id, wire.Progress{Order: j.WorkOrder, From: next, Lines: []string{fmt.Sprint("line ", next)}}, noon); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		work.Wait()
		got := everyLine(t, one, j.ID, 7)
		for i, l := range got {
			if l != fmt.Sprint("line ", i) {
				t.Fatalf("line %d is %q", i, l)
			}
		}
		if len(got) != lines {
			t.Errorf("%d lines", len(got))
		}
	})
}
