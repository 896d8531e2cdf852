package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// metered counts what goes over a client's connections, both ways.
func metered(c *wire.Client) *atomic.Int64 {
	var n atomic.Int64
	c.HTTP = &http.Client{Transport: &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return meter{conn, &n}, err
		},
	}}
	return &n
}

type meter struct {
	net.Conn
	n *atomic.Int64
}

func (m meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.n.Add(int64(n))
	return n, err
}

func (m meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.n.Add(int64(n))
	return n, err
}

// maxCheckIn is what a check-in that says that nothing has changed may take, in bytes, question and answer together.
const maxCheckIn = 600

func TestACheckInWithNothingNewIsSmall(t *testing.T) {
	f := newFleet(t)
	c, _ := f.join(t, "m1")
	const session = "ABCDEFGHJKLM" // as long as an agent's
	digests := wire.Digests{"host": "AAAAAAAAAAAA", "packages": "AAAAAAAAAAAA", "containers": "AAAAAAAAAAAA", "finding/apt": "AAAAAAAAAAAA", "finding/docker": "AAAAAAAAAAAA"}
	in := wire.CheckIn{
		Session: session,
		Level:   wire.Level, State: digests.State(),
		Scanned: map[string]int64{"apt": 1772452800, "docker": 1772452800}, AsOf: map[string]int64{"apt": 1772452800, "docker": 1772452800},
	}
	r := wire.Report{Session: session, Level: wire.Level, Sequence: 1, Digests: digests, Host: &fleet.Host{Name: "web1"}, Packages: &wire.PackageChange{}, Containers: &wire.ContainerSet{}}
	for _, source := range []string{"apt", "docker"} {
		r.Findings = append(r.Findings, fleet.Finding{Source: source, State: fleet.OK})
	}
	if _, err := c.CheckIn(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if send, err := c.Report(t.Context(), r); err != nil || len(send) > 0 {
		t.Fatal(send, err)
	}
	n := metered(c)
	if send, err := c.CheckIn(t.Context(), in); err != nil || len(send) > 0 {
		t.Fatalf("%q, %v", send, err)
	}
	if n.Load() > maxCheckIn {
		t.Errorf("%d bytes, want at most %d", n.Load(), maxCheckIn)
	}
	t.Logf("%d bytes", n.Load())
}

func TestAChangeOfFivePackagesIsSmall(t *testing.T) {
	f := newFleet(t)
	c, _ := f.join(t, "m1")
	r := aReport(1)
	r.Packages = &wire.PackageChange{Base: ""}
	for i := range 40 {
		u := fleet.Update{Source: "apt", Name: fmt.Sprintf("libexample%d-dev", i), Arch: "amd64", From: fmt.Sprintf("1.%d.3-2+deb12u1", i), To: fmt.Sprintf("1.%d.3-2+deb12u2", i),
			Origin: "Debian-Security/bookworm-security", Size: int64(12_345 * i), Summary: "library of examples, number " + fmt.Sprint(i), Security: i%5 == 0}
		r.Findings[0].Updates = append(r.Findings[0].Updates, u)
	}
	for i := range 5 {
		p := fleet.Package{Source: "apt", Name: fmt.Sprintf("libexample%d-dev", i), Arch: "amd64", Version: "1.2.3-2+deb12u2", From: "example"}
		r.Packages.Added = append(r.Packages.Added, p)
		p.Version = "1.2.3-2+deb12u1"
		r.Packages.Removed = append(r.Packages.Removed, p)
	}
	n := metered(c)
	if send, err := c.Report(t.Context(), r); err != nil || len(send) > 0 {
		t.Fatalf("%q, %v", send, err)
	}
	if n.Load() > 3000 {
		t.Errorf("%d bytes, want at most 3,000", n.Load())
	}
	t.Logf("%d bytes", n.Load())
}
