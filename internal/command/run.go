// Package command is what a person types on a host: look at it now, list what was found, ask a registry, and have an agent report
// it to a fleet. Two programs are made of these commands: redflag, which adds those of a server, and redflag-agent, which has no more.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the program redflag, with commands beside those of a host, and gives its exit code.
func Main(version string, more func(*Program) []*cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, version, os.Args[1:], os.Stdout, os.Stderr, more)
}

// Run is [Main] with everything that it takes from the process.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer, more func(*Program) []*cobra.Command) int {
	out := &output{w: stdout}
	p := &Program{Version: version, stdout: out, stderr: stderr}
	root := p.command()
	if more != nil {
		inGroup(root, groupFleet, more(p)...)
	}
	return p.execute(ctx, root, args, out)
}

// execute runs a tree of commands.
func (p *Program) execute(ctx context.Context, root *cobra.Command, args []string, out *output) int {
	usageArgs(root)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	p.close()
	if out.err != nil {
		err = fmt.Errorf("write the output: %w", out.err) // whatever else came of it, nobody has read it
	}
	return p.tell(ctx, err)
}
