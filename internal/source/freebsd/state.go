package freebsd

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// versions are those of what is installed; the kernel's is empty in a jail, which has none.
type versions struct{ userland, kernel version }

// versionText is freebsd-version(1)'s.
var versionText = regexp.MustCompile(`^([0-9]{1,3}\.[0-9]{1,3}-[A-Z]{1,12}[0-9]{0,3})(?:-p([0-9]{1,5}))?$`)

func parseVersion(s string) (version, error) {
	found := versionText.FindStringSubmatch(strings.TrimSpace(s))
	if found == nil {
		return version{}, fmt.Errorf("%q is no version of FreeBSD", fleet.Plain(s))
	}
	v := version{release: found[1]}
	if found[2] != "" {
		patch, err := strconv.Atoi(found[2])
		if err != nil {
			return version{}, err
		}
		v.patch = patch
	}
	return v, nil
}

func readVersions(ctx context.Context, m *machine.Machine) (v versions, err error) {
	if v.userland, err = ask(ctx, m, "-u"); err != nil {
		return v, &fleet.Unknown{Because: "which FreeBSD this is cannot be told: " + fleet.Plain(err.Error()), Remedy: "see what `freebsd-version` says", Err: err}
	}
	v.kernel, _ = ask(ctx, m, "-k") // a jail has none
	return v, nil
}

func ask(ctx context.Context, m *machine.Machine, flag string) (version, error) {
	r, err := m.Run(ctx, machine.Command{Name: "freebsd-version", Args: []string{flag}})
	if err != nil {
		return version{}, err
	}
	if r.Code != 0 {
		return version{}, fmt.Errorf("freebsd-version ended with code %d", r.Code)
	}
	return parseVersion(string(r.Stdout))
}

// maxConf bounds freebsd-update.conf, which has 80 lines, and the tag, which has one.
const maxConf = 1 << 20

// workDir is where freebsd-update keeps what it has: freebsd-update.conf(5), WorkDir.
func workDir(m *machine.Machine) string {
	dir := "/var/db/freebsd-update"
	text, err := m.ReadFile("/etc/freebsd-update.conf", maxConf)
	if err != nil {
		return dir
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "WorkDir" && path.IsAbs(f[1]) {
			dir = path.Clean(f[1])
		}
	}
	return dir
}

// tag is the signed word of the server of updates, as freebsd-update leaves it once it has verified it.
type tag struct {
	release     string
	patch       int
	supportEnds time.Time
	fetched     time.Time
}

func (t tag) version() version { return version{t.release, t.patch} }

// tagText is: freebsd-update|amd64|14.1-RELEASE|5|(64 hexadecimal digits)|1743465599
var tagText = regexp.MustCompile(`^freebsd-update\|[a-z0-9]+\|([0-9]{1,3}\.[0-9]{1,3}-[A-Z]{1,12}[0-9]{0,3})\|([0-9]{1,5})\|[0-9a-f]{64}\|([0-9]{10})$`)

func parseTag(data []byte) (tag, error) {
	found := tagText.FindStringSubmatch(strings.TrimSpace(string(data)))
	if found == nil {
		return tag{}, fmt.Errorf("%q", fleet.Plain(string(data)))
	}
	patch, err := strconv.Atoi(found[2])
	if err != nil {
		return tag{}, err
	}
	ends, err := strconv.ParseInt(found[3], 10, 64)
	return tag{release: found[1], patch: patch, supportEnds: time.Unix(ends, 0).UTC()}, err
}

// readTag reads what the last fetch has brought.
func readTag(m *machine.Machine) (tag, error) {
	file := path.Join(workDir(m), "tag")
	data, err := m.ReadFile(file, maxConf)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return tag{}, notPermitted(err)
	case errors.Is(err, fs.ErrNotExist):
		return tag{}, &fleet.Unknown{Because: "what is on offer for the base system was not fetched yet", Remedy: "sudo redflag scan --refresh", Err: err}
	case err != nil:
		return tag{}, err
	}
	t, err := parseTag(data)
	if err != nil {
		return t, &fleet.Unknown{Because: "what freebsd-update has fetched cannot be read: " + err.Error(), Remedy: "see " + file, Err: err}
	}
	info, err := m.Stat(file)
	if err == nil {
		t.fetched = info.ModTime().UTC()
	}
	return t, err
}

func notPermitted(err error) error {
	return &fleet.Unknown{Because: "only root may read what freebsd-update has fetched", Remedy: "run it as root", Err: err}
}

// readable says what is wrong with what freebsd-update has made ready: another release is half installed.
func readable(m *machine.Machine) error {
	staged, err := readManifest(m, ready)
	if err != nil || staged == nil {
		return err
	}
	if staged.begun {
		return &fleet.Unknown{Because: "an installation of the base system is half done", Remedy: "redflag repair; after a new kernel, reboot first"}
	}
	return nil
}

// Manifests of freebsd-update: what is ready to be installed, and what can be taken back.
const (
	ready    = "install"
	takeBack = "rollback"
)

// manifest is a list of files that are to change.
type manifest struct {
	// from and to are the versions before and after; empty where /bin/freebsd-version does not change.
	from, to version
	files    int
	// kernel: files of the kernel or its modules change, or what starts them.
	kernel bool
	// begun: its installation has begun. kernelFirst: it goes on after a reboot.
	begun, kernelFirst bool
}

// maxIndex bounds a list: that of an upgrade to another release has 30,000 lines of 150 bytes.
const maxIndex = 64 << 20

// readManifest gives the manifest of a kind; nil where there is none. Its place is named by a hash of the folder that is updated (freebsd-update's BDHASH).
func readManifest(m *machine.Machine, kind string) (*manifest, error) {
	hash := sha256.Sum256([]byte("/\n"))
	dir := path.Join(workDir(m), hex.EncodeToString(hash[:])+"-"+kind)
	after, err := m.ReadFile(path.Join(dir, "INDEX-NEW"), maxIndex)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, notPermitted(err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	before, err := m.ReadFile(path.Join(dir, "INDEX-OLD"), maxIndex)
	if err != nil {
		return nil, fmt.Errorf("read what freebsd-update would change: %w", err)
	}
	found := &manifest{begun: has(m, dir, "kerneldone"), kernelFirst: has(m, dir, "kernelfirst")}
	old, next := parseIndex(before), parseIndex(after)
	found.files, found.kernel = max(old.files, next.files), old.kernel || next.kernel
	if found.from, err = versionOf(m, old.versionHash); err == nil {
		found.to, err = versionOf(m, next.versionHash)
	}
	return found, err
}

func has(m *machine.Machine, dir, name string) bool {
	_, err := m.Stat(path.Join(dir, name))
	return err == nil
}

// index is what a list says: lines of path|type|owner|group|mode|flags|hash|link.
type index struct {
	files       int
	kernel      bool
	versionHash string
}

var contentHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

func parseIndex(data []byte) index {
	var x index
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "|")
		if len(f) < 7 || !path.IsAbs(f[0]) {
			continue
		}
		x.files++
		x.kernel = x.kernel || strings.HasPrefix(f[0], "/boot/")
		if f[0] == "/bin/freebsd-version" && f[1] == "f" && contentHash.MatchString(f[6]) {
			x.versionHash = f[6]
		}
	}
	return x
}

// maxScript bounds freebsd-version, which has 4 kB.
const maxScript = 1 << 20

// userlandVersion is a line of the script /bin/freebsd-version.
var userlandVersion = regexp.MustCompile(`(?m)^USERLAND_VERSION="([^"\n]{1,64})"$`)

// versionOf gives the version that a /bin/freebsd-version says of itself, which freebsd-update keeps packed under its hash.
func versionOf(m *machine.Machine, hash string) (version, error) {
	if hash == "" {
		return version{}, nil
	}
	packed, err := m.ReadFile(path.Join(workDir(m), "files", hash+".gz"), maxScript)
	if err != nil {
		return version{}, fmt.Errorf("read what freebsd-update has fetched: %w", err)
	}
	return parseScript(packed)
}

func parseScript(packed []byte) (version, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return version{}, fmt.Errorf("unpack freebsd-version: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxScript))
	if err != nil {
		return version{}, fmt.Errorf("unpack freebsd-version: %w", err)
	}
	found := userlandVersion.FindSubmatch(text)
	if found == nil {
		return version{}, errors.New("freebsd-version does not say of which version it is")
	}
	return parseVersion(string(found[1]))
}
