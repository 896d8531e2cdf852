package main

import (
	"context"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/command"
	"redflag/internal/serve"
	"redflag/internal/store"
)

func (f *fleet) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Tokens with which hosts join the fleet", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(f.newTokenCommand())
	return cmd
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

type newToken struct {
	seats   string
	expires time.Duration
	labels  []string
}

// longestToken bounds a token's life: one that is for ever will leak some day.
const longestToken = 366 * 24 * time.Hour

func (f *fleet) newTokenCommand() *cobra.Command {
	var opt newToken
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token, and say what to paste on a host",
		Long: `Makes a token with which hosts join the fleet, beside a server that may run at the time. The last line on standard output is the token;
it is shown this once. Each host that joins takes a seat; a host that joins again takes none.`,
		Example: "  redflag token create\n  redflag token create --seats 20 --expires 2h --label site=berlin",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.newToken(cmd.Context(), opt) },
	}
	f.storeFlags(cmd)
	cmd.Flags().StringVar(&opt.seats, "seats", "1", "how many hosts may join with it: `N`, or any")
	cmd.Flags().DurationVar(&opt.expires, "expires", 24*time.Hour, "until when they may: `DURATION` such as 30m or 24h")
	cmd.Flags().StringArrayVar(&opt.labels, "label", nil, "give the hosts that join this label: `NAME=VALUE` (again for more)")
	return cmd
}

// check reads what was typed.
func (n newToken) check(now time.Time) (store.Token, error) {
	t := store.Token{Labels: map[string]string{}, CreatedAt: now, CreatedBy: whoami(), ExpiresAt: now.Add(n.expires)}
	seats, err := strconv.Atoi(n.seats)
	switch {
	case n.seats == "any" || n.seats == "-1":
		t.Seats = store.AnySeats
	case err != nil || seats < 1 || seats > 1_000_000:
		return t, command.Usage(fmt.Errorf("--seats %s: a number from 1, or any", n.seats))
	default:
		t.Seats = seats
	}
	if n.expires <= 0 || n.expires > longestToken {
		return t, command.Usage(fmt.Errorf("--expires %s: from now on, and at most a year", n.expires))
	}
	for _, l := range n.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return t, command.Usage(fmt.Errorf("--label %s: it looks like site=berlin", l))
		}
		t.Labels[name] = value
	}
	return t, nil
}

// whoami is who is at the terminal, for the record.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username + " (command line)"
	}
	return "command line"
}

func (f *fleet) newToken(ctx context.Context, opt newToken) error {
	t, err := opt.check(time.Now())
	if err != nil {
		return err
	}
	return f.withStore(ctx, func(s *store.Store) error {
		address, err := serve.LoadAddress(ctx, s)
		if err != nil {
			return err
		}
		_, secret, err := s.NewToken(ctx, t)
		if err != nil {
			return err
		}
		token := address.Token(secret)
		if address.URL == "" {
			fmt.Fprintln(f.Stderr(), "No server has run on this database yet: start one with `redflag serve`, and make tokens then, so that they carry its fingerprint.")
		} else {
			fmt.Fprintf(f.Stderr(), "On each host, as root:\n\n  %s\n\nor, where the program is installed already:\n\n  %s\n\n", address.OneLiner(token), address.Enroll(token))
		}
		fmt.Fprintln(f.Stdout(), token)
		return nil
	})
}
