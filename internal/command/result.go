package command

import (
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
)

// jobResults is what `install`, `undo` and `history` print as JSON: the contract of docs/json.md.
type jobResults struct {
	Jobs []jobResult `json:"jobs"`
}

// jobResult is a job as others may read it.
type jobResult struct {
	ID        job.ID         `json:"id"`
	Kind      job.Kind       `json:"kind"`
	State     job.State      `json:"state"`
	Because   string         `json:"because"`
	Remedy    string         `json:"remedy"`
	CreatedAt time.Time      `json:"created_at"`
	CreatedBy string         `json:"created_by"`
	ChangedAt time.Time      `json:"changed_at"`
	Digest    string         `json:"digest"`
	Plan      fleet.Plan     `json:"plan"`
	After     fleet.After    `json:"after"`
	Undoes    job.ID         `json:"undoes,omitempty"`
	UndoneBy  job.ID         `json:"undone_by,omitempty"`
	Outcome   *fleet.Outcome `json:"outcome,omitempty"`
}

func resultOf(j job.Job, undoneBy job.ID) jobResult {
	r := jobResult{
		ID: j.ID, Kind: kindOf(j), State: j.State, Because: j.Because, Remedy: j.Remedy, CreatedAt: j.CreatedAt, CreatedBy: j.CreatedBy, ChangedAt: j.ChangedAt,
		Digest: j.Digest, Plan: j.Plan, After: j.After, Undoes: j.Undoes, UndoneBy: undoneBy, Outcome: j.Outcome,
	}
	return r
}

// kindOf is what a job does in a word.
func kindOf(j job.Job) job.Kind {
	switch {
	case j.Undoes != "":
		return "undo"
	case j.Kind == job.ToInstall:
		return "install"
	}
	return j.Kind
}

// undoneBy gives which job has undone which, of those that have succeeded.
func undoneBy(list []job.Job) map[job.ID]job.ID {
	found := map[job.ID]job.ID{}
	for _, j := range list {
		if j.Undoes != "" && j.State == job.Succeeded && found[j.Undoes] == "" {
			found[j.Undoes] = j.ID
		}
	}
	return found
}
