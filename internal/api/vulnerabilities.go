package api

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
)

// toPatchFirst adds the routes of what to patch first.
func (a *API) toPatchFirst() {
	list(a, access.Read, "GET /vulnerabilities", "Vulnerabilities over all hosts, what to do first first", a.vulnerabilities)
	one(a, access.Read, "GET /vulnerabilities/{vulnerability}", "A vulnerability, with what has it and what mends it", a.vulnerability)
	list(a, access.Read, "GET /vulnerabilities/{vulnerability}/hosts", "The hosts that have a vulnerability", a.vulnerabilityHosts)
	one(a, access.Operate, "POST /vulnerabilities/{vulnerability}/mend", "Ask hosts to install exactly what mends a vulnerability: it is planned first, and waits for an approval", a.mend)
	list(a, access.Read, "GET /suppressions", "Suppressions, also those that have run out", a.suppressions)
	one(a, access.Operate, "POST /suppressions", "Decide that a vulnerability does not count, for a while", a.newSuppression)
	one(a, access.Operate, "DELETE /suppressions/{suppression}", "Have a vulnerability count again", a.deleteSuppression)
	one(a, access.Read, "GET /advisories", "Feeds of advisories: how old they are, whose, and what is not known", a.advisories)
	a.importing()
	one(a, access.Administer, "DELETE /advisories/{feed}", "Forget a feed of advisories", a.deleteFeed)
}

type vulnerabilitiesInput struct {
	Paging
	Bucket     fleet.Bucket `query:"bucket" enum:"act now,this window,routine,track" doc:"When something is to be done."`
	Severity   string       `query:"severity" enum:"critical,high,medium,low,negligible,unrated" doc:"How bad it is; unrated where nobody has said."`
	Exploited  bool         `query:"exploited" doc:"Only what is known to be exploited."`
	Fix        string       `query:"fix" enum:"available,none" doc:"available: a pending update mends it on some host; none: on no host."`
	Search     string       `query:"search" maxLength:"200" doc:"A part of its name, or of a package's."`
	Host       string       `query:"host" maxLength:"20" doc:"What one host has, by its ID."`
	Group      int64        `query:"group" doc:"What the hosts of a group have, by its ID."`
	Suppressed string       `query:"suppressed" enum:"true,false" doc:"true: what is suppressed on some host; false: what counts on some."`
}

func (in *vulnerabilitiesInput) filter() (exposure.Filter, error) {
	f := exposure.Filter{Bucket: in.Bucket, Severity: in.Severity, Exploited: in.Exploited, Fix: in.Fix, Text: in.Search, Group: in.Group}
	if in.Suppressed != "" {
		suppressed := in.Suppressed == "true"
		f.Suppressed = &suppressed
	}
	if in.Host == "" {
		return f, nil
	}
	var err error
	if f.Host, err = fleet.ParseHostID(in.Host); err != nil {
		return f, huma.Error422UnprocessableEntity(err.Error())
	}
	return f, nil
}

func (a *API) vulnerabilities(ctx context.Context, in *vulnerabilitiesInput, p store.Page) ([]exposure.Vulnerability, string, error) {
	f, err := in.filter()
	if err != nil {
		return nil, "", err
	}
	return a.cfg.Server.Exposure().List(ctx, f, p)
}

// OfVulnerability names one in the path.
type OfVulnerability struct {
	Vulnerability string `path:"vulnerability" maxLength:"400" doc:"The CVE, or the advisory's name where it has none."`
}

func (a *API) vulnerability(ctx context.Context, in *OfVulnerability) (exposure.WholeVulnerability, error) {
	return a.cfg.Server.Exposure().One(ctx, in.Vulnerability)
}

type vulnerabilityHostsInput struct {
	Paging
	OfVulnerability
	Group int64 `query:"group" doc:"Those of a group, by its ID."`
}

func (a *API) vulnerabilityHosts(ctx context.Context, in *vulnerabilityHostsInput, p store.Page) ([]exposure.VulnerableHost, string, error) {
	return a.cfg.Server.Exposure().Hosts(ctx, in.Vulnerability, in.Group, p)
}

type mendInput struct {
	OfVulnerability
	Body struct {
		Hosts []hostID    `json:"hosts,omitempty" maxItems:"1000" doc:"On these hosts, by ID."`
		Group int64       `json:"group,omitempty" doc:"Or on those of a group, by its ID. Without either: wherever it can be mended."`
		After fleet.After `json:"after,omitempty" required:"false" doc:"What is done once an installation has succeeded, as far as the host's policy lets it."`
		Hours int         `json:"expires_hours,omitempty" minimum:"0" maximum:"744" doc:"For how long each step is good: to plan, to approve, to begin; 0 for a day."`
	}
}

func (a *API) mend(ctx context.Context, in *mendInput) (madeRollout, error) {
	var ids []fleet.HostID
	named := len(in.Body.Hosts) > 0
	if named || in.Body.Group != 0 {
		meant, err := a.meant(ctx, in.Body.Hosts, in.Body.Group, false)
		if err != nil {
			return madeRollout{}, err
		}
		ids = append([]fleet.HostID{}, meant...) // a group without hosts means none, and not all
	}
	asked, err := a.cfg.Server.Mending(ctx, in.Vulnerability, ids, named)
	if err != nil {
		return madeRollout{}, err
	}
	names, err := a.hostNames(ctx, asked.Hosts)
	if err != nil {
		return madeRollout{}, err
	}
	asked.After, asked.Life, asked.By = in.Body.After, time.Duration(in.Body.Hours)*time.Hour, callerOf(ctx).Name
	id, err := a.cfg.Server.Begin(ctx, asked)
	about(ctx, "%s: %s%s, rollout %d", fleet.Plain(in.Vulnerability), asked.Work, names, id)
	return madeRollout{id}, err
}

type suppressionsInput struct{ Paging }

func (a *API) suppressions(ctx context.Context, _ *suppressionsInput, _ store.Page) ([]store.Suppression, string, error) {
	return all(a.cfg.Store.Suppressions(ctx, a.cfg.Now()))
}

type newSuppressionInput struct {
	Body struct {
		ID      string `json:"id" minLength:"1" maxLength:"400" doc:"The CVE, or an advisory's name."`
		Package string `json:"package,omitempty" maxLength:"400" doc:"A package, or a source package, that it is limited to."`
		Group   int64  `json:"group,omitempty" doc:"A group whose hosts it is limited to, by its ID."`
		Status  string `json:"status" enum:"not_affected,accepted" doc:"not_affected: it cannot be reached there; accepted: it can, and that is borne."`
		Owner   string `json:"owner,omitempty" maxLength:"200" doc:"Who answers for it; who asks where nobody is named."`
		Reason  string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why it does not count."`
		Until   string `json:"until" format:"date" doc:"The last day on which it holds, in UTC: 2027-01-31."`
	}
}

func (a *API) newSuppression(ctx context.Context, in *newSuppressionInput) (store.Suppression, error) {
	b := in.Body
	until, err := time.Parse(time.DateOnly, b.Until)
	if err != nil {
		return store.Suppression{}, store.ErrSuppression
	}
	by := callerOf(ctx).Name
	owner := strings.TrimSpace(b.Owner)
	if owner == "" {
		owner = by
	}
	about(ctx, "%s until %s, for %s: %s", fleet.Plain(b.ID), b.Until, fleet.Plain(owner), fleet.Plain(b.Reason))
	s, err := a.cfg.Store.NewSuppression(ctx, store.Suppression{
		ID: b.ID, Package: b.Package, Group: b.Group, Status: b.Status, Owner: owner, Reason: b.Reason, Until: until, CreatedBy: by,
	}, a.cfg.Now())
	return s, a.noted(server.TopicAdvisories, err)
}

func (a *API) deleteSuppression(ctx context.Context, in *struct {
	Suppression int64 `path:"suppression"`
}) (none, error) {
	s, err := a.cfg.Store.DeleteSuppression(ctx, in.Suppression)
	if err == nil {
		about(ctx, "%s, for %s: %s", s.ID, s.Owner, s.Reason)
	}
	return none{}, a.noted(server.TopicAdvisories, err)
}
