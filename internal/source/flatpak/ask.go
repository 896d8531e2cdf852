package flatpak

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// askLimit bounds one question: flatpak fetches a summary of some megabytes over a slow line.
const askLimit = 3 * time.Minute

// command is a command of flatpak's for this installation. Another user's is that user's to change: what root did there would be root's.
func (i installation) command(words ...string) machine.Command {
	args := append([]string{words[0], i.option}, words[1:]...)
	if i.user == "" {
		return machine.Command{Name: "flatpak", Args: args}
	}
	return machine.Command{Name: "runuser", Args: append([]string{"-u", i.user, "--", "env", "HOME=" + i.home, "flatpak"}, args...)}
}

// ask has flatpak answer a question.
func (i installation) ask(ctx context.Context, m *machine.Machine, words ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, i.command(words...))
	if errors.Is(err, machine.ErrNotInstalled) {
		return nil, &fleet.Unknown{Because: "flatpak cannot be asked: it is not there", Remedy: "install flatpak again", Err: err}
	}
	if err != nil {
		return nil, &fleet.Unknown{Because: "flatpak cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see what `flatpak " + words[0] + "` says", Err: err}
	}
	if result.Code != 0 {
		because, remedy := explain(string(result.Stderr)+"\n"+string(result.Stdout), fmt.Sprintf("it ended with code %d and no word", result.Code))
		return nil, &fleet.Unknown{Because: "flatpak does not answer: " + because, Remedy: remedy}
	}
	return result.Stdout, nil
}

// reasons are flatpak's messages, and what they mean to a person. The first that fits counts.
var reasons = []struct {
	pattern         *regexp.Regexp
	because, remedy string
}{
	{regexp.MustCompile(`(?i)min-free-space|No space left on device|not enough (?:free )?(?:disk )?space`), "the disk is full, or nearly so", "free some space: flatpak uninstall --unused"},
	{regexp.MustCompile(`(?i)(?:GPG verification|no signatures? found|Can't check signature)[^\n]*`), "a signature is not that of the remote: $0", "see whether the remote's key was changed: flatpak remotes -d"},
	{regexp.MustCompile(`not allowed for user`), "only root may do this", "sudo redflag"},
	{regexp.MustCompile(`Commit has no requested ref|No such ref '([^']+)'|objects/[0-9a-f/]+\.commit|Server returned status 404`), "its remote does not have it any more", "look anew: redflag scan --refresh"},
	{regexp.MustCompile(`requires the runtime (\S+) which is not installed`), "it needs $1, which is not installed", "install it: flatpak install $1"},
	{regexp.MustCompile(`Can't remove (\S+), it is needed for: ([^\n]+)`), "$1 is needed by $2", "remove those first"},
	{regexp.MustCompile(`(?i)(?:Couldn't connect to server|Could not resolve host|Connection refused|Timeout was reached)[^\n]*`), "its remote cannot be reached: $0", "check the network and the proxy"},
	{regexp.MustCompile(`(?im)^error: ([^\n]*)`), "$1", "see what flatpak says"},
}

// explain finds the reason in what flatpak said.
func explain(said, otherwise string) (because, remedy string) {
	for _, r := range reasons {
		if at := r.pattern.FindStringSubmatchIndex(said); at != nil {
			fill := func(t string) string { return fleet.Plain(string(r.pattern.ExpandString(nil, t, said, at))) }
			return fill(r.because), fill(r.remedy)
		}
	}
	return otherwise, "see what flatpak says"
}

// columns gives the words that ask for columns, whole.
func columns(names ...string) string { return "--columns=" + strings.Join(names, ":f,") + ":f" }

var errTable = errors.New("flatpak answers something else than what it was asked")

// rows reads a table of so many columns, which tabs separate where no terminal reads it. Empty ones at the end of a line are left out, so the last that is
// asked for is one that is never empty.
func rows(out []byte, width int) ([][]string, error) {
	var list [][]string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != width || f[width-1] == "" {
			return nil, fmt.Errorf("%w: %q", errTable, fleet.Plain(line))
		}
		list = append(list, f)
	}
	return list, nil
}

// sizeText is a size as glib writes it, whatever the locale puts for a space and for the point: 146 bytes, 1.0 kB, 1,2?GB.
var sizeText = regexp.MustCompile(`^([0-9]+)(?:[.,]([0-9]))?[^0-9A-Za-z]*(bytes?|kB|MB|GB|TB)$`)

// units are those of glib's sizes (g_format_size).
var units = map[string]float64{"byte": 1, "bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}

// parseSize reads such a size, in bytes; 0 where it is none.
func parseSize(text string) int64 {
	found := sizeText.FindStringSubmatch(strings.TrimSpace(text))
	if found == nil {
		return 0
	}
	n, err := strconv.ParseFloat(found[1]+"."+found[2]+"0", 64)
	if err != nil || n > 1e6 {
		return 0
	}
	return int64(n * units[found[3]])
}

// follow runs a download into the job's log; it ends when ctx does.
func (i installation) follow(ctx context.Context, m *machine.Machine, w source.Work, words ...string) error {
	c := i.command(words...)
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
	code, err := m.Follow(ctx, c, w.Log)
	if err != nil || code == 0 {
		return err
	}
	said, err := w.LastRun(m)
	if err != nil {
		return err
	}
	because, remedy := explain(said, fmt.Sprintf("flatpak ended with code %d", code))
	return &fleet.Unknown{Because: words[len(words)-1] + " cannot be fetched: " + because, Remedy: remedy}
}
