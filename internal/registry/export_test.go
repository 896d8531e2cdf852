package registry

import (
	"testing"

	"redflag/internal/fleet"
)

// Lab is a registry inside the test's process, for tests from outside the package.
type Lab = lab

// NewLab starts one.
func NewLab(t testing.TB) *Lab { return newLab(t) }

// PushNew puts a new image at name:tag and gives its digest.
func (l *lab) PushNew(t testing.TB, at string) fleet.Digest {
	return l.push(t, at, image(t, amd64, nil))
}

// Asked is how many requests the lab has had.
func (l *lab) Asked() int { return l.count("", "") }

// AtHub lets what a client asks of Docker Hub be answered by a lab.
func AtHub(t testing.TB, c *Client, l *Lab) { atHub(t, c, l) }

// DockerLogin gives a folder with credentials for Docker Hub.
func DockerLogin(t testing.TB) string { return dockerLogin(t, auths(hubKey, "anna", "secret")) }
