package brew

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// askLimit bounds how long brew may think: it starts Ruby, and reads what is on offer, in some seconds.
const askLimit = 5 * time.Minute

// environment keeps brew from fetching what is on offer by itself, from asking, and from removing what nobody has planned to remove.
var environment = []string{
	"HOMEBREW_NO_AUTO_UPDATE=1", "HOMEBREW_NO_ENV_HINTS=1", "HOMEBREW_NO_INSTALL_CLEANUP=1", "HOMEBREW_NO_COLOR=1", "HOMEBREW_NO_EMOJI=1", "NONINTERACTIVE=1",
}

// owner is whose a Homebrew is: who may write where formulae lie. On Macs with Intel's processors the prefix itself is root's. It is root's only where nobody else can
// put another program in the place of brew, which root would run.
func (i installation) owner(m *machine.Machine) (uid int, err error) {
	for _, file := range []string{path.Join(i.prefix, "Cellar"), i.program(), path.Dir(i.program()), i.prefix} {
		uid, err = machine.OwnerOf(m.Path(file))
		if errors.Is(err, os.ErrNotExist) {
			continue // nothing was installed yet
		}
		if err != nil || uid != 0 {
			return uid, err
		}
	}
	return uid, err
}

// command gives brew's command line as its owner has to run it.
func (i installation) command(m *machine.Machine, args ...string) (machine.Command, error) {
	owner, err := i.owner(m)
	if err != nil {
		return machine.Command{}, fmt.Errorf("find Homebrew's owner: %w", err)
	}
	c, ok := as(owner, os.Geteuid(), i.program(), args)
	if !ok {
		return c, &fleet.Unknown{Because: fmt.Sprintf("Homebrew in %s is another user's, and may be run by that user alone", i.prefix), Remedy: "run it as root, or as that user"}
	}
	return c, nil
}

// as gives a command line by which one user runs something as another; not where that is not permitted.
func as(owner, self int, program string, args []string) (machine.Command, bool) {
	switch {
	case owner < 0 || owner == self:
		return machine.Command{Name: program, Args: args, Env: environment}, true
	case self != 0:
		return machine.Command{}, false
	}
	words := append([]string{"-n", "-H", "-u", "#" + strconv.Itoa(owner), "--", "env"}, environment...)
	return machine.Command{Name: "sudo", Args: append(append(words, program), args...)}, true
}

// ask runs a question to brew that ends with 0, and gives the answer.
func (i installation) ask(ctx context.Context, m *machine.Machine, args ...string) ([]byte, error) {
	r, err := i.run(ctx, m, askLimit, args...)
	if err != nil {
		return nil, err
	}
	if r.Code != 0 {
		return nil, explain(r, "brew "+args[0]).unknown()
	}
	return r.Stdout, nil
}

func (i installation) run(ctx context.Context, m *machine.Machine, limit time.Duration, args ...string) (machine.Result, error) {
	c, err := i.command(m, args...)
	if err != nil {
		return machine.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := m.Run(ctx, c)
	if errors.Is(err, machine.ErrNotInstalled) {
		return r, &fleet.Unknown{Because: c.Name + " is not there, so brew cannot be run", Remedy: "run it as Homebrew's owner", Err: err}
	}
	return r, err
}

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

func unreadable(what string, err error) error {
	return &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %s", what, fleet.Plain(err.Error())), Remedy: "see what `brew outdated` and `brew doctor` say", Err: err}
}

// refusal is why brew does not do something, in words for people.
type refusal struct{ because, remedy string }

func (r *refusal) Error() string { return r.because }

// unknown gives it the form that people see.
func (r *refusal) unknown() error {
	return &fleet.Unknown{Because: "brew cannot do this: " + r.because, Remedy: r.remedy, Err: r}
}

// reasons are brew's messages, and what they mean to a person. The first that fits counts.
var reasons = []struct {
	pattern         *regexp.Regexp
	because, remedy string
}{
	{regexp.MustCompile(`Running Homebrew as root`), "Homebrew is root's here, and refuses to be run by root", "give its folders to a user: chown -R USER $(brew --prefix)/*"},
	{regexp.MustCompile(`sudo: (?:a password|a terminal) is required`), "an administrator's password is asked for", "do it by hand, as Homebrew's owner"},
	{regexp.MustCompile(`(?:Another (?:active Homebrew|.brew ).*process is already in progress|has already locked|process has already locked)`), "another brew is at work", "wait until it has ended, and try again"},
	{regexp.MustCompile(`No space left on device|Disk full`), "the disk is full", "free some space: brew cleanup"},
	{regexp.MustCompile(`(?:Could not resolve host|Failed to connect|Failed to download|Download failed|curl: \(\d+\))`), "something cannot be downloaded", "check the network, and try again"},
	{regexp.MustCompile(`SHA-?256 mismatch|Checksum mismatch`), "a download is not what Homebrew says that it is", "refresh, and plan again"},
	{regexp.MustCompile(`(?:not writable|Permission denied)`), "its owner may not write everywhere in it", "see `brew doctor`"},
	{regexp.MustCompile(`No developer tools installed|xcrun: error`), "Apple's command line tools are missing", "xcode-select --install"},
	{regexp.MustCompile(`(?m)^Error: (.*)`), "$1", "see what brew says"},
}

// explain gives the reason for which a call of brew failed.
func explain(r machine.Result, what string) *refusal {
	return explainText(string(r.Stderr)+"\n"+string(r.Stdout), fmt.Sprintf("%s ended with code %d and no word", what, r.Code))
}

func explainText(said, otherwise string) *refusal {
	for _, r := range reasons {
		if at := r.pattern.FindStringSubmatchIndex(said); at != nil {
			return &refusal{fleet.Plain(string(r.pattern.ExpandString(nil, r.because, said, at))), r.remedy}
		}
	}
	return &refusal{otherwise, "see the log"}
}
