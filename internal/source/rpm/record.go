package rpm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"redflag/internal/machine"
	"redflag/internal/source"
)

// Recorder implements source.Recorder for what keeps its packages in rpm's database, by the logs of dnf 4 and of zypper. dnf 5 keeps none that names versions.
type Recorder struct{}

// Owners implements source.Recorder.
func (Recorder) Owners(ctx context.Context, m *machine.Machine, files []string) (map[string]source.Owner, error) {
	owners := map[string]source.Owner{}
	for _, f := range files { // one question for all does not say which answer is whose
		if !strings.HasPrefix(f, "/") {
			continue
		}
		result, err := m.Run(ctx, machine.Command{Name: "rpm", Args: []string{"-qf", "--qf", `%{NAME}\t%{ARCH}\n`, f}})
		if err != nil {
			return owners, fmt.Errorf("ask rpm whose files are: %w", err)
		}
		if name, arch, ok := strings.Cut(strings.TrimSpace(string(result.Stdout)), "\t"); result.Code == 0 && ok && !strings.Contains(arch, "\n") {
			owners[f] = source.Owner{Name: name, Arch: arch}
		}
	}
	return owners, nil
}

const (
	dnfLog  = "/var/log/dnf.rpm.log"
	zyppLog = "/var/log/zypp/history"
	// maxLog bounds what is read of them: dnf's is rotated, and ten years of zypper's have 20 MB.
	maxLog = 128 << 20
	// zones is how far a time in zypper's history may be from what it says as UTC: it has local time.
	zones = 14 * time.Hour
)

// Upgrades implements source.Recorder.
func (Recorder) Upgrades(_ context.Context, m *machine.Machine, of []source.Owner) ([]source.Upgrade, error) {
	var found []source.Upgrade
	var problems []error
	for _, log := range []struct {
		file  string
		parse func(io.Reader, []source.Owner) ([]source.Upgrade, error)
	}{{dnfLog, parseDNF}, {zyppLog, parseZypp}} {
		f, err := m.Open(log.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		defer f.Close()
		some, err := log.parse(io.LimitReader(f, maxLog), of)
		found, problems = append(found, some...), append(problems, err)
	}
	slices.Reverse(found)
	return found, errors.Join(problems...)
}

// parseDNF reads what dnf 4 logs of rpm's work, the oldest first: "… SUBDEBUG Upgrade: toy-2.0-1.x86_64" when a version comes, "… Upgraded: toy-1.0-1.x86_64" when the one before it goes.
func parseDNF(r io.Reader, of []source.Owner) ([]source.Upgrade, error) {
	var found []source.Upgrade
	came := map[source.Owner]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 4 {
			continue
		}
		p, ok := CutNEVRA(words[3])
		owner := source.Owner{Name: p.Name, Arch: p.Arch}
		at, err := time.Parse("2006-01-02T15:04:05-0700", words[0])
		if !ok || err != nil || !slices.Contains(of, owner) {
			continue
		}
		switch words[2] {
		case "Upgrade:", "Downgrade:", "Reinstall:":
			came[owner] = p.EVR
		case "Upgraded:", "Downgraded:", "Reinstalled:":
			if to := came[owner]; to != "" {
				found = append(found, source.Upgrade{Owner: owner, From: p.EVR, To: to, At: at})
			}
		}
	}
	return found, lines.Err()
}

// parseZypp reads zypper's history, the oldest first: 2026-03-02 08:00:00|install|toy|2.0-1|x86_64|… . What was there before is what was installed before that.
func parseZypp(r io.Reader, of []source.Owner) ([]source.Upgrade, error) {
	var found []source.Upgrade
	before := map[source.Owner]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // what scripts have printed stands in it too
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "|")
		if len(fields) < 5 || strings.TrimSpace(fields[1]) != "install" {
			continue
		}
		owner := source.Owner{Name: fields[2], Arch: fields[4]}
		at, err := time.Parse(time.DateTime, fields[0])
		if err != nil || !slices.Contains(of, owner) {
			continue
		}
		if from := before[owner]; from != "" {
			found = append(found, source.Upgrade{Owner: owner, From: from, To: fields[3], At: at, Slack: zones})
		}
		before[owner] = fields[3]
	}
	return found, lines.Err()
}
