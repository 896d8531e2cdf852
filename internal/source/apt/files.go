package apt

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"redflag/internal/machine"
)

const (
	// maxConfig bounds a file of configuration, a preferences file or one of sources.
	maxConfig = 4 << 20
	// maxList bounds a list after decompression: Ubuntu's largest has 80 MB, and a bomb has no end.
	maxList = 1 << 30
	// maxLinks bounds a chain of symbolic links, as the kernel does.
	maxLinks = 40
)

// compressions are the endings under which apt keeps lists, the plain one first.
var compressions = []string{"", ".lz4", ".gz", ".zst", ".xz", ".bz2", ".lzma"}

// follow gives the name of what an absolute symbolic link points to: on a machine in a folder, the kernel would look for it outside.
// The lists of archives on disk are such links.
func follow(m *machine.Machine, name string) string {
	for range maxLinks {
		target, err := os.Readlink(m.Path(name))
		if err != nil {
			break
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = target
	}
	return name
}

// existing gives the name of a list in whichever compression it is there, or fs.ErrNotExist.
func existing(m *machine.Machine, name string) (string, error) {
	for _, ending := range compressions {
		found := follow(m, name+ending)
		if _, err := m.Stat(found); err == nil {
			return found, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// openList opens a list for reading what it holds uncompressed. It gives an error before it gives more than maxList bytes.
func openList(ctx context.Context, m *machine.Machine, name string) (io.ReadCloser, error) {
	if strings.HasSuffix(name, ".xz") || strings.HasSuffix(name, ".lzma") {
		return unxz(ctx, m, name)
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
	return list{newCapped(r, maxList), f}, nil
}

// list is a file and what comes out of it.
type list struct {
	io.Reader
	io.Closer
}

func decompress(f io.Reader, ending string) (io.Reader, error) {
	switch ending {
	case ".lz4":
		return lz4.NewReader(f), nil
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

// unxz has xz do it: it is part of every Debian (dpkg needs it), and a hundred times as fast as what there is in Go.
func unxz(ctx context.Context, m *machine.Machine, name string) (io.ReadCloser, error) {
	result, err := m.Run(ctx, machine.Command{Name: "xz", Args: []string{"-dc", "--", name}, Limit: maxList})
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", name, err)
	}
	if result.Code != 0 {
		return nil, fmt.Errorf("decompress %s: xz: %s", name, brief(firstLine(result.Stderr)))
	}
	return io.NopCloser(strings.NewReader(string(result.Stdout))), nil
}

// capped ends a stream that is larger than its bound with an error.
type capped struct {
	r           io.Reader
	bound, left int64
}

func newCapped(r io.Reader, bound int64) *capped { return &capped{r: r, bound: bound, left: bound} }

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("over %d bytes: %w", c.bound, machine.ErrTooLarge)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// configParts lists the files that apt reads in a folder of configuration: those with one of the endings, "" meaning none at all, whose
// names have nothing but letters, digits, underscores, hyphens, colons and dots; in order. A folder that is not there has none.
func configParts(m *machine.Machine, dir string, endings ...string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	found, err := m.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range found {
		if name := path.Join(dir, f.Name()); isPart(f.Name(), endings) && !isDir(m, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func isPart(name string, endings []string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
		return false
	}
	for _, c := range []byte(name) {
		if !isDigit(c) && !('a' <= c|0x20 && c|0x20 <= 'z') && !strings.ContainsRune("_-:.", rune(c)) {
			return false
		}
	}
	ending := path.Ext(name)
	for _, e := range endings {
		if e == ending {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isDir(m *machine.Machine, name string) bool {
	info, err := m.Stat(follow(m, name))
	return err == nil && info.IsDir()
}

// readOptional reads a small file; one that is not there is empty.
func readOptional(m *machine.Machine, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	data, err := m.ReadFile(follow(m, name), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
