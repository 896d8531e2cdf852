package docker

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"redflag/internal/parts"
)

const anonymousVolume = "062c79e505fa17680a05b2c5076c920d365f53e33fee5a201b2d1626d24da705"

// podmansGrammar is that of the Podman that is here.
func podmansGrammar(t testing.TB) grammar {
	t.Helper()
	parts.Need(t, "podman")
	help, err := exec.CommandContext(t.Context(), "podman", "--url=unix:///nowhere", "run", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	g, err := readGrammar(string(help))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestACommandOfPodmansIsTakenApart(t *testing.T) {
	g := podmansGrammar(t)
	made := seen{native: native{pod: "p0d"}, InspectResponse: container.InspectResponse{
		Config: &container.Config{Env: []string{"FROM_SHELL=it"}}, HostConfig: &container.HostConfig{},
		Mounts: []container.MountPoint{
			{Name: anonymousVolume, Destination: "/data", RW: true}, {Name: anonymousVolume[:63] + "a", Destination: "/fixed"},
			{Source: "/home/me/conf", Destination: "/conf"}, {Name: anonymousVolume[:63] + "b", Destination: "/mounted", RW: true},
		},
	}}
	for line, want := range map[string]string{
		"podman run nginx":                                                                  "--pod=p0d | nginx |",
		"podman run -d --name web nginx -d --name x":                                        "--pod=p0d | nginx | -d --name x",
		"/usr/bin/podman --root /x create -it nginx":                                        "--interactive --tty --pod=p0d | nginx |",
		"podman container run -ditp80:80 -p 81:81 nginx x":                                  "--interactive --tty --publish=80:80 --publish=81:81 --pod=p0d | nginx | x",
		"podman run --replace --rm --pull always --pod new:p --net host --init=false nginx": "--rm --network=host --init=false --pod=p0d | nginx |",
		"podman run -e A=b -e FROM_SHELL -e UNSET --env=C=d nginx":                          "--env=A=b --env=FROM_SHELL=it --env=C=d --pod=p0d | nginx |",
		"podman run -v ./conf:/conf:ro -v named:/n -v /data nginx":                          "--volume=/home/me/conf:/conf:ro --volume=named:/n --pod=p0d | nginx |",
		"podman run --mount type=volume,dst=/mounted -- nginx":                              "--mount=type=volume,dst=/mounted,source=" + anonymousVolume[:63] + "b --pod=p0d | nginx |",
	} {
		r, err := readReplay(strings.Fields(line), g)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		words, err := r.again(made)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		// Volumes without a name come with every command, by the names that they have here.
		words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "--volume="+anonymousVolume[:60]) })
		if got := strings.TrimSpace(strings.Join(words, " ") + " | " + r.image + " | " + strings.Join(r.command, " ")); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
	r, err := readReplay(strings.Fields("podman run -v /data nginx"), g)
	if err != nil {
		t.Fatal(err)
	}
	words, err := r.again(made)
	if diff := cmp.Diff([]string{"--volume=" + anonymousVolume + ":/data", "--volume=" + anonymousVolume[:63] + "a:/fixed:ro", "--volume=" + anonymousVolume[:63] + "b:/mounted", "--pod=p0d"}, words); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestACommandThatCannotBeGivenAgainIsLeft(t *testing.T) {
	g := podmansGrammar(t)
	for line, want := range map[string]string{
		"":                                    "no `podman run`",
		"podman system service":               "no `podman run`",
		"run nginx":                           "no `podman run`",
		"podman run":                          "names no image",
		"podman run -d --name":                "ends with the option --name",
		"podman run --no-such-option nginx":   "--no-such-option",
		"podman run -dZ nginx":                "-Z",
		"podman run --cidfile /run/web nginx": "--cidfile",
		"podman run --userns auto:size=9 x":   "--userns=auto",
		"podman run --rootfs /srv/root":       "from a folder",
	} {
		r, err := readReplay(strings.Fields(line), g)
		if err == nil {
			_, err = r.again(seen{InspectResponse: container.InspectResponse{Config: &container.Config{}}})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := readGrammar("Usage: something else\n  -v, --verbose   Say more\n"); err == nil {
		t.Error("another help is understood")
	}
}

func TestWhoLivesInAContainerIsMadeToLiveInItsSuccessor(t *testing.T) {
	fresh := strings.Repeat("f", 64)
	renamed := map[string]string{oldID: fresh}
	got := followWords([]string{"--network=container:" + oldID, "--pid=container:" + oldID[:12], "--volumes-from=" + oldID + ":ro", "--network=container:other", "--label=container:" + oldID[:5]}, renamed)
	want := []string{"--network=container:" + fresh, "--pid=container:" + fresh, "--volumes-from=" + fresh + ":ro", "--network=container:other", "--label=container:" + oldID[:5]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadReplay(f *testing.F) {
	g := grammar{map[string]bool{"name": true, "volume": true, "detach": false, "env": true, "mount": true}, map[byte]string{'v': "volume", 'd': "detach", 'e': "env"}}
	for _, s := range []string{"podman\x00run\x00nginx", "podman\x00run\x00-dv/x:/y\x00--name=a\x00nginx\x00x", "podman\x00create\x00--\x00nginx", "podman\x00run\x00-e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, "\x00")
		r, err := readReplay(words, g)
		if err != nil {
			return
		}
		if !slices.Contains(words, r.image) || !strings.HasSuffix(line, strings.Join(append([]string{r.image}, r.command...), "\x00")) {
			t.Errorf("%q: the image is %q, and the command %q", words, r.image, r.command)
		}
		_, _ = r.again(seen{InspectResponse: container.InspectResponse{Config: &container.Config{}}})
	})
}

func FuzzReadGrammar(f *testing.F) {
	f.Add("  -v, --volume stringArray   Bind mount\n      --name string   Assign\n  -d, --detach   Run\n")
	f.Fuzz(func(t *testing.T, help string) {
		if g, err := readGrammar(help); err == nil && g.short['v'] != "volume" {
			t.Errorf("%q", help)
		}
	})
}
