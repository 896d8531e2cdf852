package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"redflag/internal/fleet"
)

// look reads through the API what the server has of each member, and then says what the lists of people cost.
func (s *Swarm) look(ctx context.Context) error {
	wrong, err := s.compare(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.cfg.Out, "of %d hosts the server has %d otherwise than they said\n", len(s.members), wrong)
	if wrong > 0 {
		return errors.New("the server has not what was acknowledged")
	}
	return s.lists(ctx)
}

// row is what is compared of a host.
type row struct {
	ID         fleet.HostID `json:"id"`
	Updates    int          `json:"updates"`
	Security   int          `json:"security"`
	Packages   int          `json:"packages"`
	Containers int          `json:"containers"`
}

type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// compare counts the members that the server has otherwise than they are.
func (s *Swarm) compare(ctx context.Context) (wrong int, err error) {
	rows := map[fleet.HostID]row{}
	for after := ""; ; {
		var p page[row]
		if err := s.get(ctx, "/hosts?"+url.Values{"limit": {"500"}, "after": {after}}.Encode(), &p); err != nil {
			return 0, err
		}
		for _, r := range p.Items {
			rows[r.ID] = r
		}
		if after = p.Next; after == "" {
			break
		}
	}
	for i, m := range s.members {
		right := rows[m.id] == row{m.id, Updates, Security, Packages, Containers}
		if right && i%50 == 0 { // every package of some
			right, err = s.hasPackages(ctx, m)
			if err != nil {
				return 0, err
			}
		}
		if !right {
			wrong++
		}
	}
	return wrong, nil
}

func (s *Swarm) hasPackages(ctx context.Context, m *member) (bool, error) {
	var p page[fleet.Package]
	if err := s.get(ctx, "/hosts/"+m.id.String()+"/packages", &p); err != nil {
		return false, err
	}
	have := map[fleet.Package]bool{}
	for _, pack := range p.Items {
		have[pack] = true
	}
	for _, pack := range m.packages {
		if !have[pack] {
			return false, nil
		}
	}
	return len(p.Items) == len(m.packages), nil
}

// lists says what each list of the API costs: the CPU time of an answer, over as many as make the kernel's clock fine enough.
func (s *Swarm) lists(ctx context.Context) error {
	if s.cfg.Process == 0 {
		return nil
	}
	one := s.members[0]
	fmt.Fprintf(s.cfg.Out, "%-52s %9s %9s\n", "", "p50 ms", "CPU ms")
	for _, path := range []string{
		"/summary", "/hosts", "/hosts?sort=-security", "/hosts?state=security", "/hosts?q=0042", "/updates", "/updates?security=true", "/updates?sort=first_seen", "/images", "/packages?prefix=libopenssl",
		"/packages/hosts?source_package=openssl0&below=9", "/history", "/appeared", "/hosts/" + one.id.String() + "/updates", "/hosts/" + one.id.String() + "/packages",
	} {
		const least, most = 20, 200
		took := &times{}
		before, err := s.cpu()
		if err != nil {
			return err
		}
		n := 0
		for began := time.Now(); n < least || n < most && time.Since(began) < time.Second; n++ {
			asked := time.Now()
			if err := s.get(ctx, path, nil); err != nil {
				return err
			}
			took.add(time.Since(asked))
		}
		after, err := s.cpu()
		if err != nil {
			return err
		}
		fmt.Fprintf(s.cfg.Out, "%-52s %9.1f %9.1f\n", path, ms(took.quantile(0.5)), ms(after-before)/float64(n))
	}
	return nil
}

const maxAnswer = 64 << 20

// get asks the people's API, and reads the answer where somebody wants to know it.
func (s *Swarm) get(ctx context.Context, path string, into any) error {
	data, err := s.read(ctx, path)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(data, into)
}
