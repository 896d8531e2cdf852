package apt

import (
	"context"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// keptFile is where a version of a package is kept. Apt writes a colon in a version so in names of files too.
func keptFile(name, version, arch string) string {
	return path.Join(source.KeptDir, name+"_"+strings.ReplaceAll(version, ":", "%3a")+"_"+arch+".deb")
}

func isFile(m *machine.Machine, name string) bool {
	info, err := m.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// keepAll puts aside what a plan replaces, from apt's own cache, from archives, and otherwise made again from the files on this machine. What cannot be kept
// is said in the log: then that change cannot be undone.
func (s Source) keepAll(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) {
	if err := os.MkdirAll(m.Path(source.KeptDir), 0o755); err != nil {
		fmt.Fprintf(w.Log, "what is replaced cannot be kept for an undo: %v\n", err)
		return
	}
	var missing []fleet.Change
	archives, needed := s.archives(m), map[string]bool{}
	for _, c := range p.Changes {
		file := keptFile(c.Name, c.From, c.Arch)
		needed[path.Base(file)], needed[path.Base(keptFile(c.Name, c.To, c.Arch))] = true, true
		if c.From == "" || isFile(m, file) || !aptName.MatchString(c.Name) || !versionText.MatchString(c.From) {
			continue
		}
		cached := path.Join(archives, path.Base(file))
		if !isFile(m, cached) || machine.CopyFile(m.Path(cached), m.Path(file)) != nil {
			missing = append(missing, c)
		}
	}
	source.PruneKept(m, needed)
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

// notThere is what apt says of a version that no archive has.
var notThere = regexp.MustCompile(`Version '([^']*)' for '([^']*)' was not found|Can't find a source to download version '([^']*)' of '([^':]*)`)

// download fetches the versions that archives still have into the folder of those that are kept. Apt names one that is not there at a time.
func (s Source) download(ctx context.Context, m *machine.Machine, list []fleet.Change) {
	words := map[string]string{}
	for _, c := range list {
		words[c.Name+" "+c.From] = word(c.Name, c.Arch, c.From)
	}
	for range len(list) {
		args := []string{"-C", source.KeptDir, "apt-get", "-q", "download", "-o", "APT::Sandbox::User=root"}
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
		before := len(words)
		for _, said := range notThere.FindAllStringSubmatch(string(result.Stderr), -1) {
			delete(words, strings.SplitN(said[2]+said[4], ":", 2)[0]+" "+said[1]+said[3])
		}
		if len(words) == before {
			return
		}
	}
}
