package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// fill puts something into every table.
func fill(t *testing.T, s *Store) {
	t.Helper()
	id := enrol(t, s, "näme \"with\" <signs>")
	image := fleet.Update{Source: "docker", Name: "nginx:1", From: "a", To: "b", ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Rebuild, Platform: "linux/amd64"}}
	say(t, s, id, 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{anUpdate("curl", "1", "2"), anUpdate("vim", "1", "2")}}, fleet.Package{Source: "apt", Name: "vim", Version: "1", Ecosystem: "Debian:12", Module: "vim:1"})
	say(t, s, id, 2, fleet.Finding{Source: "apt", Updates: []fleet.Update{anUpdate("curl", "1", "2")}})
	say(t, s, id, 3, fleet.Finding{Source: "docker", Updates: []fleet.Update{image}, Checks: []fleet.Check{{Name: "nginx:1", Answer: fleet.Outdated}}})
	containers := wire.Report{Sequence: 4, Containers: &wire.ContainerSet{All: []fleet.Container{{Source: "docker", Name: "web", Image: "nginx:1"}}}}
	if _, err := s.SaveReport(t.Context(), id, containers, "", noon); err != nil {
		t.Fatal(err)
	}
	give(t, s, id)
	err6 := s.inTx(t.Context(), func(c conn) error { return saveAnswer(t.Context(), c, 1, &wire.Answer{}) })
	worked, j := working(t, s, "with a job")
	_, err8 := s.NewSuppression(t.Context(), Suppression{ID: "CVE-2026-0001", Status: "accepted", Owner: "ada", Reason: "no way in", Until: noon.AddDate(1, 0, 0)}, noon)
	_, err9 := s.FirstSeen(t.Context(), []string{"CVE-2026-0001"}, noon)
	_, err7 := s.Progress(t.Context(), worked, wire.Progress{Order: j.WorkOrder, Lines: []string{"Unpacking \"curl\" …", ""}}, noon)
	_, err5 := s.NewChallenge(t.Context(), []byte("{}"), noon.Add(time.Hour))
	u, err := s.NewUser(t.Context(), "anna", access.Admin, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.NewLogin(t.Context(), u.ID, "Firefox", "192.0.2.1", noon, noon.Add(time.Hour))
	_, _, err2 := s.NewKey(t.Context(), Key{Name: "ci", Scope: access.ScopeRead}, noon)
	_, err3 := s.NewGroup(t.Context(), "production", "env=prod", noon)
	err4 := s.SetLabels(t.Context(), id, map[string]string{"env": "prod"})
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9, s.SaveSetting(t.Context(), "key", []byte{0, 255}), s.SaveTrend(t.Context(), noon, noon),
		s.Note(t.Context(), Deed{At: noon, Who: "anna"}), s.OfferTOTP(t.Context(), u.ID, "secret"), s.NewPasskey(t.Context(), Passkey{ID: "p", Name: "phone", User: u.ID}, noon)); err != nil {
		t.Fatal(err)
	}
}

func backupOf(t testing.TB, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dump gives every row of a store, unpacked and without the line that says when.
func dump(t *testing.T, s *Store) []string {
	t.Helper()
	lines := strings.Split(unzip(t, backupOf(t, s)), "\n")[1:]
	slices.Sort(lines) // tables have no order of rows
	return lines
}

func TestABackupMovesAFleetToEitherDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, from string) {
		s := open(t, from)
		fill(t, s)
		before := dump(t, s)
		backup := backupOf(t, s)
		onBoth(t, func(t *testing.T, to string) {
			target := open(t, to)
			if _, err := target.Setting(t.Context(), "key", func() ([]byte, error) { return []byte("its own"), nil }); err != nil {
				t.Fatal(err)
			}
			if err := target.Restore(t.Context(), bytes.NewReader(backup)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, dump(t, target)); diff != "" {
				t.Errorf("(-from +to):\n%s", diff)
			}
			countAgain(t, target)
			if err := target.Restore(t.Context(), bytes.NewReader(backup)); !errors.Is(err, ErrNotEmpty) {
				t.Errorf("a second time: %v", err)
			}
		})
	})
}

func TestWhatAHostCanSayCanBeRestored(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		from := open(t, filepath.Join(t.TempDir(), "from.db"))
		id := enrol(t, from, "web1")
		// What is kept as JSON in JSON grows: < becomes \\u003c.
		names := slices.Repeat([]string{strings.Repeat("<", fleet.PlainLimit)}, wire.MaxReport/fleet.PlainLimit/16)
		u := fleet.Update{Source: "docker", Name: "nginx:1", ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Rebuild, Containers: names}}
		say(t, from, id, 1, fleet.Finding{Source: "docker", Updates: []fleet.Update{u}})
		if err := open(t, dsn).Restore(t.Context(), bytes.NewReader(backupOf(t, from))); err != nil {
			t.Error(err)
		}
	})
}

// latest is this program's version of the schema.
func latest(t testing.TB) int64 {
	t.Helper()
	names, err := migrationNames()
	if err != nil {
		t.Fatal(err)
	}
	return int64(len(names))
}

func TestABackupOfAnOlderVersionIsRestoredAndBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	old := open(t, path)
	if err := old.inTx(t.Context(), func(c conn) error { return (&restoring{c: c, schema: latest(t)}).goBack(t.Context(), 1) }); err != nil {
		t.Fatal(err)
	}
	enrol(t, old, "web1")
	backup := backupOf(t, old)
	if text := unzip(t, backup); !strings.Contains(text, `"schema":1,`) || strings.Contains(text, `"table":"users"`) {
		t.Fatalf("it is not of version 1:\n%s", text)
	}
	want := dump(t, open(t, path)) // which brings it up to date
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		before := dump(t, s)
		if err := s.Restore(t.Context(), bytes.NewReader(backup[:len(backup)-1])); err == nil {
			t.Error("one that is cut off was restored")
		}
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Errorf("it changed something:\n%s", diff)
		}
		if err := s.Restore(t.Context(), bytes.NewReader(backup)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(t, s)); diff != "" {
			t.Errorf("(-migrated +restored):\n%s", diff)
		}
		fill(t, open(t, dsn))
	})
}

func TestOfTwoWhoRestoreAtTheSameTimeOneFindsAFleet(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		from := open(t, filepath.Join(t.TempDir(), "from.db"))
		fill(t, from)
		backup, s := backupOf(t, from), open(t, dsn)
		var refused atomic.Int32
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				if err := s.Restore(t.Context(), bytes.NewReader(backup)); errors.Is(err, ErrNotEmpty) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		if work.Wait(); refused.Load() != 3 {
			t.Errorf("%d of 4 were refused", refused.Load())
		}
		if diff := cmp.Diff(dump(t, from), dump(t, s)); diff != "" {
			t.Errorf("(-from +to):\n%s", diff)
		}
	})
}

// during is a file: what is done when the first of it is written happens while the backup is made.
type during struct {
	bytes.Buffer
	do func()
}

func (d *during) Write(b []byte) (int, error) {
	if d.do != nil {
		d.do()
		d.do = nil
	}
	return d.Buffer.Write(b)
}

func TestABackupIsOfOneMomentAndKeepsNobodyWaiting(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		fill(t, s)
		before := dump(t, s)
		file := during{do: func() {
			enrol(t, s, "web2")
			if _, err := s.NewGroup(t.Context(), "late", "", noon); err != nil {
				t.Error(err)
			}
		}}
		if err := s.Backup(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(unzip(t, file.Bytes()), "\n")[1:]
		if slices.Sort(lines); !slices.Equal(before, lines) {
			t.Errorf("what came in between is in it:\n%s", cmp.Diff(before, lines))
		}
	})
}

func TestEveryTableIsBackedUp(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	fill(t, s)
	have := map[string]bool{}
	text := strings.Join(dump(t, s), "\n")
	err := s.reader().all(t.Context(), func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		have[name] = true
		return err
	}, `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	for name := range have {
		if name != "schema_version" && !slices.Contains(notKept[:], name) && !strings.Contains(text, `{"table":"`+name+`"`) {
			t.Errorf("%s is not in the backup", name)
		}
	}
	names, err := keptTables(latest(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var n int
		if err := s.reader().one(t.Context(), []any{&n}, `SELECT COUNT(*) FROM `+name); err != nil || n == 0 {
			t.Errorf("the test puts nothing into %s: %v", name, err)
		}
	}
}

func TestABackupThatIsNotWholeChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, filepath.Join(t.TempDir(), "from.db"))
		fill(t, s)
		target := open(t, dsn)
		empty := dump(t, target)
		whole, bare := unzip(t, backupOf(t, s)), unzip(t, backupOf(t, target))
		for name, text := range map[string]string{
			"nothing":             "",
			"cut off":             whole[:len(whole)/2],
			"without its end":     whole[:strings.LastIndex(strings.TrimSpace(whole), "\n")+1],
			"a row less":          strings.Replace(whole, lineWith(whole, `"production"`), "", 1),
			"a table of its own":  strings.Replace(whole, `{"table":"users"`, `{"table":"schema_version"`, 1),
			"a column of its own": strings.Replace(whole, `"columns":["id",`, `"columns":["id; DROP TABLE users",`, 1),
			"a row that is short": strings.Replace(whole, lineWith(whole, `"production"`), "[1]\n", 1),
			"a text for a number": strings.Replace(whole, `"env=prod",1772452800000]`, `"env=prod","soon"]`, 1),
			"a row that is long":  strings.Replace(whole, `"env=prod",1772452800000]`, `"env=prod",1772452800000,1]`, 1),
			"a column less":       strings.Replace(bare, `"query",`, ``, 1),
			"a number for a text": strings.Replace(whole, `,"production",`, `,7,`, 1),
			"nothing for a text":  strings.Replace(whole, `,"production",`, `,null,`, 1),
			"no table":            whole[:strings.Index(whole, "\n")+1] + "{\"rows\":0}\n",
			"a table twice":       strings.Replace(whole, lineWith(whole, `{"table":"groups"`), strings.Repeat(lineWith(whole, `{"table":"groups"`), 2), 1),
			"another version":     strings.Replace(whole, `"schema":`, `"schema":9`, 1),
		} {
			if text == whole || text == bare {
				t.Errorf("%s is nothing else", name)
			}
			if err := target.Restore(t.Context(), bytes.NewReader(zip(t, text))); err == nil {
				t.Fatalf("%s: it was restored", name)
			}
			if diff := cmp.Diff(empty, dump(t, target)); diff != "" {
				t.Errorf("%s changed something:\n%s", name, diff)
			}
		}
		if err := target.Restore(t.Context(), strings.NewReader("SQLite format 3")); !errors.Is(err, ErrBackup) {
			t.Errorf("another file: %v", err)
		}
	})
}

func TestABackupThatLostABitIsRefused(t *testing.T) {
	from := open(t, filepath.Join(t.TempDir(), "from.db"))
	fill(t, from)
	whole := backupOf(t, from)
	to := open(t, filepath.Join(t.TempDir(), "to.db"))
	refused := func(what string, data []byte) {
		if err := to.Restore(t.Context(), bytes.NewReader(data)); err == nil {
			t.Fatalf("%s, and it was restored", what)
		}
	}
	const step, ends = 97, 20 // bytes: some of the middle, and all of both ends, where the checksum is
	for i := gzipHeader; i < len(whole); i++ {
		if i > ends && i < len(whole)-ends && i%step != 0 {
			continue
		}
		refused(fmt.Sprintf("cut off after %d of %d bytes", i, len(whole)), whole[:i])
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		refused(fmt.Sprintf("byte %d of %d is another", i, len(whole)), damaged)
	}
	refused("something behind it", append(bytes.Clone(whole), zip(t, "[1]\n")...))
}

// gzipHeader is the length of what stands before the data and says when it was packed: bits there change nothing (RFC 1952 §2.3).
const gzipHeader = 10

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return "?"
}

func unzip(t testing.TB, data []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzRestore(f *testing.F) {
	s, err := Open(context.Background(), filepath.Join(f.TempDir(), "fleet.db"))
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	f.Add(unzip(f, backupOf(f, s)))
	f.Add(strings.Replace(unzip(f, backupOf(f, s)), `"schema":`, `"schema":1,"was":`, 1))
	f.Add("{\"redflag_backup\":1,\"schema\":3}\n{\"table\":\"groups\",\"columns\":[\"id\",\"name\",\"query\",\"created_at\"]}\n[1,\"a\",\"b\",2]\n")
	f.Fuzz(func(t *testing.T, text string) {
		err := s.Restore(t.Context(), bytes.NewReader(zip(t, text)))
		if err != nil {
			return
		}
		if !strings.Contains(text, "rows") {
			t.Error("a backup without its end was restored")
		}
		err = s.inTx(t.Context(), func(c conn) error {
			names, err := keptTables(latest(t))
			for _, n := range names {
				_, e := c.exec(t.Context(), `DELETE FROM `+n)
				err = errors.Join(err, e)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
