package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"redflag/internal/serve"
)

const aboutServe = `Serves a fleet: agents report to it, people look at it. One process with an embedded database; with --database postgres://… any number
of processes on one PostgreSQL, none of them special.

Settings come from flags, then from the environment (REDFLAG_LISTEN, REDFLAG_DATABASE, REDFLAG_DATA_DIR, REDFLAG_TLS, REDFLAG_PUBLIC_URL …),
then from the [server] part of the configuration file; docs/config.toml has them all.

Without a certificate of its own (--tls auto) the server makes itself an authority, and enrolment tokens vouch for it.`

func (f *fleet) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Serve a fleet",
		Long:    aboutServe,
		Example: "  redflag serve\n  redflag serve --listen :443 --tls acme --public-url https://fleet.example.com\n  redflag serve --listen 127.0.0.1:7443 --tls off --public-url https://fleet.example.com --trusted-proxy 127.0.0.1",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.serve(cmd.Context()) },
	}
	f.serveFlags(cmd)
	return cmd
}

func (f *fleet) serve(ctx context.Context) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	running, err := serve.Open(ctx, o)
	if err != nil {
		return err
	}
	link, err := firstLink(ctx, running)
	if err != nil {
		return errors.Join(err, running.Close())
	}
	fmt.Fprintf(f.Stdout(), "RedFlag serves the fleet at %s\n", running.URL)
	if link != "" {
		f.tellLink(link)
	}
	return running.Run(ctx)
}
