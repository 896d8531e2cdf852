package pkg

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// ask runs a question to pkg that ends with 0, and gives the answer.
func ask(ctx context.Context, m *machine.Machine, args ...string) ([]byte, error) {
	r, err := run(ctx, m, args...)
	if err != nil {
		return nil, err
	}
	if r.Code != 0 {
		return nil, explain(r, "pkg "+args[0]).unknown()
	}
	return r.Stdout, nil
}

func run(ctx context.Context, m *machine.Machine, args ...string) (machine.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := m.Run(ctx, machine.Command{Name: "pkg", Args: args})
	if errors.Is(err, machine.ErrNotInstalled) {
		return r, &fleet.Unknown{Because: "what pkg says is not known: pkg is not there", Remedy: "install it again: pkg bootstrap -f", Err: err}
	}
	return r, err
}

// refusal is why pkg does not do something, in words for people.
type refusal struct{ because, remedy string }

func (r *refusal) Error() string { return r.because }

// unknown gives it the form that people see.
func (r *refusal) unknown() error {
	return &fleet.Unknown{Because: "pkg cannot do this: " + r.because, Remedy: r.remedy, Err: r}
}

// reasons are pkg's messages, and what they mean to a person. The first that fits counts.
var reasons = []struct {
	pattern         *regexp.Regexp
	because, remedy string
}{
	{regexp.MustCompile(`(?:lock on (?:a|the) database|database is locked|is locked by another process)`), "another program is at work on the packages", "wait until it has ended, and try again"},
	{regexp.MustCompile(`wrong OS version|Newer FreeBSD version for package`), "the repository is made for another version of FreeBSD than the one that runs", "bring the base system up to date first: freebsd-update, or the repository's address"},
	{regexp.MustCompile(`Repository (\S+) missing`), "no catalogue of the repository $1 was fetched", "sudo redflag scan --refresh"},
	{regexp.MustCompile(`Repository (\S+) cannot be opened`), "the catalogue of the repository $1 cannot be opened", "sudo redflag scan --refresh"},
	{regexp.MustCompile(`Insufficient privileges? to (.*)`), "only root may $1", "run it as root"},
	{regexp.MustCompile(`[Nn]o space left on device|Not enough space in (\S+)`), "the disk is full", "free some space: pkg clean"},
	{regexp.MustCompile(`No (?:trusted|signature)|[Ss]ignature.*(?:invalid|not|fail)`), "a signature is not trusted", "see the repository's signature_type and fingerprints (pkg.conf(5))"},
	{regexp.MustCompile(`(?:An error occured while fetching package|Name does not resolve|No address record|Operation timed out|Host does not resolve|Connection refused)`), "a repository cannot be reached", "check the network, and `pkg -vv` for the addresses"},
	{regexp.MustCompile(`cannot (?:solve|find a solution).*`), "no selection of packages fits", "see what `pkg upgrade -n` says"},
	{regexp.MustCompile(`(?:illegal|invalid|unrecognized) option.*`), "this pkg is older than what RedFlag asks of it", "renew pkg: pkg upgrade pkg"},
	{regexp.MustCompile(`(?m)^pkg(?:-static)?: (.*)$`), "$1", "see what pkg says"},
}

// explain gives the reason for which a call of pkg failed.
func explain(r machine.Result, what string) *refusal {
	return explainText(string(r.Stderr)+"\n"+string(r.Stdout), fmt.Sprintf("%s ended with code %d and no word", what, r.Code))
}

func explainText(said, otherwise string) *refusal {
	for _, r := range reasons {
		if at := r.pattern.FindStringSubmatchIndex(said); at != nil {
			fill := func(t string) string {
				return fleet.Plain(strings.Join(strings.Fields(string(r.pattern.ExpandString(nil, t, said, at))), " "))
			}
			return &refusal{fill(r.because), fill(r.remedy)}
		}
	}
	return &refusal{otherwise, "see the log"}
}
