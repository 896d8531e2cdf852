package page

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"redflag/internal/api"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// hostLine is a host in a list, and on its own page.
type hostLine struct {
	store.Host
	State   store.HostState
	Because []string
}

func (s site) line(h store.Host) hostLine {
	stale := time.Now().Add(-s.Stale)
	return hostLine{h, h.State(stale), h.Because(stale)}
}

// fleetPage is the list of hosts.
type fleetPage struct {
	Who   api.Caller
	Sum   store.Summary
	Hosts []hostLine
	Next  string
}

func (s site) fleet(w http.ResponseWriter, r *http.Request, who api.Caller) error {
	p := fleetPage{Who: who}
	after := r.URL.Query().Get("after")
	hosts, next, err := s.Store.Hosts(r.Context(), store.HostFilter{Sort: "name"}, store.Page{After: after})
	if err != nil {
		return err
	}
	if len(hosts) == 1 && after == "" {
		http.Redirect(w, r, "/hosts/"+hosts[0].ID.String(), http.StatusSeeOther)
		return nil
	}
	if p.Sum, err = s.Store.Summary(r.Context(), time.Now().Add(-s.Stale)); err != nil {
		return err
	}
	for _, h := range hosts {
		p.Hosts = append(p.Hosts, s.line(h))
	}
	if next != "" {
		p.Next = "/?" + url.Values{"after": {next}}.Encode()
	}
	s.show(w, http.StatusOK, "fleet", p)
	return nil
}

// hostPage is one host with all that is pending there.
type hostPage struct {
	Who      api.Caller
	Host     hostLine
	Findings []finding
	Alone    bool
	// Waiting: nothing was said yet, so the page looks again by itself.
	Waiting bool
}

// finding is what one source says.
type finding struct {
	fleet.Finding
	Packages, Images []fleet.Update
	// Odd are the images whose answer is neither current nor an update.
	Odd []fleet.Check
}

func (s site) host(w http.ResponseWriter, r *http.Request, who api.Caller) error {
	id, err := fleet.ParseHostID(r.PathValue("host"))
	if err != nil {
		return store.ErrNoHost
	}
	h, err := s.Store.Host(r.Context(), id)
	if err != nil {
		return err
	}
	findings, err := s.Store.Findings(r.Context(), id)
	if err != nil {
		return err
	}
	n, err := s.Store.CountHosts(r.Context())
	if err != nil {
		return err
	}
	p := hostPage{Who: who, Host: s.line(h), Alone: n == 1, Waiting: len(findings) == 0}
	for _, f := range findings {
		p.Findings = append(p.Findings, sorted(f))
	}
	slices.SortStableFunc(p.Findings, func(a, b finding) int { return rank(a) - rank(b) })
	s.show(w, http.StatusOK, "host", p)
	return nil
}

// rank puts first what is not known.
func rank(f finding) int {
	if f.State == fleet.OK {
		return 1
	}
	return 0
}

// sorted lays a finding out: security first, what is blocked last.
func sorted(f fleet.Finding) finding {
	out := finding{Finding: f}
	for _, want := range []func(fleet.Update) bool{
		func(u fleet.Update) bool { return u.Security },
		func(u fleet.Update) bool { return !u.Security && u.Blocked == "" },
		func(u fleet.Update) bool { return !u.Security && u.Blocked != "" },
	} {
		for _, u := range f.Updates {
			switch {
			case !want(u):
			case u.ImageUpdate != nil:
				out.Images = append(out.Images, u)
			default:
				out.Packages = append(out.Packages, u)
			}
		}
	}
	for _, c := range f.Checks {
		if c.Answer != fleet.Current && c.Answer != fleet.Outdated {
			out.Odd = append(out.Odd, c)
		}
	}
	return out
}

// ago says how long since, as people say it.
func ago(t time.Time) string {
	d := time.Since(t)
	switch {
	case t.IsZero():
		return "never"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// behind names one side of an image's update: the version that it has, or its short digest.
func behind(id, version string) string {
	if version != "" {
		return version
	}
	if hex, ok := strings.CutPrefix(id, "sha256:"); ok && len(hex) > 12 {
		return hex[:12]
	}
	return id
}
