package job

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// maxLog bounds a log: that of a distribution upgrade has 2 MB. What is said after that goes over and over into spareLog bytes, so that the
	// end, which says why, is there as well.
	maxLog   = 8 << 20
	spareLog = 1 << 20
)

// cutLine stands in a log where something is missing.
var cutLine = fmt.Sprintf("\n# the log is cut here: it grew over %d MB\n", maxLog>>20)

// watch keeps a log within its bound while tools write to it, which are never kept waiting for that. What it gives ends it.
func watch(log *os.File) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			bound(log)
			select {
			case <-time.After(lookEvery):
			case <-end:
				bound(log)
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// bound cuts a log that has grown too long. Whoever writes appends, and goes on at the new end.
func bound(log *os.File) {
	info, err := log.Stat()
	if err != nil || info.Size() <= maxLog+spareLog {
		return
	}
	if log.Truncate(maxLog) == nil {
		_, _ = log.WriteString(cutLine) // a full disk: then there is no more to cut either
	}
}

// maxLine bounds a line of a log, in bytes.
const maxLine = 4 << 10

// Reader reads a job's log by whole lines, from where it has come to.
type Reader struct {
	m    *machine.Machine
	file string
	at   int64
}

// NewReader reads a log from its beginning.
func NewReader(m *machine.Machine, id ID) *Reader { return &Reader{m: m, file: id.Log()} }

// Lines gives the next lines, at most so many, safe to show. The last one may lack its end where the job has ended. What comes after the bound of a log is
// not read: it is on the machine alone.
func (r *Reader) Lines(most int, ended bool) ([]string, error) {
	f, err := r.m.Open(r.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(io.NewSectionReader(f, r.at, maxLog-r.at), 64<<10)
	lines := []string{}
	for len(lines) < most {
		line, read, err := readLine(in)
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return lines, err
		case read == 0 || !ended && r.at+read < maxLog:
			return lines, nil
		}
		r.at += read
		lines = append(lines, shown(line))
	}
	return lines, nil
}

// readLine reads a line however long it is, and keeps its beginning.
func readLine(in *bufio.Reader) (line []byte, read int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		read += int64(len(part))
		line = append(line, part[:min(len(part), maxLine-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, read, err
		}
	}
}

// shown is a line as a terminal would show it at last: a tool that counts up writes over its own line.
func shown(line []byte) string {
	text := strings.TrimRight(string(line), "\r\n")
	return fleet.Plain(text[strings.LastIndexByte(text, '\r')+1:])
}
