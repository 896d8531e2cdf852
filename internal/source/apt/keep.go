package apt

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// keptDir is where packages lie that an undo would need: archives keep only their newest versions.
const keptDir = "/var/lib/redflag/packages"

// keptFile is where a version of a package is kept. Apt writes a colon in a version so in names of files too.
func keptFile(name, version, arch string) string {
	return path.Join(keptDir, name+"_"+strings.ReplaceAll(version, ":", "%3a")+"_"+arch+".deb")
}

func isFile(m *machine.Machine, name string) bool {
	info, err := m.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// keepAll puts aside what a plan replaces, from apt's own cache, from archives, and otherwise made again from the files on this machine. What cannot be kept
// is said in the log: then that change cannot be undone.
func (s Source) keepAll(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) {
	if err := os.MkdirAll(m.Path(keptDir), 0o755); err != nil {
		fmt.Fprintf(w.Log, "what is replaced cannot be kept for an undo: %v\n", err)
		return
	}
	var missing []fleet.Change
	for _, c := range p.Changes {
		file := keptFile(c.Name, c.From, c.Arch)
		if c.From == "" || isFile(m, file) || !aptName.MatchString(c.Name) || !versionText.MatchString(c.From) {
			continue
		}
		cached := path.Join("/var/cache/apt/archives", path.Base(file))
		if !isFile(m, cached) || machine.CopyFile(m.Path(cached), m.Path(file)) != nil {
			missing = append(missing, c)
		}
	}
	prune(m)
	s.download(ctx, m, missing)
	for _, c := range missing {
		file := keptFile(c.Name, c.From, c.Arch)
		if isFile(m, file) || ctx.Err() != nil {
			continue
		}
		if err := repack(ctx, m, c, file, path.Join(w.Dir, "repack")); err != nil {
			fmt.Fprintf(w.Log, "%s %s cannot be kept for an undo: %v\n", c.Name, c.From, err)
		}
	}
}

// maxKept bounds the packages that are kept, in bytes: the oldest go first, and with them the way back from old jobs.
const maxKept = 4 << 30

// prune deletes the oldest packages that are kept, where they are too many.
func prune(m *machine.Machine) {
	entries, err := m.ReadDir(keptDir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return changed(a).Compare(changed(b)) })
	for _, f := range files {
		if total <= maxKept {
			return
		}
		if os.Remove(m.Path(path.Join(keptDir, f.Name()))) == nil {
			total -= f.Size()
		}
	}
}

// notThere is what apt says of a version that no archive has.
var notThere = regexp.MustCompile(`Version '([^']*)' for '([^']*)' was not found|Can't find a source to download version '([^']*)' of '([^':]*)`)

// download fetches the versions that archives still have into the folder of those that are kept. Apt names one that is not there at a time.
func (s Source) download(ctx context.Context, m *machine.Machine, list []fleet.Change) {
	words := map[string]string{}
	for _, c := range list {
		words[c.Name+" "+c.From] = word(c.Name, c.Arch, c.From)
	}
	for range len(list) {
		args := []string{"-C", keptDir, "apt-get", "-q", "download", "-o", "APT::Sandbox::User=root"}
		for _, w := range words {
			args = append(args, w)
		}
		if len(words) == 0 {
			return
		}
		result, err := m.Run(ctx, machine.Command{Name: "env", Args: args})
		if err != nil || result.Code == 0 {
			return
		}
		said := notThere.FindStringSubmatch(string(result.Stderr))
		if said == nil {
			return
		}
		before := len(words)
		delete(words, said[2]+said[4]+" "+said[1]+said[3])
		if len(words) == before {
			return
		}
	}
}

// maintainer are the files of a package in dpkg's database that belong into the package again.
var maintainer = []string{"preinst", "postinst", "prerm", "postrm", "config", "templates", "triggers", "shlibs", "symbols", "conffiles"}

// repack makes a package again from what is installed of it.
func repack(ctx context.Context, m *machine.Machine, c fleet.Change, file, dir string) error {
	defer os.RemoveAll(m.Path(dir))
	if err := os.MkdirAll(m.Path(dir+"/DEBIAN"), 0o755); err != nil {
		return err
	}
	info := "/var/lib/dpkg/info/" + c.Name
	if !isFile(m, info+".list") {
		info += ":" + c.Arch
	}
	must := func(name string, args ...string) (machine.Result, error) {
		r, err := m.Run(ctx, machine.Command{Name: name, Args: args})
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("%s: %s", name, fleet.Plain(string(r.Stderr)))
		}
		return r, err
	}
	record, err := must("dpkg-query", "-s", "--", strings.TrimSuffix(c.Name+":"+c.Arch, ":all"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.Path(dir+"/DEBIAN/control"), controlOf(record.Stdout), 0o644); err != nil { //nolint:gosec // a package's own
		return err
	}
	for _, part := range maintainer {
		if isFile(m, info+"."+part) {
			if err := machine.CopyFile(m.Path(info+"."+part), m.Path(dir+"/DEBIAN/"+part)); err != nil {
				return err
			}
		}
	}
	if _, err := must("tar", "-C", "/", "--no-recursion", "-T", info+".list", "-cf", dir+".tar"); err != nil {
		return err
	}
	defer os.Remove(m.Path(dir + ".tar"))
	if _, err := must("tar", "-C", dir, "-xpf", dir+".tar"); err != nil {
		return err
	}
	_, err = must("dpkg-deb", "-Zgzip", "-b", dir, file)
	return err
}

// controlOf gives the fields of a package's control file among those of its record in the database.
func controlOf(record []byte) []byte {
	var out strings.Builder
	skip := false
	for line := range strings.Lines(string(record)) {
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			name, _, _ := strings.Cut(line, ":")
			skip = name == "Status" || name == "Conffiles" || name == "Config-Version"
		}
		if !skip {
			out.WriteString(line)
		}
	}
	return []byte(out.String())
}

// Undo implements source.Installer: each change the other way round.
func (s Source) Undo(m *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var sel fleet.Selection
	for _, c := range o.Done {
		sel.Back = append(sel.Back, fleet.Change{Action: actionOf(c.To, c.From), Name: c.Name, Arch: c.Arch, From: c.To, To: c.From, Automatic: c.Automatic})
	}
	if len(sel.Back) == 0 {
		return sel, &fleet.Unknown{Because: "the job changed nothing, so there is nothing to undo"}
	}
	return sel, nil
}
