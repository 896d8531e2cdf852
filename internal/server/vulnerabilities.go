package server

import (
	"context"

	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Vulnerabilities gives a page of the vulnerabilities of the fleet, what to do first first.
func (s *Server) Vulnerabilities(context.Context, exposure.Filter, store.Page) ([]exposure.Vulnerability, string, error) {
	return nil, "", nil
}

// Vulnerability gives one of them, with all that is known of it.
func (s *Server) Vulnerability(context.Context, string) (exposure.WholeVulnerability, error) {
	return exposure.WholeVulnerability{}, exposure.ErrNone
}

// VulnerabilityHosts gives a page of the hosts that have one.
func (s *Server) VulnerabilityHosts(context.Context, string, int64, store.Page) ([]exposure.VulnerableHost, string, error) {
	return nil, "", exposure.ErrNone
}

// Mending gives what is to be asked of hosts so that one is mended on them: exactly the updates that do. Without hosts it is of all that can be mended.
func (s *Server) Mending(context.Context, string, []fleet.HostID) (Asked, error) {
	return Asked{}, exposure.ErrNone
}

// SuppressionsChanged has suppressions read anew.
func (s *Server) SuppressionsChanged() { s.Note(TopicAdvisories) }
