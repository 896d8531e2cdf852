package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// Host is a host as people see it.
type Host struct {
	store.Host
	// State is the worst of: unknown, security, outdated, current.
	State store.HostState `json:"state" enum:"unknown,security,outdated,current"`
	// Because says why the state is unknown; empty when it is not.
	Because []string `json:"because"`
	// Vulnerable counts the vulnerabilities that count there, by bucket. VulnerableUnknown says why some may be missing; empty where none is, as far as the feeds go.
	Vulnerable        map[fleet.Bucket]int `json:"vulnerable"`
	VulnerableUnknown string               `json:"vulnerable_unknown"`
	// Support says how long its release is cared for; absent where that is not known.
	Support *exposure.Support `json:"support,omitempty"`
}

// seen gives hosts as people see them.
func (a *API) seen(ctx context.Context, hosts ...store.Host) ([]Host, error) {
	stale, list := a.stale(), []Host{}
	known, err := a.cfg.Server.Exposure().OfHosts(ctx, hosts)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if h.Labels == nil {
			h.Labels = map[string]string{}
		}
		k := known[h.ID]
		list = append(list, Host{h, h.State(stale), h.Because(stale), k.Vulnerable, k.Unknown, k.Support})
	}
	return list, nil
}

type none struct{}

type hostsInput struct {
	Paging
	Q       string          `query:"q" maxLength:"200" doc:"A part of the name."`
	State   store.HostState `query:"state" enum:"unknown,security,outdated,current" doc:"Hosts in this state."`
	Label   string          `query:"label" maxLength:"4000" doc:"A label query: env=prod,role!=db,site,!old."`
	Reboot  fleet.Need      `query:"reboot" enum:"yes,no,unknown" doc:"Whether they need a reboot."`
	Restart fleet.Need      `query:"restart" enum:"yes,no,unknown" doc:"Whether services of theirs need a restart."`
	Support string          `query:"support" enum:"ended" doc:"ended: hosts whose release is not cared for any more."`
	Sort    string          `query:"sort" enum:"name,-name,seen,-seen,security,-security,updates,-updates" default:"name" doc:"With - in front: the other way round."`
}

func (a *API) hosts(ctx context.Context, in *hostsInput, p store.Page) ([]Host, string, error) {
	labels, err := store.ParseLabels(in.Label)
	if err != nil {
		return nil, "", err
	}
	f := store.HostFilter{Text: in.Q, State: in.State, Labels: labels, Reboot: in.Reboot, Restart: in.Restart, Stale: a.stale()}
	f.Sort, f.Desc = sorted(in.Sort)
	if in.Support == "ended" {
		if f.Only, err = a.cfg.Server.Exposure().Unsupported(ctx); err != nil {
			return nil, "", err
		}
	}
	rows, next, err := a.cfg.Store.Hosts(ctx, f, p)
	if err != nil {
		return nil, "", err
	}
	list, err := a.seen(ctx, rows...)
	return list, next, err
}

// sorted reads name and -name.
func sorted(s string) (column string, desc bool) {
	if s != "" && s[0] == '-' {
		return s[1:], true
	}
	return s, false
}

// OfHost names a host in the path.
type OfHost struct {
	Host hostID `path:"host" doc:"The host's ID."`
}

// hostID is a host's ID as people write it.
type hostID string

// Resolve implements huma.Resolver.
func (id hostID) Resolve(huma.Context) []error {
	if _, err := fleet.ParseHostID(string(id)); err != nil {
		return []error{&huma.ErrorDetail{Message: err.Error(), Location: "path.host"}}
	}
	return nil
}

func (o OfHost) id() fleet.HostID {
	id, err := fleet.ParseHostID(string(o.Host))
	if err != nil {
		return 0 // no host's
	}
	return id
}

// there says whether there is such a host, for lists that would else be empty.
func (a *API) there(ctx context.Context, id fleet.HostID) error {
	_, err := a.cfg.Store.Known(ctx, id)
	return err
}

func (a *API) host(ctx context.Context, in *OfHost) (Host, error) {
	h, err := a.cfg.Store.Host(ctx, in.id())
	if err != nil {
		return Host{}, err
	}
	if h.Labels, err = a.cfg.Store.Labels(ctx, in.id()); err != nil {
		return Host{}, err
	}
	one, err := a.seen(ctx, h)
	if err != nil {
		return Host{}, err
	}
	return one[0], nil
}

func (a *API) hostFindings(ctx context.Context, in *OfHost) ([]fleet.Finding, error) {
	if err := a.there(ctx, in.id()); err != nil {
		return nil, err
	}
	list, err := a.cfg.Store.Findings(ctx, in.id())
	if err != nil {
		return nil, err
	}
	var updates []*fleet.Update
	for i := range list {
		for j := range list[i].Updates {
			updates = append(updates, &list[i].Updates[j])
		}
	}
	return list, a.cfg.Server.Exposure().AdviseHost(ctx, in.id(), updates)
}

type hostListInput struct {
	Paging
	OfHost
}

// whole gives a list that one host has: it is short enough to be one page.
func whole[T any](ctx context.Context, a *API, in *hostListInput, read func(context.Context, fleet.HostID) ([]T, error)) ([]T, error) {
	if err := a.there(ctx, in.id()); err != nil {
		return nil, err
	}
	return read(ctx, in.id())
}

func (a *API) hostUpdates(ctx context.Context, in *hostListInput, _ store.Page) ([]store.OnHost, string, error) {
	list, err := whole(ctx, a, in, a.cfg.Store.HostUpdates)
	if err != nil {
		return nil, "", err
	}
	updates := make([]*fleet.Update, len(list))
	for i := range list {
		updates[i] = &list[i].Update
	}
	return list, "", a.cfg.Server.Exposure().AdviseHost(ctx, in.id(), updates)
}

func (a *API) hostPackages(ctx context.Context, in *hostListInput, _ store.Page) ([]fleet.Package, string, error) {
	return all(whole(ctx, a, in, a.cfg.Store.Packages))
}

func (a *API) hostContainers(ctx context.Context, in *hostListInput, _ store.Page) ([]fleet.Container, string, error) {
	return all(whole(ctx, a, in, a.cfg.Store.Containers))
}

func (a *API) hostHistory(ctx context.Context, in *hostListInput, p store.Page) ([]store.Gone, string, error) {
	if err := a.there(ctx, in.id()); err != nil {
		return nil, "", err
	}
	return a.cfg.Store.History(ctx, in.id(), p)
}

// shownOrders is how many of a host's orders are listed, the newest first.
const shownOrders = 100

func (a *API) hostOrders(ctx context.Context, in *hostListInput, _ store.Page) ([]store.Order, string, error) {
	return all(whole(ctx, a, in, func(ctx context.Context, id fleet.HostID) ([]store.Order, error) {
		return a.cfg.Store.Orders(ctx, id, shownOrders)
	}))
}

// scanOrder says what to look at.
type scanOrder struct {
	Refresh bool     `json:"refresh,omitempty" doc:"Fetch package lists anew first, where the host permits it, and ask registries anew."`
	Sources []string `json:"sources,omitempty" maxItems:"50" doc:"Which of them to refresh; all where there are none."`
}

type scanInput struct {
	OfHost
	Body scanOrder `required:"false"`
}

// ordered is an order that was given.
type ordered struct {
	Order wire.OrderID `json:"order"`
	Host  fleet.HostID `json:"host"`
}

// aboutHost notes on which host something is done.
func (a *API) aboutHost(ctx context.Context, id fleet.HostID, how string) error {
	h, err := a.cfg.Store.Host(ctx, id)
	about(ctx, "%s (%s)%s", h.Facts.Name, id, how)
	return err
}

func (a *API) scan(ctx context.Context, in *scanInput) (ordered, error) {
	if err := a.aboutHost(ctx, in.id(), ""); err != nil {
		return ordered{}, err
	}
	o, err := a.cfg.Server.Scan(ctx, in.id(), wire.Scan{Refresh: in.Body.Refresh, Sources: in.Body.Sources}, callerOf(ctx).Name)
	return ordered{o, in.id()}, err
}

type scanManyInput struct {
	Body struct {
		scanOrder
		Hosts []hostID `json:"hosts,omitempty" maxItems:"500" doc:"The hosts, by ID."`
		Label string   `json:"label,omitempty" doc:"Or all that a label query chooses, at most 500."`
	}
}

func (a *API) scanMany(ctx context.Context, in *scanManyInput) (listed[ordered], error) {
	ids, err := a.chosen(ctx, in)
	if err != nil {
		return listed[ordered]{}, err
	}
	about(ctx, "%d hosts", len(ids))
	done := listed[ordered]{Items: []ordered{}}
	for _, id := range ids {
		o, err := a.cfg.Server.Scan(ctx, id, wire.Scan{Refresh: in.Body.Refresh, Sources: in.Body.Sources}, callerOf(ctx).Name)
		if err != nil {
			return done, err
		}
		done.Items = append(done.Items, ordered{o, id})
	}
	return done, nil
}

func (a *API) chosen(ctx context.Context, in *scanManyInput) ([]fleet.HostID, error) {
	if (len(in.Body.Hosts) == 0) == (in.Body.Label == "") {
		return nil, huma.Error422UnprocessableEntity("name hosts, or a label query, and not both")
	}
	var ids []fleet.HostID
	for _, text := range in.Body.Hosts {
		id, err := fleet.ParseHostID(string(text))
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
		ids = append(ids, id)
	}
	if len(ids) > 0 {
		return ids, nil
	}
	labels, err := store.ParseLabels(in.Body.Label)
	if err != nil {
		return nil, err
	}
	hosts, _, err := a.cfg.Store.Hosts(ctx, store.HostFilter{Labels: labels}, store.Page{Limit: store.MaxLimit})
	for _, h := range hosts {
		ids = append(ids, h.ID)
	}
	return ids, err
}

// OfOrder names an order.
type OfOrder struct {
	Order int64 `path:"order" doc:"The order's ID."`
}

func (a *API) order(ctx context.Context, in *OfOrder) (store.Order, error) {
	return a.cfg.Store.OneOrder(ctx, wire.OrderID(in.Order))
}

type labelsInput struct {
	OfHost
	Body struct {
		Labels map[string]string `json:"labels"`
	}
}

func (a *API) setLabels(ctx context.Context, in *labelsInput) (Host, error) {
	if err := a.aboutHost(ctx, in.id(), ": "+labelText(in.Body.Labels)); err != nil {
		return Host{}, err
	}
	if err := a.cfg.Store.SetLabels(ctx, in.id(), in.Body.Labels); err != nil {
		return Host{}, err
	}
	a.cfg.Server.NoteHost(in.id())
	return a.host(ctx, &in.OfHost)
}

func (a *API) forget(ctx context.Context, in *OfHost) (none, error) {
	if err := a.aboutHost(ctx, in.id(), ""); err != nil {
		return none{}, err
	}
	return none{}, a.cfg.Server.Forget(ctx, in.id())
}

// heartbeat keeps proxies from taking a quiet stream for a dead one. With each it is seen whether the reader still may read.
const heartbeat = 25 * time.Second

// events is the stream of what changes.
func (a *API) events() {
	op := operation("read", "GET /events", "What changes, as server-sent events")
	op.Description += " Each event is called change, and its data names a topic (hosts, orders, jobs, tokens, users, apikeys, groups, advisories) and, where there are not too many, the " +
		"hosts. It carries no data of theirs: ask anew. The stream begins with an event called hello; a reader that misses something loses its stream, and asks for all anew when it is back."
	schema := a.huma.OpenAPI().Components.Schemas.Schema(typeOf[server.Change](), true, "")
	op.Responses = map[string]*huma.Response{"200": {Description: "A stream.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: schema}}}}
	huma.Register(a.huma, op, func(ctx context.Context, _ *none) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: a.stream}, nil
	})
}
