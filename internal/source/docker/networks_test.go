package docker

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

// ownNetwork makes a network that is gone after the test.
func (w *workshop) ownNetwork(name, addresses string) {
	w.Helper()
	r, err := w.api.NetworkCreate(w.Context(), name, client.NetworkCreateOptions{Driver: "bridge", IPAM: subnet(addresses)})
	if err != nil {
		w.Fatalf("no network of one's own here: %v", err)
	}
	w.Cleanup(func() {
		w.empty() // what is in it keeps it
		_, _ = w.api.NetworkRemove(context.Background(), r.ID, client.NetworkRemoveOptions{})
	})
}

func subnet(s string) *network.IPAM {
	return &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix(s)}}}
}

// networked makes a container with a fixed address and a name in one network, and a name in another.
func (w *workshop) networked(name, ref, fixed string) {
	w.Helper()
	r, err := w.api.ContainerCreate(w.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: ref, ExposedPorts: network.PortSet{network.MustParsePort("84/tcp"): {}}}, HostConfig: &container.HostConfig{
			NetworkMode: "front", PublishAllPorts: true,
			PortBindings: network.PortMap{
				network.MustParsePort("80/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: fixed}}, network.MustParsePort("81/udp"): {{HostIP: netip.MustParseAddr("127.0.0.1")}},
				network.MustParsePort("82/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "41000-41999"}}, network.MustParsePort("83/tcp"): {},
			},
		},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			"front": {Aliases: []string{"www"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.230.7.77")}},
		}},
	})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.api.NetworkConnect(w.Context(), "back", client.NetworkConnectOptions{Container: r.ID, EndpointConfig: &network.EndpointSettings{Aliases: []string{"api"}, Links: []string{"neighbour:n"}, DriverOpts: map[string]string{"com.example.option": "1"}}}); err != nil {
		w.Fatal(err)
	}
	if _, err := w.api.ContainerStart(w.Context(), r.ID, client.ContainerStartOptions{}); err != nil {
		w.Fatal(err)
	}
}

func TestNetworksOfAPersonsOwnAreKept(t *testing.T) {
	w := newWorkshop(t)
	w.ownNetwork("front", "10.230.7.0/24")
	w.ownNetwork("back", "10.231.7.0/24")
	w.pushed("net:1", recipe{content: "1", program: idleProgram(t)})
	w.make("neighbour", container.Config{Image: w.ref("net:1"), Labels: map[string]string{labelUpdate: "off"}}, container.HostConfig{NetworkMode: "back"}, true)
	w.networked("net", w.ref("net:1"), freePort(t))
	w.push("net:1", recipe{content: "2", program: idleProgram(t)})
	before := w.inspect("net")
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	if !o.Succeeded() {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	after := w.inspect("net")
	for _, name := range []string{"front", "back"} {
		a, b := before.NetworkSettings.Networks[name], after.NetworkSettings.Networks[name]
		if b == nil {
			t.Errorf("%s is lost", name)
			continue
		}
		own := func(list []string, id string) []string {
			return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.HasPrefix(id, s) })
		}
		if diff := cmp.Diff(own(a.Aliases, before.ID), own(b.Aliases, after.ID)); diff != "" {
			t.Errorf("%s: aliases %s", name, diff)
		}
		if diff := cmp.Diff(jsonOf(t, []any{a.Links, a.DriverOpts}), jsonOf(t, []any{b.Links, b.DriverOpts})); diff != "" {
			t.Errorf("%s: links and options %s", name, diff)
		}
		if name == "front" && (b.IPAMConfig == nil || b.IPAMConfig.IPv4Address != a.IPAMConfig.IPv4Address || b.IPAddress != a.IPAddress) {
			t.Errorf("the address: %+v, was %+v", b, a)
		}
	}
	if diff := cmp.Diff(jsonOf(t, before.HostConfig), jsonOf(t, after.HostConfig)); diff != "" {
		t.Errorf("- before, + after:\n%s", diff)
	}
	if after.Config.Hostname == before.Config.Hostname {
		t.Errorf("the name that the engine gave sticks: %s", after.Config.Hostname)
	}
	w.empty()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// told makes a container by the engine's own words, which a client of newer versions does not have.
func (w *workshop) told(name, text string) string {
	w.Helper()
	e, err := connect(w.Context(), w.source, w.source.host)
	if err != nil {
		w.Fatal(err)
	}
	defer e.close()
	var made struct{ ID string }
	if err := e.post(w.Context(), "/containers/create?name="+name, []byte(text), &made); err != nil {
		w.Fatal(err)
	}
	return made.ID
}

func TestOnlyAHardwareAddressThatWasAskedForIsKept(t *testing.T) {
	w := newWorkshop(t)
	w.ownNetwork("lan", "10.232.7.0/24")
	w.pushed("mac:1", recipe{content: "1", program: idleProgram(t)})
	w.told("asked", `{"Image": "`+w.ref("mac:1")+`", "MacAddress": "02:42:ac:11:00:99", "HostConfig": {"NetworkMode": "lan"}}`)
	w.told("given", `{"Image": "`+w.ref("mac:1")+`", "HostConfig": {"NetworkMode": "lan"}}`)
	w.start("asked")
	w.start("given")
	w.push("mac:1", recipe{content: "2", program: idleProgram(t)})
	if o, k := w.carryOut(w.plan(fleet.Selection{All: true})); !o.Succeeded() {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	e, err := connect(t.Context(), w.source, w.source.host)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	for name, want := range map[string]string{"asked": "02:42:ac:11:00:99", "given": ""} {
		raw, err := e.get(t.Context(), "/containers/"+name+"/json")
		var c struct {
			Config          struct{ MacAddress string }
			NetworkSettings struct {
				Networks map[string]struct{ MacAddress string }
			}
		}
		if err := errors.Join(err, json.Unmarshal(raw, &c)); err != nil || c.Config.MacAddress != want || want != "" && c.NetworkSettings.Networks["lan"].MacAddress != want {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	w.empty()
}
