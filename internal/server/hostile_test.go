package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"redflag/internal/wire"
)

// send posts bytes, signed as a host, and gives the status.
func send(t *testing.T, c *wire.Client, path string, body []byte, encoding string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Server+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	c.Signer.Sign(req, body)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// zipped compresses n bytes of one value.
func zipped(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range n >> 20 {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// many gives so many members of an object.
func many(name string, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%s%d":"x"`, name, i)
	}
	return b.String()
}

func TestAHostileAgentIsRefusedAndTouchesNobodyElse(t *testing.T) {
	f := newFleet(t)
	f.hosts.burst, f.guests.burst = 1000, 1000
	good, goodID := f.join(t, "good")
	if _, err := good.Report(t.Context(), aReport(1, "curl")); err != nil {
		t.Fatal(err)
	}
	bad, badID := f.join(t, "bad")
	finding := func(fields string) string {
		return `{"level":1,"session":"s1","sequence":1,"digests":{},"findings":[{` + fields + `}]}`
	}
	for name, c := range map[string]struct {
		body     string
		encoding string
		want     int
	}{
		"no JSON":                 {"<html>", "", http.StatusBadRequest},
		"nested deep":             {strings.Repeat(`{"host":`, 100_000), "", http.StatusBadRequest},
		"another type":            {`{"sequence":"one"}`, "", http.StatusBadRequest},
		"no sequence":             {`{"level":1,"session":"s1"}`, "", http.StatusUnprocessableEntity},
		"a sequence below zero":   {`{"session":"s1","sequence":-1}`, "", http.StatusUnprocessableEntity},
		"a finding of nothing":    {finding(`"state":"ok"`), "", http.StatusUnprocessableEntity},
		"a state of its own":      {finding(`"source":"apt","state":"fine"`), "", http.StatusUnprocessableEntity},
		"unknown, and no reason":  {finding(`"source":"apt","state":"unknown"`), "", http.StatusUnprocessableEntity},
		"too large":               {strings.Repeat(" ", wire.MaxBody+1), "", http.StatusRequestEntityTooLarge},
		"a bomb":                  {string(zipped(t, wire.MaxReport+2<<20)), "gzip", http.StatusUnprocessableEntity},
		"no gzip":                 {"{}", "gzip", http.StatusBadRequest},
		"an encoding of its own":  {"{}", "br", http.StatusBadRequest},
		"too many updates":        {finding(`"source":"apt","state":"ok","updates":[` + strings.Repeat("{},", wire.MaxUpdates) + `{}]`), "", http.StatusUnprocessableEntity},
		"a year that is none":     {finding(`"source":"apt","state":"ok","scanned_at":"99999-01-01T00:00:00Z"`), "", http.StatusBadRequest},
		"a package of nine":       {`{"session":"s1","sequence":1,"packages":{"added":"a\tb\tc\td\te\tf\tg\th\ti"}}`, "", http.StatusBadRequest},
		"too many packages":       {`{"session":"s1","sequence":1,"packages":{"added":"` + strings.Repeat(`a\n`, wire.MaxPackages) + `"}}`, "", http.StatusBadRequest},
		"10,000 labels":           {`{"session":"s1","sequence":1,"digests":{` + strings.Repeat(`"a":"b",`, 10_000) + many("label", 10_000) + `}}`, "", http.StatusUnprocessableEntity},
		"zero bytes and no UTF-8": {finding(`"source":"apt","state":"ok","updates":[{"source":"apt","name":"a\u0000b` + "\xff" + `"}]`), "", http.StatusOK},
	} {
		if got := send(t, bad, wire.PathReport, []byte(c.body), c.encoding); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	got, err := f.store.Findings(t.Context(), badID)
	if err != nil || len(got) != 1 || len(got[0].Updates) != 1 || got[0].Updates[0].Name != "a\ufffdb\ufffd" {
		t.Errorf("its own: %+v, %v", got, err)
	}
	if got, err := f.store.Findings(t.Context(), goodID); err != nil || len(got) != 1 || got[0].Updates[0].Name != "curl" {
		t.Errorf("the other host's: %+v, %v", got, err)
	}
}

func TestAHostThatReportsWithoutEndIsSlowedDownAndNoOther(t *testing.T) {
	f := newFleet(t)
	loud, _ := f.join(t, "loud")
	quiet, _ := f.join(t, "quiet")
	refused := 0
	for range 3 * hostBurst {
		_, err := loud.CheckIn(t.Context(), wire.CheckIn{Session: "s1"})
		if code(err) == wire.CodeTooMany {
			refused++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if refused < hostBurst {
		t.Errorf("%d of %d were refused", refused, 3*hostBurst)
	}
	if _, err := quiet.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); err != nil {
		t.Errorf("the other host: %v", err)
	}
}

func TestAnAnswerThatIsNoServersOfOursIsSaidToBeNone(t *testing.T) {
	f := newFleet(t)
	c, _ := f.join(t, "m1")
	c.Server += "/elsewhere"
	if _, err := c.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); code(err) != wire.CodeNoRoute {
		t.Errorf("a path that is not there: %v", err)
	}
}

func TestCheckInsAreWrittenDownAndAFailureKeepsThem(t *testing.T) {
	f := newFleet(t)
	c, id := f.join(t, "m1")
	before, err := f.store.Host(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	if _, err := c.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.known.flush(gone); err == nil {
		t.Error("a flush that could not be done is no error")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := f.Run(ended); err == nil {
		t.Error("an ended server gives no reason")
	}
	after, err := f.store.Host(t.Context(), id)
	if err != nil || !after.SeenAt.After(before.SeenAt) {
		t.Errorf("seen %v, then %v, %v", before.SeenAt, after.SeenAt, err)
	}
}

func BenchmarkCheckIn(b *testing.B) {
	f := newFleet(b)
	f.hosts.burst, f.hosts.rate = 1e9, 1e9
	c, _ := f.join(b, "m1")
	if _, err := c.Report(b.Context(), aReport(1, "curl")); err != nil {
		b.Fatal(err)
	}
	in := wire.CheckIn{Session: "s1", Level: wire.Level, Digests: wire.Digests{"finding/apt": fmt.Sprint([]string{"curl"})}}
	for b.Loop() {
		if send, err := c.CheckIn(b.Context(), in); err != nil || len(send) > 0 {
			b.Fatal(send, err)
		}
	}
}
