package docker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

// refusal is an engine's answer that it does not do what was asked.
type refusal struct {
	status int
	said   string
}

func (r *refusal) Error() string { return r.said }

// raw speaks to the engine in its own version of the API, whose fields our client may not know: a typed one would drop them.
func (e *engine) raw(ctx context.Context, method, at string, body []byte) (*http.Response, error) {
	return e.send(ctx, method, "/v"+cmp.Or(e.version, e.api.ClientVersion())+at, body)
}

// send asks for a path as it is.
func (e *engine) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	address := "http://engine"
	if rest, ok := strings.CutPrefix(e.host, "tcp://"); ok {
		address = e.scheme + "://" + rest
	}
	req, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var said struct{ Message string }
	_ = json.Unmarshal(data, &said) // else the status is all that is known
	return nil, &refusal{resp.StatusCode, cmp.Or(fleet.Plain(said.Message), resp.Status)}
}

// get gives what the engine answers, in its own words.
func (e *engine) get(ctx context.Context, at string) ([]byte, error) {
	resp, err := e.raw(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	return all(resp)
}

func all(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// post sends JSON to the engine as it is.
func (e *engine) post(ctx context.Context, at string, body []byte, into any) error {
	resp, err := e.raw(ctx, http.MethodPost, at, body)
	if err != nil {
		return err
	}
	data, err := all(resp)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// create makes a container, and connects it with the networks that do not go into one request.
func (e *engine) create(ctx context.Context, name string, s spec) (id string, err error) {
	_, more := s.first()
	body, err := s.body()
	if err != nil {
		return "", err
	}
	query := url.Values{"name": {name}}
	if s.Platform != "" {
		query.Set("platform", s.Platform)
	}
	var made struct{ ID string }
	if err := e.post(ctx, "/containers/create?"+query.Encode(), body, &made); err != nil {
		return "", err
	}
	for _, network := range more {
		body, err := json.Marshal(fields{"Container": made.ID, "EndpointConfig": s.Networks[network]})
		if err != nil {
			return made.ID, err
		}
		if err := e.post(ctx, "/networks/"+url.PathEscape(network)+"/connect", body, nil); err != nil {
			return made.ID, err
		}
	}
	return made.ID, nil
}

// named inspects the container that has a name. An engine that is asked for "cafe" also gives the container whose ID begins so: that one is not meant.
func (e *engine) named(ctx context.Context, name string) (container.InspectResponse, error) {
	c, err := e.byID(ctx, name)
	if err != nil {
		return container.InspectResponse{}, err
	}
	if strings.TrimPrefix(c.Name, "/") != name {
		return container.InspectResponse{}, errNoSuch
	}
	return c, nil
}

// errNoSuch is found by errdefs.IsNotFound, as the engine's own answer is.
var errNoSuch = errdefs.ErrNotFound

// byID inspects the container of an ID.
func (e *engine) byID(ctx context.Context, id string) (container.InspectResponse, error) {
	if id == "" {
		return container.InspectResponse{}, errNoSuch
	}
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) && strings.Contains(err.Error(), "no such container") {
		err = errors.Join(errNoSuch, err) // so Podman says while it removes one
	}
	return r.Container, err
}

// unreachable says whether an engine did not answer, rather than refuse: it may be restarting.
func unreachable(err error) bool {
	var refused *refusal
	if err == nil || errors.As(err, &refused) {
		return false
	}
	var network *net.OpError
	return client.IsErrConnectionFailed(err) || errdefs.IsUnavailable(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}
