package apt

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// uriLine is a line of apt-get --print-uris: 'URI' file size hash.
var uriLine = regexp.MustCompile(`(?m)^'[^']*' \S+ (\d+) `)

// diskLine is what apt says of the disk, in the C locale.
var diskLine = regexp.MustCompile(`After this operation, ([\d,.]+) ([kMG]?B) (of additional disk space will be used|disk space will be freed)`)

// measure asks apt how much is to be fetched, and how much more it will take. Where it does not say it is not known, which is no reason not
// to plan.
func (s Source) measure(ctx context.Context, m *machine.Machine, words []string, p *fleet.Plan) {
	if free, err := rooms(m, s.archives(m)); err == nil {
		p.Free = min(free[0].free, free[1].free)
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "apt-get", Args: append(append([]string{"--print-uris", "-y"}, settled(words)...), words...)})
	if err != nil || result.Code != 0 {
		p.Warnings = append(p.Warnings, "how much must be downloaded is not known")
		return
	}
	for _, line := range uriLine.FindAllSubmatch(result.Stdout, -1) {
		n, err := strconv.ParseInt(string(line[1]), 10, 64)
		if err == nil {
			p.Download += n
		}
	}
	if said := diskLine.FindSubmatch(result.Stdout); said != nil {
		p.Disk = diskBytes(string(said[1]), string(said[2]))
		if strings.Contains(string(said[3]), "freed") {
			p.Disk = -p.Disk
		}
	}
	if err := s.enough(m, *p); err != nil {
		p.Warnings = append(p.Warnings, err.Error())
	}
}

// diskBytes reads 1,234 kB.
func diskBytes(number, unit string) int64 {
	n, err := strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
	if err != nil {
		return 0
	}
	return int64(n * map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit])
}

// archives is where apt puts what it fetches.
func (s Source) archives(m *machine.Machine) string {
	if set, err := readSettings(m); err == nil {
		return path.Clean(set.conf.path("Dir::Cache::archives"))
	}
	return "/var/cache/apt/archives"
}

// room is one of the places that an installation writes to.
type room struct {
	dir    string
	device uint64
	free   int64
}

// rooms are where packages are fetched to, where they are unpacked, where those that are replaced are kept, and where dpkg has its database.
func rooms(m *machine.Machine, archives string) ([4]room, error) {
	list := [4]room{{dir: archives}, {dir: "/usr"}, {dir: source.KeptDir}, {dir: "/var/lib/dpkg"}}
	for i, r := range list {
		var err error
		if list[i].free, list[i].device, err = m.Space(r.dir); err != nil {
			return list, err
		}
	}
	return list, nil
}

// spare is what must stay free wherever an installation writes: dpkg writes its database anew, and scripts write what nobody announces.
const spare = 8 << 20

// enough says whether a plan has the room that it needs, on each of the file systems that it writes to. What is kept for the way back is taken to be as large as what
// replaces it.
func (s Source) enough(m *machine.Machine, p fleet.Plan) error {
	places, err := rooms(m, s.archives(m))
	if err != nil {
		return nil //nolint:nilerr // what is not known is no reason not to try: a full disk is told then
	}
	needs := [4]int64{p.Download, max(p.Disk, 0), p.Download, 0}
	for _, r := range places {
		need := int64(spare)
		for i, other := range places {
			if other.device == r.device {
				need += needs[i]
			}
		}
		if r.free < need {
			return &fleet.Unknown{
				Because: fmt.Sprintf("there is not enough room at %s: %s are needed, and %s are free", r.dir, megabytes(need), megabytes(r.free)),
				Remedy:  "free some space (apt-get clean empties apt's cache), and try again",
			}
		}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// maxFiles bounds dpkg's list of one package's files, and maxLists those of a plan: the largest packages have 20,000 files.
const (
	maxFiles = 16 << 20
	maxLists = 64 << 20
)

// foresee says which services run files that a plan replaces, and whether that will need a reboot.
func foresee(ctx context.Context, m *machine.Machine, p *fleet.Plan) {
	var files []string
	size := 0
	for _, c := range p.Changes {
		if c.From == "" || size > maxLists {
			continue
		}
		data, err := m.ReadFile(infoOf(m, c)+".list", maxFiles)
		if err != nil {
			continue // it is not there, and nothing runs from it
		}
		size += len(data)
		for line := range strings.Lines(string(data)) {
			files = append(files, strings.TrimSuffix(line, "\n"))
		}
	}
	restart, reasons := m.Users(ctx, files)
	p.Restart, p.Reboot = restart, source.RebootFor(*p, kernelPackage.MatchString)
	if len(reasons) > 0 {
		p.Reboot.Needed, p.Reboot.Because = fleet.Needed, append(p.Reboot.Because, reasons...)
	}
}

// infoOf gives where dpkg keeps what it knows of a package, without the ending. Names that are none lead nowhere.
func infoOf(m *machine.Machine, c fleet.Change) string {
	const dir = "/var/lib/dpkg/info/"
	if !aptName.MatchString(c.Name) || !aptName.MatchString("x-"+c.Arch) {
		return dir
	}
	if named := dir + c.Name + ":" + c.Arch; isFile(m, named+".list") {
		return named
	}
	return dir + c.Name
}
