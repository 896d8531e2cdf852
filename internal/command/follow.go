package command

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
)

// progress of a job is read from the file that apt writes it to: type:package:percent:text (APT's README.progress-reporting).
type jobProgress struct {
	file string
	at   int64
	rest []byte
	last string
}

// statusFile is apt's, in a job's folder.
const statusFile = "status"

func progressOf(m *machine.Machine, id job.ID) *jobProgress {
	return &jobProgress{file: m.Path(path.Join(path.Dir(id.Log()), statusFile))}
}

// maxProgress is how much of it is read at a time.
const maxProgress = 1 << 20

// more gives the steps since it was last asked.
func (p *jobProgress) more() []string {
	f, err := os.Open(p.file)
	if err != nil {
		return nil // nothing yet
	}
	defer f.Close()
	buffer := make([]byte, maxProgress)
	n, _ := f.ReadAt(buffer, p.at) // what is not there yet comes the next time
	p.at += int64(n)
	p.rest = append(p.rest, buffer[:n]...)
	var list []string
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte{'\n'})
		if !whole {
			return list
		}
		p.rest = rest
		if text := stepOf(string(line)); text != "" && text != p.last {
			p.last = text
			list = append(list, text)
		}
	}
}

// stepOf writes one line of progress for a person; empty where it says nothing new.
func stepOf(line string) string {
	fields := strings.SplitN(line, ":", 4)
	if len(fields) < 4 {
		return ""
	}
	if strings.Trim(fields[2], "0123456789.") != "" { // the package has its architecture with it
		fields = strings.SplitN(line, ":", 5)
		if len(fields) < 5 {
			return ""
		}
		fields = append(fields[:1], fields[2:]...)
	}
	whole, _, _ := strings.Cut(fields[2], ".")
	switch fields[0] {
	case "dlstatus", "pmstatus":
		if strings.HasPrefix(fields[3], "Preparing") || strings.HasPrefix(fields[3], "Configuring") {
			return "" // the next one says more
		}
		return fmt.Sprintf("%3s%%  %s", whole, fleet.Plain(fields[3]))
	case "pmerror":
		return "failed: " + fleet.Plain(fields[3])
	}
	return ""
}
