package server

import (
	"context"
	"slices"

	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Exposure is what is known of the fleet's vulnerabilities.
func (s *Server) Exposure() *exposure.Exposure { return s.exposure }

// Mending gives what is to be asked of hosts so that a vulnerability is mended on them: of each exactly the updates that do. With nil hosts it is of all where that can
// be done. Where it is suppressed it is mended only on hosts that a person has named.
func (s *Server) Mending(ctx context.Context, id string, hosts []fleet.HostID, named bool) (Asked, error) {
	names, err := s.exposure.Mending(ctx, id, hosts, named)
	if err != nil {
		return Asked{}, err
	}
	a := Asked{Names: names, Work: store.Work{Install: &store.Selected{}}}
	for host, list := range names {
		a.Hosts = append(a.Hosts, host)
		for _, name := range list {
			if !slices.Contains(a.Work.Install.Names, name) {
				a.Work.Install.Names = append(a.Work.Install.Names, name)
			}
		}
	}
	slices.Sort(a.Hosts)
	slices.Sort(a.Work.Install.Names)
	return a, nil
}
