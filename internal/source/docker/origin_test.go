package docker

import (
	"fmt"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

func TestPodmansImageIsKnownByAnyDigestThatItCameIn(t *testing.T) {
	l := newLedger(t)
	ref := l.host + "/t/app:latest"
	repo := strings.TrimSuffix(ref, ":latest")
	was := push(t, ref, recipe{content: "1"})
	push(t, ref, recipe{content: "2"})
	digests := make([]string, 0, 9)
	for i := range 8 { // indexes that the registry has cleaned up
		digests = append(digests, fmt.Sprintf("%q", repo+"@sha256:"+strings.Repeat(fmt.Sprint(i), 64)))
	}
	digests = append(digests, fmt.Sprintf("%q", repo+"@"+was))
	host := play(t, playing{version: "1.41", server: "Libpod/4.3.1 (linux)", answers: map[string]string{
		"/containers/json":         fmt.Sprintf(`[{"Id":"c0","Names":["/app"],"Image":%q,"ImageID":%q}]`, ref, idA),
		"/images/json":             fmt.Sprintf(`[{"Id":%q,"RepoTags":[%q],"RepoDigests":[%s]}]`, idA, ref, strings.Join(digests, ",")),
		"/images/" + idA + "/json": `{"Os":"linux","Architecture":"amd64"}`,
	}})
	f, err := scan(t, NewPodman(newClient(t), Options{Host: host, Getenv: noEnv}))
	wantAll(t, f, err, fleet.Outdated, 1)
}
