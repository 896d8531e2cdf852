package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// What was made by `podman run` or `podman create` is made anew by the same command, which Podman keeps: its API for Docker knows no pods, no secrets, no user
// namespaces. `podman generate systemd --new` and podman-compose go by that command too.

// replay is a command that made a container, taken apart.
type replay struct {
	options []option
	image   string
	command []string
}

// option is one of its options, by its long name. It has a value, or is a switch.
type option struct {
	name, value string
	has         bool
}

func (o option) String() string {
	if !o.has {
		return "--" + o.name
	}
	return "--" + o.name + "=" + o.value
}

// grammar are the options that a command of Podman's has: long names, and whether they take a value.
type grammar struct {
	values map[string]bool
	short  map[byte]string
}

// inHelp is an option in what podman run --help says:  -e, --env stringArray   Set environment variables.
var inHelp = regexp.MustCompile(`(?m)^ {2,}(?:-([A-Za-z]), )?--([a-z0-9][a-z0-9-]*)(?: (\S[^\n]*?))?(?: {2,}|$)`)

// readGrammar reads the help of a command.
func readGrammar(help string) (grammar, error) {
	g := grammar{map[string]bool{}, map[byte]string{}}
	for _, m := range inHelp.FindAllStringSubmatch(help, -1) {
		g.values[m[2]] = m[3] != "" && !strings.Contains(m[3], "[=")
		if m[1] != "" {
			g.short[m[1][0]] = m[2]
		}
	}
	if !g.values["name"] || !g.values["volume"] || g.short['v'] != "volume" {
		return g, errors.New("the help of podman run is not as it is known")
	}
	return g, nil
}

// aliases are names that Podman takes for others without saying so.
var aliases = map[string]string{
	"net": "network", "healthcheck-command": "health-cmd", "healthcheck-interval": "health-interval", "healthcheck-retries": "health-retries",
	"healthcheck-start-period": "health-start-period", "healthcheck-timeout": "health-timeout", "dns-opt": "dns-option",
}

// readReplay takes the command apart that made a container.
func readReplay(words []string, g grammar) (replay, error) {
	at := slices.IndexFunc(words, func(w string) bool { return w == "run" || w == "create" })
	if at < 1 {
		return replay{}, errors.New("it was made by no `podman run` or `podman create`")
	}
	var r replay
	rest := words[at+1:]
	for len(rest) > 0 {
		word := rest[0]
		if word == "--" {
			rest = rest[1:]
			break
		}
		if len(word) < 2 || word[0] != '-' {
			break
		}
		var err error
		if rest, err = r.take(rest, g); err != nil {
			return r, err
		}
	}
	if len(rest) == 0 {
		return r, errors.New("the command that made it names no image")
	}
	r.image, r.command = rest[0], rest[1:]
	return r, nil
}

// take reads the options of the first word, and gives what comes after their values.
func (r *replay) take(rest []string, g grammar) ([]string, error) {
	word, rest := rest[0], rest[1:]
	next := func(name string) error {
		if len(rest) == 0 {
			return fmt.Errorf("the command that made it ends with the option --%s", fleet.Plain(name))
		}
		r.options = append(r.options, option{name, rest[0], true})
		rest = rest[1:]
		return nil
	}
	if long, ok := strings.CutPrefix(word, "--"); ok {
		name, value, has := strings.Cut(long, "=")
		if other := aliases[name]; other != "" {
			name = other
		}
		takes, known := g.values[name]
		switch {
		case !known:
			return nil, fmt.Errorf("it was made with an option that Podman does not name here (--%s)", fleet.Plain(name))
		case takes && !has:
			return rest, next(name)
		}
		r.options = append(r.options, option{name, value, has})
		return rest, nil
	}
	for i := 1; i < len(word); i++ {
		name := g.short[word[i]]
		switch takes := g.values[name]; {
		case name == "":
			return nil, fmt.Errorf("it was made with an option that Podman does not name here (-%s)", fleet.Plain(word[i:i+1]))
		case takes && i+1 < len(word):
			r.options = append(r.options, option{name, strings.TrimPrefix(word[i+1:], "="), true})
			return rest, nil
		case takes:
			return rest, next(name)
		}
		r.options = append(r.options, option{name: name})
	}
	return rest, nil
}

// notAgain are options that say how a command ran, and not what it made; name, pod and pull are given anew.
var notAgain = []string{"detach", "detach-keys", "sig-proxy", "preserve-fds", "replace", "rmi", "pull", "name", "pod", "pod-id-file", "disable-content-trust"}

// refusedAgain are options whose effect cannot be had twice.
var refusedAgain = map[string]string{
	"cidfile":  "its ID is written into a file (--cidfile), which whoever made it may read",
	"rootfs":   "it runs from a folder, not from an image",
	"env-host": "it was given the environment of who made it (--env-host)",
	"init-ctr": "it runs before the others of its pod, and not beside them",
}

// again gives the options of a command that makes the same container: what a person gave by way of where he was, and of what was made up then, is taken from the container.
func (r replay) again(c seen) ([]string, error) {
	var list []option
	placed := map[string]bool{} // where volumes without a name are
	for _, o := range r.options {
		if why := refusedAgain[o.name]; why != "" {
			return nil, errors.New(why)
		}
		keep := !slices.Contains(notAgain, o.name)
		switch o.name {
		case "env":
			if !strings.Contains(o.value, "=") {
				o.value, keep = fromEnv(c.Config.Env, o.value)
			}
		case "userns":
			if strings.HasPrefix(o.value, "auto") {
				return nil, errors.New("its users have other numbers each time (--userns=auto), and the files in its volumes have those that it has now")
			}
		case "volume":
			o.value, keep = fromMounts(c, o.value)
		case "mount":
			if n, target := withoutSource(o.value); n {
				o.value, placed[target] = o.value+",source="+mounted(c, target).Name, true
			}
		}
		if keep {
			list = append(list, o)
		}
	}
	for _, m := range c.Mounts {
		if anonymousName.MatchString(m.Name) && !placed[m.Destination] && !slices.ContainsFunc(list, func(o option) bool { return strings.Contains(o.value, m.Name) }) {
			list = append(list, option{"volume", m.Name + ":" + m.Destination + readOnly(m), true})
		}
	}
	words := make([]string, 0, len(list)+1)
	for _, o := range list {
		words = append(words, o.String())
	}
	if c.pod != "" {
		words = append(words, "--pod="+c.pod)
	}
	return words, nil
}

func readOnly(m container.MountPoint) string {
	if m.RW {
		return ""
	}
	return ":ro"
}

// fromEnv gives a variable that was taken from the environment of who made the container, as the container has it.
func fromEnv(env []string, name string) (value string, there bool) {
	for _, v := range env {
		if strings.HasPrefix(v, name+"=") {
			return v, true
		}
	}
	return "", false
}

// fromMounts gives a volume's option with the folder that a relative path meant. One without a name is given apart.
func fromMounts(c seen, value string) (string, bool) {
	source, rest, named := strings.Cut(value, ":")
	if !named {
		return "", false
	}
	if strings.HasPrefix(source, ".") {
		target, _, _ := strings.Cut(rest, ":")
		source = mounted(c, target).Source
	}
	return source + ":" + rest, true
}

func mounted(c seen, target string) container.MountPoint {
	for _, m := range c.Mounts {
		if strings.TrimSuffix(m.Destination, "/") == strings.TrimSuffix(target, "/") {
			return m
		}
	}
	return container.MountPoint{}
}

// withoutSource says whether a --mount is of a volume without a name, and where.
func withoutSource(value string) (bool, string) {
	kind, source, target := "volume", "", ""
	for _, part := range strings.Split(value, ",") {
		switch name, v, _ := strings.Cut(part, "="); name {
		case "type":
			kind = v
		case "src", "source":
			source = v
		case "dst", "dest", "destination", "target":
			target = v
		}
	}
	return kind == "volume" && source == "", target
}

// followWords gives options with the new IDs of containers that were made anew before.
func followWords(words []string, renamed map[string]string) []string {
	words = slices.Clone(words)
	for i, w := range words {
		for old, fresh := range renamed {
			for _, prefix := range []string{"=container:", "volumes-from=", "requires="} {
				at := strings.Index(w, prefix)
				if at < 0 {
					continue
				}
				id, how, said := strings.Cut(w[at+len(prefix):], ":")
				if len(id) < shortID || !strings.HasPrefix(old, id) {
					continue
				}
				if said {
					fresh += ":" + how
				}
				words[i] = w[:at+len(prefix)] + fresh
			}
		}
	}
	return words
}

// replayOf takes the command apart that made a container, and says why it cannot be given again.
func (s *Source) replayOf(ctx context.Context, m *machine.Machine, c seen) (r replay, err error) {
	help, err := c.engine.podman(ctx, m, "run", "--help")
	if err != nil {
		return r, fmt.Errorf("it was made by the podman command, which is to be asked to make it anew: %w", err)
	}
	g, err := readGrammar(help)
	if err == nil {
		r, err = readReplay(c.command, g)
	}
	if err == nil {
		_, err = r.again(c)
	}
	return r, err
}

// podman runs Podman's command for an engine, as its owner: what it reads for a container (--env-file) is what that one may read.
func (e *engine) podman(ctx context.Context, m *machine.Machine, words ...string) (string, error) {
	all := append(e.asUser(), "podman", "--url="+e.hostIn(m))
	return ask(ctx, m, nil, append(all, words...))
}

// hostIn gives the engine's address as commands of the machine have it.
func (e *engine) hostIn(m *machine.Machine) string {
	if path, ok := strings.CutPrefix(e.host, "unix://"); ok && m.Root != "/" && m.Root != "" && strings.HasPrefix(path, m.Root) {
		return "unix://" + strings.TrimPrefix(path, m.Root)
	}
	return e.host
}

// createByCommand makes a container by Podman's own command, from an image that is here.
func (e *engine) createByCommand(ctx context.Context, m *machine.Machine, name string, s spec) (string, error) {
	words := append([]string{"create", "--pull=never", "--name=" + name}, s.Options...)
	words = append(words, e.inFull(textOf(s.Config["Image"])))
	said, err := e.podman(ctx, m, append(words, s.Command...)...)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(said[strings.LastIndexByte(strings.TrimSpace(said), '\n')+1:])
	if !anonymousName.MatchString(id) {
		return "", errors.New("podman create does not say what it made: " + fleet.Plain(said))
	}
	return id, nil
}
