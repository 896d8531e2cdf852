package flatpak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// answer is what the remotes of one installation said when they were asked last.
type answer struct {
	Asked time.Time `json:"asked"`
	// Refs are those that were installed then.
	Refs map[string]offer `json:"refs"`
	// Failed says what could not be learnt, in words.
	Failed []string `json:"failed"`
}

// offer is what a remote had for a ref.
type offer struct {
	Origin string `json:"origin"`
	// Title is what its maker calls it.
	Title string `json:"title,omitempty"`
	// Version is what its maker called the installed commit; empty where there is no word for it.
	Version string `json:"version,omitempty"`
	// To is the commit that the remote had; the installed one where that was the newest. Empty where that is not known.
	To        string `json:"to,omitempty"`
	ToVersion string `json:"to_version,omitempty"`
	// Download and Size are in bytes.
	Download int64 `json:"download,omitempty"`
	Size     int64 `json:"size,omitempty"`
	// Runtime is what it needs (org.demo.Platform/x86_64/1), and Lacks says why that cannot be had.
	Runtime string `json:"runtime,omitempty"`
	Lacks   string `json:"lacks,omitempty"`
	// EndOfLife is why nobody cares for it any more, and Rebase what takes its place.
	EndOfLife string `json:"eol,omitempty"`
	Rebase    string `json:"rebase,omitempty"`
}

// answersDir is where root writes down what remotes answered. That about the system's installations anybody may read.
const answersDir = "/var/cache/redflag/flatpak"

// file is the name of an installation's answers.
func (i installation) file() string {
	name := strings.NewReplacer("@", "", ":", "-").Replace(i.mark)
	switch {
	case i.option == "--user":
		return "user-" + name + ".json"
	case name == "":
		return "system.json"
	}
	return name + ".json"
}

// maxAnswer bounds what is kept of an installation: 500 refs have 150 KB.
const maxAnswer = 16 << 20

// answer gives the newest answer that is kept about an installation: root's, or one of our own.
func (s Source) answer(m *machine.Machine, i installation) (answer, error) {
	none := &fleet.Unknown{Because: "what is on offer for Flatpak was never asked for" + i.whose(), Remedy: "sudo redflag scan --refresh"}
	if i.option == "--user" && !root() {
		none.Remedy = "redflag scan --refresh"
	}
	var newest answer
	texts := [][]byte{}
	if text, err := m.ReadFile(path.Join(answersDir, i.file()), maxAnswer); err == nil {
		texts = append(texts, text)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return newest, err
	}
	if s.StateDir != "" && !root() {
		if text, err := os.ReadFile(filepath.Join(s.StateDir, "flatpak", i.file())); err == nil {
			texts = append(texts, text)
		}
	}
	for _, text := range texts {
		var a answer
		if err := json.Unmarshal(text, &a); err == nil && a.Asked.After(newest.Asked) {
			newest = a
		}
	}
	if newest.Asked.IsZero() {
		return newest, none
	}
	return newest, nil
}

// answers gives the answers about all installations.
func (s Source) answers(m *machine.Machine) []answer {
	var list []answer
	for _, i := range installations(m) {
		if a, err := s.answer(m, i); err == nil {
			list = append(list, a)
		}
	}
	return list
}

// whose says in words whose an installation is.
func (i installation) whose() string {
	if i.mark == "" {
		return ""
	}
	return " (" + strings.TrimPrefix(i.mark, "@") + ")"
}

// refreshLimit bounds a whole refresh.
const refreshLimit = 15 * time.Minute

// Refresh implements source.Refresher: it asks every remote that something installed comes from.
func (s Source) Refresh(ctx context.Context, m *machine.Machine) error {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	var problems []error
	for _, i := range installations(m) {
		problems = append(problems, s.refresh(ctx, m, i))
	}
	return errors.Join(problems...)
}

func (s Source) refresh(ctx context.Context, m *machine.Machine, i installation) error {
	there, err := i.deployed(m)
	if err != nil {
		return err
	}
	a := answer{Asked: m.Now().UTC(), Refs: map[string]offer{}}
	out, err := i.ask(ctx, m, "list", "--all", columns("ref", "name", "version", "origin", "options", "active"))
	if err == nil {
		err = a.installed(out, there)
	}
	if err != nil {
		return unlisted(err)
	}
	for _, from := range a.origins() {
		if err := i.askRemote(ctx, m, &a, from); err != nil {
			because, _ := fleet.Explain(unlisted(err))
			a.Failed = append(a.Failed, fmt.Sprintf("what the remote %s has on offer%s is not known: %s", from.remote, i.whose(), because))
			a.forget(from)
		}
	}
	i.look(ctx, m, &a, there)
	return s.keep(m, i, a)
}

func unlisted(err error) error {
	if errors.Is(err, errTable) {
		return &fleet.Unknown{Because: fleet.Plain(err.Error()), Remedy: "report it, with the output of `flatpak list --all` and `flatpak remote-ls --updates`", Err: err}
	}
	return err
}

// installed reads what flatpak lists of what is installed: the names of versions, where it comes from, and whether anybody cares for it.
func (a *answer) installed(out []byte, there map[ref]string) error {
	list, err := rows(out, 6)
	if err != nil {
		return err
	}
	for _, f := range list {
		kind := "app/"
		words := strings.Split(f[4], ",")
		if slices.Contains(words, "runtime") {
			kind = "runtime/"
		}
		r, ok := parseRef(kind + f[0])
		if !ok {
			return fmt.Errorf("%w: %q is no ref", errTable, fleet.Plain(f[0]))
		}
		commit, deployed := there[r]
		if !deployed || !strings.HasPrefix(commit, f[5]) {
			continue // it was changed meanwhile: the next refresh will tell
		}
		o := offer{Title: fleet.Plain(f[1]), Version: fleet.Plain(f[2]), Origin: fleet.Plain(f[3]), To: commit}
		o.life(words)
		a.Refs[r.String()] = o
	}
	return nil
}

// life reads the options of a ref that say that nobody cares for it any more.
func (o *offer) life(words []string) {
	for _, w := range words {
		if reason, ok := strings.CutPrefix(w, "eol="); ok {
			o.EndOfLife = fleet.Plain(reason)
		}
		if by, ok := strings.CutPrefix(w, "eol-rebase="); ok {
			o.Rebase = fleet.Plain(by)
		}
	}
	if o.Rebase != "" && o.EndOfLife == "" {
		o.EndOfLife = "it is replaced by " + o.Rebase
	}
}

// origin is a remote and an architecture that something comes from.
type origin struct{ remote, arch string }

// remoteName is what one may be called. It is an argument of a command, so it begins with no dash.
func remoteName(name string) bool {
	return name != "" && !strings.HasPrefix(name, "-") && !strings.ContainsAny(name, " /")
}

func (a *answer) origins() []origin {
	var list []origin
	for name, o := range a.Refs {
		r, _ := parseRef(name)
		if from := (origin{o.Origin, r.arch}); remoteName(o.Origin) && !slices.Contains(list, from) {
			list = append(list, from)
		}
	}
	slices.SortFunc(list, func(a, b origin) int { return strings.Compare(a.remote+" "+a.arch, b.remote+" "+b.arch) })
	return list
}

// forget takes away what is not known because a remote did not answer.
func (a *answer) forget(from origin) {
	for name, o := range a.Refs {
		if r, _ := parseRef(name); o.Origin == from.remote && r.arch == from.arch {
			o.To = ""
			a.Refs[name] = o
		}
	}
}

// askRemote asks one remote what it has in other commits than those that are installed.
func (i installation) askRemote(ctx context.Context, m *machine.Machine, a *answer, from origin) error {
	out, err := i.ask(ctx, m, "remote-ls", "--updates", "--all", "--arch="+from.arch,
		columns("ref", "version", "download-size", "installed-size", "runtime", "options", "commit"), from.remote)
	if err != nil {
		return err
	}
	list, err := rows(out, 7)
	if err != nil {
		return err
	}
	for _, f := range list {
		r, ok := parseRef(f[0])
		o, known := a.Refs[f[0]]
		if !ok {
			return fmt.Errorf("%w: %q is no ref", errTable, fleet.Plain(f[0]))
		}
		if !known || o.Origin != from.remote {
			continue // it is installed from elsewhere
		}
		commit, err := i.commit(ctx, m, from.remote, r.String())
		if err != nil {
			return err
		}
		o.To, o.ToVersion, o.Download, o.Size, o.Runtime = commit, fleet.Plain(f[1]), parseSize(f[2]), parseSize(f[3]), f[4]
		o.life(strings.Split(f[5], ","))
		a.Refs[f[0]] = o
	}
	return nil
}

// commit asks for the commit of a ref, whole.
func (i installation) commit(ctx context.Context, m *machine.Machine, remote, name string) (string, error) {
	out, err := i.ask(ctx, m, "remote-info", "--show-commit", remote, name)
	if err != nil {
		return "", err
	}
	commit := strings.TrimSpace(string(out))
	if !commitText.MatchString(commit) {
		return "", fmt.Errorf("%w: %q is no commit", errTable, fleet.Plain(commit))
	}
	return commit, nil
}

// look says of new versions that need another runtime whether that can be had.
func (i installation) look(ctx context.Context, m *machine.Machine, a *answer, there map[ref]string) {
	for name, o := range a.Refs {
		r, ok := parseRef("runtime/" + o.Runtime)
		if !ok || there[r] != "" || i.elsewhere(m, r) {
			continue
		}
		if _, err := i.commit(ctx, m, o.Origin, r.String()); err != nil {
			o.Lacks = "it needs " + o.Runtime + ", which is not installed, and which its remote does not have"
			a.Refs[name] = o
		}
	}
}

// elsewhere says whether a runtime is there for a user's applications because the system has it.
func (i installation) elsewhere(m *machine.Machine, r ref) bool {
	if i.option != "--user" {
		return false
	}
	for _, o := range installations(m) {
		if there, err := o.deployed(m); err == nil && o.option != "--user" && there[r] != "" {
			return true
		}
	}
	return false
}

// keep writes an answer down. What users have installed is for them and for root.
func (s Source) keep(m *machine.Machine, i installation, a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if !root() {
		if s.StateDir == "" {
			return nil
		}
		return machine.WriteFile(filepath.Join(s.StateDir, "flatpak", i.file()), text, 0o600)
	}
	dir := m.Path(answersDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // anybody may look at what is on offer for the system
		return err
	}
	mode := fs.FileMode(0o644)
	if i.option == "--user" {
		mode = 0o600
	}
	return machine.WriteFile(filepath.Join(dir, i.file()), text, mode)
}
