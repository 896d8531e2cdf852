package apt

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// restoreMarks marks again as automatic what was so, or came so: apt takes what it is told by name for what a person chose, and would keep it
// for ever. That it fails costs nothing but that.
func (s Source) restoreMarks(ctx context.Context, m *machine.Machine, before snapshot, done []fleet.Change, p fleet.Plan) {
	args := []string{"auto"}
	for _, c := range done {
		key := c.Name + ":" + c.Arch
		planned := slices.ContainsFunc(p.Changes, func(o fleet.Change) bool { return o.Name == c.Name && o.Arch == c.Arch && o.Automatic && o.From == "" })
		if c.To != "" && (planned || slices.Contains(before.Auto, c.Name) || slices.Contains(before.Auto, key)) && aptName.MatchString(c.Name) {
			args = append(args, strings.TrimSuffix(key, ":all"))
		}
	}
	if len(args) > 1 {
		_, _ = m.Run(ctx, machine.Command{Name: "apt-mark", Args: args})
	}
}

// reviews names the configuration files of what was changed beside which a new version was left.
func reviews(ctx context.Context, m *machine.Machine, done []fleet.Change, since time.Time) []string {
	var names, list []string
	for _, c := range done {
		if c.To != "" && aptName.MatchString(c.Name) {
			names = append(names, strings.TrimSuffix(c.Name+":"+c.Arch, ":all"))
		}
	}
	if len(names) == 0 {
		return nil
	}
	result, err := m.Run(ctx, machine.Command{Name: "dpkg-query", Args: append([]string{"-W", "-f", "${Conffiles}\n", "--"}, names...)})
	if err != nil {
		return nil
	}
	for _, file := range append(conffiles(result.Stdout), ucfFiles(m, done)...) {
		for _, suffix := range []string{".dpkg-dist", ".dpkg-new", ".ucf-dist"} {
			info, err := m.Stat(path.Clean(file + suffix))
			if strings.HasPrefix(file, "/") && err == nil && changed(info).After(since.Add(-time.Minute)) {
				list = append(list, fleet.Plain(file+suffix))
			}
		}
	}
	return list
}

// conffiles reads what dpkg-query says of configuration files: one a line, with its checksum.
func conffiles(output []byte) []string {
	var list []string
	for line := range strings.Lines(string(output)) {
		if file, _, _ := strings.Cut(strings.TrimSpace(line), " "); file != "" {
			list = append(list, file)
		}
	}
	return list
}

// maxRegistry bounds ucf's list: a line for each file, of which a machine has some dozens.
const maxRegistry = 1 << 20

// ucfFiles are the configuration files of packages that scripts keep by ucf(1), which dpkg does not know: lines of a package and a file.
func ucfFiles(m *machine.Machine, done []fleet.Change) []string {
	data, err := m.ReadFile("/var/lib/ucf/registry", maxRegistry)
	if err != nil {
		return nil // nothing here is kept by it
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) == 2 && slices.ContainsFunc(done, func(c fleet.Change) bool { return c.Name == words[0] }) {
			list = append(list, words[1])
		}
	}
	return list
}
