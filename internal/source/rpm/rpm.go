// Package rpm is what the package managers of RPM's world share, dnf and zypper: the database of what is installed, which alone says what a
// transaction did; advisories as repositories publish them (updateinfo.xml), with the rule by which an update is one for security; what is kept of
// replaced packages, so that an undo has them.
package rpm

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/version"
)

// Package is one version of a package.
type Package struct {
	Name string `json:"name"`
	// EVR is its version as rpm writes it: epoch:version-release, without an epoch of 0.
	EVR  string `json:"evr"`
	Arch string `json:"arch"`
	// Source is the name of the source package that it was built from, and SourceVersion that one's version; empty where it does not say.
	Source        string `json:"-"`
	SourceVersion string `json:"-"`
	// Vendor is who made it, and Module the stream of a module that it is of, as name:stream; empty where it does not say.
	Vendor string `json:"-"`
	Module string `json:"-"`
}

// Key tells packages apart of which a machine has one version at a time: libraries of two architectures stand side by side.
func (p Package) Key() string { return p.Name + "." + p.Arch }

// String gives a package as people write it.
func (p Package) String() string { return p.Name + "-" + p.EVR + "." + p.Arch }

// EVR joins the parts of a version.
func EVR(epoch, version, release string) string {
	v := version
	if release != "" {
		v += "-" + release
	}
	if epoch != "" && epoch != "0" && epoch != "(none)" {
		v = epoch + ":" + v
	}
	return v
}

// CutEVR takes a version apart.
func CutEVR(evr string) (epoch, version, release string) {
	epoch, rest, found := strings.Cut(evr, ":")
	if !found {
		epoch, rest = "0", evr
	}
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		return epoch, rest[:i], rest[i+1:]
	}
	return epoch, rest, ""
}

// CutNEVRA takes name-[epoch:]version-release.arch apart.
func CutNEVRA(nevra string) (Package, bool) {
	rest, ok := nevra, true
	cut := func(separator string) (after string) {
		i := strings.LastIndex(rest, separator)
		if i <= 0 {
			ok = false
			return ""
		}
		after, rest = rest[i+1:], rest[:i]
		return after
	}
	arch := cut(".")
	release := cut("-")
	ver := cut("-")
	epoch, bare, found := strings.Cut(ver, ":")
	if !found {
		epoch, bare = "", ver
	}
	p := Package{Name: rest, EVR: EVR(epoch, bare, release), Arch: arch}
	return p, ok && p.Name != "" && bare != "" && release != "" && arch != "" && !strings.ContainsAny(nevra, " \t\n/")
}

// Name and version of what may be given to a package manager: nothing like an option, a pattern, a file or two words fits.
var (
	nameText    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*$`)
	versionText = regexp.MustCompile(`^([0-9]+:)?[A-Za-z0-9._+~^]+-[A-Za-z0-9._+~^]+$`)
	archText    = regexp.MustCompile(`^[a-z0-9_]+$`)
)

// Valid refuses what would not be a package to a package manager. Names come from repositories and from servers.
func (p Package) Valid() error {
	if !nameText.MatchString(p.Name) || !versionText.MatchString(p.EVR) || !archText.MatchString(p.Arch) {
		return fmt.Errorf("%q is no package", fleet.Plain(p.String()))
	}
	return nil
}

// Newer says whether version a is newer than b.
func Newer(a, b string) bool { return version.CompareRPM(a, b) > 0 }

// query is what rpm is asked of every package: tab-separated, a line each. Releases before 4.15 do not know modules, and refuse the whole question.
const (
	query        = `%{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{VENDOR}\t%{MODULARITYLABEL}\n`
	olderQuery   = `%{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{VENDOR}\t(none)\n`
	unknownLabel = "unknown tag"
)

// keys are rpm's own: the keys of those who sign packages stand in its database as packages.
const keys = "gpg-pubkey"

// Installed lists what rpm's database has, sorted. A database that has nothing, or that cannot be read, is a *fleet.Unknown: half a list would
// say that the rest was removed.
func Installed(ctx context.Context, m *machine.Machine) ([]Package, error) {
	result, err := m.Run(ctx, machine.Command{Name: "rpm", Args: []string{"-qa", "--qf", query}})
	if err == nil && result.Code != 0 && bytes.Contains(result.Stderr, []byte(unknownLabel)) {
		result, err = m.Run(ctx, machine.Command{Name: "rpm", Args: []string{"-qa", "--qf", olderQuery}})
	}
	if err != nil {
		return nil, unreadable(err.Error(), err)
	}
	list, err := parseInstalled(result.Stdout)
	switch {
	case result.Code != 0:
		return nil, unreadable(firstLine(result.Stderr), nil)
	case err != nil:
		return nil, unreadable(err.Error(), err)
	case len(list) == 0:
		return nil, unreadable("it names no package", nil)
	}
	return list, nil
}

func unreadable(why string, err error) error {
	return &fleet.Unknown{
		Because: "what is installed is not known, because rpm's database cannot be read: " + fleet.Plain(why), Remedy: "see what `rpm -qa` says; `rpm --rebuilddb` mends a damaged database",
		Err: err,
	}
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte{'\n'})
	return string(line)
}

// parseInstalled reads the answer to query.
func parseInstalled(out []byte) ([]Package, error) {
	list := []Package{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 8 || fields[0] == "" || fields[2] == "" {
			return nil, fmt.Errorf("it says %q", fleet.Plain(line))
		}
		if fields[0] == keys {
			continue
		}
		p := Package{
			Name: fleet.Plain(fields[0]), EVR: fleet.Plain(EVR(fields[1], fields[2], fields[3])), Arch: fleet.Plain(fields[4]), Vendor: said(fields[6]), Module: stream(said(fields[7])),
		}
		p.Source, p.SourceVersion, _ = builtFrom(p, fields[5])
		list = append(list, p)
	}
	lendEpochs(list)
	slices.SortFunc(list, compare)
	return list, nil
}

// said is what rpm says of a package, empty where that is that the package does not say.
func said(field string) string {
	if field == "(none)" {
		return ""
	}
	return fleet.Plain(field)
}

// stream gives the name and the stream of a module's label (nginx:1.16:8030020201124104955:229f0a1c), which has a version and a context behind them.
func stream(label string) string {
	name, rest, found := strings.Cut(label, ":")
	if !found {
		return ""
	}
	s, _, _ := strings.Cut(rest, ":")
	return name + ":" + s
}

// builtFrom reads the file name of a source package: its name and version. A file name has no epoch: it is that of what was built from it in the same version.
func builtFrom(p Package, file string) (name, evr string, same bool) {
	s, ok := CutNEVRA(strings.TrimSuffix(file, ".rpm"))
	if !ok {
		return "", "", false
	}
	_, version, release := CutEVR(p.EVR)
	if same = version+"-"+release == s.EVR; same {
		return fleet.Plain(s.Name), p.EVR, true
	}
	return fleet.Plain(s.Name), fleet.Plain(s.EVR), false
}

// lendEpochs gives the source packages of parts that have a version of their own the epoch that those of their siblings have: those of perl are 4, and of its
// parts 0.
func lendEpochs(list []Package) {
	known := map[string]string{}
	key := func(p Package) string {
		_, version, release := CutEVR(p.SourceVersion)
		return p.Source + " " + version + "-" + release
	}
	for _, p := range list {
		if p.SourceVersion == p.EVR {
			known[key(p)] = p.EVR
		}
	}
	for i, p := range list {
		if evr, ok := known[key(p)]; ok {
			list[i].SourceVersion = evr
		}
	}
}

func compare(a, b Package) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if c := strings.Compare(a.Arch, b.Arch); c != 0 {
		return c
	}
	if c := version.CompareRPM(a.EVR, b.EVR); c != 0 {
		return c
	}
	return strings.Compare(a.EVR, b.EVR)
}

// Packages gives the inventory in the fleet's words.
func Packages(ctx context.Context, m *machine.Machine, source string) ([]fleet.Package, error) {
	installed, err := Installed(ctx, m)
	if err != nil {
		return nil, err
	}
	own := distributionOf(m)
	list := make([]fleet.Package, 0, len(installed))
	for _, p := range installed {
		f := fleet.Package{Source: source, Name: p.Name, Arch: p.Arch, Version: p.EVR, Ecosystem: own.of(p.Vendor), Module: p.Module}
		if p.Source != p.Name {
			f.From = p.Source
		}
		if p.SourceVersion != p.EVR {
			f.FromVersion = p.SourceVersion
		}
		list = append(list, f)
	}
	fleet.SortPackages(list)
	return list, nil
}
