package pacman

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

// askLimit bounds how long pacman may think: it takes 0.2 s on a small machine.
const askLimit = 2 * time.Minute

// upgrade are the words that mean a full upgrade from the databases that are there.
var upgrade = []string{"-Su", "--noconfirm"}

// refusal is why pacman does not do something at all, in words for people.
type refusal struct{ because, remedy string }

func (r *refusal) Error() string { return r.because }

// unknown gives it the form that people see.
func (r *refusal) unknown() error {
	return &fleet.Unknown{Because: "pacman cannot do this: " + r.because, Remedy: r.remedy, Err: r}
}

// printFormat is what pacman is to say of each package that would come: its name, version, repository and download's size. (%a is of pacman 6.1 and later.)
const printFormat = "%n|%v|%r|%s"

// database tells pacman which databases are meant, where those are not its own.
func (w *world) database() []string {
	if w.offers == nil || w.offers.dir == w.conf.dbPath {
		return nil
	}
	return []string{"--dbpath", w.offers.dir}
}

// ask has pacman say what would come. It takes no lock and changes nothing. What would go, it does not say.
func (w *world) ask(ctx context.Context, m *machine.Machine, words ...string) ([]*pkg, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	args := append([]string{words[0], "--print", "--print-format", printFormat, "--logfile", "/dev/null", "--color", "never"}, w.database()...)
	result, err := m.Run(ctx, machine.Command{Name: "pacman", Args: append(args, words[1:]...)})
	if err != nil {
		return nil, err
	}
	if result.Code != 0 {
		return nil, explain(string(result.Stdout)+"\n"+string(result.Stderr), fmt.Sprintf("it ended with code %d and no word", result.Code))
	}
	return parsePrinted(result.Stdout)
}

var errPrinted = errors.New("pacman says something else than what would be installed")

// parsePrinted reads what pacman prints in [printFormat].
func parsePrinted(out []byte) ([]*pkg, error) {
	list := []*pkg{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, ":: ") || strings.HasSuffix(line, "...") {
			continue // what it asks, and answers itself, and what it is at
		}
		fields := strings.Split(line, "|")
		if len(fields) != 4 {
			return nil, fmt.Errorf("%w: %q", errPrinted, fleet.Plain(line))
		}
		p := &pkg{name: fields[0], version: fields[1], repo: fields[2], download: number(fields[3])}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%w: %w", errPrinted, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// reason is a message of pacman's in the C locale, and what it means to a person. Its texts may use what the pattern's groups matched.
type reason struct {
	pattern         *regexp.Regexp
	because, remedy string
}

// reasons are tried in this order.
var reasons = []reason{
	{regexp.MustCompile(vetoMark + `(.*)`), "$1", "plan again, and approve what is planned now"},
	{regexp.MustCompile(`unable to lock database`), "another program is at work on the packages, or one was interrupted", "wait until it has ended; if none runs: redflag repair"},
	{regexp.MustCompile(`unable to satisfy dependency '([^']+)' required by (\S+)`), "$2 needs $1, which nothing on offer provides",
		"wait until the repositories are whole again, or hold $2: redflag hold $2"},
	{regexp.MustCompile(`installing (\S+) \((\S+)\) breaks dependency '([^']+)' required by (\S+)`), "$4 needs $3, which $1 $2 is not",
		"upgrade or remove $4 by hand: it may come from elsewhere (pacman -Qm)"},
	{regexp.MustCompile(`removing (\S+) breaks dependency '([^']+)' required by (\S+)`), "$3 needs $2, which $1 provides", "remove $3 too, by hand"},
	{regexp.MustCompile(`(?::: |error: )(\S+) and (\S+) are in conflict`), "$1 and $2 cannot be installed together, and which of them goes is for a person to decide",
		"decide it by hand: sudo pacman -Syu"},
	{regexp.MustCompile(`(\S+): (/\S+) exists in filesystem`), "$1 brings the file $2, which is there already", "see whose it is (pacman -Qo $2), and move it away"},
	{regexp.MustCompile(`Partition (\S+) too full: (\d+) blocks needed, (\d+) blocks free`), "there is not enough free space on $1", "free some: paccache -r"},
	{regexp.MustCompile(`(?:not enough free disk space|No space left on device)`), "the disk is full", "free some space: paccache -r"},
	{regexp.MustCompile(`error: (\S+): signature from "([^"]*)" is (.*)`), "the signature of $1 by $2 is $3",
		"if this machine has not been upgraded for long, renew its keys first: sudo pacman -Sy archlinux-keyring, and at once the full upgrade"},
	{regexp.MustCompile(`:: File (\S+) is corrupted \((.*)\)`), "$1 is damaged: $2", "try again, or choose another mirror"},
	{regexp.MustCompile(`failed retrieving file '([^']+)' from (\S+) : (.*)`), "$1 cannot be fetched from $2: $3", "try again, or choose another mirror"},
	{regexp.MustCompile(`failed to synchronize all databases|failed to update (\S+)`), "a repository's database cannot be fetched", "check the network, and choose another mirror"},
	{regexp.MustCompile(`error: (.*)`), "$1", "see what `pacman` says"},
}

// explain finds the reason in what pacman said.
func explain(said, otherwise string) error {
	for _, r := range reasons {
		if at := r.pattern.FindStringSubmatchIndex(said); at != nil {
			fill := func(t string) string { return fleet.Plain(string(r.pattern.ExpandString(nil, t, said, at))) }
			return &refusal{fill(r.because), fill(r.remedy)}
		}
	}
	return &refusal{otherwise, "see the log"}
}
