package flatpak

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// runDir has a folder for each user who is there; in it flatpak keeps one for each sandbox that runs.
const runDir = "/run/user"

// maxInfo bounds what flatpak writes down of a sandbox: 2 KB is usual.
const maxInfo = 64 << 10

// deployedPath is what a sandbox runs, as flatpak writes it down: app-path=/var/lib/flatpak/app/ID/ARCH/BRANCH/COMMIT/files.
var deployedPath = regexp.MustCompile(`(?m)^(app|runtime)-path=/[^\n]*/(app|runtime)/([^/\n]+)/([^/\n]+)/([^/\n]+)/([0-9a-f]{64})/files$`)

// running names the applications that run what would be replaced: they go on with the old commit until they are started again.
func running(m *machine.Machine, refs []one) fleet.Restart {
	found := fleet.Restart{Needed: fleet.NotNeeded, Services: []fleet.Service{}}
	users, err := entries(m, runDir)
	if err != nil || !root() {
		found.Needed, found.Because = fleet.NeedUnknown, "which applications other users run cannot be seen without root"
	}
	for _, user := range users {
		dir := path.Join(runDir, user, ".flatpak")
		instances, err := entries(m, dir)
		if err != nil {
			continue // another's, and told above
		}
		for _, id := range instances {
			uses(m, path.Join(dir, id), refs, &found)
		}
	}
	if len(found.Services) > 0 {
		found.Needed = fleet.Needed
	}
	return found
}

// uses adds a sandbox that runs one of the refs.
func uses(m *machine.Machine, dir string, refs []one, found *fleet.Restart) {
	info := open(m, path.Join(dir, "info"))
	pid, err := strconv.Atoi(strings.TrimSpace(open(m, path.Join(dir, "pid"))))
	if err != nil {
		return
	}
	if _, err := m.Stat(path.Join("/proc", strconv.Itoa(pid))); err != nil {
		return // it has ended, and nobody has cleaned up
	}
	name, files := "", []string{}
	for _, p := range deployedPath.FindAllStringSubmatch(info, 2) {
		if p[1] == "app" || name == "" {
			name = fleet.Plain(p[3])
		}
		r, ok := parseRef(strings.Join(p[2:6], "/"))
		if ok && slices.ContainsFunc(refs, func(o one) bool { return o.ref == r }) {
			files = append(files, r.String())
		}
	}
	if len(files) > 0 {
		found.Services = append(found.Services, fleet.Service{Name: name, Kind: "session", PIDs: []int{pid}, Files: files})
	}
}

// open reads a file of a user's. It is empty where it cannot be read.
func open(m *machine.Machine, name string) string {
	text, err := m.ReadForeign(name, maxInfo)
	if err != nil {
		return ""
	}
	return string(text)
}
