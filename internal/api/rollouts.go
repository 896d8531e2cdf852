package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
)

type newRolloutInput struct {
	Body struct {
		Hosts []hostID    `json:"hosts,omitempty" maxItems:"1000" doc:"The hosts, by ID."`
		Group int64       `json:"group,omitempty" doc:"Or all that a group has now, by its ID."`
		Work  store.Work  `json:"work" doc:"What is asked of each: one of these. To undo needs no hosts: it is for those of what is undone."`
		After fleet.After `json:"after,omitempty" required:"false" doc:"What is done once an installation has succeeded, as far as the host's policy lets it."`
		Hours int         `json:"expires_hours,omitempty" minimum:"0" maximum:"744" doc:"For how long each step is good: to plan, to approve, to begin; 0 for a day."`
	}
}

// madeRollout is a rollout that was made.
type madeRollout struct {
	Rollout store.RolloutID `json:"rollout"`
}

func (a *API) newRollout(ctx context.Context, in *newRolloutInput) (madeRollout, error) {
	b := in.Body
	ids, err := a.meant(ctx, b.Hosts, b.Group, b.Work.Undo != nil)
	if err != nil {
		return madeRollout{}, err
	}
	names, err := a.hostNames(ctx, ids)
	if err != nil {
		return madeRollout{}, err
	}
	id, err := a.cfg.Server.Begin(ctx, server.Asked{Work: b.Work, After: b.After, Hosts: ids, Life: time.Duration(b.Hours) * time.Hour, By: callerOf(ctx).Name})
	about(ctx, "%s%s, rollout %d", b.Work, names, id)
	return madeRollout{id}, err
}

// meant gives the hosts that are named, or all of a group.
func (a *API) meant(ctx context.Context, hosts []hostID, group int64, undo bool) ([]fleet.HostID, error) {
	switch {
	case undo && (len(hosts) > 0 || group != 0):
		return nil, huma.Error422UnprocessableEntity("to undo is for the hosts of what is undone: name none")
	case undo:
		return nil, nil
	case (len(hosts) == 0) == (group == 0):
		return nil, huma.Error422UnprocessableEntity("name hosts, or a group, and not both")
	case group != 0:
		return a.groupHosts(ctx, group)
	}
	var ids []fleet.HostID
	for _, text := range hosts {
		id, err := fleet.ParseHostID(string(text))
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// groupHosts gives the hosts of a group, as it is now.
func (a *API) groupHosts(ctx context.Context, group int64) ([]fleet.HostID, error) {
	groups, err := a.cfg.Store.Groups(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(groups, func(g store.Group) bool { return g.ID == group })
	if i < 0 {
		return nil, store.ErrNoGroup
	}
	labels, err := store.ParseLabels(groups[i].Query)
	if err != nil {
		return nil, err
	}
	var ids []fleet.HostID
	for p := (store.Page{Limit: store.MaxLimit}); ; {
		hosts, next, err := a.cfg.Store.Hosts(ctx, store.HostFilter{Labels: labels}, p)
		for _, h := range hosts {
			ids = append(ids, h.ID)
		}
		if p.After = next; err != nil || next == "" || len(ids) > store.MaxRollout {
			return ids, err
		}
	}
}

// namedHosts is how many hosts are named where it is noted who did what; of more it is noted how many they are.
const namedHosts = 5

func (a *API) hostNames(ctx context.Context, ids []fleet.HostID) (string, error) {
	if len(ids) == 0 {
		return "", nil
	}
	if len(ids) > namedHosts {
		return fmt.Sprintf(" on %d hosts", len(ids)), nil
	}
	var names []string
	for _, id := range ids {
		h, err := a.cfg.Store.Host(ctx, id)
		if err != nil {
			return "", err
		}
		names = append(names, h.Facts.Name)
	}
	return onHosts(names), nil
}

func (a *API) rollouts(ctx context.Context, _ *pagingInput, p store.Page) ([]store.Rollout, string, error) {
	return a.cfg.Store.Rollouts(ctx, p)
}

// OfRollout names a rollout in the path.
type OfRollout struct {
	Rollout int64 `path:"rollout" doc:"The rollout's ID."`
}

func (o OfRollout) scope() store.Scope { return store.Scope{Rollout: store.RolloutID(o.Rollout)} }

// WholeRollout is a rollout, and what its hosts have planned.
type WholeRollout struct {
	store.Rollout
	Compared
}

func (a *API) rollout(ctx context.Context, in *OfRollout) (WholeRollout, error) {
	r, err := a.cfg.Store.Rollout(ctx, store.RolloutID(in.Rollout))
	if err != nil {
		return WholeRollout{}, err
	}
	c := newComparison()
	if err := a.cfg.Store.EachPlanned(ctx, r.ID, c.add); err != nil {
		return WholeRollout{}, err
	}
	return WholeRollout{r, c.compared()}, nil
}

type rolloutJobsInput struct {
	Paging
	OfRollout
	State string `query:"state" enum:"open,planning,planned,approved,waiting,running,succeeded,failed,rolled back,cancelled,expired,unknown" doc:"Jobs in this state; failed means all that did not succeed (failed, rolled back, expired, unknown), open those that have not ended."`
}

func (a *API) rolloutJobs(ctx context.Context, in *rolloutJobsInput, p store.Page) ([]store.Job, string, error) {
	if _, err := a.cfg.Store.Rollout(ctx, store.RolloutID(in.Rollout)); err != nil {
		return nil, "", err
	}
	return a.cfg.Store.RolloutJobs(ctx, store.JobFilter{Rollout: store.RolloutID(in.Rollout), State: in.State}, p)
}

// approval is the body of one.
type approval struct {
	Digest string `json:"digest" minLength:"1" maxLength:"100" doc:"The digest, as the rollout or the job has it: what is approved are exactly the plans that it is of."`
}

// approved are the jobs of an approval.
type approved struct {
	Digest string   `json:"digest"`
	Jobs   []JobRef `json:"jobs"`
}

// JobRef names a job.
type JobRef struct {
	Job      store.JobID    `json:"job"`
	Host     fleet.HostID   `json:"host"`
	HostName string         `json:"host_name"`
	State    store.JobState `json:"state"`
}

func refs(jobs []store.Job) []JobRef {
	list := []JobRef{}
	for _, j := range jobs {
		list = append(list, JobRef{j.ID, j.Host, j.HostName, j.State})
	}
	return list
}

type approveRolloutInput struct {
	OfRollout
	Body approval
}

func (a *API) approveRollout(ctx context.Context, in *approveRolloutInput) (approved, error) {
	return a.approve(ctx, in.scope(), in.Body.Digest)
}

func (a *API) approve(ctx context.Context, sc store.Scope, digest string) (approved, error) {
	jobs, err := a.cfg.Server.Approve(ctx, sc, digest, callerOf(ctx).Name)
	if len(jobs) > 0 {
		about(ctx, "%s%s, rollout %d: %s", jobs[0].Work, named(jobs), jobs[0].Rollout, digest)
	}
	return approved{digest, refs(jobs)}, err
}

// named names the hosts of jobs for those who read who did what.
func named(jobs []store.Job) string {
	if len(jobs) > namedHosts {
		return fmt.Sprintf(" on %d hosts", len(jobs))
	}
	var names []string
	for _, j := range jobs {
		names = append(names, j.HostName)
	}
	return onHosts(names)
}

func onHosts(names []string) string {
	slices.Sort(names)
	return " on " + strings.Join(names, ", ")
}

// Cancelled is what became of the wish to end jobs.
type Cancelled struct {
	Stopped []JobRef `json:"stopped" doc:"These have ended: no host has begun them, and none will."`
	Asked   []JobRef `json:"asked" doc:"Their hosts have them already, and were asked to end them."`
	Running []JobRef `json:"running" doc:"These have begun: what only downloads ends, and what changes its host goes on to its end."`
}

func (a *API) cancelRollout(ctx context.Context, in *OfRollout) (Cancelled, error) {
	return a.cancel(ctx, in.scope())
}

func (a *API) cancel(ctx context.Context, sc store.Scope) (Cancelled, error) {
	done, err := a.cfg.Server.Cancel(ctx, sc, callerOf(ctx).Name)
	if all := slices.Concat(done.Stopped, done.Asked, done.Running); len(all) > 0 {
		about(ctx, "%s%s, rollout %d", all[0].Work, named(all), all[0].Rollout)
	}
	return Cancelled{refs(done.Stopped), refs(done.Asked), refs(done.Running)}, err
}
