package inside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/apk"
	"redflag/internal/source/apt"
	"redflag/internal/source/rpm"
)

// packages reads the databases that were collected in a folder, as the sources of updates read a machine's.
func (r Reader) packages(ctx context.Context, root string) (Contents, error) {
	if err := join(root); err != nil {
		return Contents{}, err
	}
	m := &machine.Machine{Root: root, Runner: nobody{}, Now: r.Now}
	found := Contents{By: ByLayers, Packages: []fleet.Package{}}
	release := m.OSRelease()
	found.Distribution = fleet.Plain(release["PRETTY_NAME"])
	present := false
	for _, read := range []func(context.Context, *machine.Machine) ([]fleet.Package, bool, error){r.dpkg, r.apk, r.rpm} {
		list, there, err := read(ctx, m)
		if err != nil {
			return Contents{}, damaged(err)
		}
		present = present || there
		found.Packages = append(found.Packages, list...)
	}
	if !present {
		return Contents{}, &fleet.Unknown{
			Because: "which packages are in it is not known: it has no package database (a program alone, or a distribution that RedFlag does not know)",
			Remedy:  "have its builder attach an SBOM (docker buildx build --sbom=true)",
		}
	}
	own := adopt(found.Packages, ecosystem(release["ID"], release["VERSION_ID"]))
	if n := len(found.Packages) - own; n > 0 && own > 0 {
		found.Unknown = notCompared(map[string]int{ofOthers: n})
	}
	return found, nil
}

// adopt gives the distribution's own packages its ecosystem, and counts them. An RPM says by itself whose it is.
func adopt(packages []fleet.Package, ecosystem string) (n int) {
	for i := range packages {
		p := &packages[i]
		if p.Source != "dnf" {
			p.Ecosystem = own(*p, ecosystem)
		}
		if p.Ecosystem != "" {
			n++
		}
	}
	return n
}

// damaged tells a database that cannot be read. The sources' own remedies are for a machine.
func damaged(err error) error {
	if errors.Is(err, machine.ErrNotInstalled) || errors.Is(err, context.Canceled) {
		return err
	}
	because, _ := fleet.Explain(err)
	return &fleet.Unknown{Because: "which packages are in it is not known: " + because, Remedy: "have its builder make it anew, or attach an SBOM", Err: err}
}

// nobody runs nothing: an image's programs are not to be run.
type nobody struct{}

// Run implements machine.Runner.
func (nobody) Run(_ context.Context, c machine.Command) (machine.Result, error) {
	return machine.Result{}, fmt.Errorf("%s: %w", c.Name, machine.ErrNotInstalled)
}

// join makes one file of a database in pieces, as images without a package manager have it: each is a paragraph of dpkg's status, without its state.
func join(root string) error {
	pieces, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dpkgPieces), "*"))
	if err != nil || len(pieces) == 0 {
		return err
	}
	status := filepath.Join(root, filepath.FromSlash(dpkgStatus))
	data, err := os.ReadFile(status)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	whole := bytes.NewBuffer(bytes.TrimSpace(data))
	for _, piece := range pieces {
		data, err := os.ReadFile(piece)
		if err != nil {
			return err
		}
		data = bytes.TrimSpace(data)
		fmt.Fprintf(whole, "\n\n%s\n", data)
		if !bytes.Contains(data, []byte("\nStatus:")) {
			whole.WriteString("Status: install ok installed\n")
		}
	}
	return os.WriteFile(status, bytes.TrimSpace(whole.Bytes()), 0o600)
}

func (r Reader) dpkg(ctx context.Context, m *machine.Machine) ([]fleet.Package, bool, error) {
	if _, err := m.Stat("/" + dpkgStatus); err != nil {
		return nil, false, nil //nolint:nilerr // there is none
	}
	list, err := apt.Source{}.Packages(ctx, m)
	return list, true, err
}

func (r Reader) apk(ctx context.Context, m *machine.Machine) ([]fleet.Package, bool, error) {
	if !(apk.Source{}).Present(m) {
		return nil, false, nil
	}
	list, err := apk.Source{}.Packages(ctx, m)
	return list, true, err
}

// rpm has this computer's rpm read the database. It is no file format that another program should read.
func (r Reader) rpm(ctx context.Context, m *machine.Machine) ([]fleet.Package, bool, error) {
	for _, dir := range rpmFolders {
		entries, err := m.ReadDir("/" + dir)
		if err != nil || len(entries) == 0 {
			continue
		}
		there := &machine.Machine{Root: m.Root, Runner: elsewhereRPM{r.Runner, m.Path("/" + dir)}, Now: m.Now}
		list, err := rpm.Packages(ctx, there, "dnf")
		if errors.Is(err, machine.ErrNotInstalled) {
			return nil, true, &fleet.Unknown{
				Because: "which packages are in it is not known: they are in rpm's database, and there is no rpm on this machine to read it", Remedy: "install rpm (Debian and Ubuntu: apt install rpm)", Err: err,
			}
		}
		return list, true, err
	}
	return nil, false, nil
}

// elsewhereRPM runs this computer's rpm on another database.
type elsewhereRPM struct {
	machine.Runner
	dir string
}

// Run implements machine.Runner.
func (e elsewhereRPM) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	c.Args = append([]string{"--dbpath", e.dir}, c.Args...)
	return e.Runner.Run(ctx, c)
}
