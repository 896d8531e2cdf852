package machine

import (
	"bytes"
	"strconv"
	"strings"
)

// mapping is a file whose code a process runs and that has no name any more.
type mapping struct {
	path  string
	inode uint64
}

// deleted is what the kernel writes behind the name of a file that was removed or replaced (proc_pid_maps(5)).
const deleted = " (deleted)"

// parseDeleted reads /proc/PID/maps and gives the files behind executable mappings that were deleted, each once.
// Nearly all lines are of no interest, so it looks for the word first and reads the line then.
func parseDeleted(maps []byte) []mapping {
	var found []mapping
	for len(maps) > 0 {
		at := bytes.Index(maps, []byte(deleted))
		if at < 0 {
			break
		}
		line := maps[bytes.LastIndexByte(maps[:at], '\n')+1:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			end = len(line)
		}
		maps, line = line[end:], line[:end]
		m, ok := parseMapping(line)
		if ok && (len(found) == 0 || found[len(found)-1] != m) {
			found = append(found, m)
		}
	}
	return found
}

// parseMapping reads one line: address, permissions, offset, device, inode, path.
func parseMapping(line []byte) (mapping, bool) {
	rest := string(line)
	var fields [5]string
	for i := range fields {
		var ok bool
		fields[i], rest, ok = strings.Cut(rest, " ")
		if !ok {
			return mapping{}, false
		}
	}
	path, ok := strings.CutSuffix(strings.TrimLeft(rest, " "), deleted)
	inode, err := strconv.ParseUint(fields[4], 10, 64)
	executable := strings.Contains(fields[1], "x")
	return mapping{path, inode}, ok && err == nil && executable && ofAPackage(path)
}

// passing are the places whose files no package installs: memory that looks like a file, and what programs write for
// themselves and remove while they use it.
var passing = []string{"/memfd:", "/dev/", "/SYSV", "/[aio]", "/anon_hugepage", "/i915", "/proc/", "/tmp/", "/var/tmp/", "/run/", "/var/run/"}

func ofAPackage(path string) bool {
	if !strings.HasPrefix(path, "/") || path == "/" {
		return false
	}
	for _, place := range passing {
		if strings.HasPrefix(path, place) {
			return false
		}
	}
	return true
}
