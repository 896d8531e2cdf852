package store

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

// brokenReader breaks off after its text.
type brokenReader struct{ io.Reader }

var errBroken = errors.New("the line broke")

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return n, err
}

// feedParts counts what is kept of feeds' files.
func feedParts(t testing.TB, s *Store) (n int) {
	t.Helper()
	if err := s.reader().one(t.Context(), []any{&n}, `SELECT COUNT(*) FROM feed_parts`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAFeedIsReplacedAsAWholeByOneOfTwo(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		large := strings.Repeat("advisories ", feedPart/5) // more than two parts
		read := func() (Feed, string) {
			t.Helper()
			list, err := s.Feeds(t.Context())
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			var b bytes.Buffer
			if err := s.ReadFeed(t.Context(), list[0], &b); err != nil {
				t.Fatal(err)
			}
			return list[0], b.String()
		}
		save := func(before, text string) error {
			return s.SaveFeed(t.Context(), Feed{Name: "osv:Debian", About: "{}", CheckedAt: noon}, before, strings.NewReader(text), noon)
		}
		if err := save("", large); err != nil {
			t.Fatal(err)
		}
		first, text := read()
		if text != large || first.Size != int64(len(large)) || feedParts(t, s) != 3 {
			t.Fatalf("%d bytes in %d parts, %+v", len(text), feedParts(t, s), first)
		}
		if err := s.SaveFeed(t.Context(), Feed{Name: "osv:Debian"}, first.Digest, brokenReader{strings.NewReader(large[1:])}, noon); !errors.Is(err, errBroken) {
			t.Errorf("one that breaks off: %v", err)
		}
		if _, text := read(); text != large || feedParts(t, s) != 3 {
			t.Error("it is not what it was, or something was left behind")
		}
		if err := save(first.Digest, "newer"); err != nil {
			t.Fatal(err)
		}
		if err := save(first.Digest, "at the same time"); !errors.Is(err, ErrOtherFeed) {
			t.Errorf("the second of two: %v", err)
		}
		if _, text := read(); text != "newer" || feedParts(t, s) != 1 {
			t.Errorf("%q in %d parts", text, feedParts(t, s))
		}
		if err := s.ReadFeed(t.Context(), first, io.Discard); !errors.Is(err, ErrOtherFeed) {
			t.Errorf("what was replaced: %v", err)
		}
		if err := s.writeFeed(t.Context(), &Feed{body: 7}, strings.NewReader("of who died"), noon); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.TidyFeeds(t.Context(), noon.Add(time.Hour))); err != nil || feedParts(t, s) != 2 {
			t.Errorf("one that may be written still: %v, %d", err, feedParts(t, s))
		}
		if err := s.TidyFeeds(t.Context(), noon.Add(unfinished+time.Hour)); err != nil || feedParts(t, s) != 1 {
			t.Errorf("%v, %d", err, feedParts(t, s))
		}
		if err := s.writeFeed(t.Context(), &Feed{body: 8}, strings.NewReader(strings.Repeat("large ", 22*feedPart/6)), noon); err != nil {
			t.Fatal(err)
		}
		if n, err := s.dropParts(t.Context(), 8); err != nil || n != feedRows { // and whoever did so has died
			t.Fatal(n, err)
		}
		if err := s.TidyFeeds(t.Context(), noon.Add(unfinished+time.Hour)); err != nil || feedParts(t, s) != 1 {
			t.Errorf("what was half deleted: %v, %d", err, feedParts(t, s))
		}
		if err := s.DeleteFeed(t.Context(), "osv:Debian"); err != nil || feedParts(t, s) != 0 {
			t.Errorf("%v, %d", err, feedParts(t, s))
		}
	})
}

func TestASuppressionNeedsAnOwnerAReasonAndALastDay(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		good := Suppression{ID: "CVE-2026-0001", Package: "openssl", Status: "not_affected", Owner: " ada ", Reason: "we speak no DTLS", Until: noon.Truncate(24 * time.Hour)}
		for what, spoil := range map[string]func(*Suppression){
			"an owner": func(s *Suppression) { s.Owner = " " }, "a reason": func(s *Suppression) { s.Reason = "" }, "a name": func(s *Suppression) { s.ID = "" },
			"a status": func(s *Suppression) { s.Status = "fine" }, "a day to come": func(s *Suppression) { s.Until = noon.AddDate(0, 0, -1) },
			"plain texts": func(s *Suppression) { s.Reason = "a\x1b[31mb" },
		} {
			bad := good
			spoil(&bad)
			if _, err := s.NewSuppression(t.Context(), bad, noon); !errors.Is(err, ErrSuppression) {
				t.Errorf("without %s: %v", what, err)
			}
		}
		made, err := s.NewSuppression(t.Context(), good, noon)
		if err != nil || made.Owner != "ada" || !made.Holds(noon) || made.Holds(noon.AddDate(0, 0, 1)) {
			t.Fatalf("%+v, %v", made, err)
		}
		list, err := s.Suppressions(t.Context(), noon)
		if err != nil || len(list) != 1 || list[0] != made || list[0].Expired {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err = s.Suppressions(t.Context(), noon.AddDate(0, 0, 1)); err != nil || !list[0].Expired {
			t.Errorf("the day after: %+v, %v", list, err)
		}
		if gone, err := s.DeleteSuppression(t.Context(), made.Suppression); err != nil || gone.ID != made.ID {
			t.Errorf("%+v, %v", gone, err)
		}
	})
}

func TestAnOfferSaysTheMostThatAnyAgentSaysOfItAndNoHostsAdvice(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := enrol(t, s, "a"), enrol(t, s, "b")
		bare, more := anUpdate("openssl", "1", "2"), anUpdate("openssl", "1", "2")
		more.Build = &fleet.Build{Ecosystem: "Debian:12", Package: "openssl", From: "1", To: "2"}
		advised := more
		advised.Advice = &fleet.Advice{Bucket: fleet.Track, Because: "the host's own feeds say so"}
		if offerID(bare) != offerID(advised) {
			t.Error("advice makes it another update")
		}
		offer := func() fleet.Update {
			t.Helper()
			o, err := s.Offer(t.Context(), offerID(bare))
			if err != nil || o.Update.Advice != nil {
				t.Fatalf("%+v, %v", o, err)
			}
			return o.Update
		}
		say(t, s, a, 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{bare}})
		if u := offer(); u.Build != nil {
			t.Errorf("%+v", u)
		}
		say(t, s, a, 2, fleet.Finding{Source: "apt", Updates: []fleet.Update{advised}})
		if u := offer(); u.Build == nil {
			t.Error("the same host says more, and it is not kept")
		}
		say(t, s, b, 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{bare}})
		if u := offer(); u.Build == nil {
			t.Error("another host says less, and that is kept")
		}
		list, err := s.HostUpdates(t.Context(), a)
		if err != nil || list[0].Update.Advice != nil {
			t.Errorf("%+v, %v", list, err)
		}
		countAgain(t, s)
	})
}
