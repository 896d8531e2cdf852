package job

import (
	"bytes"
	"cmp"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Step is what a job is doing at a moment.
type Step struct {
	Text string
	// Percent is how far what it does is; -1 where that is not known.
	Percent int
	// Failed: the step says what went wrong.
	Failed bool
}

// Progress reads the steps of a job: from the file that apt and apk write them to (apt's are type:package:percent:text, APT's README.progress-reporting), and
// where there is none from the lines of the job's log in which others say how far they are.
type Progress struct {
	status, log tail
	last        Step
}

// statusFile is the file of steps, in a job's folder.
const statusFile = "status"

// NewProgress reads a job's steps from the first.
func NewProgress(m *machine.Machine, id ID) *Progress {
	in := func(name string) tail { return tail{file: m.Path(path.Join(id.dir(), name))} }
	return &Progress{status: in(statusFile), log: in(source.LogFile), last: Step{Percent: -1}}
}

// More gives the steps since it was last asked.
func (p *Progress) More() []Step {
	lines, parse := p.status.more(), ParseStep
	if p.status.at == 0 {
		lines, parse = p.log.more(), parseSaid
	}
	var list []Step
	for _, line := range lines {
		if s, ok := parse(line); ok && s != p.last {
			p.last = s
			list = append(list, s)
		}
	}
	return list
}

// Last is the last step that was read.
func (p *Progress) Last() Step {
	p.More()
	return p.last
}

// tail reads a file that grows, by whole lines.
type tail struct {
	file string
	at   int64
	rest []byte
}

// maxProgress is how much of it is read at a time.
const maxProgress = 1 << 20

// more gives the lines since it was last asked. A line that is too long to be a step is passed over.
func (t *tail) more() []string {
	f, err := os.Open(t.file)
	if err != nil {
		return nil // nothing yet
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() < t.at {
		t.at, t.rest = info.Size(), nil // it was cut, as a log that has grown too long is
	}
	buffer := make([]byte, maxProgress)
	n, _ := f.ReadAt(buffer, t.at) // what is not there yet comes the next time
	t.at += int64(n)
	t.rest = append(t.rest, buffer[:n]...)
	var list []string
	for {
		line, rest, whole := bytes.Cut(t.rest, []byte{'\n'})
		if !whole {
			if len(t.rest) > maxLine {
				t.rest = nil
			}
			return list
		}
		t.rest = rest
		list = append(list, string(line))
	}
}

// ParseStep reads one line of progress; false where it says nothing new to a person.
func ParseStep(line string) (Step, bool) {
	if s, ok := parseShare(line); ok {
		return s, true
	}
	fields := strings.SplitN(line, ":", 4)
	if len(fields) < 4 {
		return Step{}, false
	}
	if strings.Trim(fields[2], "0123456789.") != "" { // the package has its architecture with it
		fields = strings.SplitN(line, ":", 5)
		if len(fields) < 5 {
			return Step{}, false
		}
		fields = append(fields[:1], fields[2:]...)
	}
	percent := -1
	if f, err := strconv.ParseFloat(fields[2], 64); err == nil && f >= 0 && f <= 100 {
		percent = int(f)
	}
	switch fields[0] {
	case "dlstatus", "pmstatus":
		if strings.HasPrefix(fields[3], "Preparing") || strings.HasPrefix(fields[3], "Configuring") {
			return Step{}, false // the next one says more
		}
		return Step{Text: fleet.Plain(fields[3]), Percent: percent}, true
	case "pmerror":
		return Step{Text: fleet.Plain("failed: " + fields[3]), Percent: percent, Failed: true}, true
	}
	return Step{}, false
}

// parseShare reads a line of apk's --progress-fd: what is done and all of it, and in apk 3 what it is at (650/528862 install).
func parseShare(line string) (Step, bool) {
	share, stage, _ := strings.Cut(strings.TrimSpace(line), " ")
	done, all, ok := strings.Cut(share, "/")
	if !ok {
		return Step{}, false
	}
	return counted(cmp.Or(stage, "install"), done, all)
}

// counted is a step of which a number is done, of a number in all.
func counted(text, done, all string) (Step, bool) {
	n, err := strconv.ParseInt(done, 10, 64)
	of, err2 := strconv.ParseInt(all, 10, 64)
	if err != nil || err2 != nil || n < 0 || of <= 0 || n > of {
		return Step{}, false
	}
	return Step{Text: fleet.Plain(text), Percent: int(float64(n) / float64(of) * 100)}, true
}

// saidSteps are the lines by which package managers say how far they are, where they write to no terminal: in the groups what, done and all.
var saidSteps = []*regexp.Regexp{
	// dnf 4: "  Upgrading        : demo-lib-1.2-1.el9.x86_64    1/14 ", and of what it fetches "(1/2): demo-lib-1.2-1.el9.x86_64.rpm   9.7 MB/s | 6.4 kB   00:00".
	regexp.MustCompile(`^ +(?P<what>(?:Upgrading|Installing|Reinstalling|Downgrading|Removing|Erasing|Cleanup|Obsoleting) +: \S+) +(?P<done>[0-9]+)/(?P<all>[0-9]+) *$`),
	regexp.MustCompile(`^\((?P<done>[0-9]+)/(?P<all>[0-9]+)\): (?P<what>\S+\.rpm) `),
	// dnf 5: "[ 3/16] Upgrading demo-lib-0:1.2-1.el9. 100% |   9.7 MiB/s |  19.9 KiB |  00m00s".
	regexp.MustCompile(`^\[ *(?P<done>[0-9]+)/(?P<all>[0-9]+)\] (?P<what>\S.*?) +[0-9]+% \| `),
	// zypper: "(1/2) Installing: demo-lib-1.2-1.el9.x86_64 [.....done]", and of what it fetches "Retrieving package demo-lib-1.2-1.el9.x86_64 (1/2), 6.3 KiB".
	regexp.MustCompile(`^\( *(?P<done>[0-9]+)/(?P<all>[0-9]+)\) (?P<what>(?:Installing|Removing): \S+) `),
	regexp.MustCompile(`^(?P<what>(?:Retrieving(?: package)?|In cache):? \S+) \( *(?P<done>[0-9]+)/(?P<all>[0-9]+)\)`),
}

// parseSaid reads one line of a log; false where it does not say how far something is.
func parseSaid(line string) (Step, bool) {
	for _, pattern := range saidSteps {
		if at := pattern.FindStringSubmatch(line); at != nil {
			group := func(name string) string { return at[pattern.SubexpIndex(name)] }
			what := strings.Replace(strings.Join(strings.Fields(group("what")), " "), " :", ":", 1)
			return counted(what, group("done"), group("all"))
		}
	}
	return Step{}, false
}
