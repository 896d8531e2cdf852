package docker

import (
	"net/netip"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

func subnet(s string) *network.IPAM {
	return &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix(s)}}}
}

// networked makes a container with a fixed address and a name in one network, and a name in another.
func (w *workshop) networked(name, ref string) {
	w.Helper()
	r, err := w.api.ContainerCreate(w.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: ref}, HostConfig: &container.HostConfig{NetworkMode: "front"},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			"front": {Aliases: []string{"www"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.230.7.77")}},
		}},
	})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.api.NetworkConnect(w.Context(), "back", client.NetworkConnectOptions{Container: r.ID, EndpointConfig: &network.EndpointSettings{Aliases: []string{"api"}}}); err != nil {
		w.Fatal(err)
	}
	if _, err := w.api.ContainerStart(w.Context(), r.ID, client.ContainerStartOptions{}); err != nil {
		w.Fatal(err)
	}
}
