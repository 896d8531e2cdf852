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
	"redflag/internal/registry"
	"redflag/internal/source"
	"redflag/internal/source/all"
	"redflag/internal/wire"
)

const aboutAgent = `The agent reports this host to a fleet's server: its updates, packages and containers, and what it needs. It calls out and
listens on nothing. Every request is signed with a key that never leaves the host, and the server is the one that made the token.

  redflag agent enroll https://fleet.example.com TOKEN    join a fleet
  redflag agent install                                   start the agent now and with the system
  redflag agent status                                    is it well?`

func (p *Program) agentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Report this host to a fleet's server",
		Long:  aboutAgent,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.enrollCommand(), p.runCommand(), p.agentStatusCommand(), p.unenrollCommand(), p.serviceInstallCommand(), p.uninstallCommand())
	return cmd
}

// lockFile is held by the agent that runs.
const lockFile = "lock"

// AgentDir is where the agent keeps its identity and its state.
func (p *Program) AgentDir() string {
	if p.isService() {
		return p.dirs.State
	}
	return filepath.Join(p.dirs.State, "agent")
}

func (p *Program) enrollCommand() *cobra.Command {
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "enroll URL TOKEN",
		Short: "Join a fleet",
		Long: `Joins the fleet of the server at URL with a TOKEN that the server made (` + "`redflag token create`" + `). The same machine enrolled
again is the same host there, with its history.`,
		Example: "  redflag agent enroll https://fleet.example.com:7443 J5TZ…",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.enroll(cmd.Context(), args[0], args[1], plainHTTP)
		},
	}
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "allow a server on another machine without TLS")
	return cmd
}

func (p *Program) enroll(ctx context.Context, server, token string, plainHTTP bool) error {
	m := machine.Local()
	id, err := agent.Enroll(ctx, agent.Enrolment{
		Server: server, Token: token, PlainHTTP: plainHTTP, Version: p.Version, Dir: p.AgentDir(),
		Machine: machine.Fingerprint(m), Host: machine.Facts(ctx, m),
	})
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := p.enrolled(ctx, id); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stdout, "This host is %s in the fleet of %s.\n", id.Host, id.Server)
	fmt.Fprintln(p.stdout, "`redflag agent install` starts the agent with the system; `redflag agent run` runs it here.")
	return nil
}

// enrolled notes for root whose orders count from now on, and lets a service that runs already be who the host is now.
func (p *Program) enrolled(ctx context.Context, id agent.Identity) error {
	if err := (helper.Trust{Host: id.Host, Server: id.Server, OrderKey: id.OrderKey}).Save(p.dirs.State); err != nil {
		return err
	}
	if !p.unitInstalled() {
		return nil
	}
	if err := p.giveToAgent(); err != nil {
		return err
	}
	return systemctl(ctx, "try-restart", unitNames[1])
}

func (p *Program) runCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Look and report until stopped",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return asService(cmd.Context(), func(ctx context.Context) error { return p.runAgent(ctx, once) })
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "look and report once, and end")
	return cmd
}

// runAgent is the agent as a process of its own.
func (p *Program) runAgent(ctx context.Context, once bool) error {
	id, err := agent.LoadIdentity(p.AgentDir())
	if err != nil {
		return err
	}
	if err := id.Belongs(machine.Fingerprint(machine.Local())); err != nil {
		return err
	}
	p.ServiceLog().Info("the agent runs", "host", id.Host.String(), "server", id.Server)
	mode := AgentService
	if once {
		mode = AgentOnce
	}
	err = p.RunAgent(ctx, id, p.AgentDir(), mode)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // it was asked to stop
	}
	return err
}

// AgentMode says how an agent runs.
type AgentMode int

// Modes of an agent.
const (
	AgentService AgentMode = iota // until it is ended; after a start it waits for its turn among all that were started
	AgentOnce                     // one round
	AgentPrompt                   // until it is ended, and the first round is at once: somebody waits for it
)

// RunAgent looks and reports with an identity. What the agent keeps is in a folder, with which only one runs at a time.
func (p *Program) RunAgent(ctx context.Context, id agent.Identity, dir string, mode AgentMode) error {
	if err := ownFolder(dir); err != nil {
		return err
	}
	lock, err := machine.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, machine.ErrLocked) {
		return &fleet.Unknown{Because: "another agent of this host runs already", Remedy: "`redflag agent status` says how it does; stop it first, to run one here", Err: err}
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	client, err := id.Client()
	if err != nil {
		return err
	}
	sources := &agentSources{program: p, shared: agent.NewImages(client, nil)}
	defer sources.close()
	log := p.ServiceLog()
	root, end, err := p.whoHasRoot(id)
	if err != nil {
		return err
	}
	defer end()
	host := agent.Host{Machine: machine.Local(), Sources: sources.present, StateDir: p.dirs.State, Root: root, Log: log}
	a := agent.New(client, agent.OpenState(dir), host.Look, log)
	a.Version, a.Prompt, a.Root = p.Version, mode == AgentPrompt, root
	if mode == AgentOnce {
		return a.Round(ctx, wire.Scan{})
	}
	return a.Run(ctx, id)
}

// ownFolder refuses root a folder that is another user's: what root leaves in it, that user could not read.
func ownFolder(dir string) error {
	owner, err := ownerOf(dir)
	if err != nil || owner <= 0 || os.Geteuid() != 0 {
		return nil //nolint:nilerr // it is not there yet, or its owner is not known here
	}
	return &fleet.Unknown{
		Because: "the agent of this host runs as a service, as the user who owns " + dir,
		Remedy:  "systemctl start redflag-agent; or, to run it by hand as root: redflag agent uninstall",
	}
}

// agentTagLifetime is how long an agent uses a registry's answer again, where nothing else is configured: it looks every few
// minutes, and a tag moves every few days.
const agentTagLifetime = time.Hour

// agentSources are the sources of an agent, which looks again and again for as long as it lives.
type agentSources struct {
	program       *Program
	usual, strict *registry.Client // the second asks anew
	shared        registry.Shared
}

// present gives the sources that the machine has now.
func (s *agentSources) present(anew bool) []source.Source {
	client := &s.usual
	config := s.program.registryConfig()
	if s.program.config.TagLifetime == nil {
		config.TagLifetime = agentTagLifetime
	}
	config.Shared = s.shared
	if anew {
		client, config.TagLifetime = &s.strict, -1
	}
	if *client == nil {
		*client = registry.New(config)
	}
	known := all.Sources(all.Options{Registry: *client, StateDir: s.program.dirs.State, AptHook: aptHook(), Getenv: s.program.engineView})
	var here []source.Source
	for _, one := range known {
		if one.Present(machine.Local()) {
			here = append(here, one)
		}
	}
	return here
}

func (s *agentSources) close() {
	for _, c := range []*registry.Client{s.usual, s.strict} {
		if c != nil {
			c.Close()
		}
	}
}

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

func (p *Program) unenrollCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "unenroll",
		Short: "Leave the fleet",
		Long: `Takes this host out of its fleet, with all that the server knows of it, and deletes its identity here. With --force the identity
is deleted even where the server cannot be told; the host then stays in the server's list, as one that is not seen any more.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.unenroll(cmd.Context(), force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "leave even where the server cannot be told")
	return cmd
}

// leavePatience bounds the goodbye.
const leavePatience = 30 * time.Second

func (p *Program) unenroll(ctx context.Context, force bool) error {
	id, err := agent.LoadIdentity(p.AgentDir())
	if err != nil {
		return err
	}
	err = leave(ctx, id)
	var r *wire.Refusal
	switch {
	case err == nil || errors.As(err, &r) && r.Code == wire.CodeForgotten:
		fmt.Fprintf(p.stdout, "This host has left the fleet of %s.\n", id.Server)
	case force:
		fmt.Fprintf(p.stdout, "The server was not told (%v); this host has forgotten it.\n", err)
	default:
		return &fleet.Unknown{Because: "the server could not be told: " + err.Error(), Remedy: "try again, or use --force", Err: err}
	}
	return errors.Join(agent.Remove(p.AgentDir()), helper.ForgetTrust(p.dirs.State))
}

func leave(ctx context.Context, id agent.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, leavePatience)
	defer cancel()
	client, err := id.Client()
	if err != nil {
		return err
	}
	return client.Leave(ctx)
}
