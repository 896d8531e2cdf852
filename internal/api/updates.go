package api

import (
	"context"

	"redflag/internal/fleet"
	"redflag/internal/store"
)

type updatesInput struct {
	Paging
	Q        string     `query:"q" maxLength:"200" doc:"A part of the name."`
	Source   string     `query:"source" maxLength:"200" doc:"The source of updates: apt, docker."`
	Kind     fleet.Kind `query:"kind" enum:"rebuild,recreate,version" doc:"For images: what the update means."`
	Security bool       `query:"security" doc:"Only those for security."`
	Blocked  bool       `query:"blocked" doc:"Only those that are blocked on some host."`
	Sort     string     `query:"sort" enum:"priority,security,-security,hosts,-hosts,name,-name,first_seen,-first_seen" default:"-security" doc:"priority: what to do first first. With - in front: the other way round."`
}

func (a *API) updates(ctx context.Context, in *updatesInput, p store.Page) ([]store.Offer, string, error) {
	f := store.OfferFilter{Text: in.Q, Source: in.Source, Kind: in.Kind, Security: in.Security, Blocked: in.Blocked}
	if in.Sort == "priority" {
		return a.cfg.Server.Exposure().Offers(ctx, f, p)
	}
	f.Sort, f.Desc = sorted(in.Sort)
	list, next, err := a.cfg.Store.Offers(ctx, f, p)
	if err != nil {
		return nil, "", err
	}
	return list, next, a.cfg.Server.Exposure().AdviseOffers(ctx, list)
}

// OfUpdate names an update in the path.
type OfUpdate struct {
	Update int64 `path:"update" doc:"The update's ID."`
}

func (a *API) update(ctx context.Context, in *OfUpdate) (store.Offer, error) {
	o, err := a.cfg.Store.Offer(ctx, in.Update)
	if err != nil {
		return o, err
	}
	list := []store.Offer{o}
	err = a.cfg.Server.Exposure().AdviseOffers(ctx, list)
	return list[0], err
}

type updateHostsInput struct {
	Paging
	OfUpdate
}

func (a *API) updateHosts(ctx context.Context, in *updateHostsInput, p store.Page) ([]store.OnHost, string, error) {
	if _, err := a.cfg.Store.Offer(ctx, in.Update); err != nil {
		return nil, "", err
	}
	return a.cfg.Store.OfferHosts(ctx, in.Update, p)
}

type imagesInput struct {
	Paging
	Q      string       `query:"q" maxLength:"200" doc:"A part of the name."`
	Answer fleet.Answer `query:"answer" enum:"current,update,pinned,local,gone,unknown" doc:"Images with this answer on some host."`
}

func (a *API) images(ctx context.Context, in *imagesInput, p store.Page) ([]store.Image, string, error) {
	return a.cfg.Store.Images(ctx, store.ImageFilter{Text: in.Q, Answer: in.Answer}, p)
}

type imageHostsInput struct {
	Paging
	Name string `query:"name" required:"true" maxLength:"500" doc:"The image, as in the list: nginx:1.25."`
}

func (a *API) imageHosts(ctx context.Context, in *imageHostsInput, p store.Page) ([]store.ImageOnHost, string, error) {
	return a.cfg.Store.ImageHosts(ctx, in.Name, p)
}

type packagesInput struct {
	Paging
	Prefix string `query:"prefix" maxLength:"200" doc:"How the names begin."`
}

func (a *API) packages(ctx context.Context, in *packagesInput, p store.Page) ([]store.PackageName, string, error) {
	return a.cfg.Store.PackageNames(ctx, in.Prefix, p)
}

type packageHostsInput struct {
	Paging
	Name          string `query:"name" maxLength:"200" doc:"The package's name."`
	SourcePackage string `query:"source_package" maxLength:"200" doc:"Or the name of the package that it was built from, which advisories go by."`
	Source        string `query:"source" maxLength:"200" doc:"The source of updates: apt."`
	Below         string `query:"below" maxLength:"200" doc:"Versions below this one."`
	From          string `query:"from" maxLength:"200" doc:"This version, and those above it."`
	Version       string `query:"version" maxLength:"200" doc:"This version exactly."`
}

func (a *API) packageHosts(ctx context.Context, in *packageHostsInput, p store.Page) ([]store.PackageOnHost, string, error) {
	if (in.Name == "") == (in.SourcePackage == "") {
		return nil, "", errNameOrSource
	}
	q := store.PackageQuery{Name: in.Name, Source: in.Source, Below: in.Below, From: in.From, Exactly: in.Version, Compare: a.cfg.Compare}
	if in.SourcePackage != "" {
		q.Name, q.BySource = in.SourcePackage, true
	}
	return a.cfg.Store.PackageHosts(ctx, q, p)
}

func (a *API) history(ctx context.Context, _ *pagingInput, p store.Page) ([]store.Gone, string, error) {
	return a.cfg.Store.History(ctx, 0, p)
}

func (a *API) appeared(ctx context.Context, _ *pagingInput, p store.Page) ([]store.OnHost, string, error) {
	return a.cfg.Store.Appeared(ctx, p)
}

// pagingInput is for lists that can be asked in no other way.
type pagingInput struct{ Paging }
