package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

type jobsInput struct {
	Paging
	State   string `query:"state" enum:"open,planning,planned,approved,waiting,running,succeeded,failed,rolled back,cancelled,expired,unknown" doc:"Jobs in this state; failed means all that did not succeed (failed, rolled back, expired, unknown), open those that have not ended."`
	Host    string `query:"host" maxLength:"100" doc:"Those of a host, by its ID."`
	Rollout int64  `query:"rollout" doc:"Those of a rollout, by its ID."`
}

func (a *API) jobs(ctx context.Context, in *jobsInput, p store.Page) ([]store.Job, string, error) {
	f := store.JobFilter{State: in.State, Rollout: store.RolloutID(in.Rollout)}
	if in.Host != "" {
		var err error
		if f.Host, err = fleet.ParseHostID(in.Host); err != nil {
			return nil, "", huma.Error422UnprocessableEntity(err.Error())
		}
	}
	return a.cfg.Store.Jobs(ctx, f, p)
}

// OfJob names a job in the path.
type OfJob struct {
	Job int64 `path:"job" doc:"The job's ID."`
}

func (o OfJob) scope() store.Scope { return store.Scope{Job: store.JobID(o.Job)} }

func (a *API) job(ctx context.Context, in *OfJob) (store.WholeJob, error) {
	return a.cfg.Store.Job(ctx, store.JobID(in.Job))
}

type approveJobInput struct {
	OfJob
	Body approval
}

func (a *API) approveJob(ctx context.Context, in *approveJobInput) (approved, error) {
	return a.approve(ctx, in.scope(), in.Body.Digest)
}

func (a *API) cancelJob(ctx context.Context, in *OfJob) (Cancelled, error) {
	return a.cancel(ctx, in.scope())
}

type linesInput struct {
	OfJob
	After int `query:"after" minimum:"0" default:"0" doc:"The number of the first line that is wanted: the next of the answer before."`
	Limit int `query:"limit" minimum:"1" maximum:"5000" default:"1000" doc:"How many lines."`
}

func (a *API) lines(ctx context.Context, in *linesInput) (store.Lines, error) {
	return a.cfg.Store.Lines(ctx, store.JobID(in.Job), in.After, in.Limit)
}

// log adds the route of all that the tools said, as a text to keep.
func (a *API) log() {
	op := operation(access.Read, "GET /jobs/{job}/log", "All that the tools said while a job was carried out, as a text")
	op.Responses = map[string]*huma.Response{"200": {Description: "A line each, as it was said.", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.huma, op, func(ctx context.Context, in *OfJob) (*huma.StreamResponse, error) {
		j, err := a.cfg.Store.Job(ctx, store.JobID(in.Job))
		if err != nil {
			return nil, a.told(err)
		}
		return &huma.StreamResponse{Body: func(w huma.Context) { a.writeLog(w, j) }}, nil
	})
}
