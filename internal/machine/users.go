package machine

import (
	"bytes"
	"context"
	"strings"

	"redflag/internal/fleet"
)

// Users says what runs code from any of these files now: what an update that replaces them will leave to be restarted, and for which reasons
// the machine would have to be rebooted. Containers have files of their own, and are left out.
func (m *Machine) Users(ctx context.Context, files []string) (fleet.Restart, []string) {
	set := make(map[string]bool, len(files))
	for _, f := range files {
		set[merged(f)] = true
	}
	found := m.inUse(ctx, func(l *looker, pid int) sight { return l.lookFor(pid, set) })
	if m.contained() {
		return found.restart(), nil
	}
	return found.restart(), found.rebootReasons("runs files that it replaces")
}

// lookFor finds which of the files a process runs.
func (l *looker) lookFor(pid int, files map[string]bool) sight {
	maps, s := l.maps(pid)
	if s.state != seen {
		return s
	}
	for _, file := range parseExecutables(maps) {
		if files[merged(file)] {
			s.files = append(s.files, file)
		}
	}
	if len(s.files) == 0 {
		return s
	}
	if s.owner = l.owner(pid); s.owner.kind == container {
		s.files = nil
	}
	return s
}

// parseExecutables gives the files behind executable mappings of /proc/PID/maps, each once in a row.
func parseExecutables(maps []byte) []string {
	var found []string
	for len(maps) > 0 {
		var line []byte
		line, maps, _ = bytes.Cut(maps, []byte{'\n'})
		at := bytes.IndexByte(line, '/')
		space := bytes.IndexByte(line, ' ')
		if at < 0 || space < 0 || space+4 > at || line[space+3] != 'x' { // "ADDRESS r-xp …"
			continue
		}
		if path := string(line[at:]); len(found) == 0 || found[len(found)-1] != path {
			found = append(found, path)
		}
	}
	return found
}

// merged gives one name to a file whose folder was moved below /usr: packages name /lib/x what a process has from /usr/lib/x (hier(7), usrmerge).
func merged(file string) string {
	rest, ok := strings.CutPrefix(file, "/usr")
	if !ok {
		return file
	}
	for _, dir := range []string{"/lib", "/bin/", "/sbin/"} {
		if strings.HasPrefix(rest, dir) {
			return rest
		}
	}
	return file
}
