package command

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// What the commands of a fleet share with those of a host.

// Exit codes for commands that say themselves what became of what was asked.
const (
	ExitFailed      = exitFailed
	ExitUnknown     = exitUnknown
	ExitInterrupted = exitInterrupted
)

// Exit ends the program with a code and no word more: all has been said.
func Exit(code int) error { return exitCode(code) }

// Ask asks the person on the terminal; how says what to do where there is none.
func (p *Program) Ask(question, how string) (bool, error) {
	return p.ask(context.Background(), question, how)
}

// ask is Ask until ctx ends, which is no.
func (p *Program) ask(ctx context.Context, question, how string) (bool, error) {
	if !isTerminal(p.stdout) || !isTerminal(os.Stdin) {
		return false, usagef("there is nobody to ask: %s", how)
	}
	fmt.Fprintf(p.stdout, "\n%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() { // a terminal's read ends with the program, and not with a context
		var answer string
		_, _ = fmt.Fscanln(os.Stdin, &answer) // no answer is no
		answers <- answer
	}()
	select {
	case answer := <-answers:
		a := strings.ToLower(answer)
		return a == "y" || a == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(p.stdout)
		return false, nil
	}
}

// Count says a number with its noun: 1 update, 2 updates.
func Count(n int, noun string) string { return count(n, noun) }

// Size says a size in units of 1000; empty for none.
func Size(n int64) string { return size(n) }

// Some joins names, at most n of them.
func Some(names []string, n int) string { return list(names, n) }
