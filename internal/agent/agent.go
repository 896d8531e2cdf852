// Package agent is the program that stays on a host: it looks on time, and tells the fleet's server what has changed. What it
// sends is the state of the host, never a stream of events, so nothing depends on a message that could be lost: at every check-in
// the two sides compare digests, and what differs is sent again.
package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// View is a host as one look has it.
type View struct {
	Host     fleet.Host
	Findings []fleet.Finding
	// Packages and Containers are whole, or nil where they could not be listed: then the server keeps what it has.
	Packages   []fleet.Package
	Containers []fleet.Container
}

// Server is the agent's view of the server; it is what [wire.Client] does.
type Server interface {
	CheckIn(ctx context.Context, in wire.CheckIn) (send []string, err error)
	Report(ctx context.Context, r wire.Report) (send []string, err error)
	Orders(ctx context.Context, w wire.Wait) ([]wire.SignedOrder, error)
	Result(ctx context.Context, r wire.Result) error
	Progress(ctx context.Context, p wire.Progress) (next int, err error)
}

// Look takes a look at the host.
type Look func(ctx context.Context, opt wire.Scan) (View, error)

// Agent tells a server about a host.
type Agent struct {
	server Server
	state  *State
	look   Look
	log    *slog.Logger
	// Version is the program's, for the server to show.
	Version string
	// Prompt: the first round is at once, also where many agents may have been started at the same time.
	Prompt bool
	// Root does what needs root; without it the agent looks, and nothing more.
	Root Root
	// session names this run of the agent, and sequence counts its reports.
	session  string
	sequence int64
	// turn is held by the round that goes on.
	turn sync.Mutex
	// telling is held by who tells the server what became of orders, and orders waits for those under way.
	telling sync.Mutex
	orders  sync.WaitGroup

	// What Run is given.
	host     fleet.HostID
	orderKey ed25519.PublicKey
	journal  *journal
}

// New makes an agent. The state is what it keeps on disk.
func New(server Server, state *State, look Look, log *slog.Logger) *Agent {
	return &Agent{server: server, state: state, look: look, log: log, session: rand.Text()[:sessionLetters]}
}

// sessionLetters of base32 are 60 random bits: enough for the runs of one host, and short in a check-in.
const sessionLetters = 12

// maxSends bounds the reports of one round: what the server could not use is sent once more, whole.
const maxSends = 2

// Round looks at the host once, and tells the server what it does not know. One round goes on at a time.
func (a *Agent) Round(ctx context.Context, opt wire.Scan) error {
	a.turn.Lock()
	defer a.turn.Unlock()
	view, err := a.look(ctx, opt)
	if err != nil {
		return fmt.Errorf("look at the host: %w", err)
	}
	parts, err := digest(view)
	if err != nil {
		return err
	}
	in := wire.CheckIn{Level: wire.Level, Session: a.session, State: parts.State(), Scanned: map[string]int64{}, AsOf: map[string]int64{}}
	for _, f := range view.Findings {
		in.Scanned[f.Source] = f.ScannedAt.Unix()
		if !f.AsOf.IsZero() {
			in.AsOf[f.Source] = f.AsOf.Unix()
		}
	}
	send, err := a.server.CheckIn(ctx, in)
	if err == nil && slices.Equal(send, []string{wire.SendDigests}) {
		in.Digests = parts
		send, err = a.server.CheckIn(ctx, in)
	}
	if err != nil {
		return err
	}
	for range maxSends {
		if len(send) == 0 {
			return nil
		}
		if send, err = a.report(ctx, view, parts, send); err != nil {
			return err
		}
	}
	return errors.New("the server asks again and again for " + strings.Join(send, ", "))
}

// report sends the parts that the server wants.
func (a *Agent) report(ctx context.Context, view View, parts wire.Digests, send []string) ([]string, error) {
	a.sequence++
	r := wire.Report{Level: wire.Level, Session: a.session, Sequence: a.sequence, Agent: a.Version, Digests: wire.Digests{}}
	for _, part := range send {
		if _, ours := parts[part]; !ours {
			// The server knows of a source that is here no more.
			if source, ok := strings.CutPrefix(part, partFinding); ok {
				r.Absent = append(r.Absent, source)
			}
			continue
		}
		r.Digests[part] = parts[part]
		switch part {
		case partHost:
			r.Host = &view.Host
		case partContainers:
			r.Containers = &wire.ContainerSet{All: view.Containers}
		case partPackages:
			change := a.state.change(view.Packages)
			r.Packages = &change
		default:
			i := slices.IndexFunc(view.Findings, func(f fleet.Finding) bool { return partFinding+f.Source == part })
			r.Findings = append(r.Findings, view.Findings[i])
		}
	}
	rejected, err := a.server.Report(ctx, r)
	if err != nil || r.Packages == nil {
		return rejected, err
	}
	if slices.Contains(rejected, partPackages) {
		a.state.forgetPackages()
		return rejected, nil
	}
	if err := a.state.keepPackages(parts[partPackages], view.Packages); err != nil {
		a.log.Warn("the next change of packages is sent whole", "err", err)
	}
	return rejected, nil
}

// Wait is how long to wait before the next round: the interval, a tenth more or less so that hosts spread, and after failures longer
// and longer. A server that said when to come back is taken at its word.
func Wait(interval time.Duration, failures int, err error, random func() float64) time.Duration {
	wait := interval
	for range min(failures, maxDoublings) {
		wait *= 2
	}
	wait = min(wait, max(longestWait, interval))
	wait += time.Duration(float64(wait) * (random() - 0.5) / 5)
	var r *wire.Refusal
	if errors.As(err, &r) && r.RetryAfter > wait {
		return min(r.RetryAfter, longestWait)
	}
	return wait
}

const (
	// longestWait keeps a host from being away for long after its server is back.
	longestWait  = time.Hour
	maxDoublings = 10
)
