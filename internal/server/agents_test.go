package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// fleetOf is a server with an empty fleet.
type fleetOf struct {
	*Server
	store *store.Store
	url   string
}

func newFleet(t testing.TB) *fleetOf {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	srv := New(Config{Store: s, OrderKey: ed25519.NewKeyFromSeed(make([]byte, 32))})
	door := httptest.NewServer(srv.Agents())
	t.Cleanup(func() {
		door.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fleetOf{srv, s, door.URL}
}

// token makes an enrolment token.
func (f *fleetOf) token(t testing.TB, seats int) string {
	t.Helper()
	_, secret, err := f.store.NewToken(t.Context(), store.Token{Seats: seats, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// newcomer is a client with a key of its own and no ID yet.
func (f *fleetOf) newcomer(t testing.TB) (*wire.Client, wire.Enroll) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Client{Server: f.url, Signer: wire.Signer{KeyID: wire.NewKeyID, Key: private}}
	return c, wire.Enroll{Level: wire.Level, Key: public, Host: fleet.Host{Name: "web1"}}
}

// join enrols a host.
func (f *fleetOf) join(t testing.TB, machine string) (*wire.Client, fleet.HostID) {
	t.Helper()
	c, e := f.newcomer(t)
	e.Token, e.Machine = f.token(t, 1), machine
	got, err := c.Enroll(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	c.Signer.KeyID = got.Host.String()
	if _, err := c.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); err != nil {
		t.Fatal(err)
	}
	return c, got.Host
}

func aReport(sequence int64, names ...string) wire.Report {
	f := fleet.Finding{Source: "apt", State: fleet.OK, ScannedAt: time.Now().UTC().Truncate(time.Millisecond), Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	for _, n := range names {
		f.Updates = append(f.Updates, fleet.Update{Source: "apt", Name: n, From: "1", To: "2"})
	}
	return wire.Report{Level: wire.Level, Session: "s1", Sequence: sequence, Findings: []fleet.Finding{f}, Digests: wire.Digests{"finding/apt": fmt.Sprint(names)}}
}

// code gives the code of a refusal; empty where there is none.
func code(err error) wire.Code {
	var r *wire.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

func TestAHostEnrolsReportsAndHasNothingMoreToSay(t *testing.T) {
	f := newFleet(t)
	c, id := f.join(t, "m1")
	in := wire.CheckIn{Level: wire.Level, Session: "s1", Digests: wire.Digests{"finding/apt": "[curl]"}}
	if send, err := c.CheckIn(t.Context(), in); err != nil || len(send) != 1 || send[0] != "finding/apt" {
		t.Fatalf("before the report: %q, %v", send, err)
	}
	if send, err := c.Report(t.Context(), aReport(1, "curl")); err != nil || len(send) != 0 {
		t.Fatalf("report: %q, %v", send, err)
	}
	if send, err := c.CheckIn(t.Context(), in); err != nil || len(send) != 0 {
		t.Errorf("after it: %q, %v", send, err)
	}
	got, err := f.store.Findings(t.Context(), id)
	if err != nil || len(got) != 1 || len(got[0].Updates) != 1 || got[0].Updates[0].Name != "curl" {
		t.Errorf("stored: %+v, %v", got, err)
	}
}

func TestTheSameMachineEnrolledAgainIsTheSameHostAndItsOldKeyIsDead(t *testing.T) {
	f := newFleet(t)
	old, first := f.join(t, "m1")
	if _, err := old.Report(t.Context(), aReport(1, "curl")); err != nil {
		t.Fatal(err)
	}
	fresh, second := f.join(t, "m1")
	if first != second {
		t.Errorf("it was %s and is %s", first, second)
	}
	if _, err := fresh.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); err != nil {
		t.Error(err)
	}
	if _, err := old.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); code(err) != wire.CodeSignature {
		t.Errorf("the old key: %v", err)
	}
	if _, third := f.join(t, "m2"); third == first {
		t.Error("another machine is the same host")
	}
}

func TestSeatsHoldHoweverManyEnrolAtOnce(t *testing.T) {
	f := newFleet(t)
	f.guests.burst = 1000
	secret := f.token(t, 5)
	var mu sync.Mutex
	var wg sync.WaitGroup
	joined, refused := 0, 0
	for range 20 {
		c, e := f.newcomer(t)
		e.Token = secret
		wg.Go(func() {
			_, err := c.Enroll(context.Background(), e)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				joined++
			case code(err) == wire.CodeSeats:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if joined != 5 || refused != 15 {
		t.Errorf("%d joined and %d were refused", joined, refused)
	}
}

func TestWhoIsNotAHostOfTheFleetIsRefusedWithAReason(t *testing.T) {
	f := newFleet(t)
	f.guests.burst = 1000
	good, id := f.join(t, "m1")
	other, otherID := f.join(t, "m2")
	in := wire.CheckIn{Session: "s1"}
	ask := func(change func(c *wire.Client)) error {
		c := *good
		change(&c)
		_, err := c.CheckIn(t.Context(), in)
		return err
	}
	for name, c := range map[string]struct {
		change func(*wire.Client)
		want   wire.Code
	}{
		"another's ID":        {func(c *wire.Client) { c.Signer.KeyID = otherID.String() }, wire.CodeSignature},
		"another's key":       {func(c *wire.Client) { c.Signer.Key = other.Signer.Key }, wire.CodeSignature},
		"an ID that is none":  {func(c *wire.Client) { c.Signer.KeyID = "../../etc" }, wire.CodeUnsigned},
		"an ID of nobody":     {func(c *wire.Client) { c.Signer.KeyID = fleet.HostID(7).String() }, wire.CodeForgotten},
		"a clock of tomorrow": {func(c *wire.Client) { c.Signer.Now = func() time.Time { return time.Now().Add(24 * time.Hour) } }, wire.CodeClock},
	} {
		if err := ask(c.change); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if err := f.store.Forget(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	f.known.drop(id)
	if err := ask(func(*wire.Client) {}); code(err) != wire.CodeForgotten {
		t.Errorf("a forgotten host: %v", err)
	}
}

func TestAReplayChangesNothing(t *testing.T) {
	f := newFleet(t)
	c, _ := f.join(t, "m1")
	var sent *http.Request
	c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = r.Clone(context.Background())
		return http.DefaultTransport.RoundTrip(r)
	})}
	if _, err := c.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); err != nil {
		t.Fatal(err)
	}
	sent.Body, _ = sent.GetBody()
	resp, err := http.DefaultTransport.RoundTrip(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusConflict {
		t.Errorf("the same bytes again: %s", resp.Status)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestASiteOfManyHostsJoinsAtOnceAndWhoGuessesTokensIsSlowedDown(t *testing.T) {
	f := newFleet(t)
	secret := f.token(t, store.AnySeats)
	try := func(token string) error {
		c, e := f.newcomer(t)
		e.Token = token
		_, err := c.Enroll(t.Context(), e)
		return err
	}
	for range 3 * guestBurst {
		if err := try(secret); err != nil {
			t.Fatal(err)
		}
	}
	var last error
	for range 3 * guestBurst {
		last = try("rf_join_GUESSED")
	}
	if code(last) != wire.CodeTooMany {
		t.Errorf("after %d guesses: %v", 3*guestBurst, last)
	}
	if err := try(secret); code(err) != wire.CodeTooMany {
		t.Errorf("it guesses on and is let in when it hits: %v", err)
	}
}
