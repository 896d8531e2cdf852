package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Labels by which Compose marks its containers (compose-spec, and const.py of Compose 1).
const (
	labelProject     = "com.docker.compose.project"
	labelService     = "com.docker.compose.service"
	labelConfigFiles = "com.docker.compose.project.config_files" // several are separated by commas
	labelWorkingDir  = "com.docker.compose.project.working_dir"
	labelEnvFile     = "com.docker.compose.project.environment_file"
	labelConfigHash  = "com.docker.compose.config-hash"
	labelOneOff      = "com.docker.compose.oneoff"
	labelDependsOn   = "com.docker.compose.depends_on" // db:service_healthy:false,… (Compose 2)
)

// composed is a service that Compose can make anew, from the files that its container was made from.
type composed struct {
	// Command is the program with all that goes before a subcommand. Classic: it is Compose 1.
	Command []string `json:"command"`
	Env     []string `json:"env"`
	Service string   `json:"service"`
	Classic bool     `json:"classic,omitempty"`
}

const (
	// maxAsk is how long Compose may take to answer: Debian's needs two seconds on a small machine.
	maxAsk = 2 * time.Minute
	// maxComposeFiles bounds how many files a project is read from.
	maxComposeFiles = 50
)

// composePrograms are those that can be: the plugin of the docker command, and the program of its own, which is Compose 1 on Debian.
var composePrograms = [][]string{{"docker", "compose"}, {"docker-compose"}}

// isComposed says whether Compose has made a container.
func isComposed(labels map[string]string) bool {
	return labels[labelProject] != "" && labels[labelService] != ""
}

// composedOf finds out how Compose would make a container anew. Where it would not, or would make another one than runs, it says why: what stands
// in the files then is not what was approved. Beside a reason, a command is one that knows the service's hash all the same.
func (e *engine) composedOf(ctx context.Context, m *machine.Machine, c container.InspectResponse) (*composed, string) {
	labels := c.Config.Labels
	if strings.EqualFold(labels[labelOneOff], "true") {
		return nil, "it was run for once, by hand"
	}
	if !e.isOurs() {
		return nil, "it is another user's, whose files are not read for it"
	}
	files, why := composeFiles(m, labels)
	if why != "" {
		return nil, why
	}
	if why := e.foreign(ctx, c); why != "" {
		return nil, why
	}
	if n, err := e.replicas(ctx, labels); err != nil || n != 1 {
		return nil, "its service is run more than once"
	}
	for _, program := range composePrograms {
		command := &composed{Command: append(slices.Clone(program), files...), Env: e.environment(), Service: labels[labelService]}
		because, missing := e.wouldMake(ctx, m, command, program, c)
		if because == "" && !missing || command.Classic {
			return command, because
		}
		why = cmp.Or(why, because)
	}
	return nil, cmp.Or(why, "there is no Compose here")
}

// foreign says why a container's labels are not believed: an image can have any label, and one that names files for Compose could have us run, as root, what
// a program has written into its own volume.
func (e *engine) foreign(ctx context.Context, c container.InspectResponse) string {
	r, err := e.api.ImageInspect(ctx, c.Image)
	if err != nil {
		return "its image is gone, and whether that or Compose says which files it was made from cannot be told"
	}
	if r.Config == nil {
		return ""
	}
	for _, label := range []string{labelConfigFiles, labelWorkingDir, labelEnvFile, labelConfigHash} {
		if _, has := r.Config.Labels[label]; has {
			return "its image, and not Compose, has the label " + label
		}
	}
	return ""
}

// wouldMake says why a Compose would not make the same container from another image; missing: it is not here.
func (e *engine) wouldMake(ctx context.Context, m *machine.Machine, command *composed, program []string, c container.InspectResponse) (because string, missing bool) {
	classic, err := e.isClassic(ctx, m, program)
	if errors.Is(err, machine.ErrNotInstalled) || errors.Is(err, errNoPlugin) {
		return "", true
	}
	if err != nil {
		return fleet.Plain(err.Error()), false
	}
	hashes, err := e.hashes(ctx, m, command)
	switch {
	case err != nil:
		return fleet.Plain(err.Error()), false
	case hashes[command.Service] == "" || hashes[command.Service] != c.Config.Labels[labelConfigHash]:
		return "its compose files have changed since it was made, or another version of Compose has made it", false
	}
	command.Classic = classic
	if volume := anonymous(c); command.Classic && volume != "" {
		return "Compose 1 may lose what is in a volume without a name, as it has at " + volume, false
	}
	return "", false
}

// anonymous names the place of a volume that has no name of a person's; empty where there is none.
func anonymous(c container.InspectResponse) string {
	for _, v := range c.Mounts {
		bound := slices.ContainsFunc(c.HostConfig.Binds, func(b string) bool { return strings.HasPrefix(b, v.Name+":") })
		asked := slices.ContainsFunc(c.HostConfig.Mounts, func(m mount.Mount) bool { return m.Source == v.Name })
		if v.Type == mount.TypeVolume && v.Name != "" && !bound && !asked {
			return v.Destination
		}
	}
	return ""
}

// composeFiles gives the arguments that name a project and its files, if they can be read.
func composeFiles(m *machine.Machine, labels map[string]string) (args []string, why string) {
	dir := labels[labelWorkingDir]
	if labels[labelConfigFiles] == "" || !path.IsAbs(dir) {
		return nil, "it does not say which compose files it was made from"
	}
	lists := []struct{ flag, list string }{{"--file", labels[labelConfigFiles]}, {"--env-file", labels[labelEnvFile]}}
	for _, l := range lists {
		names := strings.Split(l.list, ",")
		if len(names) > maxComposeFiles {
			return nil, "it was made from too many files"
		}
		for _, name := range names {
			if name == "" {
				continue
			}
			if !path.IsAbs(name) {
				name = path.Join(dir, name)
			}
			if info, err := m.Stat(name); err != nil || !info.Mode().IsRegular() {
				return nil, "its compose file " + fleet.Plain(name) + " cannot be read here"
			}
			args = append(args, l.flag+"="+m.Path(name))
		}
	}
	return append(args, "--project-name="+labels[labelProject], "--project-directory="+m.Path(dir)), ""
}

// environment lets the docker command speak to this engine.
func (e *engine) environment() []string {
	env := []string{"DOCKER_HOST=" + e.host}
	for _, name := range []string{"DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"} {
		if v := e.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// replicas counts the containers of a service.
func (e *engine) replicas(ctx context.Context, labels map[string]string) (n int, err error) {
	r, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	for _, c := range r.Items {
		if c.Labels[labelProject] == labels[labelProject] && c.Labels[labelService] == labels[labelService] && !strings.EqualFold(c.Labels[labelOneOff], "true") {
			n++
		}
	}
	return n, err
}

// hashes asks Compose which hashes the services' configurations have now, once for each project. One is the label's as long as the files say what they
// said when the container was made.
func (e *engine) hashes(ctx context.Context, m *machine.Machine, c *composed) (map[string]string, error) {
	key := strings.Join(c.Command, "\x00")
	e.mu.Lock()
	answer, ok := e.composeHashes[key]
	if !ok {
		answer = sync.OnceValues(func() (map[string]string, error) { return c.hashes(ctx, m) })
		e.composeHashes[key] = answer
	}
	e.mu.Unlock()
	return answer()
}

func (c *composed) hashes(ctx context.Context, m *machine.Machine) (map[string]string, error) {
	out, err := ask(ctx, m, c.Env, append(slices.Clone(c.Command), "config", "--hash=*"))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(out) {
		if name, hash, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			all[name] = strings.TrimSpace(hash)
		}
	}
	return all, nil
}

// isClassic says whether a program is Compose 1, which has other options. It is asked once.
func (e *engine) isClassic(ctx context.Context, m *machine.Machine, program []string) (bool, error) {
	key := strings.Join(program, " ")
	e.mu.Lock()
	defer e.mu.Unlock()
	if classic, known := e.classicCompose[key]; known {
		return classic, nil
	}
	words := append(slices.Clone(program), "version")
	r, err := run(ctx, m, nil, words)
	if err != nil {
		return false, err
	}
	if r.Code != 0 { // the docker command knows no "compose"
		return false, errNoPlugin
	}
	e.classicCompose[key] = classicVersion.Match(r.Stdout)
	return e.classicCompose[key], nil
}

// classicVersion is how Compose 1 says what it is: docker-compose version 1.29.2, build unknown.
var classicVersion = regexp.MustCompile(`(?m)^docker-compose version v?1\.`)

// errNoPlugin: the docker command is there, and its plugin is not.
var errNoPlugin = errors.New("docker has no compose")

func run(ctx context.Context, m *machine.Machine, env, words []string) (machine.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, maxAsk)
	defer cancel()
	return m.Runner.Run(ctx, machine.Command{Name: words[0], Args: words[1:], Env: env})
}

func ask(ctx context.Context, m *machine.Machine, env, words []string) (string, error) {
	r, err := run(ctx, m, env, words)
	if err != nil {
		return "", err
	}
	if r.Code != 0 {
		return "", fmt.Errorf("%s says: %s", strings.Join(words[:min(2, len(words))], " "), fleet.Plain(string(r.Stderr)))
	}
	return string(r.Stdout), nil
}

// up lets Compose make the service's container anew, from the image that the tag means here, and nothing else of its project.
func (c *composed) up(ctx context.Context, m *machine.Machine, w source.Work, start, force bool, stop *int) error {
	words := append(slices.Clone(c.Command), "up", "--no-deps", "--no-build")
	if start {
		words = append(words, "--detach")
	} else {
		words = append(words, "--no-start")
	}
	if !c.Classic {
		words = append(words, "--pull=never")
	}
	if force {
		words = append(words, "--force-recreate")
	}
	if stop != nil {
		words = append(words, fmt.Sprintf("--timeout=%d", *stop))
	}
	words = append(words, "--", c.Service)
	code, err := m.Follow(ctx, machine.Command{Name: words[0], Args: words[1:], Env: c.Env}, w.Log, w.Held...)
	if err == nil && code != 0 {
		err = fmt.Errorf("compose ended with code %d: see the log", code)
	}
	return err
}

// dependsOn gives the services of its project that a container needs, and those of them with which it is to be restarted.
func dependsOn(labels map[string]string) (needs, restartWith []string) {
	for _, entry := range strings.Split(labels[labelDependsOn], ",") {
		parts := strings.Split(entry, ":")
		if parts[0] == "" {
			continue
		}
		needs = append(needs, parts[0])
		if len(parts) == 3 && parts[2] == "true" {
			restartWith = append(restartWith, parts[0])
		}
	}
	return needs, restartWith
}
