package rpm

import (
	"context"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Foresee fills in what a plan will ask of the machine: the room that there is for it, the services that run files which it replaces, configuration
// files that were changed here, whether it brings security updates, and a reboot. Cache is where the package manager puts what it downloads.
func Foresee(ctx context.Context, m *machine.Machine, p *fleet.Plan, installed []Package, advisories *Advisories, cache string) {
	newest := Newest(installed)
	MarkSecurity(p, advisories, newest)
	p.Reboot = RebootFor(*p, advisories, newest)
	p.ConfigFiles = ChangedConfigFiles(ctx, m, *p)
	for _, dir := range []string{cache, "/usr"} {
		if free, _, err := m.Space(dir); err == nil && (p.Free == 0 || free < p.Free) {
			p.Free = free
		}
	}
	files := replacedFiles(ctx, m, *p)
	if len(files) == 0 {
		return
	}
	restart, reasons := m.Users(ctx, files)
	p.Restart = restart
	if len(reasons) > 0 {
		p.Reboot.Needed = fleet.Needed
		p.Reboot.Because = append(p.Reboot.Because, reasons...)
	}
}

// replacedFiles lists the files of what a plan replaces or removes; nothing where rpm does not say, which leaves it unknown what runs them.
func replacedFiles(ctx context.Context, m *machine.Machine, p fleet.Plan) []string {
	args := []string{"-ql", "--"}
	for _, one := range Replaced(p) {
		args = append(args, one.String())
	}
	if len(args) == 2 {
		return nil
	}
	result, err := m.Run(ctx, machine.Command{Name: "rpm", Args: args})
	if err != nil {
		return nil
	}
	var list []string
	for line := range strings.Lines(string(result.Stdout)) {
		if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, "/") {
			list = append(list, line)
		}
	}
	return list
}
