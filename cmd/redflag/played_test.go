//go:build unix

package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"redflag/internal/agent"
	model "redflag/internal/fleet"
	"redflag/internal/wire"
)

// played is a host that is played: what it says is said by the agent's own code and the real protocol, and what it does is in a script.
type played struct {
	name   string
	id     agent.Identity
	agent  *agent.Agent
	server *heard
	mu     sync.Mutex
	view   agent.View
	// plans are what it would do; of an undo what it would take back.
	plans, back []model.Plan
	// lines are what its tools say. After half of them it waits until go on is said, so that somebody can watch.
	lines []string
	goOn  <-chan struct{}
	// mayPlan, where it is set, is waited for before it plans.
	mayPlan <-chan struct{}
	// ends says what becomes of what it does.
	ends func(wire.Order) wire.Result
}

// heard is what an agent says to its server. It remembers the name of the session.
type heard struct {
	*wire.Client
	session string
}

// CheckIn implements agent.Server.
func (h *heard) CheckIn(ctx context.Context, in wire.CheckIn) ([]string, error) {
	h.session = in.Session
	return h.Client.CheckIn(ctx, in)
}

// join gives the host its agent, which reports for the first time.
func (p *played) join(ctx context.Context, id agent.Identity, dir string) error {
	client, err := id.Client()
	if err != nil {
		return err
	}
	p.id, p.server = id, &heard{Client: client}
	p.agent = agent.New(p.server, agent.OpenState(dir), func(context.Context, wire.Scan) (agent.View, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		v := p.view
		v.Findings, v.Packages = slices.Clone(v.Findings), slices.Clone(v.Packages)
		return v, nil
	}, slog.New(slog.DiscardHandler))
	p.agent.Prompt = true
	return p.agent.Round(ctx, wire.Scan{})
}

// work takes orders until ctx ends, or one of them cannot be obeyed.
func (p *played) work(ctx context.Context) error {
	for ctx.Err() == nil {
		list, err := p.server.Orders(ctx, wire.Wait{Level: wire.Level, Session: p.server.session, Seconds: 5})
		if err != nil {
			select { // the server is away for a while
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		for _, signed := range list {
			o, err := signed.Open(ed25519.PublicKey(p.id.OrderKey), p.id.Host, time.Now())
			if err == nil {
				err = p.obey(ctx, o)
			}
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return nil
}

func (p *played) say(ctx context.Context, r wire.Result) error {
	r.Session, r.At = p.server.session, time.Now()
	return p.server.Result(ctx, r)
}

func (p *played) obey(ctx context.Context, o wire.Order) error {
	if o.Plan != nil {
		if p.mayPlan != nil {
			select {
			case <-p.mayPlan:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		plans := p.plans
		if o.Plan.Undo != 0 {
			plans = p.back
		}
		return p.say(ctx, wire.Result{Order: o.ID, State: wire.Succeeded, Answer: &wire.Answer{Plans: plans, Jobs: []wire.Job{}}})
	}
	if err := p.say(ctx, wire.Result{Order: o.ID, State: wire.Running}); err != nil {
		return err
	}
	if o.Install != nil && o.Install.Undoes == 0 {
		if err := p.stream(ctx, o.ID); err != nil {
			return err
		}
	}
	r := wire.Result{State: wire.Succeeded}
	if o.Install != nil {
		r = p.ends(o)
		if err := p.agent.Round(ctx, wire.Scan{}); err != nil {
			return err
		}
	}
	r.Order = o.ID
	return p.say(ctx, r)
}

// stream says the lines, the second half once it may go on. Each batch is sent twice, as after an answer that was lost.
func (p *played) stream(ctx context.Context, id wire.OrderID) error {
	half := len(p.lines) / 2
	for i, part := range [][]string{p.lines[:half], p.lines[half:]} {
		if i == 1 {
			select {
			case <-p.goOn:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for from := 0; from < len(part); from += wire.MaxBatch {
			batch := part[from:min(from+wire.MaxBatch, len(part))]
			for range 2 {
				if _, err := p.server.Progress(ctx, wire.Progress{Session: p.server.session, Order: id, Step: "unpack libssl3", Percent: 40 + i*50, From: i*half + from, Lines: batch}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// upgrade is a change as apt makes it.
func upgrade(name, from, to string) model.Change {
	return model.Change{Action: model.Upgrade, Name: name, Arch: "amd64", From: from, To: to, Security: true, Origin: "Debian-Security:12/stable-security"}
}

// security is what the three hosts have in common: updates that are for security.
func security() []model.Change {
	return []model.Change{upgrade("curl", "7.88.1-10", "7.88.1-11"), upgrade("libssl3", "3.0.15-1", "3.0.17-1")}
}

// aptPlan is a plan of apt's.
func aptPlan(changes ...model.Change) model.Plan {
	p := model.NewPlan("apt", model.Selection{Security: true}, time.Now())
	slices.SortFunc(changes, model.CompareChanges)
	p.Changes, p.Download, p.Disk, p.Free = changes, 4_300_000, 180_000, 9_000_000_000
	p.Reboot.Needed = model.NotNeeded
	p.Restart = model.Restart{Needed: model.Needed, Services: []model.Service{{Name: "ssh.service", Kind: "unit", PIDs: []int{812}, Files: []string{"/usr/lib/x86_64-linux-gnu/libssl.so.3"}}}}
	return p
}

// logLines are what dpkg says of that, at length: more than a screen has.
func logLines(host string) []string {
	lines := []string{"(Reading database ... 31840 files and directories currently installed.)"}
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("Unpacking libssl3:amd64 (3.0.17-1) over (3.0.15-1) ... %s, line %d", host, i+2))
	}
	return append(lines, hostile, "Setting up curl (7.88.1-11) ...")
}

func outcome(changed ...model.Change) model.Outcome {
	o := model.NewOutcome()
	o.Done = append(o.Done, changed...)
	o.Reboot.Needed, o.Restart.Needed = model.NotNeeded, model.NotNeeded
	return o
}

// outcomes is the answer of a host that has carried plans out.
func outcomes(jobs ...wire.Job) *wire.Answer {
	return &wire.Answer{Plans: []model.Plan{}, Jobs: jobs}
}

// playedFleet are three hosts with the same security updates: on web2 all goes well; on db1, which would lose a package too, a script fails; on shop1 a
// container's new image is not healthy.
func playedFleet(mayPlan, goOn <-chan struct{}) []*played {
	web, db, shop := playedHost("web2", goOn), playedHost("db1", goOn), playedHost("shop1", goOn)
	shop.mayPlan = mayPlan
	web.plans = []model.Plan{aptPlan(security()...)}
	back := security()
	for i := range back {
		back[i].Action, back[i].From, back[i].To = model.Downgrade, back[i].To, back[i].From
	}
	web.back = []model.Plan{aptPlan(back...)}
	web.ends = func(o wire.Order) wire.Result {
		done := outcome(o.Install.Plans[0].Changes...)
		if o.Install.After.RestartServices {
			done.Restarted = []string{"ssh.service"}
		}
		done.ConfigFiles = []string{"/etc/ssl/openssl.cnf"}
		web.found(o.Install.Undoes != 0)
		return wire.Result{State: wire.Succeeded, Answer: outcomes(wire.Job{ID: "20261125-1", Source: "apt", State: "succeeded", Outcome: done})}
	}

	gone := model.Change{Action: model.Remove, Name: "libold1", Arch: "amd64", From: "1.2-3"}
	db.plans = []model.Plan{aptPlan(append(security(), gone)...)}
	db.plans[0].Warnings = []string{"libold1 is removed, because libssl3 breaks it"}
	db.plans[0].ConfigFiles = []string{"/etc/ssl/openssl.cnf"}
	db.ends = func(wire.Order) wire.Result {
		o := outcome(gone, security()[1])
		o.Missing, o.HalfDone, o.Stopped = security()[:1], []string{"curl"}, []string{"postgresql.service"}
		o.Because, o.Remedy = "the configuration script of curl failed (exit status 1)", "see the log; then let it finish: redflag repair"
		return wire.Result{State: wire.Failed, Because: "apt: " + o.Because, Remedy: o.Remedy, Answer: outcomes(wire.Job{ID: "20261125-1", Source: "apt", State: "failed", Outcome: o})}
	}

	anew := model.Change{
		Action: model.Recreated, Name: "shop", Arch: "linux/amd64", Image: "docker.io/example/shop:3", Security: true,
		From: "sha256:1f0c35c2b5c9b7e3f2f6f1a7c4a3a1b2c3d4e5f60718293a4b5c6d7e8f901234", To: "sha256:9a8b7c6d5e4f30211203f4e5d6c7b8a9990817263544536271809fafbecddeef",
	}
	image := model.NewPlan("docker", model.Selection{Security: true}, time.Now())
	image.Changes, image.Download = []model.Change{anew}, 61_000_000
	image.Reboot.Needed, image.Restart.Needed = model.NotNeeded, model.NotNeeded
	shop.plans = []model.Plan{aptPlan(security()...), image}
	shop.view.Host.Policy.Allow = model.AllowSecurity
	shop.view.Host.Engines = []model.Engine{{Name: "docker", Version: "29.4.0"}}
	shop.view.Containers = []model.Container{{Source: "docker", Name: "shop", Image: "example/shop:3", Platform: "linux/amd64", State: "running"}}
	shop.view.Findings = append(shop.view.Findings, model.Finding{Source: "docker", State: model.OK, ScannedAt: time.Now(), Updates: []model.Update{{
		Source: "docker", Name: "example/shop:3", From: anew.From, To: anew.To, Security: true, Size: 61_000_000, ImageUpdate: &model.ImageUpdate{Kind: model.Rebuild, Platform: anew.Arch, Containers: []string{"shop"}},
	}}, Checks: []model.Check{{Name: "example/shop:3", Containers: []string{"shop"}, Platform: anew.Arch, Answer: model.Outdated, CheckedAt: time.Now()}}})
	shop.ends = func(wire.Order) wire.Result {
		o := outcome()
		o.Missing, o.RolledBack = []model.Change{anew}, true
		o.Because = "shop was not healthy within a minute: connection refused at port 8080"
		return wire.Result{State: wire.RolledBack, Because: "docker: " + o.Because, Answer: outcomes(
			wire.Job{ID: "20261125-1", Source: "apt", State: "succeeded", Outcome: outcome(security()...)},
			wire.Job{ID: "20261125-2", Source: "docker", State: "rolled back", Outcome: o})}
	}
	return []*played{db, shop, web}
}

func playedHost(name string, goOn <-chan struct{}) *played {
	p := &played{name: name, goOn: goOn, lines: logLines(name)}
	p.view = agent.View{
		Host: model.Host{
			Name: name, OS: "Debian GNU/Linux 12 (bookworm)", OSID: "debian", OSVersion: "12", Arch: "amd64",
			Reboot: model.Reboot{Needed: model.NotNeeded, Because: []string{}}, Restart: aptPlan().Restart,
			Policy: &model.Policy{Allow: model.AllowAll, Only: []string{}, Never: []string{"linux-image-*"}, Restart: true},
		},
		Containers: []model.Container{},
	}
	p.found(true)
	return p
}

// found is what a look finds: the updates, or none any more, what is installed, and what still runs.
func (p *played) found(pending bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := model.Finding{Source: "apt", State: model.OK, ScannedAt: time.Now(), Checks: []model.Check{}, Updates: []model.Update{}}
	p.view.Packages = stays()
	p.view.Host.Restart = aptPlan().Restart
	for _, c := range security() {
		b := model.Build{Ecosystem: "Debian:12", Package: cmp.Or(builtFrom[c.Name], c.Name), From: c.From, To: c.To}
		has := model.Package{Source: "apt", Name: c.Name, Arch: c.Arch, Version: c.To, From: builtFrom[c.Name], Ecosystem: b.Ecosystem}
		if pending {
			has.Version = c.From
			f.Updates = append(f.Updates, model.Update{Source: "apt", Name: c.Name, Arch: c.Arch, From: c.From, To: c.To, Security: true, Build: &b})
		} else { // its service still runs what was replaced
			ssh := &p.view.Host.Restart.Services[0]
			ssh.Replaced = append(ssh.Replaced, model.Replaced{Package: has, Before: c.From})
		}
		p.view.Packages = append(p.view.Packages, has)
	}
	p.view.Findings = append([]model.Finding{f}, p.view.Findings[min(1, len(p.view.Findings)):]...)
}

// stays is what else is installed, for which no update is on offer.
func stays() []model.Package {
	return []model.Package{
		{Source: "apt", Name: "openssh-server", Arch: "amd64", Version: "1:9.2p1-2+deb12u4", From: "openssh", Ecosystem: "Debian:12"},
		{Source: "apt", Name: "sudo", Arch: "amd64", Version: "1.9.13p3-1+deb12u2", Ecosystem: "Debian:12"},
	}
}

// builtFrom are the source packages of those that have another name.
var builtFrom = map[string]string{"libssl3": "openssl"}
