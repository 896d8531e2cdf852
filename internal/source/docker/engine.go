package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
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

// engine is a container engine that is asked, and never told, anything.
type engine struct {
	brand    brand
	host     string
	api      *client.Client
	patience time.Duration
	// libpod: it is Podman, whichever source has found it.
	libpod atomic.Bool
	// hung is set when an answer did not come in time: nothing more is waited for.
	hung atomic.Bool
	// places bounds the requests under way at once.
	places chan struct{}
	// mu guards what this scan asks of images, each once, and what it has learnt.
	mu          sync.Mutex
	inspections map[detailsKey]func() (details, error)
	learnt      map[fleet.ImageID]details
}

const (
	// maxAnswer bounds an answer of the engine: 2,000 containers are 5 MB.
	maxAnswer = 64 << 20
	// maxRequests is how many inspections are under way at once: enough to hide the round trips, too few to be felt.
	maxRequests = 6
)

// connect finds out whether an engine answers, and in which version of the API it is spoken to.
func connect(ctx context.Context, b brand, host string, patience time.Duration) (*engine, error) {
	e := &engine{
		brand: b, host: host, patience: patience,
		places:      make(chan struct{}, maxRequests),
		inspections: map[detailsKey]func() (details, error){}, learnt: map[fleet.ImageID]details{},
	}
	options := []client.Opt{client.WithHost(host), client.WithResponseHook(e.watch)}
	switch scheme, _, _ := strings.Cut(host, "://"); scheme {
	case "unix", "npipe":
	case "tcp":
		// DOCKER_CERT_PATH and DOCKER_TLS_VERIFY belong to DOCKER_HOST.
		options = append([]client.Opt{client.WithTLSClientConfigFromEnv()}, options...)
	default:
		return nil, &fleet.Unknown{
			Because: fmt.Sprintf("%s is at %s, and only unix:// and tcp:// can be asked", b.title, fleet.Plain(host)),
			Remedy:  "run RedFlag on that host, or set " + b.env + " to a socket",
		}
	}
	var err error
	if e.api, err = client.New(options...); err != nil {
		return nil, e.explain(ctx, err)
	}
	return e, e.ask(ctx, func(ctx context.Context) error {
		_, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
		return err
	})
}

// watch looks at every answer's head: who answers, and how much of the body will be read.
func (e *engine) watch(r *http.Response) {
	if strings.HasPrefix(r.Header.Get("Server"), "Libpod/") {
		e.libpod.Store(true)
	}
	r.Body = &bounded{ReadCloser: r.Body, left: maxAnswer}
}

// bounded is a body of which no more than left bytes are read.
type bounded struct {
	io.ReadCloser
	left int64
}

var errEndless = fmt.Errorf("an answer of over %d MB", maxAnswer>>20)

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errEndless
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// ask does one request, waits for it no longer than the engine is given, and explains what goes wrong.
func (e *engine) ask(ctx context.Context, request func(context.Context) error) error {
	if e.hung.Load() {
		return e.silent()
	}
	limited, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	err := request(limited)
	if err == nil || errdefs.IsNotFound(err) {
		return err
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
	case errors.Is(err, os.ErrPermission):
		return &fleet.Unknown{Because: fmt.Sprintf("no permission to ask %s at %s", e.brand.title, fleet.Plain(e.host)), Remedy: e.brand.allow, Err: err}
	case client.IsErrConnectionFailed(err):
		return &fleet.Unknown{Because: fmt.Sprintf("%s is not running: nothing answers at %s", e.brand.title, fleet.Plain(e.host)), Remedy: e.brand.start, Err: err}
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("%s at %s gave no answer that can be used: %s", e.brand.title, fleet.Plain(e.host), fleet.Plain(err.Error())),
		Remedy:  "see what listens there: a container engine with API 1.40 (Docker 19.03, Podman 3) or later is needed",
		Err:     err,
	}
}

func (e *engine) silent() error {
	return &fleet.Unknown{
		Because: fmt.Sprintf("%s at %s did not answer within %s", e.brand.title, fleet.Plain(e.host), e.patience),
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
	e.lookCloser(ctx, &inv)
	return inv, ctx.Err()
}

// lookCloser inspects the containers whose entry in the list does not say which reference they were made from (the engine puts an
// ID in its place once the tag has moved on), and the images that the list left out.
func (e *engine) lookCloser(ctx context.Context, inv *inventory) {
	var wg sync.WaitGroup
	for i := range inv.containers {
		c := &inv.containers[i]
		if isFullID(c.asked) {
			wg.Go(func() { e.inspectContainer(ctx, c) })
		}
	}
	for _, id := range inv.unlisted() {
		img := &stored{id: id}
		inv.images[id] = img
		wg.Go(func() { e.inspectUnlisted(ctx, img) })
	}
	wg.Wait()
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
