package rpm

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/klauspost/compress/zstd"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Repository is what a package manager has fetched of one: its ID, and the folder in which its repodata lies.
type Repository struct {
	ID  string
	Dir string
}

const (
	// maxIndex bounds a repository's repomd.xml, which has some kilobytes.
	maxIndex = 4 << 20
	// maxList bounds its advisories, uncompressed: Red Hat's largest has 150 MB.
	maxList = 1 << 30
	// StaleAfter is how old what is known of a repository may be: dnf's and zypper's own timers fetch it every day.
	StaleAfter = 7 * 24 * time.Hour
)

// index is a repomd.xml.
type index struct {
	XMLName xml.Name `xml:"repomd"`
	Data    []struct {
		Type     string `xml:"type,attr"`
		Location struct {
			Href string `xml:"href,attr"`
		} `xml:"location"`
	} `xml:"data"`
}

// parseIndex gives the name of the file with advisories; empty where the repository has none.
func parseIndex(data []byte) (string, error) {
	var i index
	if err := xml.Unmarshal(data, &i); err != nil {
		return "", fmt.Errorf("read repomd.xml: %w", err)
	}
	if len(i.Data) == 0 {
		return "", errors.New("read repomd.xml: it names nothing")
	}
	for _, d := range i.Data {
		if d.Type == "updateinfo" {
			return path.Base(path.Clean("/" + d.Location.Href)), nil
		}
	}
	return "", nil
}

// ReadAdvisories reads what the repositories publish, and when the one that was fetched the longest time ago was fetched. What cannot be read is in the
// error, and the rest is there all the same.
func ReadAdvisories(ctx context.Context, m *machine.Machine, repositories []Repository) (*Advisories, time.Time, error) {
	var all Advisories
	var asOf time.Time
	var problems []error
	for _, r := range repositories {
		at, list, err := r.read(ctx, m)
		switch {
		case err != nil:
			problems = append(problems, &fleet.Unknown{
				Because: fmt.Sprintf("which updates from %s are for security is not known: %s", fleet.Plain(r.ID), fleet.Plain(err.Error())),
				Remedy:  "redflag scan --refresh", Err: err,
			})
		case list == nil:
			all.Without = append(all.Without, fleet.Plain(r.ID))
		}
		all.add(list)
		if !at.IsZero() && (asOf.IsZero() || at.Before(asOf)) {
			asOf = at
		}
	}
	return &all, asOf, errors.Join(problems...)
}

// read gives a repository's advisories, nil where it publishes none, and when its index was fetched.
func (r Repository) read(ctx context.Context, m *machine.Machine) (time.Time, []Advisory, error) {
	name := path.Join(r.Dir, "repodata", "repomd.xml")
	data, err := m.ReadFile(name, maxIndex)
	if err != nil {
		return time.Time{}, nil, err
	}
	info, err := m.Stat(name)
	if err != nil {
		return time.Time{}, nil, err
	}
	at := info.ModTime().UTC()
	file, err := parseIndex(data)
	if err != nil || file == "" {
		return at, nil, err
	}
	content, err := open(ctx, m, path.Join(r.Dir, "repodata", file))
	if err != nil {
		return at, nil, err
	}
	defer content.Close()
	list, err := parseAdvisories(content)
	return at, list, err
}

// open opens a file for reading what it holds uncompressed, at most maxList bytes of it.
func open(ctx context.Context, m *machine.Machine, name string) (io.ReadCloser, error) {
	if path.Ext(name) == ".xz" { // the program is a hundred times as fast as what there is in Go
		result, err := m.Run(ctx, machine.Command{Name: "xz", Args: []string{"-dc", "--", name}, Limit: maxList})
		if err == nil && result.Code != 0 {
			err = errors.New(firstLine(result.Stderr))
		}
		return io.NopCloser(bytes.NewReader(result.Stdout)), err
	}
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := decompress(f, path.Ext(name))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("decompress %s: %w", name, err)
	}
	return file{io.LimitReader(r, maxList), f}, nil
}

type file struct {
	io.Reader
	io.Closer
}

func decompress(f io.Reader, ending string) (io.Reader, error) {
	switch ending {
	case ".gz":
		return gzip.NewReader(bufio.NewReader(f))
	case ".bz2":
		return bzip2.NewReader(bufio.NewReader(f)), nil
	case ".zst":
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxList))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return f, nil
	}
}

// Stale says that what is known of the repositories is too old to be believed; nil where it is not.
func Stale(asOf, now time.Time) error {
	if asOf.IsZero() || now.Sub(asOf) <= StaleAfter {
		return nil
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("what is known of the repositories is %d days old", int(now.Sub(asOf).Hours()/24)), Remedy: "sudo redflag scan --refresh",
	}
}
