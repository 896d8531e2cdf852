package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Obey lets the members' agents run as they do on hosts, until ctx ends: they wait for orders, plan, and install with so many lines of output each. Their
// connections break again and again, after the server has heard what they said and before they know: it is all said once more. What they have on disk is in dir.
// It returns when all of them have ended.
func (s *Swarm) Obey(ctx context.Context, dir string, lines int) {
	var work sync.WaitGroup
	for _, m := range s.members {
		work.Go(func() {
			heard := *m.heard
			c := *m.client
			c.HTTP = s.from(m, &breaking{RoundTripper: s.http.Transport})
			heard.Client = &c
			a := agent.New(&heard, agent.OpenState(filepath.Join(dir, fmt.Sprint(m.n))), func(context.Context, wire.Scan) (agent.View, error) { return m.view(s.now), nil }, slog.New(slog.DiscardHandler))
			a.Prompt = true
			a.Root = &root{m: m, lines: lines, server: m.server, orders: map[wire.OrderID]*doing{}}
			_ = a.Run(ctx, agent.Identity{Host: m.id, OrderKey: m.server, Interval: int(time.Hour / time.Second)}) // it ends with ctx
		})
	}
	work.Wait()
}

// breaking is a connection that breaks at every third answer to what is said of orders.
type breaking struct {
	http.RoundTripper
	n atomic.Int64
}

var errBroken = errors.New("the connection broke")

// RoundTrip implements http.RoundTripper.
func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil && (r.URL.Path == wire.PathProgress || r.URL.Path == wire.PathResults) && b.n.Add(1)%3 == 0 {
		return nil, errors.Join(errBroken, resp.Body.Close())
	}
	return resp, err
}

// work has updates installed on all members at once, first without a line of output and then with so many, compares every line, and says what one costs the server.
func (s *Swarm) work(ctx context.Context, dir string) error {
	few := s.members[:min(len(s.members), maxWorkers)]
	all := s.members
	s.members = few
	defer func() { s.members = all }()
	without, err := s.rollout(ctx, filepath.Join(dir, "silent"), 0)
	if err != nil {
		return err
	}
	with, err := s.rollout(ctx, filepath.Join(dir, "talking"), s.cfg.Lines)
	if err != nil {
		return err
	}
	if s.cfg.Process == 0 {
		return nil
	}
	total := float64(len(few) * s.cfg.Lines)
	line := float64(with-without) / total
	fmt.Fprintf(s.cfg.Out, "a job on a host, without output: %.1f ms of the server's CPU; a streamed line: %.1f µs, so that %.1f lines cost what a bare check-in does\n",
		ms(without)/float64(len(few)), line/float64(time.Microsecond), float64(s.checkIn)/max(line, 1))
	return nil
}

// maxWorkers is how many members work at once: each polls and streams as an agent does, on this machine.
const maxWorkers = 200

// rollout has updates installed on all members, and compares every line that the server has with what was said. It gives the CPU time that this took the server.
func (s *Swarm) rollout(ctx context.Context, dir string, lines int) (time.Duration, error) {
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { s.Obey(ctx, dir, lines) })
	sleep(ctx, settle) // each is there, and has told what it has
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	id, err := s.install(ctx)
	if err != nil {
		return 0, err
	}
	after, err := s.cpu()
	if err != nil {
		return 0, err
	}
	wrong, err := s.Compare(ctx, id, lines)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("of %d jobs %d have other lines than were said", len(s.members), wrong)
	}
	fmt.Fprintf(s.cfg.Out, "%d jobs of %d lines each, with broken connections: %d have other lines than were said\n", len(s.members), lines, wrong)
	return after - before, err
}

// whole is what is read of a rollout.
type whole struct {
	Hosts  int            `json:"hosts"`
	Jobs   map[string]int `json:"jobs"`
	Digest string         `json:"digest"`
}

// install asks for updates on all members, approves what they have planned, and waits for the end.
func (s *Swarm) install(ctx context.Context) (int64, error) {
	var ids []fleet.HostID
	for _, m := range s.members {
		ids = append(ids, m.id)
	}
	var made struct {
		Rollout int64 `json:"rollout"`
	}
	if err := s.post(ctx, "/rollouts", map[string]any{"hosts": ids, "work": map[string]any{"install": map[string]any{"all": true}}}, &made); err != nil {
		return 0, err
	}
	path := fmt.Sprintf("/rollouts/%d", made.Rollout)
	r, err := s.until(ctx, path, "planned")
	if err == nil {
		err = s.post(ctx, path+"/approve", map[string]any{"digest": r.Digest}, nil)
	}
	if err == nil {
		_, err = s.until(ctx, path, "succeeded")
	}
	return made.Rollout, err
}

// until waits until all jobs of a rollout are in a state.
func (s *Swarm) until(ctx context.Context, path, state string) (r whole, err error) {
	for ctx.Err() == nil {
		r = whole{}
		if err := s.get(ctx, path, &r); err != nil {
			return r, err
		}
		if r.Jobs[state] == len(s.members) {
			return r, nil
		}
		if n := r.Jobs["failed"] + r.Jobs["expired"] + r.Jobs["unknown"]; n > 0 {
			return r, fmt.Errorf("%d jobs did not succeed", n)
		}
		sleep(ctx, time.Second)
	}
	return r, ctx.Err()
}

// Compare counts the members of whose job in a rollout the server has other lines than they said.
func (s *Swarm) Compare(ctx context.Context, rollout int64, lines int) (wrong int, err error) {
	members := map[fleet.HostID]*member{}
	for _, m := range s.members {
		members[m.id] = m
	}
	seen := 0
	for after := ""; ; {
		var p page[struct {
			ID    int64        `json:"id"`
			Host  fleet.HostID `json:"host"`
			Order wire.OrderID `json:"work_order"`
		}]
		if err := s.get(ctx, fmt.Sprintf("/rollouts/%d/jobs?%s", rollout, url.Values{"limit": {"500"}, "after": {after}}.Encode()), &p); err != nil {
			return 0, err
		}
		for _, j := range p.Items {
			m := members[j.Host]
			if m == nil {
				continue
			}
			seen++
			log, err := s.read(ctx, fmt.Sprintf("/jobs/%d/log", j.ID))
			if err != nil {
				return 0, err
			}
			var said strings.Builder
			for i := range lines {
				said.WriteString(m.line(j.Order, i) + "\n")
			}
			if string(log) != said.String() {
				wrong++
			}
		}
		if after = p.Next; after == "" {
			return wrong + len(s.members) - seen, nil
		}
	}
}

// post asks the people's API for something.
func (s *Swarm) post(ctx context.Context, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	answer, err := s.ask(ctx, http.MethodPost, path, bytes.NewReader(data))
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

func (s *Swarm) read(ctx context.Context, path string) ([]byte, error) {
	return s.ask(ctx, http.MethodGet, path, http.NoBody)
}

// ask asks the people's API, and gives the answer's body.
func (s *Swarm) ask(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.cfg.Server+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.cfg.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	return data, err
}
