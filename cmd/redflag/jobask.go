package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/client"
	"redflag/internal/command"
	nouns "redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// wanted is what the commands that ask something of hosts have in common.
type wanted struct {
	group   string
	names   []string
	after   nouns.After
	hours   int
	yes     bool
	detach  bool
	patient time.Duration
}

// flags adds those of every such command.
func (a *wanted) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.group, "group", "", "the hosts of this `GROUP`, by its name or ID")
	cmd.Flags().IntVar(&a.hours, "expires", 0, "for how many `HOURS` each step is good: to plan, to approve, to begin (default 24)")
	cmd.Flags().BoolVar(&a.detach, "detach", false, "do not watch")
}

// planFlags adds those of what is planned first.
func (a *wanted) planFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.after.RestartServices, "restart-services", false, "restart the services that still run replaced files afterwards")
	cmd.Flags().BoolVar(&a.after.Reboot, "reboot", false, "reboot afterwards where it is needed")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "approve what is planned without being asked")
	cmd.Flags().DurationVar(&a.patient, "wait", 2*time.Minute, "for how long it is waited for plans; `DURATION`")
}

// request gives what is wanted of the hosts that are named, or of a group.
func (a *wanted) request(ctx context.Context, c *client.Client, work store.Work, names []string) (client.Request, error) {
	r := client.Request{Work: work, After: a.after, Hours: a.hours}
	if (len(names) == 0) == (a.group == "") {
		return r, command.Usage(errors.New("name hosts, or a --group, and not both"))
	}
	if a.group != "" {
		g, err := c.Group(ctx, a.group)
		r.Group = g.ID
		return r, err
	}
	hosts, err := c.Hosts(ctx, names)
	for _, h := range hosts {
		r.Hosts = append(r.Hosts, h.ID)
	}
	return r, err
}

func (j *jobs) installCommand() *cobra.Command {
	var a wanted
	var security bool
	cmd := &cobra.Command{
		Use: "install [HOST...]", Short: "Install updates on hosts, after a look at what each would do",
		Long: `Installs updates on hosts: all, those for security, or those that are named. Each host plans; what they have in common is shown once, and where they
differ on top. You approve once, and exactly that is done. Ctrl-C stops watching, and nothing else.`,
		Example: "  redflag job install web1 web2 --security\n  redflag job install --group production --security --restart-services\n  redflag job install web1 --name nginx --yes",
		RunE: j.asking(func(ctx context.Context, c *client.Client, hosts []string) error {
			work := store.Work{Install: &store.Selected{All: !security && len(a.names) == 0, Security: security, Names: a.names}}
			r, err := a.request(ctx, c, work, hosts)
			if err != nil {
				return err
			}
			return j.planned(ctx, c, r, a)
		}),
	}
	a.flags(cmd)
	a.planFlags(cmd)
	cmd.Flags().BoolVar(&security, "security", false, "those for security alone")
	cmd.Flags().StringArrayVar(&a.names, "name", nil, "this package, image or container: `NAME` (again for more)")
	cmd.MarkFlagsMutuallyExclusive("security", "name")
	return cmd
}

func (j *jobs) undoCommand() *cobra.Command {
	var a wanted
	cmd := &cobra.Command{
		Use: "undo ID", Short: "Go back to what was there before a job, or before all of a rollout", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Find(ctx, args[0])
			if err != nil {
				return err
			}
			undo := &store.Undo{Job: t.Job}
			if t.Job == 0 {
				undo.Rollout = t.Rollout
			}
			return j.planned(ctx, c, client.Request{Work: store.Work{Undo: undo}, After: a.after, Hours: a.hours}, a)
		}),
	}
	a.planFlags(cmd)
	cmd.Flags().IntVar(&a.hours, "expires", 0, "for how many `HOURS` each step is good (default 24)")
	cmd.Flags().BoolVar(&a.detach, "detach", false, "do not watch")
	return cmd
}

// atOnce makes a command whose work needs no plan.
func (j *jobs) atOnce(cmd *cobra.Command, a *wanted, work func() store.Work) *cobra.Command {
	a.flags(cmd)
	cmd.RunE = j.asking(func(ctx context.Context, c *client.Client, hosts []string) error {
		r, err := a.request(ctx, c, work(), hosts)
		if err != nil {
			return err
		}
		id, err := c.Begin(ctx, r)
		if err != nil {
			return err
		}
		return j.follow(ctx, c, client.Thing{Rollout: id}, a.detach)
	})
	return cmd
}

func (j *jobs) holdCommand(hold bool) *cobra.Command {
	a := &wanted{}
	cmd := &cobra.Command{Use: "hold [HOST...]", Short: "Keep updates of packages from being installed on hosts"}
	if !hold {
		cmd.Use, cmd.Short = "unhold [HOST...]", "Let updates of packages be installed on hosts again"
	}
	cmd.Flags().StringArrayVar(&a.names, "name", nil, "this package: `NAME` (again for more)")
	_ = cmd.MarkFlagRequired("name") // there is such a flag
	return j.atOnce(cmd, a, func() store.Work { return store.Work{Hold: &wire.Hold{Names: a.names, Hold: hold}} })
}

func (j *jobs) restartCommand() *cobra.Command {
	a := &wanted{}
	cmd := &cobra.Command{Use: "restart-services [HOST...]", Short: "Restart the services of hosts that still run replaced files"}
	cmd.Flags().StringArrayVar(&a.names, "name", nil, "this service alone: `NAME` (again for more)")
	return j.atOnce(cmd, a, func() store.Work { return store.Work{Restart: &wire.Restart{Names: a.names}} })
}

func (j *jobs) rebootCommand() *cobra.Command {
	a := &wanted{}
	var needed bool
	cmd := &cobra.Command{Use: "reboot [HOST...]", Short: "Reboot hosts, and wait until they are back"}
	cmd.Flags().BoolVar(&needed, "if-needed", false, "leave those alone that need none")
	return j.atOnce(cmd, a, func() store.Work { return store.Work{Reboot: &wire.Reboot{IfNeeded: needed}} })
}

func (j *jobs) repairCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "repair [HOST...]", Short: "Let package managers finish what was interrupted"}
	return j.atOnce(cmd, &wanted{}, func() store.Work { return store.Work{Repair: &wire.Repair{}} })
}
