package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

func TestTheStepOfADatabaseIsKnownByItsVersions(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		major          bool
	}{
		{"postgres:latest", "16.4", "17.0", true}, {"postgres", "16.4", "16.9", false}, {"postgres", "9.5.1", "9.6.0", true}, {"mysql:lts", "8.0.39", "8.4.0", true},
		{"mariadb:lts", "10.11.2", "11.4.1", true}, {"mariadb", "10.11.2", "10.11.9", false}, {"quay.io/x/redis:7", "7.2.1", "8.0.0", true}, {"redis", "7.2.1", "7.4.0", false},
		{"mongo", "6.0.1", "7.0.1", true}, {"elasticsearch", "v7.17.1", "v8.1.0", true}, {"nginx", "1.2", "2.0", false}, {"postgres", "", "17.0", false}, {"postgres", "16.4", "", false}, {"postgres", "alpha", "17.0", false},
	} {
		from, to := majorStep(fleet.Update{Name: c.name, ImageUpdate: &fleet.ImageUpdate{FromVersion: c.from, ToVersion: c.to}})
		if (from != "") != c.major || (to != "") != c.major {
			t.Errorf("%s %s → %s: %q %q", c.name, c.from, c.to, from, to)
		}
	}
}

func TestWhatMayCostDataIsSaidBeforeTheApproval(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("postgres:latest", recipe{content: "1", program: idleProgram(t), volume: "/var/lib/postgresql/data", env: []string{"PG_VERSION=17.5-1.pgdg120+1"}})
	w.make("db", container.Config{Image: w.ref("postgres:latest")}, container.HostConfig{}, true)
	w.push("postgres:latest", recipe{content: "2", program: idleProgram(t), volume: "/var/lib/postgresql", env: []string{"PG_VERSION=18.0-1.pgdg13+1"}})
	p := w.plan(fleet.Selection{All: true})
	if len(p.Warnings) < 2 || !strings.HasPrefix(p.Warnings[0], "MAJOR VERSION: db goes from") || !strings.Contains(p.Warnings[0], "17.5-1.pgdg120+1 to 18.0-1.pgdg13+1") {
		t.Errorf("%q", p.Warnings)
	}
	if said := strings.Join(p.Warnings, "; "); !strings.Contains(said, "db: the newer image keeps its data elsewhere (/var/lib/postgresql, until now /var/lib/postgresql/data)") {
		t.Error(said)
	}
}

func TestANewerTagIsAPersonsChoice(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("choice:1.0.0", recipe{content: "1", program: idleProgram(t)})
	w.make("choice", container.Config{Image: w.ref("choice:1.0.0")}, container.HostConfig{}, false)
	w.push("choice:1.0.1", recipe{content: "2", program: idleProgram(t)})
	if p := w.plan(fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("%+v", p.Changes)
	}
	for name, want := range map[string]string{"choice": "has the newer tag 1.0.1", w.ref("choice:1.0.0"): "has the newer tag 1.0.1", "nobody": "no update of"} {
		if _, err := w.source.Plan(t.Context(), w.m, fleet.Selection{Names: []string{name}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p := w.plan(fleet.Selection{Security: true}); len(p.Changes) != 0 || len(p.Warnings) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestTheContainerThatWeRunInIsLeftAlone(t *testing.T) {
	for text, name := range map[string]string{
		"1 2 0:1 / / rw - overlay overlay rw\n3 2 8:1 /var/lib/docker/containers/" + oldID + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n": "mountinfo",
		"139 127 254:0 /containers/storage/overlay-containers/" + oldID + "/userdata/hostname /etc/hostname rw,relatime - tmpfs tmpfs rw\n":     "mountinfo", // Podman's
		"0::/system.slice/docker-" + oldID + ".scope\n":  "cgroup",
		"0::/machine.slice/libpod-" + oldID + ".scope\n": "cgroup",
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "proc/self", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m := &machine.Machine{Root: root}
		if got := ownContainer(m); got != oldID {
			t.Errorf("%s: %q", name, got)
		}
		why := (&engine{}).handsOff(m, container.InspectResponse{ID: oldID, Name: "/redflag", Config: &container.Config{}, HostConfig: &container.HostConfig{}}, true)
		if !strings.Contains(why, "RedFlag itself runs in it") {
			t.Errorf("%s: %s", name, why)
		}
	}
	if got := ownContainer(machine.Local()); got != "" {
		t.Logf("the tests run in %s", got)
	}
}
