package docker

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"redflag/internal/fleet"
)

const (
	idA     = "sha256:1e3dba6e9ba93c5bb68f8a5528341d872649c965a02c6f7263d47d1671c868de"
	idB     = "sha256:403121e4a2b078770b38f95cac8232a1cb4b96e5619b8e677803ab4f739a045a"
	digestA = "sha256:54db8e208a43397d8a2214fe07faa785b289510653f4e08e1d1c4ee88b172b6b"
)

// summary is one container of a list.
func summary(name, asked, id string, labels ...string) container.Summary {
	c := container.Summary{ID: strings.Repeat("c", 64), Names: []string{"/" + name}, Image: asked, ImageID: id, Labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		c.Labels[labels[i]] = labels[i+1]
	}
	return c
}

// shown is what a subject says of itself before any registry is asked.
func shown(s *subject) string {
	ask := "settled"
	if s.settled != nil {
		ask = string(s.settled.answer) + ": " + sentence(s.settled.because)
	} else if s.ref != nil {
		ask = "ask " + s.ref.String()
	}
	return s.name + " | " + ask
}

func TestWhatIsAskedAboutAContainerFollowsFromItsReference(t *testing.T) {
	pulled := image.Summary{ID: idA, RepoTags: []string{"nginx:1.25"}, RepoDigests: []string{"nginx@" + digestA}}
	for _, c := range []struct {
		name      string
		container container.Summary
		images    []image.Summary
		podman    bool
		want      string
	}{
		{name: "a short name", container: summary("c", "nginx:1.25", idA), images: []image.Summary{pulled}, want: "nginx:1.25 | ask docker.io/library/nginx:1.25"},
		{name: "Podman's full name", container: summary("c", "docker.io/library/nginx:1.25", idA), images: []image.Summary{pulled}, podman: true, want: "nginx:1.25 | ask docker.io/library/nginx:1.25"},
		{name: "no tag", container: summary("c", "ghcr.io/o/app", idA), images: []image.Summary{pulled}, want: "ghcr.io/o/app:latest | ask ghcr.io/o/app:latest"},
		{name: "a port", container: summary("c", "host:5000/app", idA), images: []image.Summary{pulled}, want: "host:5000/app:latest | ask host:5000/app:latest"},
		{name: "a digest", container: summary("c", "nginx@"+digestA, idA), images: []image.Summary{pulled}, want: "nginx@" + digestA + " | pinned: "},
		{name: "a tag and a digest", container: summary("c", "nginx:1.25@"+digestA, idA), images: []image.Summary{pulled}, want: "nginx:1.25@" + digestA + " | pinned: "},
		{
			name:      "a swarm task is compared by its service's tag",
			container: summary("c", "nginx:1.25@"+digestA, idA, labelSwarmTask, "x", labelSwarmService, "web"), images: []image.Summary{pulled},
			want: "nginx:1.25 | ask docker.io/library/nginx:1.25",
		},
		{
			name: "a swarm task without a tag", container: summary("c", "nginx@"+digestA, idA, labelSwarmTask, "x", labelSwarmService, "web"), images: []image.Summary{pulled},
			want: "nginx@" + digestA + " | pinned: task of the swarm service web: update the service",
		},
		{name: "an ID that has a tag", container: summary("c", idA, idA), images: []image.Summary{pulled}, want: "nginx:1.25 | ask docker.io/library/nginx:1.25"},
		{name: "the beginning of an ID", container: summary("c", "1e3dba6e9ba9", idA), images: []image.Summary{pulled}, want: "nginx:1.25 | ask docker.io/library/nginx:1.25"},
		{
			name: "a name that looks like an ID", container: summary("c", "1e3d", idA), images: []image.Summary{{ID: idA, RepoTags: []string{"1e3d:latest"}, RepoDigests: []string{"1e3d@" + digestA}}},
			want: "1e3d:latest | ask docker.io/library/1e3d:latest",
		},
		{
			name: "an ID without a tag", container: summary("c", idA, idA), images: []image.Summary{{ID: idA, RepoTags: []string{"<none>:<none>"}, RepoDigests: []string{"nginx@" + digestA}}},
			want: idA + " | unknown: runs by image ID, and the image has no tag here to compare with",
		},
		{
			name: "an ID whose tag Compose knows", container: summary("c", idA, idA, labelComposeImage, idB), images: []image.Summary{{ID: idA}, {ID: idB, RepoTags: []string{"web:1"}, RepoDigests: []string{"web@" + digestA}}},
			want: "web:1 | ask docker.io/library/web:1",
		},
		{
			name: "an ID that has a tag of this host's own beside the registry's", container: summary("c", idA, idA),
			images: []image.Summary{{ID: idA, RepoTags: []string{"app:dev", "ghcr.io/o/app:1"}, RepoDigests: []string{"ghcr.io/o/app@" + digestA}}},
			want:   "ghcr.io/o/app:1 | ask ghcr.io/o/app:1",
		},
		{
			name: "a pod's ID", container: summary("k8s_app_pod_ns_uid_0", idA, idA), images: []image.Summary{{ID: idA}},
			want: idA + " | pinned: container of the Kubernetes pod ns/pod: update its workload",
		},
		{name: "built here", container: summary("c", "app:1", idA), images: []image.Summary{{ID: idA, RepoTags: []string{"app:1"}}}, want: "app:1 | local: built or imported here"},
		{name: "this host's own", container: summary("c", "localhost/app:1", idA), images: []image.Summary{{ID: idA, RepoTags: []string{"localhost/app:1"}, RepoDigests: []string{"localhost/app@" + digestA}}}, podman: true, want: "localhost/app:1 | local: built or imported here"},
		{
			name: "an image that has lost all its names", container: summary("c", "app:1", idA), images: []image.Summary{{ID: idA, RepoTags: []string{"<none>:<none>"}, RepoDigests: []string{"<none>@<none>"}}},
			want: "app:1 | unknown: the image has lost its names here, so that nothing says where it came from",
		},
		{name: "no image at all", container: summary("c", "", ""), want: "<none> | local: runs from a folder, not from an image"},
		{name: "capitals", container: summary("c", "UPPER/Case", idA), images: []image.Summary{pulled}, want: "UPPER/Case | unknown: its reference cannot be read: invalid reference format"},
		{name: "no reference", container: summary("c", "a b\x1b[2J::", idA), images: []image.Summary{pulled}, want: "a b\ufffd[2J:: | unknown: its reference cannot be read: invalid reference format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := takeInventory([]container.Summary{c.container}, c.images, c.podman)
			if got := shown(group(&engine{brand: dockerBrand}, inv)[0]); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestContainersOfOneReferenceWithTwoImagesAreTwoSubjects(t *testing.T) {
	containers := []container.Summary{
		summary("new-2", "web:1", idB), summary("old", "web:1", idA), summary("new-1", "web:1", idB),
	}
	containers[0].Names = []string{"/old/alias", "/new-2"} // a link of another container comes first
	inv := takeInventory(containers, []image.Summary{
		{ID: idA, RepoDigests: []string{"web@" + digestA}},
		{ID: idB, RepoTags: []string{"web:1"}, RepoDigests: []string{"web@" + digestA}},
	}, false)
	list := group(&engine{brand: dockerBrand}, inv)
	if len(list) != 2 {
		t.Fatalf("%d subjects", len(list))
	}
	if got := strings.Join(list[0].containers, " "); got != "new-1 new-2" || list[0].here != nil {
		t.Errorf("the first: %s, here %v", got, list[0].here)
	}
	if got := strings.Join(list[1].containers, " "); got != "old" || list[1].here == nil || list[1].here.id != idB {
		t.Errorf("the second: %s, here %v", got, list[1].here)
	}
}

func FuzzInventory(f *testing.F) {
	f.Add("nginx:1.25", idA, "nginx:1.25", "nginx@"+digestA, "web", "c", false)
	f.Add(idA, idA, "<none>:<none>", "<none>@<none>", "", "k8s_app_pod_ns_uid_0", false)
	f.Add("1e3dba6e9ba9", idA, "127.0.0.1:5601/t/app:1", "127.0.0.1:5601/t/app@"+digestA, "", "/a/b", false)
	f.Add("docker.io/library/hello:1", idA, "docker.io/library/hello:1", "", "", "running", true)
	f.Add(strings.Repeat("\xe0", 3000), "0", "\x14", "i", "service", "c", true)
	f.Add("a", "0", "b", "", "O"+strings.Repeat("\xa4", 3000), "c", true)
	f.Add("a b\x1b[2J", "\x00", ":", "@", "\u202e", "\x1b", true)
	f.Fuzz(func(t *testing.T, asked, id, tag, digest, service, name string, podman bool) {
		c := summary(name, asked, id)
		if service != "" {
			c.Labels[labelSwarmService], c.Labels[labelComposeImage] = service, service
		}
		inv := takeInventory([]container.Summary{c}, []image.Summary{{ID: id, RepoTags: []string{tag}, RepoDigests: []string{digest}}}, podman)
		for _, id := range inv.unlisted() {
			inv.images[id] = &stored{id: id}
		}
		for _, s := range group(&engine{brand: dockerBrand}, inv) {
			if (s.ref == nil) && s.settled == nil {
				t.Errorf("%q: neither asked nor answered", asked)
			}
			v := verdict{}
			if s.settled != nil {
				v = *s.settled
			}
			s.finish(&v)
			for _, text := range append([]string{s.name, s.owner, v.because, v.remedy}, s.containers...) {
				if fleet.Plain(text) != text {
					t.Errorf("%q is not plain", text)
				}
			}
		}
	})
}
