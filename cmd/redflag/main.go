// Command redflag tells which updates are pending on this machine, of its packages and of its container images, and says
// "unknown, because" where it cannot tell. It needs no server, no account and no configuration.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	p := &program{stdout: out, stderr: stderr}
	root := p.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	p.close()
	if out.err != nil {
		err = fmt.Errorf("write the output: %w", out.err) // whatever else came of it, nobody has read it
	}
	return p.tell(ctx, err)
}
