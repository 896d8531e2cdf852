// Command redflag-swarm lets many simulated hosts join a server, and measures what they cost it: rates, latencies, bytes, and the CPU and
// memory of the server's process. It is for servers that are there to be tried: the hosts stay in the fleet.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"redflag/internal/swarm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "redflag-swarm: "+err.Error())
		os.Exit(1)
	}
}

func command() *cobra.Command {
	cfg := swarm.Config{Out: os.Stdout}
	cmd := &cobra.Command{
		Use:   "redflag-swarm URL TOKEN",
		Short: "Simulated hosts that speak the real protocol",
		Long: fmt.Sprintf(`Lets simulated hosts join a server, report, check in, change and wait for orders, by the agent's own code. Each has %d packages, %d updates of
which %d are for security, and %d containers. The server has no TLS, or a certificate that this machine trusts. docs/swarm.md has the figures.`, swarm.Packages, swarm.Updates, swarm.Security, swarm.Containers),
		Example:       "  redflag-swarm http://127.0.0.1:7443 \"$(redflag token create --seats any)\" --hosts 1000 --pid \"$(pidof redflag)\"",
		Args:          cobra.ExactArgs(2),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Server, cfg.Token = args[0], args[1]
			if cfg.Hosts < 1 || cfg.AtOnce < 1 {
				return errors.New("--hosts and --at-once are numbers from 1")
			}
			return swarm.New(cfg).Run(cmd.Context())
		},
	}
	cmd.Flags().IntVar(&cfg.Hosts, "hosts", 100, "how many hosts")
	cmd.Flags().IntVar(&cfg.AtOnce, "at-once", 64, "how many of them talk at the same time")
	cmd.Flags().IntVar((*int)(&cfg.Process), "pid", 0, "the server's process on this machine, to measure its CPU and memory")
	cmd.Flags().StringVar(&cfg.Key, "key", "", "an API key, to compare what the server has and to measure its lists")
	cmd.Flags().IntVar(&cfg.Lines, "lines", 0, "have updates installed on all hosts, with so many lines of output on each, by a --key that may write")
	cmd.Flags().BoolVar(&cfg.Forwarded, "forwarded", false, "give each host an address of its own, for a server with --trusted-proxy 127.0.0.1")
	return cmd
}
