package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/machine"
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
	if machine.Administers() {
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
	owner, err := machine.OwnerOf(dir)
	if err != nil || owner <= 0 || !machine.Administers() {
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
