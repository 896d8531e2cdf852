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
	var work sync.WaitGroup
	ctx, stop := context.WithCancelCause(ctx)
	work.Go(func() { stop(running.Run(ctx)) })
	err = f.ownAgent(ctx, running, filepath.Join(o.DataDir, "agent"))
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

// ownAgent is the agent of this machine, until ctx ends.
func (f *fleet) ownAgent(ctx context.Context, running *serve.Fleet, dir string) error {
	id, err := f.ownIdentity(ctx, running, dir)
	if err != nil {
		return err
	}
	return f.RunAgent(ctx, id, dir, false)
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
