package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
	"redflag/internal/policy"
	"redflag/internal/registry"
	"redflag/internal/source"
	"redflag/internal/source/all"
)

const aboutDoctor = `Tries everything that a scan needs and says what works here, what does not, and what to do about it. It changes nothing but
a file that it writes to the state and cache folders and takes away again.

Its output has no secrets in it: it is meant for a report of a defect.`

func (p *Program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "What works here, what does not, and what to do",
		Long:  aboutDoctor,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context()) },
	}
}

// health is how one thing that was tried came out.
type health string

const (
	works  health = "ok"
	absent health = "--"
	broken health = "!!"
)

// doctor collects what was tried.
type doctor struct {
	w      io.Writer
	paint  painter
	broken int
}

func (d *doctor) tell(h health, what, detail, remedy string) {
	s := map[health]style{works: green, absent: dim, broken: red}[h]
	if h == broken {
		d.broken++
	}
	fmt.Fprintf(d.w, "%s  %-10s %s\n", d.paint.paint(s, string(h)), what, detail)
	if remedy != "" {
		fmt.Fprintf(d.w, "    %-10s → %s\n", "", remedy)
	}
}

// try tells of an error as broken, and of none as working.
func (d *doctor) try(what, detail string, err error) {
	if err == nil {
		d.tell(works, what, detail, "")
		return
	}
	because, remedy := fleet.Explain(err)
	d.tell(broken, what, because, remedy)
}

func (p *Program) doctor(ctx context.Context) error {
	d := &doctor{w: p.stdout, paint: painter(colourful(p.stdout))}
	m := machine.Local()
	d.tell(works, "redflag", fmt.Sprintf("%s, %s, %s/%s", p.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH), "")
	d.host(machine.Facts(ctx, m))
	d.try("clock", m.Now().UTC().Format(time.RFC3339), sane(m.Now()))
	d.user()
	d.configured(p)
	d.try("state", p.dirs.State, writable(p.dirs.State))
	d.try("cache", p.dirs.Cache, writable(p.dirs.Cache))
	d.remembered(p)
	d.helper(ctx, p)
	d.proxies()
	d.credentials()
	d.sources(ctx, m, all.Sources(all.Options{Registry: p.registry, StateDir: p.dirs.State, AptHook: aptHook()}))
	if d.broken > 0 {
		fmt.Fprintf(p.stdout, "\n%s to mend.\n", count(d.broken, "thing"))
		return exitCode(exitUnknown)
	}
	fmt.Fprintln(p.stdout, "\nEverything that is here works.")
	return nil
}

func (d *doctor) host(h fleet.Host) {
	d.tell(works, "host", strings.Join([]string{h.Name, h.OS, h.Kernel, h.Arch, "virtualisation: " + h.Virtualisation}, " · "), "")
	if h.Reboot.Needed == fleet.NeedUnknown {
		d.tell(absent, "reboot", "unknown: "+strings.Join(h.Reboot.Because, "; "), "")
	}
	if h.Restart.Because != "" {
		d.tell(absent, "services", string(h.Restart.Needed)+": "+h.Restart.Because, "")
	}
}

// built is no later than any true clock: a clock before it stands wrong.
var built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func sane(now time.Time) error {
	if now.Before(built) {
		return &fleet.Unknown{
			Because: "the clock says " + now.UTC().Format(time.RFC3339) + ", which is in the past",
			Remedy:  "set the clock: with a wrong one, lists look fresh or expired and certificates fail",
		}
	}
	return nil
}

func (d *doctor) user() {
	says := "not root: package updates are seen in full; other users' processes are not"
	switch {
	case runtime.GOOS == "windows" && machine.Administers():
		says = "an administrator: may search for updates and install them"
	case runtime.GOOS == "windows":
		says = "no administrator: sees what is on offer, and installs nothing"
	case machine.Administers():
		says = "root: sees every process, may refresh package lists and ask the container engine"
	}
	d.tell(works, "user", says, "")
}

func (d *doctor) configured(p *Program) {
	if p.config.Path == "" {
		d.tell(works, "config", "none, and none is needed ("+filepath.Join(p.dirs.Config, "config.toml")+")", "")
		return
	}
	d.tell(works, "config", p.config.Path+", "+count(len(p.config.Registries), "registry entry"), "")
}

// writable tries to write to a folder, which is made if it is not there.
func writable(dir string) error {
	path := filepath.Join(dir, ".doctor")
	if err := machine.WriteFile(path, nil, 0o600); err != nil {
		return &fleet.Unknown{
			Because: fmt.Sprintf("cannot write to %s: %v", dir, err),
			Remedy:  "scans work all the same; nothing is remembered between them until this is mended",
		}
	}
	return os.Remove(path)
}

func (d *doctor) remembered(p *Program) {
	scan, err := memory.Load(p.dirs.State)
	if errors.Is(err, memory.ErrEmpty) {
		d.tell(absent, "last scan", "none yet", "")
		return
	}
	d.try("last scan", ago(p.now(), scan.ScannedAt), err)
}

// helper says who has root for an agent, where this host is in a fleet.
func (d *doctor) helper(ctx context.Context, p *Program) {
	if _, err := os.Stat(p.AgentDir()); err != nil {
		d.tell(absent, "fleet", "this host is in none", "")
		return
	}
	state, err := helperState(ctx)
	d.try("helper", state, err)
	rules := policy.Load(machine.Local())
	if rules.Because != "" {
		d.tell(broken, "policy", policySummary(rules), "mend "+policy.File)
		return
	}
	d.tell(works, "policy", policySummary(rules), "")
}

// proxies says which proxy requests to registries go through, without its password.
func (d *doctor) proxies() {
	req := &http.Request{URL: &url.URL{Scheme: "https", Host: "registry-1.docker.io"}}
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		d.tell(broken, "proxy", err.Error(), "mend HTTPS_PROXY")
		return
	}
	if proxy == nil {
		d.tell(absent, "proxy", "none for https requests", "")
		return
	}
	d.tell(works, "proxy", proxy.Redacted(), "")
}

func (d *doctor) credentials() {
	path := filepath.Join(dockerConfigDir(), "config.json")
	known, err := registry.LoggedIn(dockerConfigDir(), podmanAuthFiles()...)
	switch {
	case err != nil:
		d.tell(broken, "login", "credentials of registries cannot be read: "+err.Error(), "mend "+path+"; until then registries are asked anonymously")
	case len(known) == 0:
		d.tell(absent, "login", "no registry credentials in "+path+": registries are asked anonymously", "")
	default:
		d.tell(works, "login", "credentials for "+list(known, maxNames)+" from "+path, "")
	}
}

// sources scans with every source that is there, the one way to know that it works.
func (d *doctor) sources(ctx context.Context, m *machine.Machine, known []source.Source) {
	var others []string
	for _, s := range known {
		if !s.Present(m) {
			others = append(others, s.Name())
			continue
		}
		began := time.Now()
		f := source.Scan(ctx, m, []source.Source{s}, source.Options{})[0]
		took := time.Since(began).Round(time.Millisecond)
		if f.State == fleet.OK {
			d.tell(works, s.Name(), fmt.Sprintf("%s, %s", tally(f.Updates), took), "")
			continue
		}
		d.tell(broken, s.Name(), "unknown: "+f.Because, f.Remedy)
	}
	if len(others) > 0 {
		d.tell(absent, "others", "not on this machine: "+strings.Join(others, ", "), "")
	}
}
