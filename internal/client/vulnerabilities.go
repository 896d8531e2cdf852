package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"redflag/internal/api"
	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
)

// Vulnerabilities gives those of the fleet that a query chooses, what to do first first.
func (c *Client) Vulnerabilities(ctx context.Context, query url.Values) ([]exposure.Vulnerability, error) {
	return All[exposure.Vulnerability](ctx, c, "/vulnerabilities", query)
}

// Vulnerability gives one of them.
func (c *Client) Vulnerability(ctx context.Context, id string) (exposure.WholeVulnerability, error) {
	var v exposure.WholeVulnerability
	err := c.Ask(ctx, http.MethodGet, "/vulnerabilities/"+url.PathEscape(id), nil, &v)
	return v, err
}

// Mend asks hosts to install what mends a vulnerability, and gives the rollout that was made. Without hosts or a group it is for all where that can be done.
func (c *Client) Mend(ctx context.Context, id string, r Request) (store.RolloutID, error) {
	body := struct {
		Hosts []fleet.HostID `json:"hosts,omitempty"`
		Group int64          `json:"group,omitempty"`
		After fleet.After    `json:"after"`
		Hours int            `json:"expires_hours,omitempty"`
	}{r.Hosts, r.Group, r.After, r.Hours}
	var made struct {
		Rollout store.RolloutID `json:"rollout"`
	}
	err := c.Ask(ctx, http.MethodPost, "/vulnerabilities/"+url.PathEscape(id)+"/mend", body, &made)
	return made.Rollout, err
}

// Advisories says which feeds of advisories the server has, and what is not known.
func (c *Client) Advisories(ctx context.Context) (server.Advisories, error) {
	var a server.Advisories
	err := c.Ask(ctx, http.MethodGet, "/advisories", nil, &a)
	return a, err
}

// ImportFeed sends a feed of advisories, or a bundle of them. It takes as long as it takes.
func (c *Client) ImportFeed(ctx context.Context, feed io.Reader, from string, replace bool) (server.ImportedFeeds, error) {
	query := url.Values{"from": {from}}
	if replace {
		query.Set("replace", "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server+api.Prefix+"/advisories?"+query.Encode(), feed)
	if err != nil {
		return server.ImportedFeeds{}, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.do(req)
	if err != nil {
		return server.ImportedFeeds{}, err
	}
	defer resp.Body.Close()
	var done server.ImportedFeeds
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&done); err != nil {
		return done, fmt.Errorf("read the server's answer: %w", err)
	}
	return done, nil
}

// FetchFeed has the server ask an address that its configuration names. With replace it takes a feed even if it is older or much smaller than the one that is there.
func (c *Client) FetchFeed(ctx context.Context, address string, replace bool) (server.ImportedFeeds, error) {
	var done server.ImportedFeeds
	path := "/advisories"
	if replace {
		path += "?replace=true"
	}
	err := c.Ask(ctx, http.MethodPost, path, map[string]string{"url": address}, &done)
	return done, err
}

// DeleteFeed has the server forget a feed.
func (c *Client) DeleteFeed(ctx context.Context, name string) error {
	return c.Ask(ctx, http.MethodDelete, "/advisories/"+url.PathEscape(name), nil, nil)
}
