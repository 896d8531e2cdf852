package serve

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/registry"
	"redflag/internal/server"
	"redflag/internal/store"
)

// Fleet is a fleet's server that listens. It answers while [Fleet.Run] runs.
type Fleet struct {
	// URL is how agents and people reach it.
	URL   string
	Store *store.Store

	claim    io.Closer
	opt      Options
	server   *server.Server
	vouched  vouched
	listener net.Listener
	http     *http.Server
	programs programs
	meters   *meters
	images   *registry.Client
}

// OpenStore opens the database of a server, which may run at the time or not.
func OpenStore(ctx context.Context, o Options) (*store.Store, error) {
	if o.Database == "" {
		if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
	}
	return store.Open(ctx, o.DSN())
}

// orderKey reads the key that signs orders, or makes it.
func orderKey(ctx context.Context, s *store.Store) (ed25519.PrivateKey, error) {
	seed, err := s.Setting(ctx, "order key", func() ([]byte, error) {
		_, key, err := ed25519.GenerateKey(nil)
		return key.Seed(), err
	})
	if err == nil && len(seed) != ed25519.SeedSize {
		err = errors.New("the key that signs orders is damaged in the database")
	}
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Open opens the database and begins to listen, so that what is wrong is known at once. Run must follow.
func Open(ctx context.Context, o Options) (*Fleet, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	claim, err := o.Claim()
	if err != nil {
		return nil, err
	}
	s, err := OpenStore(ctx, o)
	if err != nil {
		return nil, errors.Join(err, claim.Close())
	}
	f := &Fleet{Store: s, claim: claim, opt: o, programs: programs{dir: filepath.Join(o.DataDir, programsDir)}}
	if err := f.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close(), claim.Close())
	}
	return f, nil
}

func (f *Fleet) open(ctx context.Context) error {
	key, err := orderKey(ctx, f.Store)
	if err != nil {
		return err
	}
	if f.vouched, err = f.opt.vouch(ctx, f.Store); err != nil {
		return err
	}
	if f.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", f.opt.Listen); err != nil {
		return &fleet.Unknown{Because: "the server cannot listen: " + err.Error(), Remedy: "another program may listen there: stop it, or choose another address with --listen HOST:PORT", Err: err}
	}
	f.URL = f.opt.url(f.listener.Addr())
	if err := saveAddress(ctx, f.Store, Address{URL: f.URL, Fingerprint: f.vouched.fingerprint, Pin: f.vouched.pin}); err != nil {
		return errors.Join(err, f.listener.Close())
	}
	// Anonymous, whatever the server's own user is signed in to: what it learns every host may learn.
	f.images = registry.New(registry.Config{CacheDir: filepath.Join(f.opt.DataDir, "images"), UserAgent: "redflag/" + f.opt.Version, Log: f.opt.Log})
	f.server = server.New(server.Config{
		Images: f.images, SharedRegistries: f.opt.SharedRegistries, AdvisoryDir: filepath.Join(f.opt.DataDir, "advisories"), Feeds: f.opt.Feeds,
		Store: f.Store, OrderKey: key, Interval: f.opt.Interval, Keep: f.opt.Keep, Log: f.opt.Log, TrustedProxies: f.opt.TrustedProxies,
	})
	f.meters = f.newMeters()
	routes, err := f.routes()
	if err != nil {
		return errors.Join(err, f.listener.Close())
	}
	f.http = &http.Server{
		Handler:           routes,
		TLSConfig:         f.vouched.config,
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idleLife,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(quiet{f.opt.Log.Handler()}, slog.LevelDebug),
	}
	return nil
}

// Bounds of a connection. What a request may take to send its body is bounded where it is read.
const (
	headerPatience = 10 * time.Second
	idleLife       = 2 * time.Minute
	maxHeader      = 16 << 10
	// stopPatience is how long requests may take to end when the server is stopped.
	stopPatience = 10 * time.Second
)

// Run serves until ctx ends, and then ends what is under way in good order. The store is closed afterwards.
func (f *Fleet) Run(ctx context.Context) error {
	var work sync.WaitGroup
	background, stop := context.WithCancel(ctx)
	defer stop()
	work.Go(func() { _ = f.server.Run(background) })
	served := make(chan error, 1)
	go func() { served <- f.http.Serve(f.secured()) }()
	var err error
	select {
	case err = <-served: // the listener is broken
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
		defer cancel()
		f.server.Stop()
		if err = f.http.Shutdown(end); err != nil {
			err = errors.Join(fmt.Errorf("some requests were cut off: %w", err), f.http.Close())
		}
	}
	stop()
	work.Wait()
	f.images.Close()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, f.Store.Close(), f.claim.Close())
}

// Close lets go of what Open has opened, for who does not come to [Fleet.Run].
func (f *Fleet) Close() error {
	f.images.Close()
	return errors.Join(f.listener.Close(), f.Store.Close(), f.claim.Close())
}

// secured gives the listener, under TLS where there is a certificate.
func (f *Fleet) secured() net.Listener {
	if f.vouched.config == nil {
		return f.listener
	}
	return tls.NewListener(f.listener, f.vouched.config)
}

// quiet makes the standard library's complaints about single connections (scanners, cut connections) what they are: details.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}
