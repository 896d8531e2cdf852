package flatpak

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// lab is a machine with the real flatpak, in a folder of its own: a remote without signatures, the system's installation, and one of the user nobody.
type lab struct {
	*testing.T
	root string
	m    *machine.Machine
}

// inside runs flatpak so that it takes a folder for the machine: the system's installation and homes are in it.
const inside = `root=$1
shift
export FLATPAK_SYSTEM_DIR="$root/var/lib/flatpak" HOME="$root/root" XDG_RUNTIME_DIR="$root/run" TMPDIR="$root/tmp" DBUS_SYSTEM_BUS_ADDRESS="unix:path=$root/bus"
for word; do
	shift
	case $word in HOME=*) word="HOME=$root${word#HOME=}" ;; esac
	set -- "$@" "$word"
done
exec "$@"
`

// publish puts a commit into the remote $1: an application or a runtime $2 with the ID $3, the branch $4 and the text $5, which needs the runtime $6. What $7
// says of the end of its life goes with it. It prints the commit.
const publish = `set -e
dir=$(mktemp -d)
mkdir -p "$dir/files/bin" "$dir/export"
runtime=$6
end=$7
echo "$5" >"$dir/files/bin/demo"
[ -e "$1" ] || ostree init --repo="$1" --mode=archive
case $2 in
app) printf '[Application]\nname=%s\nruntime=%s\nsdk=%s\ncommand=demo\n' "$3" "$runtime" "$runtime" >"$dir/metadata" ;;
extension) printf '[Runtime]\nname=%s\n' "$3" >"$dir/metadata" ;;
runtime) printf '[Runtime]\nname=%s\nruntime=%s/x86_64/%s\n\n[Extension %s.GL]\ndirectory=gl\nversion=%s\n' "$3" "$3" "$4" "$3" "$4" >"$dir/metadata" ;;
esac
kind=
[ "$2" = app ] || kind="--runtime --files=files"
flatpak build-export --disable-sandbox $kind $end --arch=x86_64 "$1" "$dir" "$4" | sed -n 's/^Commit: //p'
flatpak build-update-repo "$1" >/dev/null
rm -r "$dir"
`

const (
	app      = "org.demo.App"
	platform = "org.demo.Platform"
)

// newLab gives a machine that has one application and its runtime, in the system's installation.
func newLab(t *testing.T) *lab {
	t.Helper()
	parts.NeedRoot(t)
	for _, program := range []string{"flatpak", "ostree", "runuser"} {
		parts.Need(t, program)
	}
	l := &lab{T: t, root: t.TempDir()}
	if err := os.Chmod(filepath.Dir(l.root), 0o755); err != nil { // nobody must get in
		t.Fatal(err)
	}
	wrapper := filepath.Join(l.root, "inside.sh")
	for _, dir := range []string{"root", "tmp", "run", "var/lib/flatpak", "home/nobody"} {
		l.sh(`mkdir -p "$1"`, filepath.Join(l.root, dir))
	}
	l.sh(`chown nobody "$1"; chmod 1777 "$2"`, filepath.Join(l.root, "home/nobody"), filepath.Join(l.root, "tmp"))
	l.write("inside.sh", inside)
	l.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home/nobody:/usr/sbin/nologin\n")
	prefix := []string{"sh", wrapper, l.root}
	l.m = &machine.Machine{Root: l.root, Runner: within(prefix), Prefix: prefix, Now: time.Now}
	l.publish("runtime", platform, "1", "one", "", "")
	l.publish("app", app, "stable", "one", platform+"/x86_64/1", "")
	l.flatpak("remote-add", "--system", "--no-gpg-verify", "demo", "file://"+l.remote())
	l.flatpak("install", "--system", "-y", "--noninteractive", "demo", app)
	return l
}

// bus is a bus of the system that anybody may use: flatpak asks it whether a user may install, and takes it for a yes that nobody there knows.
const bus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>
`

// startBus starts it until the test ends.
func (l *lab) startBus() {
	l.Helper()
	parts.Need(l, "dbus-daemon")
	l.write("bus.conf", fmt.Sprintf(bus, filepath.Join(l.root, "bus")))
	cmd := exec.CommandContext(l.Context(), "dbus-daemon", "--nofork", "--print-address", "--config-file="+filepath.Join(l.root, "bus.conf"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = cmd.Wait() }) // it is killed with the test's context
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		l.Fatalf("the bus does not start: %q, %v", line, err)
	}
	l.sh(`chmod 777 "$1"`, filepath.Join(l.root, "bus"))
}

// within runs commands behind a prefix.
type within []string

// Run implements machine.Runner.
func (w within) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	words := append(append(append([]string{}, w[1:]...), c.Name), c.Args...)
	return machine.Exec{}.Run(ctx, machine.Command{Name: w[0], Args: words, Env: c.Env, Limit: c.Limit})
}

func (l *lab) remote() string { return filepath.Join(l.root, "srv/remote") }

func (l *lab) sh(script string, args ...string) string {
	l.Helper()
	cmd := exec.CommandContext(l.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Env = append(machine.Environment(), "XDG_RUNTIME_DIR=/nonexistent")
	out, err := cmd.Output()
	if err != nil {
		l.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(out))
}

func (l *lab) write(name, text string) {
	l.Helper()
	file := filepath.Join(l.root, name)
	l.sh(`mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"`, file, text)
}

// publish makes a commit on the remote, and gives it.
func (l *lab) publish(kind, id, branch, text, runtime, end string) string {
	l.Helper()
	l.sh(`mkdir -p "$(dirname "$1")"`, l.remote())
	commit := l.sh(publish, l.remote(), kind, id, branch, text, runtime, end)
	if !commitText.MatchString(commit) {
		l.Fatalf("no commit of %s: %q", id, commit)
	}
	return commit
}

// flatpak runs flatpak as a person would.
func (l *lab) flatpak(args ...string) {
	l.Helper()
	l.run("flatpak", args...)
}

func (l *lab) run(name string, args ...string) {
	l.Helper()
	r, err := l.m.Run(l.Context(), machine.Command{Name: name, Args: args})
	if err != nil || r.Code != 0 {
		l.Fatalf("%s %v: %v, %s%s", name, args, err, r.Stderr, r.Stdout)
	}
}

// deployed gives the commit of a ref as flatpak itself says it.
func (l *lab) deployed(option, name string) string {
	l.Helper()
	r, err := l.m.Run(l.Context(), machine.Command{Name: "flatpak", Args: []string{"info", option, "--show-commit", name}})
	if err != nil {
		l.Fatal(err)
	}
	return strings.TrimSpace(string(r.Stdout))
}

func (l *lab) scan() fleet.Finding {
	l.Helper()
	return source.Scan(l.Context(), l.m, []source.Source{Source{}}, source.Options{Refresh: true})[0]
}

func (l *lab) plan(sel fleet.Selection) fleet.Plan {
	l.Helper()
	p, err := Source{}.Plan(l.Context(), l.m, sel)
	if err != nil {
		because, _ := fleet.Explain(err)
		l.Fatal(because)
	}
	return p
}

func (l *lab) refused(sel fleet.Selection, because string) {
	l.Helper()
	p, err := Source{}.Plan(l.Context(), l.m, sel)
	if got, _ := fleet.Explain(err); err == nil || !strings.Contains(got, because) {
		l.Errorf("planned %v, refused because %q; want %q", p.Changes, got, because)
	}
}

func (l *lab) work() source.Work {
	l.Helper()
	dir := filepath.Join("/job", filepath.Base(l.TempDir()))
	l.write(filepath.Join(dir, source.LogFile), "")
	log, err := os.OpenFile(filepath.Join(l.root, dir, source.LogFile), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { log.Close() })
	return source.Work{Dir: dir, Log: log}
}

// install fetches and carries out, and gives what became of it.
func (l *lab) install(p fleet.Plan) fleet.Outcome {
	l.Helper()
	w := l.work()
	if err := (Source{}).Fetch(l.Context(), l.m, p, w); err != nil {
		because, _ := fleet.Explain(err)
		l.Fatal(because)
	}
	o, err := Source{}.Apply(l.Context(), l.m, p, w)
	if err != nil {
		l.Fatal(err)
	}
	return o
}

// back plans the way back.
func (l *lab) back(p fleet.Plan, o fleet.Outcome) fleet.Plan {
	l.Helper()
	sel, err := Source{}.Undo(l.m, p, o, source.Work{})
	if err != nil {
		l.Fatal(err)
	}
	return l.plan(sel)
}

// lines writes changes down in short.
func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, string(c.Action)+" "+c.Name)
	}
	return strings.Join(list, ", ")
}

// updates writes the updates of a finding down in short.
func updates(f fleet.Finding) string {
	var list []string
	for _, u := range f.Updates {
		text := u.Name
		if u.Blocked != "" {
			text += " (" + string(u.Blocked) + ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// deploy makes a commit the one that is installed.
func deploy(t *testing.T, s *sourcetest.Script, dir, commit string) {
	t.Helper()
	if err := os.Symlink(commit, filepath.Join(s.Root(), dir, "active")); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
