package apt

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/source"
)

// bench is a lab with packages to install: an archive on its own disk, whose versions change as the test says.
type bench struct {
	*lab
	jobs int
}

// toys are the packages of the archive, at a version.
func toys(version string, more ...string) []string {
	return append([]string{
		control("toy-one", version), control("toy-two", version, "Depends: toy-lib (>= "+version+")"), control("toy-lib", version), control("toy-new", version, "Depends: toy-brought"), control("toy-brought", version),
	}, more...)
}

// newBench gives a lab in which version 1 of the toys is installed and version 2 on offer.
func newBench(t *testing.T, more ...string) *bench {
	t.Helper()
	return newBenchOf(t, "bookworm", more...)
}

// newBenchOf is newBench on another suite.
func newBenchOf(t *testing.T, suite string, more ...string) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("long: it installs packages in a root of its own")
	}
	l := &lab{TB: t, root: parts.Debian(t, suite)}
	l.sh("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; mkdir -p /var/lib/redflag/jobs")
	l.bringHook()
	b := &bench{lab: l}
	b.repo("toys", "", "Origin: Toys\nLabel: Toys\nCodename: toys\n", toys("1")...)
	b.sh("apt-get install -yq toy-one toy-two && apt-mark showauto | grep toy-lib")
	b.offer(toys("2", more...)...)
	return b
}

// offer makes the archive anew with these packages.
func (b *bench) offer(packages ...string) {
	b.Helper()
	b.sh("rm -rf /srv/toys")
	b.repo("toys", "", "Origin: Toys\nLabel: Toys\nCodename: toys\n", packages...)
}

// deb is a package with files in it, those of its control archive in DEBIAN.
type deb struct {
	name, version string
	arch          string // all where it is empty
	more          []string
	files         map[string]string
}

// build makes the package, and gives its file in the lab.
func (b *bench) build(d deb) string {
	b.Helper()
	dir := fmt.Sprintf("/srv/build/%s_%s_%s", d.name, d.version, d.arch)
	text := control(d.name, d.version, append(d.more, "Maintainer: nobody <nobody@example.org>")...) + "\n"
	if d.arch != "" {
		text = strings.Replace(text, "Architecture: all", "Architecture: "+d.arch, 1)
	}
	b.write(dir+"/DEBIAN/control", text)
	for name, content := range d.files {
		b.write(path.Join(dir, name), content)
	}
	b.sh(fmt.Sprintf("for s in preinst postinst prerm postrm; do ! test -e %s/DEBIAN/$s || chmod 755 %s/DEBIAN/$s; done; dpkg-deb -Znone -b %s %s.deb", dir, dir, dir, dir))
	return dir + ".deb"
}

// install installs packages without apt.
func (b *bench) install(debs ...deb) {
	b.Helper()
	for _, d := range debs {
		b.sh("dpkg -i " + b.build(d))
	}
}

// add puts packages into the archive, beside those that are there.
func (b *bench) add(debs ...deb) {
	b.Helper()
	for _, d := range debs {
		b.sh("cp " + b.build(d) + " /srv/toys/")
	}
	b.sh(`cd /srv/toys && rm -f Packages && for d in *.deb; do
		dpkg-deb -f $d; echo "Filename: $d"; echo "Size: $(stat -c %s $d)"; echo "SHA256: $(sha256sum $d | cut -d' ' -f1)"; echo; done >Packages
		sed -i '/^Date:/d; /^SHA256:/,$d' Release; printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >>Release`)
	b.fetch("toys")
}

func (b *bench) source() Source {
	s := b.lab.source()
	s.LockWait = time.Second
	return s
}

// plan plans, and fails the test where that fails.
func (b *bench) plan(sel fleet.Selection) fleet.Plan {
	b.Helper()
	p, err := b.source().Plan(context.Background(), b.machine(), sel)
	if err != nil {
		because, remedy := fleet.Explain(err)
		b.Fatalf("no plan of %+v: %s (%s)", sel, because, remedy)
	}
	return p
}

// refused plans, and fails the test unless it is refused for a reason.
func (b *bench) refused(sel fleet.Selection, because string) {
	b.Helper()
	p, err := b.source().Plan(context.Background(), b.machine(), sel)
	if got, _ := fleet.Explain(err); err == nil || !strings.Contains(got, because) {
		b.Errorf("planned %v, %v; want a refusal because %q", p.Changes, err, because)
	}
}

func (b *bench) work() source.Work {
	b.Helper()
	b.jobs++
	dir := "/var/lib/redflag/jobs/" + string(rune('a'+b.jobs))
	if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
		b.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(b.root, dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	return source.Work{Dir: dir, Log: log}
}

func (b *bench) log(w source.Work) string {
	data, err := os.ReadFile(w.Log.Name())
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

// carryOut fetches and applies a plan.
func (b *bench) carryOut(p fleet.Plan, w source.Work) fleet.Outcome {
	b.Helper()
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		because, _ := fleet.Explain(err)
		b.Fatalf("fetch: %s\n%s", because, b.log(w))
	}
	o, err := b.source().Apply(context.Background(), b.machine(), p, w)
	if err != nil {
		b.Fatalf("apply: %v\n%s", err, b.log(w))
	}
	return o
}

// succeeds carries a plan out, and fails the test unless it is done.
func (b *bench) succeeds(p fleet.Plan) (fleet.Outcome, source.Work) {
	b.Helper()
	w := b.work()
	o := b.carryOut(p, w)
	if !o.Succeeded() {
		b.Fatalf("%+v\n%s", o, b.log(w))
	}
	return o, w
}

func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	return strings.Join(list, ", ")
}

func (b *bench) versions(names ...string) string {
	b.Helper()
	return strings.TrimSpace(string(b.sh("dpkg-query -W -f '${Package}=${Version}:${db:Status-Abbrev} ' " + strings.Join(names, " ") + " 2>/dev/null || true")))
}

func (b *bench) auto() string {
	return strings.Join(strings.Fields(string(b.sh("apt-mark showauto | grep ^toy || true"))), " ")
}
