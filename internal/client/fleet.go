package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"redflag/internal/api"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Hosts gives the hosts that are named, by ID or by name. A name that several have is refused, with their IDs.
func (c *Client) Hosts(ctx context.Context, names []string) ([]api.Host, error) {
	var hosts []api.Host
	for _, name := range names {
		h, err := c.host(ctx, name)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

func (c *Client) host(ctx context.Context, name string) (api.Host, error) {
	if _, err := fleet.ParseHostID(name); err == nil {
		var h api.Host
		err := c.Ask(ctx, http.MethodGet, "/hosts/"+url.PathEscape(name), nil, &h)
		if err == nil || !IsStatus(err, http.StatusNotFound) {
			return h, err
		}
	}
	found, err := All[api.Host](ctx, c, "/hosts", url.Values{"q": {name}})
	if err != nil {
		return api.Host{}, err
	}
	var same []api.Host
	var ids []string
	for _, h := range found {
		if strings.EqualFold(h.Facts.Name, name) {
			same, ids = append(same, h), append(ids, h.ID.String())
		}
	}
	switch len(same) {
	case 0:
		return api.Host{}, fmt.Errorf("the fleet has no host called %q", fleet.Plain(name))
	case 1:
		return same[0], nil
	}
	return api.Host{}, fmt.Errorf("%d hosts are called %q: say which by its ID: %s", len(same), fleet.Plain(name), strings.Join(ids, ", "))
}

// Group gives a group by its name or ID.
func (c *Client) Group(ctx context.Context, name string) (store.Group, error) {
	groups, err := All[store.Group](ctx, c, "/groups", nil)
	if err != nil {
		return store.Group{}, err
	}
	for _, g := range groups {
		if g.Name == name || strconv.FormatInt(g.ID, 10) == name {
			return g, nil
		}
	}
	return store.Group{}, fmt.Errorf("there is no group called %q", fleet.Plain(name))
}

// Request is what is asked of hosts.
type Request struct {
	Hosts []fleet.HostID `json:"hosts,omitempty"`
	Group int64          `json:"group,omitempty"`
	Work  store.Work     `json:"work"`
	After fleet.After    `json:"after"`
	Hours int            `json:"expires_hours,omitempty"`
}

// Begin asks it, and gives the rollout that was made.
func (c *Client) Begin(ctx context.Context, r Request) (store.RolloutID, error) {
	var made struct {
		Rollout store.RolloutID `json:"rollout"`
	}
	err := c.Ask(ctx, http.MethodPost, "/rollouts", r, &made)
	return made.Rollout, err
}

// Thing is a rollout, or one job of it, as people name them: both by a number.
type Thing struct {
	Rollout store.RolloutID
	// Job is 0 where the whole rollout is meant.
	Job store.JobID
}

// Find says what a number is of.
func (c *Client) Find(ctx context.Context, text string) (Thing, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Thing{}, fmt.Errorf("%q is no ID of a job or a rollout", fleet.Plain(text))
	}
	var j store.WholeJob
	err = c.Ask(ctx, http.MethodGet, fmt.Sprintf("/jobs/%d", id), nil, &j)
	if err == nil {
		return Thing{j.Rollout, j.ID}, nil
	}
	if !IsStatus(err, http.StatusNotFound) {
		return Thing{}, err
	}
	r, err := c.Rollout(ctx, store.RolloutID(id))
	if IsStatus(err, http.StatusNotFound) {
		err = fmt.Errorf("there is neither a job nor a rollout %d", id)
	}
	return Thing{Rollout: r.ID}, err
}

func (t Thing) path() string {
	if t.Job != 0 {
		return fmt.Sprintf("/jobs/%d", t.Job)
	}
	return fmt.Sprintf("/rollouts/%d", t.Rollout)
}

// Rollout gives a rollout, with what its hosts have planned.
func (c *Client) Rollout(ctx context.Context, id store.RolloutID) (r api.WholeRollout, err error) {
	err = c.Ask(ctx, http.MethodGet, fmt.Sprintf("/rollouts/%d", id), nil, &r)
	return r, err
}

// Job gives a job, whole.
func (c *Client) Job(ctx context.Context, id store.JobID) (j store.WholeJob, err error) {
	err = c.Ask(ctx, http.MethodGet, fmt.Sprintf("/jobs/%d", id), nil, &j)
	return j, err
}

// Jobs gives the jobs of a rollout, or the one that is meant.
func (c *Client) Jobs(ctx context.Context, t Thing) ([]store.Job, error) {
	if t.Job != 0 {
		j, err := c.Job(ctx, t.Job)
		return []store.Job{j.Job}, err
	}
	return All[store.Job](ctx, c, t.path()+"/jobs", nil)
}

// Approve has exactly what a digest is of carried out.
func (c *Client) Approve(ctx context.Context, t Thing, digest string) error {
	return c.Ask(ctx, http.MethodPost, t.path()+"/approve", map[string]string{"digest": digest}, nil)
}

// Cancel ends what has not begun.
func (c *Client) Cancel(ctx context.Context, t Thing) (done api.Cancelled, err error) {
	err = c.Ask(ctx, http.MethodPost, t.path()+"/cancel", nil, &done)
	return done, err
}

// Lines gives lines of a job from a number on.
func (c *Client) Lines(ctx context.Context, id store.JobID, after int) (l store.Lines, err error) {
	err = c.Ask(ctx, http.MethodGet, fmt.Sprintf("/jobs/%d/lines?after=%d&limit=%d", id, after, store.MaxLines), nil, &l)
	return l, err
}
