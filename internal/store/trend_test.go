package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

func TestTheTrendCountsWhatIsPendingAndWhatWasInstalled(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		fiveHosts(t, s)
		point := func(at time.Time) Point {
			t.Helper()
			if err := s.SaveTrend(t.Context(), at, noon); err != nil {
				t.Fatal(err)
			}
			points, err := s.Trend(t.Context(), noon)
			if err != nil {
				t.Fatal(err)
			}
			return points[len(points)-1]
		}
		if got, want := point(noon), (Point{At: noon, Hosts: 5, HostsUnknown: 2, HostsSecurity: 1, Updates: 3, Security: 1, Images: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		hosts, _, err := s.Hosts(t.Context(), HostFilter{Text: "e"}, Page{})
		if err != nil {
			t.Fatal(err)
		}
		say(t, s, hosts[0].ID, 3, fleet.Finding{Source: "apt"}, fleet.Package{Source: "apt", Name: "openssl", Arch: "amd64", Version: "3.0.15-1"})
		if got := point(noon.Add(time.Hour)); got.Security != 0 || got.Updates != 1 || got.Installed != 1 {
			t.Errorf("after openssl was installed: %+v", got)
		}
		if got := point(noon.Add(2 * time.Hour)); got.Installed != 1 {
			t.Errorf("nothing more was installed: %+v", got)
		}
	})
}

func TestTheTrendIsThinnedAsItAges(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		now := noon.AddDate(0, 0, 200)
		for _, ago := range []time.Duration{time.Hour, 2 * time.Hour, 10 * 24 * time.Hour, 10*24*time.Hour - time.Hour, 10*24*time.Hour + 7*time.Hour, 100 * 24 * time.Hour, 100*24*time.Hour + 7*time.Hour, 190 * 24 * time.Hour} {
			if err := s.SaveTrend(t.Context(), now.Add(-ago), noon); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Tidy(t.Context(), 150*24*time.Hour, now); err != nil {
			t.Fatal(err)
		}
		points, err := s.Trend(t.Context(), noon)
		if err != nil {
			t.Fatal(err)
		}
		var ages []string
		for _, p := range points {
			ages = append(ages, fmt.Sprint(now.Sub(p.At).Hours()))
		}
		if got := strings.Join(ages, " "); got != "2400 247 239 2 1" {
			t.Errorf("hours that are kept: %s", got)
		}
	})
}

func TestUpdatesAreGrouped(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ids := fiveHosts(t, s)
		for _, name := range []string{"d", "e"} {
			if err := s.SetLabels(t.Context(), ids[name], map[string]string{"site": name}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			by    GroupBy
			label string
			want  string
		}{
			{ByPackage, "", "curl:2:0:0 openssl:1:1:0"}, {BySource, "", "apt:3:1:0"}, {ByLabel, "site", ":0:0:3 d:1:0:1 e:2:1:1"},
		} {
			if got := all(t, func(p Page) ([]OfferGroup, string, error) { return s.OfferGroups(t.Context(), c.by, c.label, p) }, func(g OfferGroup) string {
				return fmt.Sprintf("%s:%d:%d:%d", g.Name, g.Updates, g.Security, g.Hosts)
			}); got != c.want {
				t.Errorf("by %s: %q, want %q", c.by, got, c.want)
			}
		}
		sum, err := s.Summary(t.Context(), noon.AddDate(0, 0, 8), noon)
		if want := (Age{Month: 1}); err != nil || sum.SecurityAge != want {
			t.Errorf("a week after: %+v, %v", sum.SecurityAge, err)
		}
	})
}

func TestWhoDidWhatIsKeptAndFound(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for i, d := range []Deed{{Who: "anna", What: "Add a user", About: "bert\u202e"}, {Who: "key ci", What: "Sign in", About: strings.Repeat("ß", 3000)}, {Who: "anna", What: "Sign out"}} {
			d.At = noon.Add(time.Duration(i) * time.Minute)
			if err := s.Note(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			f    DeedFilter
			want string
		}{{DeedFilter{}, "Sign out;Sign in;Add a user;"}, {DeedFilter{Who: "anna"}, "Sign out;Add a user;"}, {DeedFilter{Text: "BERT"}, "Add a user;"}} {
			got := all(t, func(p Page) ([]Deed, string, error) { return s.Deeds(t.Context(), c.f, p) }, func(d Deed) string {
				if len(d.About) > maxAbout+8 || strings.Contains(d.About, "\u202e") {
					t.Errorf("%d bytes: %q", len(d.About), d.About)
				}
				return d.What + ";"
			})
			if strings.ReplaceAll(got, "; ", ";") != c.want {
				t.Errorf("%+v: %q", c.f, got)
			}
		}
	})
}
