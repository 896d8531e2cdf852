package apt

import (
	"bufio"
	"compress/gzip"
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

// Owners implements source.Recorder.
func (s Source) Owners(ctx context.Context, m *machine.Machine, files []string) (map[string]source.Owner, error) {
	args := []string{"-S"}
	for _, f := range files {
		if strings.ContainsAny(f, `*?[\`) || !strings.HasPrefix(f, "/") {
			continue // a pattern to dpkg-query
		}
		args = append(args, f)
		if bare, moved := strings.CutPrefix(f, "/usr/"); moved {
			args = append(args, "/"+bare) // as packages have it that do not know of the merge of /usr
		}
	}
	if len(args) == 1 {
		return nil, nil
	}
	result, err := m.Run(ctx, machine.Command{Name: "dpkg-query", Args: args})
	if err != nil {
		return nil, fmt.Errorf("ask dpkg whose files are: %w", err)
	}
	return parseOwners(result.Stdout, files), nil // code 1 is for files that no package has
}

// parseOwners reads lines "libssl3:amd64: /usr/lib/x86_64-linux-gnu/libssl.so.3". Of packages that share a file none is told, and diversions are none.
func parseOwners(out []byte, files []string) map[string]source.Owner {
	owners := map[string]source.Owner{}
	for line := range strings.Lines(string(out)) {
		names, file, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.ContainsAny(names, ", ") {
			continue
		}
		name, arch, _ := strings.Cut(names, ":")
		for _, as := range []string{file, "/usr" + file} {
			if slices.Contains(files, as) {
				owners[as] = source.Owner{Name: name, Arch: arch}
			}
		}
	}
	return owners
}

const (
	// maxLogs is how many of dpkg's logs are read: they are kept for a year, one for each month.
	maxLogs = 13
	// maxLog bounds one of them, uncompressed: a release upgrade of a desktop writes 5 MB.
	maxLog = 64 << 20
	// zones is how far a time in dpkg's log may be from what it says as UTC: it has the local time of whoever ran it.
	zones = 14 * time.Hour
)

// Upgrades implements source.Recorder, by dpkg's logs.
func (s Source) Upgrades(ctx context.Context, m *machine.Machine, of []source.Owner) ([]source.Upgrade, error) {
	var found []source.Upgrade
	for n := range maxLogs {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		some, err := readLog(m, n, of)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return found, err
		}
		slices.Reverse(some)
		found = append(found, some...)
	}
	return found, nil
}

// readLog reads one of dpkg's logs, 0 being the newest.
func readLog(m *machine.Machine, n int, of []source.Owner) ([]source.Upgrade, error) {
	names := []string{fmt.Sprintf("/var/log/dpkg.log.%d", n), fmt.Sprintf("/var/log/dpkg.log.%d.gz", n)}
	if n == 0 {
		names = []string{"/var/log/dpkg.log"}
	}
	var problem error
	for _, name := range names {
		f, err := m.Open(name)
		if err != nil {
			problem = err
			continue
		}
		defer f.Close()
		var r io.Reader = f
		if strings.HasSuffix(name, ".gz") {
			if r, err = gzip.NewReader(f); err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
		}
		return parseLog(io.LimitReader(r, maxLog), of)
	}
	return nil, problem
}

// parseLog reads lines "2026-03-02 08:00:00 upgrade libssl3:amd64 3.0.11-1 3.0.14-1" (dpkg(1), --log), the oldest first.
func parseLog(r io.Reader, of []source.Owner) ([]source.Upgrade, error) {
	var found []source.Upgrade
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 6 || words[2] != "upgrade" {
			continue
		}
		name, arch, _ := strings.Cut(words[3], ":")
		i := slices.IndexFunc(of, func(o source.Owner) bool { return o.Name == name && (o.Arch == "" || o.Arch == arch || arch == "all") })
		at, err := time.Parse(time.DateTime, words[0]+" "+words[1])
		if i < 0 || err != nil {
			continue
		}
		found = append(found, source.Upgrade{Owner: of[i], From: words[4], To: words[5], At: at, Slack: zones})
	}
	return found, lines.Err()
}
