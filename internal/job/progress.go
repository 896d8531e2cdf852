package job

import (
	"bytes"
	"cmp"
	"os"
	"path"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Step is what a job is doing at a moment.
type Step struct {
	Text string
	// Percent is how far what it does is; -1 where that is not known.
	Percent int
	// Failed: the step says what went wrong.
	Failed bool
}

// Progress reads the steps of a job from the file that apt and apk write them to. Apt's are type:package:percent:text (APT's README.progress-reporting).
type Progress struct {
	file string
	at   int64
	rest []byte
	last Step
}

// statusFile is that file, in a job's folder.
const statusFile = "status"

// NewProgress reads a job's steps from the first.
func NewProgress(m *machine.Machine, id ID) *Progress {
	return &Progress{file: m.Path(path.Join(id.dir(), statusFile)), last: Step{Percent: -1}}
}

// maxProgress is how much of it is read at a time.
const maxProgress = 1 << 20

// More gives the steps since it was last asked.
func (p *Progress) More() []Step {
	f, err := os.Open(p.file)
	if err != nil {
		return nil // nothing yet
	}
	defer f.Close()
	buffer := make([]byte, maxProgress)
	n, _ := f.ReadAt(buffer, p.at) // what is not there yet comes the next time
	p.at += int64(n)
	p.rest = append(p.rest, buffer[:n]...)
	var list []Step
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte{'\n'})
		if !whole {
			if len(p.rest) > maxLine { // no line of apt's
				p.rest = nil
			}
			return list
		}
		p.rest = rest
		if s, ok := ParseStep(string(line)); ok && s != p.last {
			p.last = s
			list = append(list, s)
		}
	}
}

// Last is the last step that was read.
func (p *Progress) Last() Step {
	p.More()
	return p.last
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
	first, second, ok := strings.Cut(share, "/")
	done, err := strconv.ParseInt(first, 10, 64)
	all, err2 := strconv.ParseInt(second, 10, 64)
	if !ok || err != nil || err2 != nil || done < 0 || all <= 0 || done > all {
		return Step{}, false
	}
	return Step{Text: cmp.Or(fleet.Plain(stage), "install"), Percent: int(float64(done) / float64(all) * 100)}, true
}
