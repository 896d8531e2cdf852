package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/access"
	"redflag/internal/command"
	"redflag/internal/serve"
	"redflag/internal/store"
)

func (f *fleet) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "People who may sign in", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(f.newUserCommand(), f.linkCommand(), f.usersCommand(), f.deleteUserCommand())
	return cmd
}

type newUser struct {
	role     string
	password bool
}

func (f *fleet) newUserCommand() *cobra.Command {
	var opt newUser
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Add a person",
		Long: `Adds a person, beside a server that may run at the time. Without a password he comes by a link that signs in once; it is the last line
on standard output, and he may choose a password then. A viewer sees everything, an operator asks things of hosts, an admin decides who may.`,
		Example: "  redflag user create anna --role admin\n  redflag user create bert --password-stdin < password.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.newUser(cmd.Context(), args[0], opt, cmd.InOrStdin())
		},
	}
	f.storeFlags(cmd)
	cmd.Flags().StringVar(&opt.role, "role", string(access.Viewer), "what he may do: viewer, operator, admin")
	cmd.Flags().BoolVar(&opt.password, "password-stdin", false, "read his password from standard input")
	return cmd
}

func (f *fleet) newUser(ctx context.Context, name string, opt newUser, in io.Reader) error {
	role, err := access.ParseRole(opt.role)
	if err != nil {
		return command.Usage(fmt.Errorf("--role: %w", err))
	}
	hash := ""
	if opt.password {
		if hash, err = readPassword(in); err != nil {
			return err
		}
	}
	return f.withStore(ctx, func(s *store.Store) error {
		u, err := s.NewUser(ctx, name, role, hash, time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(f.Stderr(), "%s may sign in as %s.\n", u.Name, u.Role)
		if hash != "" {
			return nil
		}
		return f.newLink(ctx, s, u)
	})
}

// readPassword reads a line and gives its hash.
func readPassword(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 2*access.MaxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	hash, err := access.HashPassword(strings.TrimRight(line, "\r\n"))
	if err != nil {
		return "", command.Usage(err)
	}
	return hash, nil
}

// newLink makes a link and prints it.
func (f *fleet) newLink(ctx context.Context, s *store.Store, u store.User) error {
	address, err := serve.LoadAddress(ctx, s)
	if err != nil {
		return err
	}
	if address.URL == "" {
		return fmt.Errorf("no server has run on this database yet, so there is no address for a link: start one with `redflag serve`, then `redflag user link %s`", u.Name)
	}
	link, err := linkFor(ctx, s, address.URL, u)
	if err != nil {
		return err
	}
	fmt.Fprintln(f.Stderr(), "This link signs in once, within the hour:")
	fmt.Fprintln(f.Stdout(), link)
	return nil
}

func (f *fleet) linkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link NAME",
		Short: "Make a link that signs a person in once",
		Long:  "Makes a link that signs a person in once, within the hour: for one without a password, or who has forgotten it. The last line on standard output is the link.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withStore(cmd.Context(), func(s *store.Store) error {
				u, _, err := s.UserByName(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return f.newLink(cmd.Context(), s, u)
			})
		},
	}
	f.storeFlags(cmd)
	return cmd
}

func (f *fleet) usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Say who may sign in",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withStore(cmd.Context(), func(s *store.Store) error {
				users, err := s.Users(cmd.Context())
				if err != nil {
					return err
				}
				if len(users) == 0 {
					fmt.Fprintln(f.Stderr(), "Nobody may sign in yet: redflag user create NAME --role admin")
				}
				w := tabwriter.NewWriter(f.Stdout(), 0, 0, 2, ' ', 0)
				for _, u := range users {
					how := "by link"
					if u.HasPassword {
						how = "by password"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\n", u.Name, u.Role, how)
				}
				return w.Flush()
			})
		},
	}
	f.storeFlags(cmd)
	return cmd
}

func (f *fleet) deleteUserCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a person, and sign him out everywhere",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withStore(cmd.Context(), func(s *store.Store) error {
				u, _, err := s.UserByName(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return s.DeleteUser(cmd.Context(), u.ID)
			})
		},
	}
	f.storeFlags(cmd)
	return cmd
}
