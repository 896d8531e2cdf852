package apt

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// refreshLimit bounds a whole refresh: the first one of all Ubuntu components takes a minute on a slow line.
	refreshLimit = 10 * time.Minute
	// silence is how many seconds an archive may say nothing.
	silence = "20"
)

// Refresh implements source.Refresher: it fetches the lists of all enabled sources. Where an archive does not answer, that is a
// *fleet.Unknown that names it, and the lists of the others are new.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	set, err := readSettings(m)
	if err != nil {
		return err
	}
	if !writable(m.Path(set.lists)) {
		return notPermitted(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	// Without Error-Mode apt-get calls it a success when no archive answers (apt 2.6). As an option -o, older ones pass over it.
	result, err := m.Run(ctx, machine.Command{Name: "apt-get", Args: []string{
		"update", "-q", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=1",
		"-o", "Acquire::http::Timeout=" + silence, "-o", "Acquire::https::Timeout=" + silence, "-o", "Acquire::ftp::Timeout=" + silence,
	}})
	if err != nil {
		return refreshFailed(fleet.Plain(err.Error()), "see what `sudo apt-get update` says", err)
	}
	return readRefresh(result)
}

func refreshFailed(why, remedy string, err error) error {
	return &fleet.Unknown{Because: "the package lists could not all be refreshed: " + why, Remedy: remedy, Err: err}
}

func notPermitted(err error) error {
	return &fleet.Unknown{
		Because: "only root may refresh apt's package lists",
		Remedy:  "sudo redflag scan --refresh",
		Err:     err,
	}
}

// failure is one way in which a refresh fails. Its texts may use what the pattern's groups matched.
type failure struct {
	pattern         *regexp.Regexp
	because, remedy string
}

// failures are apt's messages in the C locale, in which alone it is run. The first that fits a line explains it.
var failures = []failure{
	{regexp.MustCompile(`Could not get lock \S+?lists/lock.*held by process (\d+) \((.*)\)`),
		"$2 (process $1) is refreshing them right now", "wait until it has ended, and refresh again"},
	{regexp.MustCompile(`Could not get lock \S+?lists/lock.*held by process (\d+)`),
		"process $1 is refreshing them right now", "wait until it has ended, and refresh again"},
	{regexp.MustCompile(`Could not get lock (\S+?)\.? `),
		"another program holds the lock $1", "wait until it has ended, and refresh again"},
	{regexp.MustCompile(`Release file for (\S+) is expired \(invalid since (.*?)\)`),
		"what $1 has is expired since $2", "choose another mirror, or set this machine's clock if that is wrong"},
	{regexp.MustCompile(`Release file for (\S+) is not valid yet`),
		"what $1 has is from the future", "set this machine's clock"},
	{regexp.MustCompile(`GPG error: (\S+ \S+) \S+: .*?NO_PUBKEY ([0-9A-F]+)`),
		"the key $2 that signs $1 is not known here", "install that archive's key, and name it with Signed-By in its source"},
	{regexp.MustCompile(`GPG error: (\S+ \S+) \S+: (.*)`),
		"the signature of $1 is wrong: $2", "do not trust that archive before its owner says why"},
	{regexp.MustCompile(`The repository '(\S+ \S+) \S*' does not have a Release file`),
		"$1 has no release file: the suite is gone, or misspelt", "correct or disable that source"},
	{regexp.MustCompile(`(?:Could not resolve|Temporary failure resolving|Something wicked happened resolving) '([^']+)'`),
		"the name $1 cannot be resolved", "check the machine's DNS, or correct or disable that source"},
	{regexp.MustCompile(`Failed to fetch (\S+?//[^/\s]+)\S*\s.*(?:[Cc]onnect|timed out|[Uu]nreachable|onnection failed)`),
		"$1 does not answer", "check the network and the proxy, or replace or disable that source"},
	{regexp.MustCompile(`Failed to fetch (\S+)\s+404`),
		"$1 is not there", "correct or disable that source"},
	{regexp.MustCompile(`Failed to fetch (\S+)\s+.*(?:[Cc]ertificate|TLS|handshake)`),
		"$1 has no certificate that this machine trusts", "check the machine's clock, ca-certificates and the proxy"},
	{regexp.MustCompile(`Failed to fetch (\S+)\s+.*(?:Hash Sum mismatch|unexpected size)`),
		"$1 is not what the archive announced: its mirror may be in the middle of an update", "refresh again later, or choose another mirror"},
	{regexp.MustCompile(`Failed to fetch (\S+)\s+(.*)`), "$1: $2", "see what `sudo apt-get update` says"},
	{regexp.MustCompile(`No space left on device`), "the disk is full", "free some space: sudo apt-get clean"},
	{regexp.MustCompile(`Malformed .*|The list of sources could not be read.*`), "$0", "correct that file"},
}

// echoes are lines that only repeat that something failed.
var echoes = regexp.MustCompile(`is not signed|Some index files failed|Unable to lock directory|could not be read\.$|Updating from such a repository|See apt-secure|The following signatures`)

// readRefresh turns what apt-get update left behind into nil or reasons.
func readRefresh(r machine.Result) error {
	var problems []error
	unexplained := ""
	for line := range strings.Lines(string(r.Stdout) + "\n" + string(r.Stderr)) {
		text, serious := cutSeverity(strings.TrimSpace(line))
		switch f := explain(text); {
		case text == "":
		case strings.Contains(text, "Could not open lock file") && strings.Contains(text, "Permission denied"):
			return notPermitted(errors.New(text))
		case f != nil:
			problems = append(problems, f)
		case serious && unexplained == "" && !echoes.MatchString(text):
			unexplained = text
		}
	}
	if unexplained == "" && r.Code != 0 && len(problems) == 0 {
		unexplained = fmt.Sprintf("apt-get update ended with code %d", r.Code)
	}
	if unexplained != "" {
		problems = append(problems, refreshFailed(fleet.Plain(unexplained), "see what `sudo apt-get update` says", nil))
	}
	return errors.Join(problems...)
}

// cutSeverity takes an error or a warning apart; the text is empty for any other line.
func cutSeverity(line string) (text string, serious bool) {
	if text, found := strings.CutPrefix(line, "E: "); found {
		return text, true
	}
	text, found := strings.CutPrefix(line, "W: ")
	if !found {
		return "", false
	}
	return text, false
}

// explain gives the reason that a message stands for; nil for one that is none, or not known.
func explain(text string) error {
	for _, f := range failures {
		at := f.pattern.FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		fill := func(template string) string {
			return fleet.Plain(string(f.pattern.ExpandString(nil, template, text, at)))
		}
		return refreshFailed(fill(f.because), fill(f.remedy), nil)
	}
	return nil
}
