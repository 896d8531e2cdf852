package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/registry"
	"redflag/internal/source/docker"
	"redflag/internal/tag"
)

func (p *Program) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Ask a registry about images; no container engine is needed",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.imageCheckCommand(), p.imageVulnerabilitiesCommand())
	return cmd
}

const aboutImageCheck = `Says what an image's tag points to now: its digest, the platforms it has, the version that its labels name, and newer
version tags of its repository. It asks the registry alone; no container engine is needed.

Credentials are those of ` + "`docker login`" + `. Looking at what lies behind a digest for the first time counts as one or two
pulls on Docker Hub; it is remembered for good.`

type imageOptions struct {
	format, platform string
}

func (p *Program) imageCheckCommand() *cobra.Command {
	var opt imageOptions
	cmd := &cobra.Command{
		Use:   "check REF...",
		Short: "The digest, platforms, version and newer tags of images",
		Long:  aboutImageCheck,
		Example: `  redflag image check nginx:1.25
  redflag image check --format json ghcr.io/example/app:2 | jq .[0].digest`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.imageCheck(cmd.Context(), args, opt) },
	}
	cmd.Flags().StringVar(&opt.format, "format", "table", "`FORMAT` of the output: table or json")
	cmd.Flags().StringVar(&opt.platform, "platform", "linux/"+runtime.GOARCH, "read the version of this `PLATFORM`'s image: os/architecture[/variant]")
	complete(cmd, "format", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// imageAnswer is one image of `redflag image check --format json`.
type imageAnswer struct {
	Name string `json:"name"`
	// Answer is found, gone or unknown.
	Answer     string       `json:"answer"`
	Because    string       `json:"because"`
	Remedy     string       `json:"remedy,omitempty"`
	Digest     fleet.Digest `json:"digest,omitempty"`
	Platforms  []string     `json:"platforms"`
	Platform   string       `json:"platform,omitempty"`
	Version    string       `json:"version,omitempty"`
	Created    time.Time    `json:"created,omitzero"`
	Size       int64        `json:"size,omitempty"`
	Newer      newerTags    `json:"newer"`
	Remarks    []string     `json:"remarks"`
	AnsweredBy string       `json:"answered_by,omitempty"`
	CheckedAt  time.Time    `json:"checked_at,omitzero"`
}

type newerTags struct {
	Patch string `json:"patch,omitempty"`
	Minor string `json:"minor,omitempty"`
	Major string `json:"major,omitempty"`
}

// asksAtOnce bounds how many images are looked at side by side; the registry client bounds the requests itself.
const asksAtOnce = 16

func (p *Program) imageCheck(ctx context.Context, args []string, opt imageOptions) error {
	if opt.format != "table" && opt.format != "json" {
		return usagef("--format %s: choose one of table, json", opt.format)
	}
	platform, err := parsePlatform(opt.platform)
	if err != nil {
		return err
	}
	refs, err := parseReferences(args)
	if err != nil {
		return err
	}
	answers := make([]imageAnswer, len(refs))
	var wg sync.WaitGroup
	slots := make(chan struct{}, asksAtOnce)
	for i, ref := range refs {
		slots <- struct{}{}
		wg.Go(func() {
			answers[i] = p.askImage(ctx, ref, platform)
			<-slots
		})
	}
	wg.Wait()
	if opt.format == "json" {
		if err := writeJSON(p.stdout, answers); err != nil {
			return err
		}
	} else {
		writeImages(p.stdout, answers, p.now())
	}
	return imageVerdict(answers)
}

func parseReferences(args []string) ([]reference.Named, error) {
	refs := make([]reference.Named, len(args))
	for i, arg := range args {
		ref, err := reference.ParseNormalizedNamed(arg)
		if err != nil {
			return nil, usagef("%q is no image reference: %w", arg, err)
		}
		refs[i] = reference.TagNameOnly(ref)
	}
	return refs, nil
}

func parsePlatform(s string) (registry.Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return registry.Platform{}, usagef("--platform %s: write os/architecture[/variant], such as linux/arm/v7", s)
	}
	p := registry.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// askImage learns what it can of one image; what it could not learn beside the digest is a remark.
func (p *Program) askImage(ctx context.Context, ref reference.Named, platform registry.Platform) imageAnswer {
	a := imageAnswer{Name: reference.FamiliarString(ref), Platforms: []string{}, Remarks: []string{}, Platform: platform.String()}
	canonical, err := p.pointsTo(ctx, ref, &a)
	if err != nil {
		a.Answer = "unknown"
		if errors.Is(err, registry.ErrGone) {
			a.Answer = "gone"
		}
		a.Because, a.Remedy = fleet.Explain(err)
		a.Platform = ""
		return a
	}
	a.Answer = "found"
	if err := p.describe(ctx, canonical, platform, &a); err != nil {
		a.remark("version and platforms not known", err)
	}
	if tagged, ok := ref.(reference.NamedTagged); ok && tag.Versioned(tagged.Tag()) {
		if tags, err := p.registry.Tags(ctx, ref); err != nil {
			a.remark("newer tags not known", err)
		} else {
			a.Newer = newerTags(tag.Newer(tagged.Tag(), tags))
		}
	}
	return a
}

func (a *imageAnswer) remark(what string, err error) {
	because, _ := fleet.Explain(err)
	a.Remarks = append(a.Remarks, what+": "+because)
}

// pointsTo resolves a tag, or takes the digest that a reference names after asking whether it exists.
func (p *Program) pointsTo(ctx context.Context, ref reference.Named, a *imageAnswer) (reference.Canonical, error) {
	if canonical, ok := ref.(reference.Canonical); ok {
		exists, err := p.registry.Exists(ctx, canonical)
		if err == nil && !exists {
			err = fmt.Errorf("%s: %w", canonical.Digest(), registry.ErrGone)
		}
		a.Digest = fleet.Digest(canonical.Digest())
		return canonical, err
	}
	tagged, ok := ref.(reference.NamedTagged)
	if !ok {
		return nil, fmt.Errorf("%s has neither a tag nor a digest", ref)
	}
	answer, err := p.registry.Resolve(ctx, tagged)
	if err != nil {
		return nil, err
	}
	a.Digest, a.AnsweredBy, a.CheckedAt = answer.Digest, answer.Host, answer.CheckedAt
	return registry.Canonical(ref, answer.Digest)
}

// describe reads what lies behind a digest, for one platform.
func (p *Program) describe(ctx context.Context, ref reference.Canonical, platform registry.Platform, a *imageAnswer) error {
	content, err := p.registry.Content(ctx, ref)
	if err != nil {
		return err
	}
	for _, c := range content.Children {
		a.Platforms = append(a.Platforms, c.Platform.String())
	}
	if content.Children != nil {
		child, err := content.Select(platform)
		if err != nil {
			return err
		}
		ref, err = registry.Canonical(ref, child.Digest)
		if err != nil {
			return err
		}
		if content, err = p.registry.Content(ctx, ref); err != nil {
			return err
		}
	}
	a.Size = content.Size
	config, err := p.registry.ImageConfig(ctx, ref, content.Config)
	if err != nil {
		return err
	}
	if len(a.Platforms) == 0 {
		a.Platforms = append(a.Platforms, config.Platform.String())
	}
	a.Platform, a.Created = config.Platform.String(), config.Created
	a.Version = docker.Version(ref, config)
	return nil
}

func writeImages(w io.Writer, answers []imageAnswer, now time.Time) {
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(w)
		}
		age := ""
		if !a.CheckedAt.IsZero() {
			age = ago(now, a.CheckedAt)
		}
		writePairs(w, []pair{
			{"image", a.Name},
			{"answer", a.Answer},
			{"because", a.Because},
			{"to do", a.Remedy},
			{"digest", string(a.Digest)},
			{"platforms", strings.Join(a.Platforms, ", ")},
			{"platform", a.Platform},
			{"version", a.Version},
			{"built", moment(a.Created)},
			{"download", size(a.Size)},
			{"newer patch", a.Newer.Patch},
			{"newer minor", a.Newer.Minor},
			{"newer major", a.Newer.Major},
			{"remarks", strings.Join(a.Remarks, "; ")},
			{"answered by", a.AnsweredBy},
			{"checked", age},
		})
	}
}

// imageVerdict is the exit code: an image that is gone is a failure, an unknown one is unknown.
func imageVerdict(answers []imageAnswer) error {
	var gone, unknown bool
	for _, a := range answers {
		gone = gone || a.Answer == "gone"
		unknown = unknown || a.Answer == "unknown"
	}
	switch {
	case gone:
		return exitCode(exitFailed)
	case unknown:
		return exitCode(exitUnknown)
	}
	return nil
}
