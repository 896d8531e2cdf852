package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/wire"
)

// agentUser is the user that the agent runs as, and the group that may speak to the helper. It is not the server's (docs/redflag.service), which may run on the same host.
const agentUser = "redflag-agent"

const aboutHelper = `Does what needs root for the agent, which runs as the user ` + agentUser + ` and has no rights of its own. It listens on a socket of this machine, and on no
network. It obeys the orders of the server that root has enrolled this host at, as far as /etc/redflag/policy.toml allows them, each once,
and lets the agent look at the container engine. ` + "`redflag agent install`" + ` makes it a service.`

func (p *Program) helperCommand() *cobra.Command {
	return &cobra.Command{
		Use: "helper", Short: "Do what needs root for the agent (a service makes this)", Long: aboutHelper, Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runHelper(cmd.Context()) },
	}
}

// newHelper makes the helper of this machine, which trusts whom trust names.
func (p *Program) newHelper(trust func() (helper.Trust, error)) (*helper.Helper, error) {
	m := machine.Local()
	m.Interfaces = nil // its network is none of the helper's business
	return helper.Open(helper.Config{Machine: m, Dir: p.dirs.State, Trust: trust, Begin: begin, Outside: outside, Version: p.Version, Log: p.ServiceLog()})
}

// runHelper is the helper as a process of its own.
func (p *Program) runHelper(ctx context.Context) error {
	if err := rootAlone("run the helper"); err != nil {
		return err
	}
	uid, gid, err := agentIDs()
	if err != nil {
		return err
	}
	h, err := p.newHelper(func() (helper.Trust, error) { return helper.LoadTrust(p.dirs.State) })
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := helper.Listen(helper.Socket, gid)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var views sync.WaitGroup
	defer views.Wait()
	views.Go(func() { helper.ShowEngines(ctx, helper.Engines(), gid, uid, p.ServiceLog()) })
	p.ServiceLog().Info("the helper listens", "socket", helper.Socket)
	err = helper.NewServer(h, uid).Serve(ctx, l)
	stop()
	return err
}

// agentIDs gives the agent's user and group.
func agentIDs() (uid, gid int, err error) {
	u, err := user.Lookup(agentUser)
	if err == nil {
		uid, err = strconv.Atoi(u.Uid)
	}
	if err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return 0, 0, &fleet.Unknown{Because: "there is no user " + agentUser + " on this machine", Remedy: "`redflag agent install` makes it", Err: err}
	}
	return uid, gid, nil
}

// whoHasRoot gives who has root here: a helper in this process where we are root, else the one that listens. It is nil where there is none.
func (p *Program) whoHasRoot(id agent.Identity) (root agent.Root, end func(), err error) {
	none := func() {}
	if machine.Administers() {
		h, err := p.newHelper(func() (helper.Trust, error) {
			return helper.Trust{Host: id.Host, Server: id.Server, OrderKey: id.OrderKey}, nil // it is root's own file
		})
		if err == nil {
			return h, h.Close, nil
		}
		if !errors.Is(err, helper.ErrOther) {
			return nil, none, err
		}
	}
	if p.isService() {
		return helper.NewClient(helper.Socket), none, nil
	}
	c := helper.NewClient(helper.Socket)
	if _, err := os.Stat(helper.Socket); err != nil {
		return nil, none, nil //nolint:nilerr // without a helper it looks, and changes nothing
	}
	return c, none, nil
}

// hiddenCommands are those that the helper has carried out outside of its sandbox.
func (p *Program) hiddenCommands() []*cobra.Command {
	hidden := func(name string, run func(ctx context.Context) (any, error)) *cobra.Command {
		return &cobra.Command{Use: name, Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := run(cmd.Context())
			if err == nil {
				return json.NewEncoder(p.stdout).Encode(answer)
			}
			var why reason
			why.Because, why.Remedy = fleet.Explain(err)
			return errors.Join(json.NewEncoder(p.stdout).Encode(why), exitCode(exitFailed))
		}}
	}
	return []*cobra.Command{
		p.jobRunCommand(), p.helperCommand(), hidden(helper.PlanCommand, p.planRun), hidden(helper.RefreshCommand, p.refreshRun), hidden(helper.SettleCommand, p.settleRun),
	}
}

// maxPlanning bounds what plan-run reads.
const maxPlanning = 16 << 20

// planRun plans what the helper was ordered to.
func (p *Program) planRun(ctx context.Context) (any, error) {
	var o wire.Planning
	if err := json.NewDecoder(io.LimitReader(os.Stdin, maxPlanning)).Decode(&o); err != nil {
		return nil, fmt.Errorf("read what is to be planned: %w", err)
	}
	m := machine.Local()
	installers, err := p.installers(m, nil)
	if err != nil {
		return nil, err
	}
	answer := &wire.Answer{Plans: []fleet.Plan{}, Jobs: []wire.Job{}}
	if o.Undo != 0 {
		answer.Plans, err = undoPlans(ctx, m, o.Undo, installers)
		return answer, err
	}
	plans, err := source.PlanAll(ctx, m, installers, o.Selection)
	for _, plan := range plans {
		if len(plan.Changes) > 0 || len(plan.Warnings) > 0 {
			answer.Plans = append(answer.Plans, plan)
		}
	}
	return answer, err
}

// undoPlans plans the way back from what an order has changed.
func undoPlans(ctx context.Context, m *machine.Machine, id wire.OrderID, installers []source.Installer) ([]fleet.Plan, error) {
	list, err := job.List(m)
	if err != nil {
		return nil, err
	}
	plans := []fleet.Plan{}
	for _, j := range list { // the last first
		if j.Order != strconv.FormatInt(int64(id), 10) || j.Outcome == nil || len(j.Outcome.Done) == 0 {
			continue
		}
		plan, err := job.Undo(ctx, m, j, installers)
		if err != nil {
			return nil, err
		}
		plans = append(plans, plan)
	}
	if len(plans) == 0 {
		return nil, &fleet.Unknown{Because: "this host knows of nothing that the order has changed", Remedy: "see `redflag history` on the host"}
	}
	return plans, nil
}

// refreshRun fetches the lists of all sources.
func (p *Program) refreshRun(ctx context.Context) (any, error) {
	m := machine.Local()
	sources, err := p.sources(m, nil)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, s := range sources {
		if r, ok := s.(source.Refresher); ok {
			problems = append(problems, r.Refresh(ctx, m))
		}
	}
	return struct{}{}, errors.Join(problems...)
}

// settleRun settles jobs that nobody is at.
func (p *Program) settleRun(ctx context.Context) (any, error) {
	m := machine.Local()
	installers, err := p.installers(m, nil)
	if err != nil {
		return nil, err
	}
	return struct{}{}, job.Recover(ctx, m, installers)
}

// engineView is a variable of the environment as the agent has it: where the helper shows it a container engine, that is where it asks.
func (p *Program) engineView(name string) string {
	set := os.Getenv(name)
	view := map[string]string{"DOCKER_HOST": "docker.sock", "CONTAINER_HOST": "podman.sock"}[name]
	if set != "" || view == "" || !p.isService() {
		return set
	}
	file := filepath.Join(helper.Dir, view)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return "unix://" + file
}

// isService says whether we are the agent's service, which has its folders from systemd (systemd.exec(5)) and is not root.
func (p *Program) isService() bool {
	return !machine.Administers() && strings.HasSuffix(os.Getenv("STATE_DIRECTORY"), "/redflag/agent")
}
