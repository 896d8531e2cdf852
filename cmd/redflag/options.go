package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/command"
	"redflag/internal/config"
	"redflag/internal/serve"
	"redflag/internal/store"
)

// fleetCommands are those of a fleet's server.
func fleetCommands(p *command.Program) []*cobra.Command {
	f := &fleet{Program: p}
	return []*cobra.Command{
		f.upCommand(), f.serveCommand(), f.tokenCommand(), f.userCommand(), f.keyCommand(), f.jobCommand(), f.feedCommand(), f.backupCommand(), f.restoreCommand(),
	}
}

// fleet is what the commands of a server share.
type fleet struct {
	*command.Program
	flags config.Server
}

// defaultListen is for all of the machine's addresses. Nobody has registered the port.
const defaultListen = ":7443"

// storeFlags adds the flags that say which fleet is meant.
func (f *fleet) storeFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.flags.DataDir, "data-dir", "", "`FOLDER` of the server's files")
	cmd.Flags().StringVar(&f.flags.Database, "database", "", "`FILE` or postgres://… (default fleet.db in the data folder)")
}

// serveFlags adds those that say how it is served.
func (f *fleet) serveFlags(cmd *cobra.Command) {
	f.storeFlags(cmd)
	cmd.Flags().StringVar(&f.flags.Listen, "listen", "", "listen on `HOST:PORT` (default "+defaultListen+")")
	cmd.Flags().StringVar(&f.flags.TLS, "tls", "", "where the certificate comes from: auto, off, files, acme (default auto)")
	cmd.Flags().StringVar(&f.flags.Cert, "cert", "", "PEM `FILE` with the certificate, for --tls files")
	cmd.Flags().StringVar(&f.flags.Key, "key", "", "PEM `FILE` with its key, for --tls files")
	cmd.Flags().StringVar(&f.flags.PublicURL, "public-url", "", "`URL` by which agents and people reach the server")
	cmd.Flags().StringSliceVar(&f.flags.TrustedProxies, "trusted-proxy", nil, "believe X-Forwarded-For from these `ADDRESSES` (10.0.0.1, 10.0.0.0/8)")
}

// settings lays the flags over the environment, and that over the configuration file.
func (f *fleet) settings() (config.Server, error) {
	c := f.Config().Server
	if err := c.Env(os.Getenv); err != nil {
		return c, command.Usage(err)
	}
	for _, s := range []struct{ to, from *string }{
		{&c.DataDir, &f.flags.DataDir}, {&c.Database, &f.flags.Database}, {&c.Listen, &f.flags.Listen}, {&c.TLS, &f.flags.TLS},
		{&c.Cert, &f.flags.Cert}, {&c.Key, &f.flags.Key}, {&c.PublicURL, &f.flags.PublicURL},
	} {
		if *s.from != "" {
			*s.to = *s.from
		}
	}
	if len(f.flags.TrustedProxies) > 0 {
		c.TrustedProxies = f.flags.TrustedProxies
	}
	return c, nil
}

// options gives what a server is started with.
func (f *fleet) options() (serve.Options, error) {
	c, err := f.settings()
	if err != nil {
		return serve.Options{}, err
	}
	o := serve.Options{
		Listen: or(c.Listen, defaultListen), Database: c.Database, DataDir: or(c.DataDir, filepath.Join(f.Dirs().State, "server")),
		TLS: serve.TLS(or(c.TLS, string(serve.TLSAuto))), Cert: c.Cert, Key: c.Key, ACMEDirectory: c.ACMEDirectory, ACMEEmail: c.ACMEEmail,
		PublicURL: c.PublicURL, SharedRegistries: c.SharedRegistries, Feeds: c.Feeds, Version: f.Version, Log: f.ServiceLog(),
	}
	if c.Interval != nil {
		o.Interval = time.Duration(*c.Interval)
	}
	if c.Keep != nil {
		o.Keep = time.Duration(*c.Keep)
	}
	if o.TrustedProxies, err = prefixes(c.TrustedProxies); err != nil {
		return o, command.Usage(err)
	}
	if err := o.Check(); err != nil {
		return o, command.Usage(err)
	}
	return o, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// prefixes reads addresses and networks.
func prefixes(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range list {
		if !strings.Contains(text, "/") {
			ip, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("trusted proxy %q is no address: %w", text, err)
			}
			all = append(all, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy %q is no network: %w", text, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// withStore does work on the database of the server, which may run at the time or not.
func (f *fleet) withStore(ctx context.Context, work func(*store.Store) error) (err error) {
	o, err := f.options()
	if err != nil {
		return err
	}
	s, err := serve.OpenStore(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	return work(s)
}
