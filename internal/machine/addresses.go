package machine

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
)

// Interface is a network interface of a machine that is switched on.
type Interface struct {
	Name string
	// Addresses asks for its addresses. Linux lists those of all interfaces for each answer, so it is asked only where they count.
	Addresses func() ([]net.Addr, error)
}

// localInterfaces lists those of the computer that we run on.
func localInterfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []Interface
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 {
			list = append(list, Interface{Name: i.Name, Addresses: i.Addrs})
		}
	}
	return list, nil
}

// engineMade are the interfaces that container engines and hypervisors make for their guests: the same addresses are on every host.
var engineMade = regexp.MustCompile(`^(?:docker\d+|docker_gwbridge|br-[0-9a-f]{12}|(?:veth|cni|podman|virbr|lxcbr|lxdbr|kube-).*)$`)

const (
	// maxAddresses is more than a person has given to one host.
	maxAddresses = 32
	// maxInterfaces bounds how often the kernel is asked; a router may have a thousand VLANs.
	maxInterfaces = 128
)

// addresses gives the host's own global unicast addresses, private ones included, in their order with IPv4 first. It is empty
// where none can be learnt.
func (m *Machine) addresses() []string {
	var found []netip.Addr
	for _, i := range m.interfaces() {
		list, _ := i.Addresses() // one that has just gone has none
		for _, a := range list {
			if ip, ok := globalUnicast(a); ok {
				found = append(found, ip)
			}
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	words := []string{}
	for _, ip := range found[:min(len(found), maxAddresses)] {
		words = append(words, ip.String())
	}
	return words
}

// interfaces lists those that are the host's own.
func (m *Machine) interfaces() []Interface {
	if m.Interfaces == nil {
		return nil
	}
	list, _ := m.Interfaces()
	own := slices.DeleteFunc(slices.Clone(list), func(i Interface) bool { return engineMade.MatchString(i.Name) })
	return own[:min(len(own), maxInterfaces)]
}

// globalUnicast reads an address of an interface; not ok for loopback, link-local and multicast ones.
func globalUnicast(a net.Addr) (netip.Addr, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	ip = ip.Unmap()
	return ip, ok && ip.IsGlobalUnicast()
}
