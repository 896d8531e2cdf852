package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/fleet"
	"redflag/internal/registry"
	"redflag/internal/store"
)

// Summary is the fleet in numbers.
type Summary struct {
	store.Summary
	// Vulnerabilities counts those of the fleet that count, by bucket.
	Vulnerabilities map[fleet.Bucket]int `json:"vulnerabilities"`
	// Waiting is how many agents are connected to this server now, and would come at once.
	Waiting int    `json:"agents_waiting"`
	Version string `json:"version"`
}

func (a *API) summary(ctx context.Context, _ *none) (Summary, error) {
	s, err := a.cfg.Store.Summary(ctx, a.cfg.Now(), a.stale())
	if err != nil {
		return Summary{}, err
	}
	buckets, err := a.cfg.Server.Exposure().Buckets(ctx)
	return Summary{s, buckets, a.cfg.Server.Waiting(), a.cfg.Version}, err
}

type trendInput struct {
	Paging
	Days int `query:"days" minimum:"1" maximum:"3650" default:"30" doc:"For how many days back."`
}

func (a *API) trend(ctx context.Context, in *trendInput, _ store.Page) ([]store.Point, string, error) {
	return all(a.cfg.Store.Trend(ctx, a.cfg.Now().AddDate(0, 0, -in.Days)))
}

type groupsInput struct {
	Paging
	By    store.GroupBy `query:"by" required:"true" enum:"package,source,label" doc:"What the updates of a group have in common."`
	Label string        `query:"label" maxLength:"200" doc:"The label whose values are groups, where they are by label."`
}

func (a *API) offerGroups(ctx context.Context, in *groupsInput, p store.Page) ([]store.OfferGroup, string, error) {
	if (in.By == store.ByLabel) != (in.Label != "") {
		return nil, "", huma.Error422UnprocessableEntity("groups by label need the name of the label, and others have none")
	}
	return a.cfg.Store.OfferGroups(ctx, in.By, in.Label, p)
}

type ordersInput struct {
	Paging
	State string `query:"state" enum:"waiting,held,running,failed" doc:"Orders in this state; failed means those that failed, expired or were lost."`
}

func (a *API) orders(ctx context.Context, in *ordersInput, p store.Page) ([]store.OrderOnHost, string, error) {
	return a.cfg.Store.AllOrders(ctx, store.OrderFilter{State: in.State}, p)
}

// ServerInfo is how this server is set up.
type ServerInfo struct {
	Version string `json:"version"`
	// URL is how agents and people reach it.
	URL string `json:"url"`
	// Database is sqlite or postgres.
	Database string `json:"database"`
	// Interval is how long agents wait between check-ins, in seconds. A host that is silent for Stale seconds is unknown.
	Interval int `json:"interval_seconds"`
	Stale    int `json:"stale_seconds"`
	// Keep is for how many days history is kept.
	Keep int `json:"keep_days"`
	// SharedRegistries are those that the server asks for all hosts.
	SharedRegistries []string `json:"shared_registries"`
	// Budgets are what those registries last said of how many pulls are left for this server.
	Budgets []registry.Budget `json:"budgets"`
}

func (a *API) server(_ context.Context, _ *none) (ServerInfo, error) {
	info := a.cfg.Info
	info.Version, info.Stale = a.cfg.Version, int(a.cfg.Stale/time.Second)
	info.SharedRegistries = append([]string{}, info.SharedRegistries...)
	info.Budgets = append([]registry.Budget{}, a.cfg.Server.Budgets()...)
	return info, nil
}
