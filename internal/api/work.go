package api

import (
	"context"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// Selected says which of the pending updates are meant.
type Selected struct {
	All      bool     `json:"all,omitempty" doc:"Every update that an ordinary upgrade would install."`
	Security bool     `json:"security,omitempty" doc:"Those for security."`
	Names    []string `json:"names,omitempty" maxItems:"500" doc:"Packages, images or containers, by name."`
}

type planInput struct {
	OfHost
	Body Selected
}

func (a *API) plan(ctx context.Context, in *planInput) (ordered, error) {
	b := in.Body
	if chosen := number(b.All) + number(b.Security) + number(len(b.Names) > 0); chosen != 1 {
		return ordered{}, errSelection
	}
	if err := a.aboutHost(ctx, in.id(), ""); err != nil {
		return ordered{}, err
	}
	o, err := a.cfg.Server.Plan(ctx, in.id(), fleet.Selection{All: b.All, Security: b.Security, Names: b.Names}, callerOf(ctx).Name)
	return ordered{o, in.id()}, err
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

type approveInput struct {
	OfOrder
	Body struct {
		Digests []string `json:"digests" minItems:"1" maxItems:"50" doc:"The digests of the plans, as the order has them: what is approved is exactly these."`
	}
}

func (a *API) approve(ctx context.Context, in *approveInput) (ordered, error) {
	o, host, err := a.cfg.Server.Approve(ctx, wire.OrderID(in.Order), in.Body.Digests, callerOf(ctx).Name)
	if err != nil {
		return ordered{}, err
	}
	return ordered{o, host}, a.aboutHost(ctx, host, "")
}

// WholeOrder is an order with its answer, and the digests by which its plans are approved.
type WholeOrder struct {
	store.Order
	Digests []string `json:"digests"`
}

func (a *API) order(ctx context.Context, in *OfOrder) (WholeOrder, error) {
	o, err := a.cfg.Store.OneOrder(ctx, wire.OrderID(in.Order))
	out := WholeOrder{Order: o, Digests: []string{}}
	if o.Answer != nil {
		for _, p := range o.Answer.Plans {
			if len(p.Changes) > 0 {
				out.Digests = append(out.Digests, p.Digest())
			}
		}
	}
	return out, err
}
