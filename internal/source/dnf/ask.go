package dnf

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/rpm"
)

//go:embed redflag.py
var plugin []byte

// request is what our plugin is told.
type request struct {
	// Mode is scan, plan, apply or keep.
	Mode string `json:"mode"`
	// All: a full upgrade, as far as it can be.
	All bool `json:"all,omitempty"`
	// Want are packages to install or to bring to that version.
	Want []wanted `json:"want,omitempty"`
	// Back are packages to bring back, or to remove.
	Back []wanted `json:"back,omitempty"`
	// Approved is the transaction that may be done.
	Approved []wanted `json:"approved,omitempty"`
	// Keep are packages to download for an undo, and Dir is where they are put.
	Keep []wanted `json:"keep,omitempty"`
	Dir  string   `json:"dir,omitempty"`
}

// wanted is one version of a package.
type wanted struct {
	Name    string `json:"name"`
	Epoch   string `json:"epoch"`
	Version string `json:"version"`
	Release string `json:"release"`
	Arch    string `json:"arch"`
	// Action is install or remove.
	Action string `json:"action,omitempty"`
	// File is where the package lies, if it lies here.
	File string `json:"file,omitempty"`
	// Way is in or out.
	Way string `json:"way,omitempty"`
	// Automatic: it was there because another package needed it.
	Automatic bool `json:"automatic,omitempty"`
}

func want(p rpm.Package) wanted {
	epoch, version, release := rpm.CutEVR(p.EVR)
	return wanted{Name: p.Name, Epoch: epoch, Version: version, Release: release, Arch: p.Arch}
}

// answer is what our plugin says.
type answer struct {
	DNF   string `json:"dnf"`
	Repos []struct {
		ID    string `json:"id"`
		Cache string `json:"cache"`
	} `json:"repos"`
	// Missing are enabled repositories that dnf goes on without.
	Missing  []string  `json:"missing"`
	Updates  []offered `json:"updates"`
	Excluded []struct {
		Package offered `json:"package"`
		Because string  `json:"because"`
	} `json:"excluded"`
	Obsoleting []struct {
		New offered `json:"new"`
		Old offered `json:"old"`
	} `json:"obsoleting"`
	// KeptBack are updates that a full upgrade would not install, and why.
	KeptBack map[string]string `json:"kept_back"`
	// Unsolved says why there is no full upgrade at all.
	Unsolved    string    `json:"unsolved"`
	Transaction []offered `json:"transaction"`
	Duplicates  []string  `json:"duplicates"`
	Installonly []string  `json:"installonly"`
}

// offered is a package as dnf tells it.
type offered struct {
	Name      string `json:"name"`
	Epoch     int    `json:"epoch"`
	Version   string `json:"version"`
	Release   string `json:"release"`
	Arch      string `json:"arch"`
	Repo      string `json:"repo"`
	Download  int64  `json:"download"`
	Size      int64  `json:"size"`
	Summary   string `json:"summary"`
	Source    string `json:"source"`
	Vendor    string `json:"vendor"`
	Way       string `json:"way"`
	Action    string `json:"action"`
	Automatic bool   `json:"automatic"`
}

func (p offered) evr() string {
	return fleet.Plain(rpm.EVR(strconv.Itoa(p.Epoch), p.Version, p.Release))
}

func (p offered) plain() rpm.Package {
	return rpm.Package{Name: fleet.Plain(p.Name), EVR: p.evr(), Arch: fleet.Plain(p.Arch)}
}

// parseAnswer reads what the plugin wrote. One that names no dnf is none.
func parseAnswer(data []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("read dnf's answer: %w", err)
	}
	if a.DNF == "" {
		return a, errors.New("read dnf's answer: it does not say which dnf it is")
	}
	return a, nil
}

const (
	// askLimit bounds how long dnf may think: it takes some seconds for a desktop on a small machine.
	askLimit = 5 * time.Minute
	// maxAnswer bounds what it says: 2,000 updates are 1 MB.
	maxAnswer = 64 << 20
	// tmp is where questions lie while they are asked.
	tmp = "/tmp"
)

// ask has dnf answer a question that changes nothing.
func (s Source) ask(ctx context.Context, m *machine.Machine, q request, options ...string) (answer, error) {
	made, err := os.MkdirTemp(m.Path(tmp), "redflag-dnf-")
	if err != nil {
		return answer{}, err
	}
	dir := path.Join(tmp, filepath.Base(made))
	defer rpm.Gone(m, dir)
	// A sandbox may keep dnf from its own log. (It keeps root from dnf's lock too; a user has that in /var/tmp.)
	c, err := s.command(m, dir, q, append(options, "--setopt=logdir="+dir)...)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, c)
	if err != nil {
		return answer{}, noAnswer(err.Error(), err)
	}
	data, err := m.ReadFile(path.Join(dir, answerFile), maxAnswer)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return answer{}, refusal(result)
	case err != nil:
		return answer{}, err
	}
	a, err := parseAnswer(data)
	if err != nil {
		return a, noAnswer(err.Error(), err)
	}
	return a, nil
}

// Files of a question, in a folder that is dnf's path of plugins too.
const (
	pluginFile  = "redflag.py"
	requestFile = "request.json"
	answerFile  = "answer.json"
)

// command writes a question down and gives the command that asks it.
func (s Source) command(m *machine.Machine, dir string, q request, options ...string) (machine.Command, error) {
	name := program(m)
	if name == "" {
		return machine.Command{}, errYum
	}
	if err := machine.WriteFile(m.Path(path.Join(dir, pluginFile)), plugin, 0o600); err != nil {
		return machine.Command{}, err
	}
	if err := (source.Work{Dir: dir}).Write(m, requestFile, q); err != nil {
		return machine.Command{}, err
	}
	args := append([]string{
		"--setopt=pluginpath=" + strings.Join(append(pluginPath(m), dir), ","), "--setopt=plugins=1", "--setopt=exit_on_lock=1",
	}, options...)
	return machine.Command{Name: name, Args: append(args, "redflag", path.Join(dir, requestFile), path.Join(dir, answerFile))}, nil
}

// configFile is dnf's own, and yum's where it is older.
var configFile = []string{"/etc/dnf/dnf.conf", "/etc/yum.conf"}

// ownPath is the line of a configuration that says where plugins lie.
var ownPath = regexp.MustCompile(`(?m)^[ \t]*pluginpath[ \t]*=[ \t]*(\S.*)$`)

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

// pluginPath gives where dnf's plugins lie, which must not be lost: version locks are one.
func pluginPath(m *machine.Machine) []string {
	for _, name := range configFile {
		data, err := m.ReadFile(name, maxConfig)
		if err != nil {
			continue
		}
		if found := ownPath.FindSubmatch(data); found != nil {
			return strings.FieldsFunc(string(found[1]), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		}
	}
	var list []string
	for _, pattern := range []string{"usr/lib/python3*/site-packages/dnf-plugins", "usr/lib/python3*/dist-packages/dnf-plugins"} {
		found, err := filepath.Glob(filepath.Join(m.Root, filepath.FromSlash(pattern)))
		if err != nil {
			continue // the pattern is ours
		}
		for _, f := range found {
			if rel, err := filepath.Rel(m.Root, f); err == nil {
				list = append(list, "/"+filepath.ToSlash(rel))
			}
		}
	}
	return list
}

// refusals are what dnf says in the C locale where it gives no answer. The first that fits explains it.
var refusals = []rpm.Reason{
	{Pattern: regexp.MustCompile(`redflag: nowhere: (\S+) (\S+)`), Because: "$1 $2 is nowhere: it is not on offer any more, and it was not kept here",
		Remedy: "plan again; a repository that still has it would do"},
	{Pattern: regexp.MustCompile(`redflag: not what was approved: (.*)`), Because: "it is not the plan that was approved: $1", Remedy: "plan again, and approve what is planned now"},
	{Pattern: regexp.MustCompile(`Cache-only enabled but no cache for '([^']*)'`), Because: "nothing was fetched yet from the repository $1", Remedy: "sudo redflag scan --refresh"},
	{Pattern: regexp.MustCompile(`already locked by (\d+)`), Because: "process $1 is at work on the packages", Remedy: "wait until it has ended, and try again"},
	{Pattern: regexp.MustCompile(`(?s)Problem: (.*?)\n(?:\(try|\z|\n)`), Because: "dnf finds no solution: $1", Remedy: "see what `dnf upgrade --assumeno` says"},
	{Pattern: regexp.MustCompile(`No such command: redflag`), Because: "dnf does not load our plugin: plugins may be disabled", Remedy: "see plugins= in /etc/dnf/dnf.conf"},
	{Pattern: regexp.MustCompile(`(\w*Error): (.*)\n*\z`), Because: "dnf cannot be asked: $2 ($1)", Remedy: "see what `dnf upgrade --assumeno` says"},
	{Pattern: regexp.MustCompile(`(?m)^Error: (?s:(.*))`), Because: "$1", Remedy: "see what `dnf upgrade --assumeno` says"},
}

// refusal explains why dnf gave no answer.
func refusal(r machine.Result) error {
	said := string(r.Stderr) + "\n" + string(r.Stdout)
	if err := rpm.Explain(said, refusals...); err != nil {
		return err
	}
	return noAnswer(fmt.Sprintf("it ended with code %d: %s", r.Code, oneLine(said)), nil)
}

func noAnswer(why string, err error) error {
	return &fleet.Unknown{Because: "dnf cannot be asked: " + fleet.Plain(why), Remedy: "see what `dnf upgrade --assumeno` says", Err: err}
}
