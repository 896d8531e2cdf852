// Package server is the fleet's server. It has two doors: the agents', where hosts say what they have and fetch their orders,
// each request signed by a key that only that host has; and the people's. What an agent says is foreign: it is bounded, cleaned
// and believed of that host alone. What is answered is saved.
package server

import (
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"redflag/internal/exposure"
	"redflag/internal/registry"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// Config is what a server is made with.
type Config struct {
	Store *store.Store
	// OrderKey signs orders.
	OrderKey ed25519.PrivateKey
	// Interval is how long agents wait between check-ins.
	Interval time.Duration
	// Keep is how long history is kept.
	Keep time.Duration
	// TrustedProxies are whom X-Forwarded-For is believed from.
	TrustedProxies []netip.Prefix
	// Images asks image registries for all hosts of the fleet. What it may see every host may learn, so it must have no credentials;
	// without a cache it shares nothing. Nil means that hosts ask for themselves.
	Images *registry.Client
	// SharedRegistries are those that are asked for hosts, by their names in references. A host can make the server connect to any that
	// is on the list. Nil means well-known public ones.
	SharedRegistries []string
	// AdvisoryDir is a folder for copies of the feeds of advisories; without it there are none. Feeds are the addresses that are asked for them, daily; without any
	// nobody is asked.
	AdvisoryDir string
	Feeds       []string
	// Log gets what an operator should know; nil means none.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DefaultInterval is how long agents wait between check-ins.
const DefaultInterval = 5 * time.Minute

// Server answers agents and people. It is safe for many goroutines.
type Server struct {
	cfg      Config
	name     string // of this process among those on one database
	known    *known
	orders   *orders
	changes  *changes
	nonces   wire.Nonces
	guests   *limiter      // of the failures of addresses that nobody vouches for yet
	newcomer *limiter      // of enrolments, by address
	hosts    *limiter      // of hosts
	talkers  *limiter      // of what their tools say
	stopping chan struct{} // closed when waiting requests should return
	images   *images
	// imageAsks are questions about images, by host: so many that a check-in should not have to wait for them.
	imageAsks *limiter
	silence   silence // used by one goroutine
	feeds     *feeds
	exposure  *exposure.Exposure
}

// New makes a server. It serves as soon as its handlers do, and [Server.Run] must run beside them.
func New(cfg Config) *Server {
	if cfg.Interval == 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Keep == 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	known := exposure.New(cfg.Store, cfg.Now)
	return &Server{
		exposure: known, feeds: &feeds{store: cfg.Store, dir: cfg.AdvisoryDir, exposure: known},
		cfg: cfg, name: rand.Text(), known: newKnown(cfg.Store), orders: newOrders(cfg.Store), changes: newChanges(), stopping: make(chan struct{}),
		guests: newLimiter(guestRate, guestBurst), newcomer: newLimiter(newcomerRate, newcomerBurst), hosts: newLimiter(hostRate, hostBurst), talkers: newLimiter(talkRate, talkBurst),
		images: newImages(cfg), imageAsks: newLimiter(imagesRate, imagesBurst),
	}
}

// Agents is the agents' door.
func (s *Server) Agents() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+wire.PathEnroll, s.asGuest(s.enroll))
	mux.Handle("POST "+wire.PathCheckIn, s.asHost(s.checkIn))
	mux.Handle("POST "+wire.PathReport, s.asHost(s.report))
	mux.Handle("POST "+wire.PathOrders, s.asHost(s.waitForOrders))
	mux.Handle("POST "+wire.PathResults, s.asHost(s.result))
	mux.Handle("POST "+wire.PathProgress, s.asHostWithin(s.talkers, s.progress))
	mux.Handle("POST "+wire.PathLeave, s.asHost(s.leave))
	mux.Handle("POST "+wire.PathImages, s.asHostWithin(s.imageAsks, s.askImages))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, errNoRoute) })
	return mux
}
