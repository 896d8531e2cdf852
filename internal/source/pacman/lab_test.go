package pacman

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/source/rpm/rpmtest"
)

// lab is a root with real pacman in it.
type lab struct{ *rpmtest.Lab }

// ordinary are the toys that a machine has installed. Those of the second list came because others need them.
var ordinary, needed = "toy-app toy-conf toy-ignored linux toy-foreign toy-grouped openssh", "toy-lib toy-old"

// newLab gives a lab with toys installed, of which newer ones are on offer, and nothing is known of that yet.
func newLab(t testing.TB, more ...string) lab {
	t.Helper()
	l := lab{rpmtest.At(t, parts.Pacman(t))}
	l.install("--asdeps", needed)
	l.install("--asexplicit", ordinary+" "+strings.Join(more, " "))
	return l
}

func (l lab) install(how, names string) {
	l.Helper()
	var files []string
	for _, name := range strings.Fields(names) {
		files = append(files, "/srv/toys/old/"+name+"-[0-9]*.pkg.tar.gz")
	}
	l.Sh("cat /srv/toys/old/* >/dev/null && cd /var/cache/pacman/pkg && for f in " + strings.Join(files, " ") + "; do cat \"$f\" >\"${f##*/}\"; done")
	l.Sh("pacman -U --noconfirm --nodeps " + how + " " + strings.Join(files, " "))
}

// offer changes the repository that is on offer.
func (l lab) offer(repos ...string) {
	l.Helper()
	text := "[options]\nArchitecture = x86_64\nSigLevel = Never\nIgnorePkg = toy-ignored\n"
	for _, r := range repos {
		name, dir := r, r
		if r == "toys" {
			dir = "new"
		}
		text += "[" + name + "]\nServer = file:///srv/toys/" + dir + "\n"
	}
	l.Write("/etc/pacman.conf", text)
}

// also adds a line to the options of pacman's configuration.
func (l lab) also(line string) {
	l.Helper()
	l.Write("/etc/pacman.conf", strings.Replace(l.Sh("cat /etc/pacman.conf"), "[options]\n", "[options]\n"+line+"\n", 1))
}

func (l lab) refresh() {
	l.Helper()
	if err := (Source{}).Refresh(context.Background(), l.Machine()); err != nil {
		because, remedy := fleet.Explain(err)
		l.Fatalf("%s (%s)", because, remedy)
	}
}

// installed gives what pacman says is installed, in one line.
func (l lab) installed() string {
	l.Helper()
	return strings.Join(strings.Split(strings.TrimSpace(l.Sh("pacman -Q")), "\n"), ", ")
}

// synced gives the sums of pacman's own databases.
func (l lab) synced() string {
	l.Helper()
	out, err := exec.CommandContext(context.Background(), "sh", "-c", "cd \"$1\" && sha256sum * 2>/dev/null || true", "sh", l.Path("/var/lib/pacman/sync")).Output()
	if err != nil {
		l.Fatal(err)
	}
	return string(out)
}

func quick() Source { return Source{LockWait: time.Nanosecond} }

// everything is what the ordinary toys become, as a plan.
const everything = "remove toy-old.x86_64 1.0-1, install toy-brought.x86_64 0.5-1, install toy-replacement.x86_64 3.0-1, " +
	"upgrade linux.x86_64 6.10.1.arch1-1 → 6.11.2.arch1-1, upgrade toy-app.x86_64 1:2.0-3 → 1:2.1-1, upgrade toy-conf.x86_64 1.0-1 → 2.0-1, " +
	"upgrade toy-grouped.x86_64 1.0-1 → 1.1-1, upgrade toy-lib.x86_64 1.0-1 → 1.1-1"

// before and afterwards are the ordinary toys as pacman lists them.
const (
	before = "linux 6.10.1.arch1-1, openssh 1.0-1, toy-app 1:2.0-3, toy-conf 1.0-1, toy-foreign 1.0-1, toy-grouped 1.0-1, toy-ignored 1.0-1, " +
		"toy-lib 1.0-1, toy-old 1.0-1"
	afterwards = "linux 6.11.2.arch1-1, openssh 1.0-1, toy-app 1:2.1-1, toy-brought 0.5-1, toy-conf 2.0-1, toy-foreign 1.0-1, toy-grouped 1.1-1, " +
		"toy-ignored 1.0-1, toy-lib 1.1-1, toy-replacement 3.0-1"
)
