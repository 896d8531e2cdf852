package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"redflag/internal/machine"
)

// Everything that dpkg and archives write is in one form (deb822(5)): stanzas divided by empty lines, each of fields "Name: value", whose
// values go on in lines that begin with a space.

// fields gives the fields of one stanza in order: name and value, without the space around the value, its further lines still in it.
// What is no field is passed over.
func fields(stanza []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(stanza) > 0 {
			line := fieldLength(stanza)
			name, value, found := bytes.Cut(stanza[:line], []byte{':'})
			stanza = stanza[line:]
			if found && len(name) > 0 && name[0] > ' ' && !yield(bytes.TrimRight(name, " \t"), bytes.TrimSpace(value)) {
				return
			}
		}
	}
}

// fieldLength gives where the next field begins.
func fieldLength(s []byte) int {
	n := 0
	for {
		end := bytes.IndexByte(s[n:], '\n')
		if end < 0 {
			return len(s)
		}
		n += end + 1
		if n == len(s) || (s[n] != ' ' && s[n] != '\t') {
			return n
		}
	}
}

// maxStanza bounds one stanza: the largest of Debian's have 200 kB (a package with 3,000 configuration files).
const maxStanza = 4 << 20

// stanzas reads a stream stanza by stanza in constant memory.
type stanzas struct {
	r          io.Reader
	buf        []byte
	start, end int
	eof        bool
	// divider ends a stanza: an empty line, after lines that end as the first one does.
	divider []byte
	// read counts the bytes that came from the stream.
	read int64
}

func newStanzas(r io.Reader) *stanzas { return &stanzas{r: r, buf: make([]byte, 128<<10)} }

// next gives one stanza, which is valid until the next call, or io.EOF.
func (s *stanzas) next() ([]byte, error) {
	for {
		s.skipEmptyLines()
		window := s.buf[s.start:s.end]
		if i := bytes.Index(window, s.dividerIn(window)); i >= 0 {
			s.start += i + len(s.divider)
			return window[:i+1], nil
		}
		if s.eof {
			s.start = s.end
			if len(window) == 0 {
				return nil, io.EOF
			}
			return window, nil
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// dividerIn finds out how lines end, by the first one.
func (s *stanzas) dividerIn(window []byte) []byte {
	if s.divider == nil {
		end := bytes.IndexByte(window, '\n')
		switch {
		case end > 0 && window[end-1] == '\r':
			s.divider = []byte("\n\r\n")
		case end >= 0:
			s.divider = []byte("\n\n")
		default:
			return []byte("\n\n") // no whole line yet
		}
	}
	return s.divider
}

func (s *stanzas) skipEmptyLines() {
	for s.start < s.end && (s.buf[s.start] == '\n' || s.buf[s.start] == '\r') {
		s.start++
	}
}

// fill moves what is left to the front and reads on; the buffer grows only for a stanza larger than it.
func (s *stanzas) fill() error {
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.start, s.end = 0, s.end-s.start
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= maxStanza {
			return fmt.Errorf("a stanza of over %d bytes: %w", maxStanza, machine.ErrTooLarge)
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.r.Read(s.buf[s.end:])
	s.end += n
	s.read += int64(n)
	if errors.Is(err, io.EOF) {
		s.eof = true
		return nil
	}
	return err
}

// written is a stanza of a file that people write: names without regard to case, comments taken out.
type written map[string]string

// writtenStanzas reads a whole configuration file.
func writtenStanzas(data []byte) []written {
	var all []written
	current := written{}
	flush := func() {
		if len(current) > 0 {
			all = append(all, current)
			current = written{}
		}
	}
	last := ""
	for line := range strings.Lines(string(data)) {
		ended := strings.TrimRight(line, "\r\n") == "" // a line with a space in it does not end a stanza
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case ended:
			flush()
			last = ""
		case line == "":
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				current[last] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(name))
			current[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return all
}

// words gives a value's words.
func (w written) words(name string) []string { return strings.Fields(w[name]) }
