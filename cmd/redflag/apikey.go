package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/access"
	"redflag/internal/command"
	"redflag/internal/store"
)

func (f *fleet) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "apikey", Short: "Keys with which programs ask the API", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(f.newKeyCommand())
	return cmd
}

type newKey struct {
	name, scope string
	expires     time.Duration
}

func (f *fleet) newKeyCommand() *cobra.Command {
	var opt newKey
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key for the API",
		Long: `Makes a key for the API, beside a server that may run at the time. The last line on standard output is the key; it is shown this once, and
sent as "Authorization: Bearer KEY". What the API has says /api/v1/openapi.json.`,
		Example: "  redflag apikey create --name grafana\n  redflag apikey create --name ci --scope write --expires 720h",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.newKey(cmd.Context(), opt) },
	}
	f.storeFlags(cmd)
	cmd.Flags().StringVar(&opt.name, "name", "", "what the key is for: `NAME`")
	cmd.Flags().StringVar(&opt.scope, "scope", string(access.ScopeRead), "what it may do: read, write (ask things of hosts), admin")
	cmd.Flags().DurationVar(&opt.expires, "expires", 0, "until when it is good: `DURATION` such as 720h (default for ever)")
	_ = cmd.MarkFlagRequired("name") // there is such a flag
	return cmd
}

func (f *fleet) newKey(ctx context.Context, opt newKey) error {
	now := time.Now()
	k := store.Key{Name: opt.name, CreatedBy: whoami()}
	var err error
	if k.Scope, err = access.ParseScope(opt.scope); err != nil {
		return command.Usage(fmt.Errorf("--scope: %w", err))
	}
	if opt.expires < 0 {
		return command.Usage(fmt.Errorf("--expires %s: from now on", opt.expires))
	}
	if opt.expires > 0 {
		k.ExpiresAt = now.Add(opt.expires)
	}
	return f.withStore(ctx, func(s *store.Store) error {
		_, secret, err := s.NewKey(ctx, k, now)
		if err != nil {
			return err
		}
		fmt.Fprintln(f.Stdout(), secret)
		return nil
	})
}
