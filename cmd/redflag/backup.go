package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"redflag/internal/machine"
	"redflag/internal/store"
)

func (f *fleet) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the server has into a file",
		Long: `Writes all that the server has into one compressed file, as it is at one moment, beside a server that may run at the time: hosts and what they
have, history, people, keys, and the server's own keys, so keep it as you would keep them. FILE - is standard output. The file does not
depend on the database: what SQLite had, PostgreSQL can have.`,
		Example: "  redflag backup /var/backups/redflag.gz\n  redflag backup - | ssh elsewhere 'cat > redflag.gz'",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.backup(cmd.Context(), args[0]) },
	}
	f.storeFlags(cmd)
	return cmd
}

func (f *fleet) backup(ctx context.Context, path string) error {
	return f.withStore(ctx, func(s *store.Store) error {
		if path == "-" {
			return s.Backup(ctx, f.Stdout())
		}
		return machine.WriteFileBy(path, 0o600, func(file *os.File) error { return s.Backup(ctx, file) })
	})
}

func (f *fleet) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Fill an empty database from a backup",
		Long: `Fills an empty database from a backup: all of it or, when something is wrong with it, nothing. Stop the server first, and move its old
database away. FILE - is standard input. The hosts' agents go on as before, if they reach the server by the same address.`,
		Example: "  redflag restore /var/backups/redflag.gz\n  redflag restore /var/backups/redflag.gz --database postgres://redflag@db/redflag",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.restore(cmd.Context(), args[0]) },
	}
	f.storeFlags(cmd)
	return cmd
}

func (f *fleet) restore(ctx context.Context, path string) error {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return fmt.Errorf("open the backup: %w", err)
		}
		defer file.Close()
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	claim, err := o.Claim()
	if err != nil {
		return err
	}
	defer claim.Close()
	return f.withStore(ctx, func(s *store.Store) error {
		err := s.Restore(ctx, file)
		if errors.Is(err, store.ErrNotEmpty) {
			err = fmt.Errorf("%w: move it away, or name another with --database", err)
		}
		if err == nil {
			var n int
			if n, err = s.CountHosts(ctx); err == nil {
				fmt.Fprintf(f.Stderr(), "Restored: the fleet has %d hosts.\n", n)
			}
		}
		return err
	})
}
