package machine

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// having makes an interface with addresses in CIDR notation.
func having(t testing.TB, name string, addresses ...string) Interface {
	t.Helper()
	var list []net.Addr
	for _, a := range addresses {
		ip, n, err := net.ParseCIDR(a)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	return Interface{Name: name, Addresses: func() ([]net.Addr, error) { return list, nil }}
}

func machineWith(list ...Interface) *Machine {
	return &Machine{Interfaces: func() ([]Interface, error) { return list, nil }}
}

func TestAddressesAreTheHostsOwn(t *testing.T) {
	gone := Interface{Name: "ppp0", Addresses: func() ([]net.Addr, error) { return nil, errors.New("no such device") }}
	m := machineWith(gone,
		having(t, "lo", "127.0.0.1/8", "::1/128", "198.51.100.9/32"),
		having(t, "eth0", "2001:db8::7/64", "fe80::1/64", "192.0.2.100/24", "192.0.2.20/24", "169.254.3.4/16"),
		having(t, "br-lan", "10.1.0.1/24"), having(t, "wg0", "fd00::1/64", "192.0.2.20/32"), having(t, "dockerlan", "10.2.0.1/24"),
		having(t, "docker0", "172.17.0.1/16"), having(t, "docker_gwbridge", "172.18.0.1/16"), having(t, "br-0123456789ab", "172.19.0.1/16"),
		having(t, "veth12ab34c", "172.20.0.1/16"), having(t, "cni0", "10.88.0.1/16"), having(t, "cni-podman0", "10.89.0.1/16"),
		having(t, "podman1", "10.90.0.1/16"), having(t, "virbr0", "192.168.122.1/24"), having(t, "kube-ipvs0", "10.96.0.1/32"),
	)
	want := []string{"10.1.0.1", "10.2.0.1", "192.0.2.20", "192.0.2.100", "198.51.100.9", "2001:db8::7", "fd00::1"}
	for range 2 {
		if diff := cmp.Diff(want, m.addresses()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAddressesHaveAnEnd(t *testing.T) {
	var many []Interface
	for i := range 300 {
		many = append(many, having(t, fmt.Sprintf("vlan%d", i), fmt.Sprintf("10.0.%d.1/24", i%250)))
	}
	if got := machineWith(many...).addresses(); len(got) != maxAddresses || !slices.Contains(got, "10.0.31.1") {
		t.Errorf("%d addresses: %v", len(got), got)
	}
}

func TestAMachineWithoutInterfacesHasAnEmptyListOfAddresses(t *testing.T) {
	broken := &Machine{Interfaces: func() ([]Interface, error) { return nil, errors.New("not permitted") }}
	for _, m := range []*Machine{{}, machineWith(), broken} {
		if got := m.addresses(); got == nil || len(got) > 0 {
			t.Errorf("got %#v", got)
		}
	}
}

func TestThisComputerListensAtItsAddresses(t *testing.T) {
	for _, address := range Local().addresses() {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}
