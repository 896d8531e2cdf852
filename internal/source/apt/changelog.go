package apt

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	versions "redflag/internal/version"
)

// What an update mends can be read without any network in the changelog inside of the new package, once that is here: apt fetches packages long before
// it installs them where somebody has set that up, and anybody can.

const (
	// maxChangelog bounds a changelog, before and after decompression: the longest, of the kernel, has 3 MB.
	maxChangelog = 16 << 20
	// maxPackage bounds the packages that a scan opens by itself, in bytes: a kernel takes seconds.
	maxPackage = 32 << 20
	// maxOpened bounds how many a scan opens: each takes some hundredths of a second. The next scan goes on with the rest.
	maxOpened = 40
	// maxTar bounds a package's files.
	maxTar = 4 << 30
	// maxClaims bounds what one update claims.
	maxClaims = 2000
)

// Claims implements source.Historian. Of all packages of one source the smallest that is here is opened, as all have the same changelog. What was read is
// remembered in the state folder while the update is pending.
func (s Source) Claims(ctx context.Context, m *machine.Machine, updates []fleet.Update, fetch bool) error {
	known := s.claimed()
	var problems []error
	order := make([]int, 0, len(updates))
	for i, u := range updates {
		if u.Build != nil && u.ImageUpdate == nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(updates[a].Size - updates[b].Size) })
	pending, opened := map[string]*fleet.Claims{}, 0
	for _, i := range order {
		u := updates[i]
		key := claimKey(u)
		if c := known[key]; c != nil {
			pending[key] = c
		}
		if pending[key] != nil || !fetch && (!u.Security || u.Size > maxPackage || opened == maxOpened) {
			continue
		}
		c, err := s.read(ctx, m, u, fetch)
		if err != nil {
			problems = append(problems, fmt.Errorf("the changelog of %s: %w", u.Name, err))
		}
		if c != nil {
			opened++
			pending[key] = c
		}
	}
	for _, i := range order {
		updates[i].Claims = pending[claimKey(updates[i])]
	}
	s.remember(known, pending, len(updates))
	return errors.Join(problems...)
}

func claimKey(u fleet.Update) string {
	return strings.Join([]string{u.Build.Package, u.Build.From, u.Build.To}, " ")
}

const claimsFile = "apt-changelogs.json"

// claimed gives what was read before; nothing where that cannot be read.
func (s Source) claimed() map[string]*fleet.Claims {
	known := map[string]*fleet.Claims{}
	if s.StateDir == "" {
		return known
	}
	f, err := os.Open(filepath.Join(s.StateDir, claimsFile))
	if err != nil {
		return known
	}
	defer f.Close()
	if json.NewDecoder(io.LimitReader(f, maxAnswer)).Decode(&known) != nil {
		return map[string]*fleet.Claims{}
	}
	return known
}

// remember keeps what is pending. That it cannot be kept costs time and nothing else, so errors are passed over.
func (s Source) remember(before, pending map[string]*fleet.Claims, updates int) {
	if s.StateDir == "" || updates == 0 || len(pending) == 0 && len(before) == 0 {
		return
	}
	if data, err := json.Marshal(pending); err == nil {
		_ = machine.WriteFile(filepath.Join(s.StateDir, claimsFile), data, 0o600)
	}
}

// read finds the package of an update and reads its changelog; nil where it is not here.
func (s Source) read(ctx context.Context, m *machine.Machine, u fleet.Update, fetch bool) (*fleet.Claims, error) {
	if !aptName.MatchString(u.Name) || !versionText.MatchString(u.To) {
		return nil, nil
	}
	base := path.Base(keptFile(u.Name, u.To, u.Arch))
	file := path.Join(archivesOf(m), base)
	if !isFile(m, file) {
		if !fetch {
			return nil, nil
		}
		dir, err := os.MkdirTemp(m.Path("/tmp"), "redflag-changelog-*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file = path.Join("/tmp", filepath.Base(dir), base)
		if err := s.fetchPackage(ctx, m, u, path.Dir(file)); err != nil {
			return nil, err
		}
	}
	text, err := changelogIn(ctx, m, file)
	if err != nil {
		return nil, err
	}
	c, err := parseClaims(bytes.NewReader(text), u.Build.From, u.Build.To)
	if err != nil {
		return nil, err
	}
	c.From = "the changelog inside " + base
	return c, nil
}

// archivesOf is where apt keeps the packages that it has fetched.
func archivesOf(m *machine.Machine) string {
	set, err := readSettings(m)
	if err != nil {
		return "/var/cache/apt/archives"
	}
	return set.conf.path("Dir::Cache::archives")
}

// fetchPackage has apt fetch one package into a folder, checked against the archive's signed lists.
func (s Source) fetchPackage(ctx context.Context, m *machine.Machine, u fleet.Update, dir string) error {
	args := []string{"-C", dir, "apt-get", "-q", "download"}
	if os.Geteuid() == 0 {
		args = append(args, "-o", "APT::Sandbox::User=root") // the folder is root's
	}
	r, err := m.Run(ctx, machine.Command{Name: "env", Args: append(args, word(u.Name, u.Arch, u.To))})
	if err == nil && r.Code != 0 {
		err = &fleet.Unknown{Because: "apt cannot fetch it: " + fleet.Plain(lastLine(r.Stderr)), Remedy: "sudo apt-get update"}
	}
	return err
}

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

var (
	// debianChangelog are the places of a package's changelog, that of a rebuild beside it (Debian Policy 12.7). A package without a Debian revision has the
	// one that in others is upstream's.
	debianChangelog = regexp.MustCompile(`^\./usr/share/doc/[^/]+/changelog\.Debian(?:\.[a-z0-9-]+)?(?:\.gz)?$`)
	nativeChangelog = regexp.MustCompile(`^\./usr/share/doc/[^/]+/changelog(?:\.gz)?$`)
)

// changelogIn reads the changelogs in a package. Dpkg unpacks it into a pipe, which is left as soon as all has been seen that may be one.
func changelogIn(ctx context.Context, m *machine.Machine, file string) ([]byte, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	ended := make(chan error, 1)
	go func() {
		code, err := m.Follow(ctx, machine.Command{Name: "dpkg-deb", Args: []string{"--fsys-tarfile", file}}, in)
		in.Close()
		if err == nil && code != 0 {
			err = &fleet.Unknown{Because: file + " is damaged", Remedy: "sudo apt-get clean"}
		}
		ended <- err
	}()
	text, err := changelogOf(tar.NewReader(newCapped(out, maxTar)))
	stop()
	out.Close()
	if said := <-ended; err != nil && said != nil && !errors.Is(said, context.Canceled) {
		err = said
	}
	return text, err
}

// changelogOf finds the changelogs among a package's files; Debian's come before upstream's there.
func changelogOf(files *tar.Reader) ([]byte, error) {
	var debian, native []byte
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read its files: %w", err)
		}
		isDebian := debianChangelog.MatchString(h.Name)
		if h.Typeflag != tar.TypeReg || !isDebian && !nativeChangelog.MatchString(h.Name) {
			if debian != nil && h.Name > "./usr/share/doc0" {
				break
			}
			continue
		}
		var r io.Reader = files
		if strings.HasSuffix(h.Name, ".gz") {
			if r, err = gzip.NewReader(files); err != nil {
				return nil, fmt.Errorf("unpack %s: %w", fleet.Plain(h.Name), err)
			}
		}
		text, err := io.ReadAll(newCapped(r, maxChangelog))
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", fleet.Plain(h.Name), err)
		}
		if isDebian {
			debian = append(append(debian, text...), '\n')
		} else {
			native = text
		}
	}
	if debian == nil {
		debian = native
	}
	if debian == nil {
		return nil, &fleet.Unknown{Because: "there is none in the package"}
	}
	return debian, nil
}

var (
	// entryHead begins an entry (deb-changelog(5)): "openssl (3.0.17-1~deb12u2) bookworm-security; urgency=medium".
	entryHead = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9+.-]* \(([^() ]+)\)[^;]*;`)
	flawName  = regexp.MustCompile(`(?i)\b(?:CVE-[0-9]{4}-[0-9]{4,19}|GHSA(?:-[0-9a-z]{4}){3})\b`)
)

// parseClaims gives the flaws that entries newer than one version, and not newer than another, name. It is the versions that count and not the order of
// the entries. Text in which there is not one entry is an error.
func parseClaims(r io.Reader, from, to string) (*fleet.Claims, error) {
	c := &fleet.Claims{IDs: []string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	inside, entries := false, 0
	for lines.Scan() {
		line := lines.Text()
		if head := entryHead.FindStringSubmatch(line); head != nil {
			entries++
			inside = versions.CompareDebian(head[1], from) > 0 && versions.CompareDebian(head[1], to) <= 0
			if inside {
				c.Entries++
			}
			continue
		}
		if !inside || strings.HasPrefix(line, " -- ") {
			continue
		}
		for _, id := range flawName.FindAllString(line, -1) {
			if id = upper(id); !slices.Contains(c.IDs, id) && len(c.IDs) < maxClaims {
				c.IDs = append(c.IDs, id)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read it: %w", err)
	}
	if entries == 0 {
		return nil, &fleet.Unknown{Because: "there is no entry in it"}
	}
	return c, nil
}

// upper writes a name as its publishers do: CVE-2024-1234, GHSA-5qpq-xqfv-j9pg.
func upper(id string) string {
	if len(id) > 4 && strings.EqualFold(id[:4], "GHSA") {
		return "GHSA" + strings.ToLower(id[4:])
	}
	return strings.ToUpper(id)
}
