package command

import (
	"cmp"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"redflag/internal/config"
	"redflag/internal/machine"
	"redflag/internal/registry"
	"redflag/internal/source"
	"redflag/internal/source/all"
)

// Program is what the commands share: where they write, and what was made once from the configuration.
type Program struct {
	// Version is the program's own, as the linker set it.
	Version string

	stdout, stderr io.Writer
	configFile     string
	fresh          bool // what registries answered before is not used again

	dirs     machine.Folders
	config   config.Config
	registry *registry.Client
}

const about = `RedFlag finds every pending update on this machine: packages and container images.

Each source gives one of three answers: up to date, outdated, or unknown and why. Nothing is changed by looking,
nothing needs configuration, and for packages nothing needs root.

  redflag scan            look now
  redflag list            the last scan again, at once
  redflag show openssl    all that is known of one update

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but something is unknown.
With --exit-code: 10 updates pending, 11 security updates pending; a held, phased or kept back update counts when it is
a security one, and a newer version tag of an image does not.`

func (p *Program) command() *cobra.Command {
	root := p.root()
	scan := p.scanCommand()
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if !isTerminal(p.stdout) {
			return cmd.Help()
		}
		return p.scan(cmd.Context(), scanOptions{view: view{format: "table"}})
	}
	root.AddGroup(&cobra.Group{ID: groupHost, Title: "This machine:"}, &cobra.Group{ID: groupWork, Title: "Work on this machine:"}, &cobra.Group{ID: groupFleet, Title: "A fleet of machines:"})
	inGroup(root, groupHost, scan, p.listCommand(), p.showCommand(), p.statusCommand(), p.vulnerabilitiesCommand(), p.imageCommand(), p.advisoriesCommand(), p.doctorCommand())
	inGroup(root, groupWork, p.jobCommands()...)
	inGroup(root, groupFleet, p.agentCommand())
	root.AddCommand(p.hiddenCommands()...)
	root.AddCommand(p.hookCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = cobra.NoArgs, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// Groups of commands, as help shows them.
const (
	groupHost  = "host"
	groupWork  = "work"
	groupFleet = "fleet"
)

func inGroup(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
	}
	root.AddCommand(commands...)
}

// root is the program without commands.
func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "redflag",
		Short:         "Every pending update on this machine, and the truth about it",
		Long:          about,
		Version:       p.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return p.prepare()
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "configuration `FILE` (default config.toml in the configuration folder)")
	return root
}

// Stdout and Stderr are where commands write. What is written to the first is whole, or the program fails.
func (p *Program) Stdout() io.Writer { return p.stdout }

// Stderr is for people: warnings, and what goes with an answer that a program reads.
func (p *Program) Stderr() io.Writer { return p.stderr }

// Config is the configuration that was read before the command began.
func (p *Program) Config() config.Config { return p.config }

// Dirs are the folders of whoever runs the program.
func (p *Program) Dirs() machine.Folders { return p.dirs }

// usageArgs makes a wrong number of arguments, or an unknown command, an error of usage everywhere.
func usageArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usagef("%w (see `%s --help`)", err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		usageArgs(c)
	}
}

// prepare reads the configuration and makes what the commands share.
func (p *Program) prepare() error {
	dirs, err := machine.Dirs()
	if err != nil {
		return err
	}
	p.dirs = dirs
	if p.isService() {
		p.dirs.State = os.Getenv("STATE_DIRECTORY")
		p.dirs.Cache = cmp.Or(os.Getenv("CACHE_DIRECTORY"), p.dirs.Cache)
		p.dirs.Config = "/etc/redflag"
	}
	if p.configFile != "" {
		p.config, err = config.Load(p.configFile)
	} else {
		p.config, err = config.Find(dirs.Config, machine.Local().Path("/etc/redflag"))
	}
	if err != nil {
		return usageError{err}
	}
	p.registry = registry.New(p.registryConfig())
	return nil
}

// askAnew makes registries be asked even where their last answer is young.
func (p *Program) askAnew() {
	p.close()
	p.fresh = true
	p.registry = registry.New(p.registryConfig())
}

func (p *Program) close() {
	if p.registry != nil {
		p.registry.Close()
	}
}

func (p *Program) registryConfig() registry.Config {
	hosts := map[string]registry.HostConfig{}
	for name, r := range p.config.Registries {
		hosts[name] = registry.HostConfig{Mirrors: r.Mirrors, PlainHTTP: r.PlainHTTP, CA: r.CA, Cert: r.Cert, Key: r.Key}
	}
	return registry.Config{
		CacheDir:     p.dirs.Cache,
		TagLifetime:  p.tagLifetime(),
		Hosts:        hosts,
		DockerConfig: dockerConfigDir(),
		AuthFiles:    podmanAuthFiles(),
		CertsDir:     "/etc/docker/certs.d",
		UserAgent:    "redflag/" + p.Version,
		Log:          p.log(),
	}
}

// tagLifetime is how long a registry's answer is used again, as the registry client has it: less than 0 is never.
func (p *Program) tagLifetime() time.Duration {
	switch configured := p.config.TagLifetime; {
	case p.fresh || configured != nil && *configured == 0:
		return -1
	case configured != nil:
		return time.Duration(*configured)
	}
	return registry.DefaultTagLifetime
}

// dockerConfigDir is where `docker login` keeps its credentials.
func dockerConfigDir() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return home + "/.docker"
}

// podmanAuthFiles is where `podman login` keeps its credentials (containers-auth.json(5)): root's is in the one place or in the other, as the login had a session or not.
func podmanAuthFiles() []string {
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return []string{file}
	}
	var files []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		files = append(files, dir+"/containers/auth.json")
	}
	me := strconv.Itoa(os.Geteuid())
	files = append(files, "/run/user/"+me+"/containers/auth.json", "/run/containers/"+me+"/auth.json")
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, dir+"/containers/auth.json")
	}
	return files
}

func (p *Program) log() *slog.Logger {
	return slog.New(tint.NewTextHandler(p.stderr, &tint.Options{
		Level:       slog.LevelWarn,
		NoColor:     !colourful(p.stderr),
		ReplaceAttr: withoutTime,
	}))
}

// withoutTime drops the time of a line: who reads it is here and now.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// sources gives the sources to look at: those named, or every one that the machine has.
func (p *Program) sources(m *machine.Machine, names []string) ([]source.Source, error) {
	known := all.Sources(all.Options{Registry: p.registry, StateDir: p.dirs.State, AptHook: aptHook()})
	if len(names) == 0 {
		return slices.DeleteFunc(known, func(s source.Source) bool { return !s.Present(m) }), nil
	}
	var words []string
	for _, s := range known {
		words = append(words, s.Name())
	}
	for _, n := range names {
		if !slices.Contains(words, n) {
			return nil, usagef("there is no source %q; there are %s", n, strings.Join(words, ", "))
		}
	}
	return slices.DeleteFunc(known, func(s source.Source) bool { return !slices.Contains(names, s.Name()) }), nil
}

// completeSources offers the names of the sources to the shell.
func (p *Program) completeSources(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, s := range all.Sources(all.Options{}) {
		words = append(words, s.Name())
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
