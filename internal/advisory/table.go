package advisory

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sort"
)

// A table is a feed on disk: keys in order, each with a value, in blocks that are read one at a time. What is in memory of it is the first
// key of each block. Its form: magic, the header as JSON behind its length, blocks, the index of blocks, and a tail that says where that is.
// Each block, the header and the index carry a checksum, so that damage is an error where it is met and never a wrong answer.

const (
	tableMagic = "RFADVIS1"
	// blockSize is how much a look-up reads: less costs more memory for the index, more costs time.
	blockSize = 4 << 10
	// maxBlock bounds one block: a block is as large as its largest value (Debian's kernel has 600 kB).
	maxBlock = 64 << 20
	// maxHeader bounds a header: a feed of 1,000 ecosystems has 40 kB.
	maxHeader = 1 << 20
	// maxIndex bounds the index of blocks, and so a table's memory.
	maxIndex = 32 << 20
	tailSize = 8 + 4 + 4 + 4 + 8
)

var sums = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is a table that is not what was written.
var errDamaged = errors.New("it is damaged")

// entry is one key with its value.
type entry struct {
	key   string
	value []byte
}

// writeTable writes a table. It sorts the entries; a key that comes twice has its values joined in the order given. What could not be read again is refused.
func writeTable(w io.Writer, h Feed, entries []entry) error {
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	out := &counted{w: w}
	header, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write a table: %w", err)
	}
	if len(header) > maxHeader {
		return refused("it speaks of %d distributions, and those are more than are read", len(h.Ecosystems))
	}
	out.write([]byte(tableMagic))
	out.write(binary.LittleEndian.AppendUint32(nil, uint32(len(header)))) //nolint:gosec // below maxHeader
	out.write(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(header, sums)))
	out.write(header)
	var index, block []byte
	first := ""
	flush := func() {
		if len(block) == 0 {
			return
		}
		if len(block) > maxBlock {
			out.fail(refused("it says over %d MB of one package", maxBlock>>20))
		}
		index = appendText(index, first)
		index = binary.AppendUvarint(index, uint64(out.n))
		index = binary.AppendUvarint(index, uint64(len(block)))
		index = binary.AppendUvarint(index, uint64(crc32.Checksum(block, sums)))
		out.write(block)
		block = block[:0]
	}
	for i := 0; i < len(entries); {
		j, size := i, 0
		for ; j < len(entries) && entries[j].key == entries[i].key; j++ {
			size += len(entries[j].value)
		}
		if len(block) == 0 {
			first = entries[i].key
		}
		block = appendText(block, entries[i].key)
		block = binary.AppendUvarint(block, uint64(size))
		for ; i < j; i++ {
			block = append(block, entries[i].value...)
		}
		if len(block) >= blockSize {
			flush()
		}
	}
	flush()
	if len(index) > maxIndex {
		out.fail(refused("its table of contents would have %d MB, and at most %d are read", len(index)>>20, maxIndex>>20))
	}
	at := out.n
	out.write(index)
	tail := binary.LittleEndian.AppendUint64(nil, uint64(at)) //nolint:gosec // an offset
	tail = binary.LittleEndian.AppendUint32(tail, uint32(len(index)))
	tail = binary.LittleEndian.AppendUint32(tail, crc32.Checksum(index, sums))
	tail = binary.LittleEndian.AppendUint32(tail, crc32.Checksum(tail, sums))
	out.write(append(tail, tableMagic...))
	return out.err
}

// counted counts what it writes, and keeps the first error.
type counted struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counted) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
	c.n += int64(len(p))
}

// fail has nothing more written.
func (c *counted) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// cursor reads what was appended. After the first thing that is not there, all others are zero, and err says so.
type cursor struct {
	left []byte
	err  error
}

func (c *cursor) number() uint64 {
	v, n := binary.Uvarint(c.left)
	if n <= 0 {
		c.left, c.err = nil, errDamaged
		return 0
	}
	c.left = c.left[n:]
	return v
}

func (c *cursor) bytes() []byte {
	n := c.number()
	if n > uint64(len(c.left)) {
		c.left, c.err = nil, errDamaged
		return nil
	}
	b := c.left[:n]
	c.left = c.left[n:]
	return b
}

func (c *cursor) text() string { return string(c.bytes()) }

// table is an open one. It is safe for many goroutines.
type table struct {
	Feed
	file   io.ReaderAt
	close  func() error
	blocks []span
}

// span is a block: its first key, where it is, and its checksum.
type span struct {
	first string
	at    int64
	size  int
	sum   uint32
}

// openTable opens a file.
func openTable(name string) (*table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var t *table
		if t, err = newTable(f, info.Size()); err == nil {
			t.close = f.Close
			return t, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("open %s: %w", name, err)
}

// newTable reads the header and the index.
func newTable(f io.ReaderAt, size int64) (*table, error) {
	head, err := readAt(f, 0, int64(len(tableMagic)+8), size)
	if err != nil {
		return nil, err
	}
	if string(head[:8]) != tableMagic {
		return nil, fmt.Errorf("%w: it is no table of advisories", errDamaged)
	}
	n := int64(binary.LittleEndian.Uint32(head[8:]))
	if n > maxHeader {
		return nil, errDamaged
	}
	header, err := readAt(f, 16, n, size)
	if err != nil {
		return nil, err
	}
	t := &table{file: f, close: func() error { return nil }}
	if crc32.Checksum(header, sums) != binary.LittleEndian.Uint32(head[12:]) || json.Unmarshal(header, &t.Feed) != nil {
		return nil, errDamaged
	}
	index, at, err := readIndex(f, size)
	if err != nil {
		return nil, err
	}
	for c := (&cursor{left: index}); len(c.left) > 0; {
		s := span{first: c.text(), at: int64(c.number()), size: int(c.number()), sum: uint32(c.number())} //nolint:gosec // checked below
		if c.err != nil || s.at < 16+n || s.size <= 0 || s.size > maxBlock || s.at+int64(s.size) > at || len(t.blocks) > 0 && s.first <= t.blocks[len(t.blocks)-1].first {
			return nil, errDamaged
		}
		t.blocks = append(t.blocks, s)
	}
	return t, nil
}

func readIndex(f io.ReaderAt, size int64) (index []byte, at int64, err error) {
	tail, err := readAt(f, size-tailSize, tailSize, size)
	if err != nil {
		return nil, 0, err
	}
	if string(tail[20:]) != tableMagic || crc32.Checksum(tail[:16], sums) != binary.LittleEndian.Uint32(tail[16:]) {
		return nil, 0, fmt.Errorf("%w: its end is missing", errDamaged)
	}
	at = int64(binary.LittleEndian.Uint64(tail)) //nolint:gosec // checked by readAt
	n := int64(binary.LittleEndian.Uint32(tail[8:]))
	if n > maxIndex {
		return nil, 0, errDamaged
	}
	index, err = readAt(f, at, n, size)
	if err == nil && crc32.Checksum(index, sums) != binary.LittleEndian.Uint32(tail[12:]) {
		err = errDamaged
	}
	return index, at, err
}

// readAt reads n bytes that must be inside.
func readAt(f io.ReaderAt, at, n, size int64) ([]byte, error) {
	if at < 0 || n < 0 || at > size-n {
		return nil, errDamaged
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at); err != nil && !(errors.Is(err, io.EOF) && at+n == size) {
		return nil, err
	}
	return b, nil
}

// block reads one block and checks it.
func (t *table) block(i int) ([]byte, error) {
	s := t.blocks[i]
	b := make([]byte, s.size)
	if _, err := t.file.ReadAt(b, s.at); err != nil {
		return nil, fmt.Errorf("read feed %s: %w", t.Name, err)
	}
	if crc32.Checksum(b, sums) != s.sum {
		return nil, fmt.Errorf("read feed %s: %w", t.Name, errDamaged)
	}
	return b, nil
}

// get gives the value of a key; nil where there is none.
func (t *table) get(key string) ([]byte, error) {
	i := sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].first > key }) - 1
	if i < 0 {
		return nil, nil
	}
	b, err := t.block(i)
	if err != nil {
		return nil, err
	}
	for c := (&cursor{left: b}); len(c.left) > 0; {
		k, v := c.bytes(), c.bytes()
		if c.err != nil {
			return nil, fmt.Errorf("read feed %s: %w", t.Name, c.err)
		}
		switch bytes.Compare(k, []byte(key)) {
		case 0:
			return v, nil
		case 1:
			return nil, nil
		}
	}
	return nil, nil
}

// each calls do for every key in order, until it fails. It reads the whole table, and so checks all of it.
func (t *table) each(do func(key string, value []byte) error) error {
	last := ""
	for i := range t.blocks {
		b, err := t.block(i)
		if err != nil {
			return err
		}
		for c := (&cursor{left: b}); len(c.left) > 0; {
			k, v := c.text(), c.bytes()
			if c.err != nil || k <= last {
				return fmt.Errorf("read feed %s: %w", t.Name, errDamaged)
			}
			last = k
			if err := do(k, v); err != nil {
				return err
			}
		}
	}
	return nil
}
