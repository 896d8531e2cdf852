package command

import (
	"context"
	"errors"
	"fmt"

	"redflag/internal/fleet"
)

// The exit codes, the same for every command.
const (
	exitDone            = 0
	exitFailed          = 1
	exitUsage           = 2
	exitUnknown         = 3  // done, but something is unknown
	exitUpdates         = 10 // with --exit-code: updates are pending
	exitSecurityUpdates = 11 // with --exit-code: security updates are pending
	exitInterrupted     = 130
)

// exitCode ends the program with a code and no word more: all has been said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }

func (u usageError) Unwrap() error { return u.err }

// Usage says that an error is about the command line: the program ends with the code for that.
func Usage(err error) error { return usageError{err} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// tell prints an error for a person and gives the exit code that goes with it.
func (p *Program) tell(ctx context.Context, err error) int {
	var code exitCode
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "redflag: interrupted")
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(p.stderr, "redflag: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(p.stderr, "redflag: %v\n", err)
	if _, remedy := fleet.Explain(err); remedy != "" {
		fmt.Fprintf(p.stderr, "  → %s\n", remedy)
	}
	return exitFailed
}

// verdict is the exit code of a scan: unknown weighs more than no update, and a pending update more than unknown, because
// it is certain. What an ordinary upgrade would not bring counts only where it is for security: who holds a package, or
// stays on a tag, does not want to be told every night.
func verdict(scan fleet.Scan, withUpdates bool) error {
	pending, security, unknown := 0, 0, 0
	for _, f := range scan.Findings {
		if f.State != fleet.OK {
			unknown++
		}
		for _, u := range f.Updates {
			switch {
			case u.Security:
				security++
			case u.Blocked == "" && (u.ImageUpdate == nil || u.Kind != fleet.Version):
				pending++
			}
		}
	}
	switch {
	case withUpdates && security > 0:
		return exitCode(exitSecurityUpdates)
	case withUpdates && pending > 0:
		return exitCode(exitUpdates)
	case unknown > 0:
		return exitCode(exitUnknown)
	}
	return nil
}
