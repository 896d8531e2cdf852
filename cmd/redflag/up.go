package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/agent"
	"redflag/internal/command"
	model "redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/serve"
	"redflag/internal/store"
)

const aboutUp = `Starts a fleet of one in one process: the server, its embedded database, and the agent of this machine. It prints an address with a
link that signs you in once. More hosts may join it: see ` + "`redflag token create`" + `.

It listens on loopback in plain HTTP; with --listen on another address, under TLS with an authority of its own.`

// upListen is on loopback: nobody else reaches it.
const upListen = "127.0.0.1:7443"

func (f *fleet) upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Server and agent for this machine, in one process",
		Long:  aboutUp,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.up(cmd.Context()) },
	}
	f.storeFlags(cmd)
	cmd.Flags().StringVar(&f.flags.Listen, "listen", "", "listen on `HOST:PORT` (default "+upListen+")")
	return cmd
}

func (f *fleet) up(ctx context.Context) error {
	if f.flags.Listen == "" {
		f.flags.Listen = upListen
	}
	host, _, err := net.SplitHostPort(f.flags.Listen)
	if err != nil {
		return command.Usage(fmt.Errorf("--listen %s: it looks like 127.0.0.1:7443", f.flags.Listen))
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		f.flags.TLS = string(serve.TLSOff)
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	running, err := serve.Open(ctx, o)
	if err != nil {
		return err
	}
	link, err := ownerLink(ctx, running)
	if err != nil {
		return errors.Join(err, running.Close())
	}
	fmt.Fprintf(f.Stdout(), "RedFlag is at %s, until you press Ctrl-C.\n", running.URL)
	f.tellLink(link)
	var work sync.WaitGroup
	ctx, stop := context.WithCancelCause(ctx)
	work.Go(func() { stop(running.Run(ctx)) })
	id, err := f.ownIdentity(ctx, running, filepath.Join(o.DataDir, "agent"))
	if err == nil {
		work.Go(func() { f.tellFirstReport(ctx, running, id.Host) })
		err = f.RunAgent(ctx, id, filepath.Join(o.DataDir, "agent"), command.AgentPrompt)
	}
	if err != nil && ctx.Err() == nil {
		f.ServiceLog().Error("this machine is not in the fleet", "err", err)
	}
	<-ctx.Done()
	work.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// tellFirstReport says how this machine is, as soon as it is known.
func (f *fleet) tellFirstReport(ctx context.Context, running *serve.Fleet, id model.HostID) {
	began := time.Now()
	tick := time.NewTicker(firstReportTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		h, err := running.Store.Host(ctx, id)
		if err != nil {
			return // ctx has ended, or the database is in trouble, which the log tells
		}
		if h.ReportedAt.After(began.Add(-time.Second)) || !h.ReportedAt.IsZero() && h.SeenAt.After(began) {
			fmt.Fprintln(f.Stdout(), firstReport(h))
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

const firstReportTick = 200 * time.Millisecond

// firstReport is a host in one line.
func firstReport(h store.Host) string {
	pending := fmt.Sprintf("%d updates pending, %d for security", h.Updates, h.Security)
	switch {
	case h.Unknown > 0:
		pending = fmt.Sprintf("at least %s; sources that could not say all: %d", pending, h.Unknown)
	case h.Updates == 0:
		pending = "up to date"
	}
	return fmt.Sprintf("%s: %s (%d packages, %d containers)", h.Facts.Name, pending, h.Packages, h.Containers)
}

// ownIdentity gives the one that this machine has with this server, or makes it.
func (f *fleet) ownIdentity(ctx context.Context, running *serve.Fleet, dir string) (agent.Identity, error) {
	m := machine.Local()
	id, err := agent.LoadIdentity(dir)
	if err == nil && id.Server == running.LocalURL() && id.Belongs(machine.Fingerprint(m)) == nil {
		if _, err := running.Store.Known(ctx, id.Host); err == nil {
			return id, nil
		}
	}
	address, err := serve.LoadAddress(ctx, running.Store)
	if err != nil {
		return id, err
	}
	now := time.Now()
	_, secret, err := running.Store.NewToken(ctx, store.Token{Seats: 1, CreatedAt: now, CreatedBy: "redflag up", ExpiresAt: now.Add(time.Minute)})
	if err != nil {
		return id, err
	}
	return agent.Enroll(ctx, agent.Enrolment{
		Server: running.LocalURL(), Token: address.Token(secret), Version: f.Version, Dir: dir,
		Machine: machine.Fingerprint(m), Host: machine.Facts(ctx, m),
	})
}
