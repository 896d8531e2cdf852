package parts

import (
	"testing"

	"github.com/moby/moby/client"
)

func TestEnginesAnswer(t *testing.T) {
	for name, start := range map[string]func(testing.TB) Daemon{"dockerd": Engine, "podman": Podman} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			if _, err := d.Client.ContainerList(t.Context(), client.ContainerListOptions{All: true}); err != nil {
				t.Error(err)
			}
			if again := start(t); again.Host != d.Host {
				t.Errorf("a second engine at %s beside %s", again.Host, d.Host)
			}
		})
	}
}
