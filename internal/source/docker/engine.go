package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

// engine is a container engine. A scan asks it, and never tells it anything.
type engine struct {
	brand    brand
	host     string
	scheme   string // http or https, over TCP
	version  string // of the API that it speaks itself; the client's may be older
	getenv   func(string) string
	api      *client.Client
	wires    wires
	patience time.Duration
	// libpod: it is Podman, whichever source has found it; its own API then has a version too, a string.
	libpod        atomic.Bool
	libpodVersion atomic.Value
	// owner is the user whose containers it has; root's where that is not known.
	owner int
	// forbidden: its socket is not for us. The client does not keep this cause of an error.
	forbidden atomic.Bool
	// hung is set when an answer did not come in time: nothing more is waited for.
	hung atomic.Bool
	// places bounds the requests under way at once.
	places chan struct{}
	// mu guards what this scan asks of images, each once, and what it has learnt.
	mu          sync.Mutex
	inspections map[detailsKey]func() (details, error)
	learnt      map[fleet.ImageID]details
	// What Compose has said of projects, and of itself.
	composeHashes  map[string]func() (map[string]string, error)
	classicCompose map[string]bool
}

// wires are the connections to an engine.
type wires interface {
	http.RoundTripper
	CloseIdleConnections()
}

// maxRequests is how many inspections are under way at once: enough to hide the round trips, too few to be felt.
const maxRequests = 6

// connect finds out whether an engine answers, and in which version of the API it is spoken to.
func connect(ctx context.Context, s *Source, host string) (*engine, error) {
	e := newEngine(s, host)
	wires, scheme, err := e.wire(host, s.getenv)
	if err != nil {
		return nil, err
	}
	e.wires, e.scheme = wires, scheme
	return e, e.open(ctx, scheme)
}

func newEngine(s *Source, host string) *engine {
	return &engine{
		brand: s.brand, host: host, patience: s.patience, getenv: s.getenv, owner: ownerOfSocket(host),
		places:      make(chan struct{}, maxRequests),
		inspections: map[detailsKey]func() (details, error){}, learnt: map[fleet.ImageID]details{},
		composeHashes: map[string]func() (map[string]string, error){}, classicCompose: map[string]bool{},
	}
}

// open says the first word over the connections.
func (e *engine) open(ctx context.Context, scheme string) (err error) {
	// The address is given before the connections, because the client would lay its own over them otherwise.
	e.api, err = client.New(client.WithHost(e.host), client.WithHTTPClient(&http.Client{Transport: e, CheckRedirect: client.CheckRedirect}), client.WithScheme(scheme))
	if err != nil {
		return e.explain(ctx, err)
	}
	err = e.ask(ctx, func(ctx context.Context) error {
		r, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
		e.version = r.APIVersion
		return err
	})
	if err != nil {
		e.close()
	}
	return err
}

// close lets the connections go.
func (e *engine) close() { e.wires.CloseIdleConnections() }

// ask does one request, waits for it no longer than the engine is given, and explains what goes wrong.
func (e *engine) ask(ctx context.Context, request func(context.Context) error) error {
	if e.hung.Load() {
		return e.silent()
	}
	limited, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	err := request(limited)
	if err == nil {
		return nil
	}
	return e.explain(ctx, err)
}

func (e *engine) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		e.hung.Store(true)
		return e.silent()
	case e.forbidden.Load():
		return &fleet.Unknown{Because: fmt.Sprintf("no permission to ask %s at %s", e.brand.title, addressOf(e.host)), Remedy: e.brand.allow, Err: err}
	case client.IsErrConnectionFailed(err):
		return &fleet.Unknown{Because: fmt.Sprintf("%s is not running: nothing answers at %s", e.brand.title, addressOf(e.host)), Remedy: e.brand.start, Err: err}
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("%s at %s gave no answer that can be used: %s", e.brand.title, addressOf(e.host), fleet.Plain(strings.ReplaceAll(err.Error(), e.host, addressOf(e.host)))),
		Remedy:  "see what listens there: a container engine with API 1.40 (Docker 19.03, Podman 3) or later is needed",
		Err:     err,
	}
}

// addressOf gives an engine's address to show, without the secret that somebody may have put into it.
func addressOf(host string) string {
	u, err := url.Parse(host)
	if err != nil {
		return "its address"
	}
	return fleet.Plain(u.Redacted())
}

func (e *engine) silent() error {
	return &fleet.Unknown{
		Because: fmt.Sprintf("%s at %s did not answer within %s", e.brand.title, addressOf(e.host), e.patience),
		Remedy:  fmt.Sprintf("see why it is slow: `%s ps`, `journalctl -u %s`", e.brand.name, e.brand.name),
		Err:     context.DeadlineExceeded,
	}
}

// look lists what the engine runs and has, in two requests, and looks closer where the lists leave a question open.
func (e *engine) look(ctx context.Context) (inventory, error) {
	var containers []container.Summary
	var images []image.Summary
	var wg sync.WaitGroup
	var errContainers, errImages error
	wg.Go(func() {
		errContainers = e.ask(ctx, func(ctx context.Context) error {
			r, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
			containers = r.Items
			return err
		})
	})
	wg.Go(func() {
		errImages = e.ask(ctx, func(ctx context.Context) error {
			r, err := e.api.ImageList(ctx, client.ImageListOptions{})
			images = r.Items
			return err
		})
	})
	wg.Wait()
	if errContainers != nil {
		return inventory{}, errContainers
	}
	if errImages != nil {
		return inventory{}, errImages
	}
	inv := takeInventory(containers, images, e.libpod.Load())
	for i := range inv.containers {
		inv.containers[i].name = e.called(inv.containers[i].name)
	}
	e.lookCloser(ctx, &inv)
	return inv, ctx.Err()
}

// lookCloser inspects the containers whose entry in the list does not say which reference they were made from (the engine puts an
// ID in its place once the tag has moved on), and the images that the list left out.
func (e *engine) lookCloser(ctx context.Context, inv *inventory) {
	unlisted := inv.unlisted()
	var wg sync.WaitGroup
	for i := range inv.containers {
		c := &inv.containers[i]
		if isFullID(c.asked) {
			wg.Go(func() { e.inspectContainer(ctx, c) })
		}
	}
	for _, id := range unlisted {
		img := &stored{id: id}
		inv.images[id] = img
		wg.Go(func() { e.inspectUnlisted(ctx, img) })
	}
	wg.Wait()
	// One that was removed since the list was made is no longer there to be answered for.
	inv.containers = slices.DeleteFunc(inv.containers, func(c running) bool { return errdefs.IsNotFound(c.err) })
}

func (e *engine) inspectContainer(ctx context.Context, c *running) {
	e.places <- struct{}{}
	defer func() { <-e.places }()
	c.err = e.ask(ctx, func(ctx context.Context) error {
		r, err := e.api.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
		if err == nil && r.Container.Config != nil && r.Container.Config.Image != "" {
			c.asked = r.Container.Config.Image
		}
		return err
	})
}

// inspectUnlisted looks at an image that a container runs and that the list does not have: a layer that others are built on,
// or one that was deleted by force.
func (e *engine) inspectUnlisted(ctx context.Context, img *stored) {
	e.places <- struct{}{}
	defer func() { <-e.places }()
	img.err = e.ask(ctx, func(ctx context.Context) error {
		r, err := e.api.ImageInspect(ctx, string(img.id))
		img.tags, img.digests = tagsOf(r.RepoTags), digestsOf(r.RepoDigests)
		return err
	})
}
