package command

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
	"redflag/internal/source"
)

type scanOptions struct {
	view
	sources  []string
	refresh  bool
	exitCode bool
}

const aboutScan = `Looks at this machine and prints every pending update. It changes nothing.

Packages are compared with the package lists that are on the disk already: --refresh fetches them anew first, where
that is permitted (as root). Images are compared with their registry: one small request for each image, none of which
counts as a pull while nothing has changed. Answers are used again for five minutes, lists of tags for a day, and none
of them with --refresh.

A source that could not be checked is shown as unknown, with the reason and what to do, and never as up to date.`

func (p *Program) scanCommand() *cobra.Command {
	var opt scanOptions
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Look at this machine now",
		Long:  aboutScan,
		Example: `  redflag scan
  redflag scan --source apt --security
  redflag scan --format json | jq '.findings[].updates[].name'
  redflag scan --exit-code || notify-me`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.scan(cmd.Context(), opt) },
	}
	cmd.Flags().StringSliceVar(&opt.sources, "source", nil, "look at these sources only (`apt,docker`)")
	cmd.Flags().BoolVar(&opt.refresh, "refresh", false, "fetch package lists anew first, where permitted, and ask registries anew")
	cmd.Flags().BoolVar(&opt.exitCode, "exit-code", false, "exit with 10 when updates are pending, 11 when security updates are")
	opt.addFlags(cmd)
	complete(cmd, "source", p.completeSources)
	return cmd
}

// maxScanned is how many vulnerabilities a scan has, the most urgent: the command of their own lists all.
const maxScanned = 500

func (p *Program) scan(ctx context.Context, opt scanOptions) error {
	if err := opt.check(); err != nil {
		return err
	}
	if opt.refresh {
		p.askAnew()
	}
	m := machine.Local()
	sources, err := p.sources(m, opt.sources)
	if err != nil {
		return err
	}
	scan := p.look(ctx, m, sources, opt.refresh)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, err := memory.Save(p.dirs.State, scan); err != nil {
		p.log().Warn("the scan is not remembered for `redflag list`", "err", err)
	}
	p.advised(&scan, func() ([]fleet.Package, error) { return source.Packages(ctx, m, sources) })
	scan.Vulnerabilities = scan.Vulnerabilities[:min(len(scan.Vulnerabilities), maxScanned)]
	if opt.security {
		scan = securityOnly(scan)
	}
	if err := p.print(scan, opt.view); err != nil {
		return err
	}
	if len(sources) == 0 {
		return &fleet.Unknown{
			Because: "no source of updates that RedFlag knows was found on this machine",
			Remedy:  "`redflag doctor` says what it looked for",
		}
	}
	return verdict(scan, opt.exitCode)
}

// look asks every source and the machine itself at once.
func (p *Program) look(ctx context.Context, m *machine.Machine, sources []source.Source, refresh bool) fleet.Scan {
	scan := fleet.Scan{ScannedAt: m.Now().UTC().Truncate(time.Millisecond)}
	watch := p.progress()
	defer watch.stop()
	var facts sync.WaitGroup
	facts.Go(func() { scan.Host = machine.Facts(ctx, m) })
	scan.Findings = source.Scan(ctx, m, sources, source.Options{
		Refresh: refresh,
		Started: watch.started,
		Done:    func(f fleet.Finding) { watch.done(f.Source) },
	})
	facts.Wait()
	if err := p.claims(ctx, m, sources, scan.Findings, false); err != nil {
		p.log().Debug("a changelog cannot be read", "err", err)
	}
	return scan
}

func securityOnly(scan fleet.Scan) fleet.Scan {
	findings := make([]fleet.Finding, len(scan.Findings))
	for i, f := range scan.Findings {
		updates := []fleet.Update{}
		for _, u := range f.Updates {
			if u.Security {
				updates = append(updates, u)
			}
		}
		f.Updates = updates
		findings[i] = f
	}
	scan.Findings = findings
	return scan
}

// complete registers a completion; cobra refuses one only for a flag that does not exist.
func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(fmt.Sprintf("complete --%s: %v", flag, err))
	}
}
