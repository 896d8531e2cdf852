package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/machine"
	"redflag/internal/policy"
)

func (p *Program) agentStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Who this host is in a fleet, and whether its agent does well",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.agentStatus(cmd.Context()) },
	}
}

func (p *Program) agentStatus(ctx context.Context) error {
	id, err := agent.LoadIdentity(p.AgentDir())
	if err != nil {
		return err
	}
	s := agent.LoadStatus(p.AgentDir())
	rows := [][2]string{{"host", id.Host.String()}, {"server", id.Server}, {"enrolled", ago(p.now(), id.EnrolledAt)}, {"agent", p.agentState()}}
	if id.CA != "" {
		rows = append(rows, [2]string{"trust", "the server's own authority, pinned at enrolment"})
	}
	if s.SucceededAt.IsZero() {
		rows = append(rows, [2]string{"reported", "never yet"})
	} else {
		rows = append(rows, [2]string{"reported", ago(p.now(), s.SucceededAt)})
	}
	rows = append(rows, p.privileges(ctx)...)
	if s.Because != "" {
		rows = append(rows, [2]string{"trouble", s.Because + " (" + ago(p.now(), s.At) + ")"})
	}
	for _, r := range rows {
		fmt.Fprintf(p.stdout, "%-10s %s\n", r[0], r[1])
	}
	if s.Remedy != "" {
		fmt.Fprintf(p.stdout, "%-10s → %s\n", "", s.Remedy)
	}
	if s.Because != "" || p.agentState() != agentRuns {
		return exitCode(exitUnknown)
	}
	return nil
}

// privileges says who has root for the agent, and what the host's policy lets a server do.
func (p *Program) privileges(ctx context.Context) [][2]string {
	rows := [][2]string{}
	switch state, err := helperState(ctx); {
	case err != nil:
		because, remedy := fleet.Explain(err)
		rows = append(rows, [2]string{"helper", because + " → " + remedy})
	default:
		rows = append(rows, [2]string{"helper", state})
	}
	return append(rows, [2]string{"policy", policySummary(policy.Load(machine.Local()))})
}

// helperState says how the root helper does. An error says that it should be there, and is not.
func helperState(ctx context.Context) (string, error) {
	if _, err := os.Stat(filepath.Join(unitDir, unitNames[0])); err != nil {
		return "none: an agent that runs as root does without, any other changes nothing", nil
	}
	ctx, cancel := context.WithTimeout(ctx, helperPatience)
	defer cancel()
	f, err := helper.NewClient(helper.Socket).Facts(ctx)
	if errors.Is(err, fs.ErrPermission) {
		return "runs, and answers root and the agent alone", nil
	}
	if err != nil {
		return "", err
	}
	return "runs, " + f.Version, nil
}

// helperPatience bounds the question how the helper does.
const helperPatience = 20 * time.Second

// policySummary says in a line what a server may have done here.
func policySummary(p policy.Policy) string {
	if p.Because != "" {
		return "reports only, because it cannot be understood: " + p.Because
	}
	text := map[fleet.Allow]string{
		fleet.AllowReport: "the server may only look", fleet.AllowPlan: "the server may plan, and install nothing",
		fleet.AllowSecurity: "the server may install security updates", fleet.AllowAll: "the server may install updates",
	}[p.Allow]
	for _, more := range []struct {
		is   bool
		text string
	}{
		{len(p.Only) > 0, "only " + list(p.Only, 4)}, {len(p.Never) > 0, "never " + list(p.Never, 4)}, {p.Hours != "", "at " + p.Hours},
		{p.Restart, "it may restart services"}, {p.Reboot, "it may reboot"},
	} {
		if more.is {
			text += "; " + more.text
		}
	}
	return text
}

// unitInstalled says whether the agent is a service of this machine's systemd.
func (p *Program) unitInstalled() bool {
	_, err := os.Stat(filepath.Join(unitDir, unitNames[0]))
	return err == nil && systemdRuns()
}

// What is said of the agent's process.
const (
	agentRuns  = "runs"
	agentIsOff = "does not run; `redflag agent install` starts it"
)

// agentState says whether an agent runs: it holds the lock.
func (p *Program) agentState() string {
	if _, err := os.Stat(filepath.Join(p.AgentDir(), lockFile)); errors.Is(err, fs.ErrNotExist) {
		return agentIsOff
	}
	lock, err := machine.Lock(filepath.Join(p.AgentDir(), lockFile))
	switch {
	case errors.Is(err, machine.ErrLocked):
		return agentRuns
	case err != nil:
		return "unknown: " + err.Error()
	}
	lock.Close()
	return agentIsOff
}
