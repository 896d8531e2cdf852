package advisory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"redflag/internal/fleet"
)

// parseFile reads a feed of whichever kind it is, which its first bytes say and never its name.
func parseFile(f *os.File) (*parsed, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read a feed: %w", err)
	}
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read a feed: %w", err)
	}
	head = head[:n]
	switch {
	case n == 0:
		return nil, refused("it is empty")
	case bytes.HasPrefix(head, []byte("PK")):
		return parseZip(f, info.Size())
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			return nil, fmt.Errorf("unpack a feed: %w", err)
		}
		return whole(z, unpacked(info.Size()))
	default:
		return whole(f, maxUnpacked)
	}
}

// whole parses a stream. What ends in the middle, or does not end, is told as that.
func whole(r io.Reader, limit int64) (*parsed, error) {
	bounded := &capped{r: r, left: limit}
	p, err := parseText(bounded)
	if err == nil {
		_, err = io.Copy(io.Discard, bounded) // the checksum of a gzip stands at its end
	}
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, errOver):
		return nil, refused("it unpacks to more than %d times its size", maxRatio)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &fleet.Unknown{Because: "it ends in the middle: it is not whole", Err: err}
	}
	var known *fleet.Unknown
	if errors.As(err, &known) {
		return nil, err
	}
	return nil, &fleet.Unknown{Because: fmt.Sprintf("it is damaged: %v", err), Err: err}
}

// capped ends a stream that is larger than its bound with an error, which is errOver where no other is given.
type capped struct {
	r    io.Reader
	left int64
	over error
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 && c.over != nil {
		return 0, c.over
	}
	if c.left <= 0 {
		return 0, errOver
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// headSize is how far a text is looked into to know its kind: the first record of the tracker has its name in the first bytes, an OSV record may have its
// details in front.
const headSize = 1 << 20

func parseText(r io.Reader) (*parsed, error) {
	b := bufio.NewReaderSize(r, headSize)
	head, err := b.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text := bytes.TrimLeft(head, "\ufeff \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		return parseJSON(b, text)
	case bytes.HasPrefix(text, []byte("[")) && isArch(text):
		return parseArch(b)
	case bytes.HasPrefix(text, []byte("#model_version")), bytes.HasPrefix(text, []byte("cve,epss")):
		return parseEPSS(b)
	case bytes.HasPrefix(text, []byte("version,codename,series,")):
		return parseSupport(b)
	}
	return nil, &fleet.Unknown{
		Because: "it is no feed that is known here",
		Remedy:  "known are OSV's archives (all.zip) and records, the Debian tracker's JSON, Alpine's secdb, Arch's tracker, CISA's KEV, FIRST's EPSS, lists of distro-info-data, and bundles of `redflag advisories export`",
	}
}

func parseJSON(r io.Reader, head []byte) (*parsed, error) {
	switch jsonKind(head) {
	case KEV:
		return parseKEV(r)
	case Tracker:
		return parseTracker(r)
	case SecDB:
		return parseSecDB(r)
	case OSV:
		data, err := appendAll(nil, r, maxRecord)
		if err != nil {
			return nil, err
		}
		p := newParsed(OSV, "")
		return p, p.osv(data)
	}
	return nil, refused("it is JSON, but of no feed that is known here")
}

// jsonKind tells a document's kind by the names of its first fields.
func jsonKind(head []byte) Kind {
	d := json.NewDecoder(bytes.NewReader(head))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		switch t {
		case "catalogVersion", "vulnerabilities":
			return KEV
		case "schema_version", "affected":
			return OSV
		case "distroversion", "reponame":
			return SecDB
		}
		value, err := d.Token()
		if err != nil {
			return ""
		}
		if value != json.Delim('{') && value != json.Delim('[') {
			continue
		}
		inner, err := d.Token()
		if name, ok := inner.(string); ok && value == json.Delim('{') && (strings.HasPrefix(name, "CVE-") || strings.HasPrefix(name, "TEMP-")) {
			return Tracker
		}
		if err != nil || !leave(d, inner) {
			return ""
		}
	}
}

// isArch says whether a list is that of Arch's tracker, whose groups are called AVG-1234.
func isArch(head []byte) bool {
	d := json.NewDecoder(bytes.NewReader(head))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return false
	}
	var g group
	return d.Decode(&g) == nil && strings.HasPrefix(g.Name, "AVG-")
}

// leave reads to the end of a value into which one token was read.
func leave(d *json.Decoder, t json.Token) bool {
	for depth := 1; ; {
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return true
		}
		var err error
		if t, err = d.Token(); err != nil {
			return false
		}
	}
}
