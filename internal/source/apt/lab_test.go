package apt

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
)

// TestMain makes this test's program what apt runs as its hook, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "apt-hook" {
		os.Exit(Hook(os.Args[2]))
	}
	os.Exit(m.Run())
}

// hookInRoot is where a lab has this test's program.
const hookInRoot = "/opt/it's redflag/redflag"

// lab is a root file system with real apt and dpkg in it.
type lab struct {
	testing.TB
	root string
	// user is who runs commands there; empty is root.
	user string
	// env is added to the environment of scans' commands, as a user's shell would have it.
	env []string
	// later is how far the clock goes ahead.
	later time.Duration
	// ran counts the programs that scans have run.
	ran map[string]int
}

// newLab makes a root of a Debian suite whose security archive is known and fetched: it has many updates.
func newLab(t testing.TB, suite string) *lab {
	t.Helper()
	l := &lab{TB: t, root: parts.Debian(t, suite)}
	archive, security := parts.DebianArchives(t)
	l.write("/etc/apt/sources.list", fmt.Sprintf("deb %s %s main\ndeb %s %s-updates main\n", archive, suite, archive, suite))
	l.write("/etc/apt/sources.list.d/security.sources", fmt.Sprintf("# a comment\nTypes: deb deb-src\nURIs: %s\nSuites: %s-security\nComponents: main\n", security, suite))
	l.sh("apt-get update -q -o Acquire::Languages=none -o APT::Update::Error-Mode=any")
	l.bringHook()
	return l
}

// bringHook puts this test's program where the lab's apt runs it as its hook.
func (l *lab) bringHook() {
	l.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		l.Fatal(err)
	}
	l.write(hookInRoot, string(self))
	l.sh("chmod 755 " + shellLine([]string{hookInRoot}))
}

// copy gives another lab like this one, to change.
func (l *lab) copy(t testing.TB) *lab {
	t.Helper()
	return &lab{TB: t, root: parts.Copy(t, l.root), ran: map[string]int{}}
}

func (l *lab) write(name, text string) {
	l.Helper()
	path := filepath.Join(l.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) remove(pattern string) {
	l.Helper()
	found, _ := filepath.Glob(filepath.Join(l.root, pattern))
	if len(found) == 0 {
		l.Fatalf("there is nothing like %s to take away", pattern)
	}
	for _, f := range found {
		if err := os.RemoveAll(f); err != nil {
			l.Fatal(err)
		}
	}
}

// sh runs a script as root in the lab, and gives its standard output.
func (l *lab) sh(script string) []byte {
	l.Helper()
	cmd := exec.CommandContext(context.Background(), "chroot", l.root, "sh", "-ec", script)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		l.Fatalf("%s: %v\n%s%s", script, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// Run implements machine.Runner: it runs the command in the root, as the lab's user.
func (l *lab) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	if l.ran != nil {
		l.ran[c.Name]++
	}
	args := []string{l.root, c.Name}
	if l.user != "" {
		args = append([]string{"--userspec=" + l.user}, args...)
	}
	env := append(append([]string{}, l.env...), machine.Environment()...)
	result, err := machine.Exec{}.Run(ctx, machine.Command{Name: "chroot", Args: append(args, c.Args...), Env: append(env, c.Env...), Limit: c.Limit})
	if err == nil && result.Code == 127 {
		err = fmt.Errorf("%s: %w", c.Name, machine.ErrNotInstalled)
	}
	return result, err
}

func (l *lab) machine() *machine.Machine {
	return &machine.Machine{Root: l.root, Runner: l, Prefix: []string{"chroot", l.root}, Now: func() time.Time { return time.Now().Add(l.later) }}
}

func (l *lab) source() Source { return Source{Hook: []string{hookInRoot, "apt-hook"}} }

func (l *lab) scan() (fleet.Finding, error) {
	return l.source().Scan(context.Background(), l.machine())
}

// agrees scans, fails the test unless the list is that of the root's own apt, and gives the finding.
func (l *lab) agrees() fleet.Finding {
	l.Helper()
	found, err := l.scan()
	if err != nil {
		because, remedy := fleet.Explain(err)
		l.Errorf("unknown because %s (%s)", because, remedy)
	}
	if diff := cmp.Diff(upgradable(l, l.sh("apt list --upgradable 2>/dev/null")), listed(found)); diff != "" {
		l.Errorf("- apt list, + ours:\n%s", diff)
	}
	return found
}

// unknown scans, and fails the test unless the finding is unknown for the reason and with the remedy that are given in part.
func (l *lab) unknown(because, remedy string) fleet.Finding {
	l.Helper()
	found, err := l.scan()
	b, r := fleet.Explain(err)
	if !strings.Contains(b, because) || !strings.Contains(r, remedy) {
		l.Errorf("unknown because %q, remedy %q; want %q, %q", b, r, because, remedy)
	}
	return found
}

// repo makes an archive on the lab's disk, fetches it and returns. Each package is its control fields; an empty release makes none.
func (l *lab) repo(name, options, release string, packages ...string) {
	l.Helper()
	dir := "/srv/" + name
	for i, control := range packages {
		l.write(fmt.Sprintf("%s/%d/DEBIAN/control", dir, i), control+"\nMaintainer: nobody <nobody@example.org>\n")
		l.sh(fmt.Sprintf("dpkg-deb -b %s/%d %s/%d.deb", dir, i, dir, i))
	}
	l.sh("cd " + dir + ` && for d in *.deb; do
		dpkg-deb -f $d; echo "Filename: $d"; echo "Size: $(stat -c %s $d)"; echo "SHA256: $(sha256sum $d | cut -d' ' -f1)"; echo; done >Packages`)
	if release != "" {
		l.write(dir+"/Release", release)
		l.sh("cd " + dir + ` && printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >>Release`)
	}
	l.write("/etc/apt/sources.list.d/"+name+".list", "deb [trusted=yes "+options+"] file:"+dir+" ./\n")
	l.fetch(name)
}

// fetch refreshes one file of sources.
func (l *lab) fetch(name string) {
	l.Helper()
	l.sh("apt-get update -q -o Acquire::Languages=none -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/" + name + ".list")
}

// install unpacks a package in the lab without apt.
func (l *lab) install(control string) {
	l.Helper()
	l.write("/srv/one/DEBIAN/control", control+"\nMaintainer: nobody <nobody@example.org>\n")
	l.sh("dpkg-deb -b /srv/one /srv/one.deb && dpkg -i /srv/one.deb && rm -r /srv/one /srv/one.deb")
}

func control(name, version string, more ...string) string {
	return strings.Join(append([]string{"Package: " + name, "Version: " + version, "Architecture: all", "Description: " + name + " for a test"}, more...), "\n")
}

// hold has another process hold a lock in the lab, as apt does, until it is released.
func hold(l *lab, lock string) (release func()) {
	l.Helper()
	cmd := exec.CommandContext(context.Background(), "chroot", l.root, "python3", "-c",
		"import fcntl,sys; f=open('"+lock+"','w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()")
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		l.Fatal(line, err)
	}
	return func() {
		stdin.Close()
		_ = cmd.Wait()
	}
}
