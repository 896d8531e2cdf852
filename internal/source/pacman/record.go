package pacman

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/machine"
	"redflag/internal/source"
)

// Owners implements source.Recorder.
func (s Source) Owners(ctx context.Context, m *machine.Machine, files []string) (map[string]source.Owner, error) {
	w, err := s.look(m)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, f := range files {
		wanted[strings.TrimPrefix(f, "/")] = true
	}
	owners := map[string]source.Owner{}
	for _, p := range w.installed {
		if err := ctx.Err(); err != nil {
			return owners, err
		}
		if err := p.readFiles(m, w.conf); err != nil {
			return owners, err
		}
		for _, f := range p.files {
			if wanted[f] {
				owners["/"+f] = source.Owner{Name: p.name}
			}
		}
		p.files = nil
	}
	return owners, nil
}

const (
	logFile = "/var/log/pacman.log"
	// maxLog bounds what is read of it: nobody rotates it, and ten years have 20 MB.
	maxLog = 256 << 20
)

// upgraded is a line of pacman's log: [2026-03-02T08:00:00+0100] [ALPM] upgraded openssl (3.0.7-1 -> 3.0.8-1).
var upgraded = regexp.MustCompile(`^\[([^\]]+)\] \[ALPM\] (?:upgraded|reinstalled|downgraded) (\S+) \((\S+)(?: -> (\S+))?\)$`)

// Upgrades implements source.Recorder, by pacman's log.
func (s Source) Upgrades(_ context.Context, m *machine.Machine, of []source.Owner) ([]source.Upgrade, error) {
	f, err := m.Open(logFile)
	if err != nil {
		return nil, fmt.Errorf("read pacman's log: %w", err)
	}
	defer f.Close()
	return parseLog(io.LimitReader(f, maxLog), of)
}

// parseLog gives upgrades, the newest first.
func parseLog(r io.Reader, of []source.Owner) ([]source.Upgrade, error) {
	var found []source.Upgrade
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		match := upgraded.FindStringSubmatch(lines.Text())
		if match == nil || !slices.Contains(of, source.Owner{Name: match[2]}) {
			continue
		}
		at, err := time.Parse("2006-01-02T15:04:05-0700", match[1])
		if err != nil {
			continue
		}
		u := source.Upgrade{Owner: source.Owner{Name: match[2]}, From: match[3], To: match[4], At: at}
		if u.To == "" {
			u.To = u.From // installed again
		}
		found = append(found, u)
	}
	slices.Reverse(found)
	return found, lines.Err()
}
