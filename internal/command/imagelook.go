package command

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/inside"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

const aboutImageVulnerabilities = `Lists the flaws of the packages in images, by the feeds that were imported (see ` + "`redflag advisories --help`" + `).

Which packages an image has is read from the SBOM that its builder has attached (docker buildx build --sbom=true). With --layers its layers are downloaded from the
top until its package database is found, and read; nothing of the image is run. What was read is remembered for good, by digest: scans then say of an update
of that image what it mends.

It asks the registry alone, with the credentials of ` + "`docker login`" + `; no container engine is needed. Where the last scan has an update of the image, what runs is read too.`

type lookOptions struct {
	vulnerabilityOptions
	platform string
	layers   bool
}

func (p *Program) imageVulnerabilitiesCommand() *cobra.Command {
	var opt lookOptions
	cmd := &cobra.Command{
		Use:     "vulnerabilities REF...",
		Aliases: []string{"vulns"},
		Short:   "The flaws of the packages in images",
		Long:    aboutImageVulnerabilities,
		Example: `  redflag image vulnerabilities nginx:1.25
  redflag image vulnerabilities --layers --format json ghcr.io/example/app:2`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opt.format != "table" && opt.format != "json" {
				return usagef("--format %s: choose one of table, json", opt.format)
			}
			return p.imageVulnerabilities(cmd.Context(), args, opt)
		},
	}
	cmd.Flags().StringVar(&opt.format, "format", "table", "`FORMAT` of the output: table or json")
	cmd.Flags().StringVar(&opt.platform, "platform", "linux/"+runtime.GOARCH, "look into this `PLATFORM`'s image: os/architecture[/variant]")
	cmd.Flags().BoolVar(&opt.layers, "layers", false, "download its layers, and read its package database")
	cmd.Flags().BoolVar(&opt.all, "all", false, "also print what can only be tracked; JSON has it always")
	complete(cmd, "format", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// imageContents is one image of `redflag image vulnerabilities --format json`.
type imageContents struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	// Because says why its packages are not known, and Remedy what to do; empty where they are.
	Because string `json:"because"`
	Remedy  string `json:"remedy,omitempty"`
	// Digest is the manifest's, By is sbom or layers.
	Digest       fleet.Digest `json:"digest,omitempty"`
	By           inside.By    `json:"by,omitempty"`
	Distribution string       `json:"distribution,omitempty"`
	Packages     int          `json:"packages"`
	// Unknown says which of its packages are not compared.
	Unknown         string                `json:"unknown,omitempty"`
	Advisories      *fleet.Advisories     `json:"advisories,omitempty"`
	Vulnerabilities []fleet.Vulnerability `json:"vulnerabilities"`
}

// reader reads images, and remembers what it read beside the last scan.
func (p *Program) reader() inside.Reader {
	return inside.Reader{
		Registry: p.registry, Dir: filepath.Join(p.dirs.State, "images"), Runner: machine.Exec{}, Now: p.now,
		Told: func(words string) { p.log().Info(words) },
	}
}

func (p *Program) imageVulnerabilities(ctx context.Context, args []string, opt lookOptions) error {
	platform, err := parsePlatform(opt.platform)
	if err != nil {
		return err
	}
	refs, err := parseReferences(args)
	if err != nil {
		return err
	}
	a, shelf, note, err := p.advisor()
	if err != nil {
		return err
	}
	defer shelf.Close()
	var found []imageContents
	for _, ref := range refs { // one after another: layers are large
		found = append(found, p.lookInside(ctx, a, ref, platform, opt.layers))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if note != "" {
		for i := range found {
			if found[i].Advisories != nil {
				found[i].Advisories.Unknown = note
			}
		}
	}
	if opt.format == "json" {
		err = writeJSON(p.stdout, found)
	} else {
		p.writeContents(found, opt)
	}
	if err == nil && slices.ContainsFunc(found, func(c imageContents) bool { return c.Because != "" || c.Advisories.Vulnerable == nil }) {
		return exitCode(exitUnknown)
	}
	return err
}

// lookInside looks into one image, and into what runs of it where the last scan has an update.
func (p *Program) lookInside(ctx context.Context, a advisory.Advisor, ref reference.Named, platform registry.Platform, layers bool) imageContents {
	c := imageContents{Name: reference.FamiliarString(ref), Platform: platform.String(), Vulnerabilities: []fleet.Vulnerability{}}
	canonical, err := p.pointsTo(ctx, ref, &imageAnswer{})
	var contents inside.Contents
	if err == nil {
		contents, err = p.reader().Look(ctx, canonical, platform, layers)
	}
	if err != nil {
		c.Because, c.Remedy = fleet.Explain(err)
		return c
	}
	scan := a.Image(contents.Packages)
	c.Digest, c.By, c.Distribution, c.Packages, c.Unknown = contents.Digest, contents.By, contents.Distribution, len(contents.Packages), contents.Unknown
	c.Advisories, c.Vulnerabilities = scan.Advisories, scan.Vulnerabilities
	for _, u := range p.imageUpdates(c.Name) {
		p.lookAtUpdate(ctx, ref, u, layers)
	}
	return c
}

// imageUpdates gives the updates of an image in the last scan.
func (p *Program) imageUpdates(name string) []fleet.Update {
	scan, err := p.remembered()
	if err != nil {
		return nil // without a scan there is nothing that runs
	}
	var updates []fleet.Update
	for _, f := range scan.Findings {
		for _, u := range f.Updates {
			if u.ImageUpdate != nil && u.Kind == fleet.Rebuild && u.Name == name {
				updates = append(updates, u)
			}
		}
	}
	return updates
}

// lookAtUpdate looks into the image that runs, and into the one that an update would bring. A registry may not have the one that runs any more: then the update says
// that this is not known.
func (p *Program) lookAtUpdate(ctx context.Context, ref reference.Named, u fleet.Update, layers bool) {
	platform, err := parsePlatform(u.Platform)
	if err != nil {
		return // an image without a platform says nothing of what is in it
	}
	for _, d := range []string{u.From, u.To} {
		canonical, err := registry.Canonical(ref, fleet.Digest(d))
		if err == nil {
			_, err = p.reader().Look(ctx, canonical, platform, layers)
		}
		if err != nil && ctx.Err() == nil {
			because, remedy := fleet.Explain(err)
			p.log().Warn(fmt.Sprintf("%s of %s could not be looked into: %s", fleet.Plain(d), u.Name, because), "remedy", remedy)
		}
	}
}

// adviseImages gives updates of images their advice, where somebody had both looked into. It asks nobody.
func (p *Program) adviseImages(a advisory.Advisor, scan *fleet.Scan) {
	reader := p.reader()
	for i := range scan.Findings {
		for j := range scan.Findings[i].Updates {
			u := &scan.Findings[i].Updates[j]
			if u.ImageUpdate == nil {
				continue
			}
			platform, err := parsePlatform(u.Platform)
			if err != nil {
				continue
			}
			after, _ := reader.Recall(fleet.Digest(u.To), platform)
			before, _ := reader.Recall(fleet.Digest(u.From), platform)
			u.Advice = a.ImageUpdate(*u, before.Packages, after.Packages)
			if u.Advice != nil && u.Advice.Unknown == "" {
				u.Advice.Unknown = cmp.Or(after.Unknown, before.Unknown)
			}
		}
	}
}

func (p *Program) writeContents(found []imageContents, opt lookOptions) {
	r := report{w: p.stdout, paint: painter(colourful(p.stdout)), width: columns(p.stdout), now: p.now()}
	for i, c := range found {
		if i > 0 {
			fmt.Fprintln(r.w)
		}
		answer := ""
		if c.Because != "" {
			answer = "unknown"
		}
		packages := ""
		if c.By != "" {
			packages = fmt.Sprintf("%d, by its %s", c.Packages, map[inside.By]string{inside.BySBOM: "SBOM, which its builder declares", inside.ByLayers: "layers"}[c.By])
		}
		writePairs(r.w, []pair{
			{"image", c.Name}, {"answer", answer}, {"because", c.Because}, {"to do", c.Remedy}, {"platform", c.Platform}, {"digest", string(c.Digest)},
			{"made from", c.Distribution}, {"packages", packages}, {"not known", strings.TrimPrefix(c.Unknown, "packages that are ")},
		})
		if c.Because == "" {
			r.vulnerabilities(fleet.Scan{Advisories: c.Advisories, Vulnerabilities: c.Vulnerabilities}, opt.vulnerabilityOptions)
		}
	}
}
