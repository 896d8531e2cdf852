package advisory

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"redflag/internal/fleet"
)

const (
	// maxEntries bounds the files of an archive or a folder: all of Ubuntu has 100,000.
	maxEntries = 400_000
	// maxDirectory bounds an archive's table of contents, which is in memory as a whole.
	maxDirectory = 40 << 20
	// maxRecord bounds one record: the largest, of kernels, have 3 MB.
	maxRecord = 16 << 20
	// maxUnpacked bounds a feed after decompression.
	maxUnpacked = 8 << 30
	// maxRatio is how many times as large as its archive a feed may be: advisories compress to a tenth, a bomb to a thousandth. What is below
	// smallEnough after decompression is let through, because nothing is gained with it.
	maxRatio    = 150
	smallEnough = 32 << 20
)

// unpacked is how many bytes may come out of so many.
func unpacked(packed int64) int64 { return min(maxUnpacked, max(smallEnough, packed*maxRatio)) }

// parseZip reads an archive of OSV records, one in memory at a time.
func parseZip(f io.ReaderAt, size int64) (*parsed, error) {
	if err := checkDirectory(f, size); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("the archive is damaged or not whole: %v", err), Err: err}
	}
	p, left := newParsed(OSV, ""), unpacked(size)
	var buf []byte
	for _, file := range z.File {
		if !strings.HasSuffix(file.Name, ".json") {
			continue
		}
		if buf, err = readRecord(file, buf[:0], &left); err != nil {
			return nil, err
		}
		if err := p.osv(buf); err != nil {
			return nil, fmt.Errorf("%s: %w", fleet.Plain(file.Name), err)
		}
	}
	return p, nil
}

func readRecord(file *zip.File, buf []byte, left *int64) ([]byte, error) {
	r, err := file.Open()
	if err != nil {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("the archive is damaged at %s: %v", fleet.Plain(file.Name), err), Err: err}
	}
	defer r.Close()
	buf, err = appendAll(buf, r, min(maxRecord, *left))
	switch {
	case errors.Is(err, errOver) && *left < maxRecord:
		return nil, refused("the archive unpacks to more than %d times its size", maxRatio)
	case errors.Is(err, errOver):
		return nil, refused("%s in the archive has over %d MB", fleet.Plain(file.Name), maxRecord>>20)
	case err != nil:
		return nil, &fleet.Unknown{Because: fmt.Sprintf("the archive is damaged at %s: %v", fleet.Plain(file.Name), err), Err: err}
	}
	*left -= int64(len(buf))
	return buf, nil
}

var errOver = errors.New("larger than its bound")

// appendAll reads everything, at most limit bytes.
func appendAll(buf []byte, r io.Reader, limit int64) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, errOver
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// checkDirectory bounds an archive's table of contents before anything reads it into memory (PKWARE's APPNOTE 4.3.14 to 4.3.16). It must end
// where the archive's end begins, as it does in all archives that are nothing else in front.
func checkDirectory(f io.ReaderAt, size int64) error {
	const record, longest = 22, 22 + math.MaxUint16
	tail, err := readAt(f, max(0, size-longest), min(size, longest), size)
	if err != nil {
		return fmt.Errorf("read the archive's end: %w", err)
	}
	at := strings.LastIndex(string(tail), "PK\x05\x06")
	if at < 0 || len(tail)-at < record {
		return refused("the archive has no end: it is not whole")
	}
	end := tail[at:]
	entries, length, start := uint64(binary.LittleEndian.Uint16(end[10:])), uint64(binary.LittleEndian.Uint32(end[12:])), uint64(binary.LittleEndian.Uint32(end[16:]))
	endAt := size - int64(len(tail)) + int64(at)
	if entries == math.MaxUint16 || length == math.MaxUint32 || start == math.MaxUint32 {
		if endAt, entries, length, start, err = largeDirectory(f, endAt, size); err != nil {
			return err
		}
	}
	switch {
	case entries > maxEntries || length > maxDirectory:
		return refused("the archive has %d files in a table of contents of %d MB; at most %d and %d MB are read", entries, length>>20, maxEntries, maxDirectory>>20)
	case length > uint64(size) || start > uint64(size) || start+length != uint64(endAt): //nolint:gosec // sizes of files
		return refused("the archive's table of contents is not where its end says")
	}
	return nil
}

// largeDirectory reads the end of a ZIP64 archive.
func largeDirectory(f io.ReaderAt, endAt, size int64) (at int64, entries, length, start uint64, err error) {
	wrong := refused("the archive's end is damaged")
	locator, err := readAt(f, endAt-20, 20, size)
	if err != nil || string(locator[:4]) != "PK\x06\x07" {
		return 0, 0, 0, 0, wrong
	}
	at = int64(binary.LittleEndian.Uint64(locator[8:])) //nolint:gosec // checked by readAt
	end, err := readAt(f, at, 56, size)
	if err != nil || string(end[:4]) != "PK\x06\x06" {
		return 0, 0, 0, 0, wrong
	}
	return at, binary.LittleEndian.Uint64(end[32:]), binary.LittleEndian.Uint64(end[40:]), binary.LittleEndian.Uint64(end[48:]), nil
}

// parseFolder reads a folder of OSV records, with its folders.
func parseFolder(dir string) (*parsed, error) {
	p, files := newParsed(OSV, ""), 0
	var buf []byte
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".json") {
			return err
		}
		if files++; files > maxEntries {
			return refused("the folder has over %d files", maxEntries)
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if buf, err = appendAll(buf[:0], f, maxRecord); errors.Is(err, errOver) {
			return refused("%s has over %d MB", name, maxRecord>>20)
		} else if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := p.osv(buf); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	return p, err
}
