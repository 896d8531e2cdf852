package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"redflag/internal/agent"
	"redflag/internal/client"
	"redflag/internal/command"
)

const aboutJob = `Asks work of the hosts of a fleet, through its server: updates are planned on each host, shown with what the hosts have in common and where they
differ, approved once, and watched. What is approved is done, exactly that, or nothing: each host has its own last word (/etc/redflag/policy.toml).

The server is named by --server or REDFLAG_SERVER, and on a host of the fleet it is that fleet's; the key by --key or REDFLAG_API_KEY:
"redflag apikey create --scope write". Hosts are named by their names or their IDs; jobs and rollouts (one request over many hosts) by their numbers.`

// jobs is what the commands of jobs share: how a server is reached.
type jobs struct {
	*command.Program
	cfg client.Config
}

func (f *fleet) jobCommand() *cobra.Command {
	j := &jobs{Program: f.Program}
	cmd := &cobra.Command{Use: "job", Short: "Have updates installed on many hosts, and watch", Long: aboutJob, Args: cobra.NoArgs, RunE: help}
	j.serverFlags(cmd)
	cmd.AddCommand(
		j.installCommand(), j.undoCommand(), j.holdCommand(true), j.holdCommand(false), j.restartCommand(), j.rebootCommand(), j.repairCommand(),
		j.approveCommand(), j.cancelCommand(), j.watchCommand(), j.listCommand(), j.showCommand(), j.logCommand(), j.mendCommand(), j.vulnerabilitiesCommand(),
	)
	return cmd
}

// serverFlags adds the flags that say which server is meant, for a command and those below it.
func (j *jobs) serverFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&j.cfg.Server, "server", "", "`URL` of the server (default REDFLAG_SERVER, or the fleet of this host)")
	flags.StringVar(&j.cfg.Key, "key", "", "`KEY` of its API (default REDFLAG_API_KEY)")
	flags.StringVar(&j.cfg.CAFile, "ca", "", "PEM `FILE` of the authority that vouches for the server")
	flags.StringVar(&j.cfg.Pin, "pin", "", "`FINGERPRINT` of the server's own authority: what stands in an enrolment token behind the point")
	flags.BoolVar(&j.cfg.PlainHTTP, "plain-http", false, "allow http:// to another machine, in a network that you trust")
}

// client reaches the server that is meant.
func (j *jobs) client() (*client.Client, error) {
	c := j.cfg
	c.Server, c.Key = or(c.Server, os.Getenv("REDFLAG_SERVER")), or(c.Key, os.Getenv("REDFLAG_API_KEY"))
	if own, err := agent.LoadIdentity(j.AgentDir()); err == nil && (c.Server == "" || c.Server == own.Server) {
		c.Server, c.CA = own.Server, own.CA
	}
	if c.Server == "" {
		return nil, command.Usage(errors.New("which server? --server URL, or REDFLAG_SERVER"))
	}
	if c.Key == "" {
		return nil, command.Usage(errors.New("with which key? --key KEY, or REDFLAG_API_KEY; `redflag apikey create --scope write` makes one"))
	}
	return client.New(c)
}

// asking is a command that needs the server.
func (j *jobs) asking(do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := j.client()
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, args)
	}
}
