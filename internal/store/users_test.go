package store

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"redflag/internal/access"
)

// leaveBoth has both administrators step down at the same time, of whom one must stay.
func leaveBoth(t *testing.T, s *Store, admins []User) {
	t.Helper()
	var refused atomic.Int32
	var work sync.WaitGroup
	for _, u := range admins {
		work.Go(func() {
			if err := s.SetRole(t.Context(), u.ID, access.Viewer); errors.Is(err, ErrLastAdmin) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	if work.Wait(); refused.Load() != 1 {
		t.Fatalf("%d of the two were refused", refused.Load())
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		var admins []User
		for _, name := range []string{"anna", "bert"} {
			u, err := s.NewUser(t.Context(), name, access.Admin, "", noon)
			if err != nil {
				t.Fatal(err)
			}
			admins = append(admins, u)
		}
		if _, err := s.NewUser(t.Context(), "anna", access.Viewer, "", noon); !errors.Is(err, ErrTaken) {
			t.Errorf("a second anna: %v", err)
		}
		for range 20 { // the two must meet in the moment between doing and counting
			leaveBoth(t, s, admins)
			for _, u := range admins {
				if err := s.SetRole(t.Context(), u.ID, access.Admin); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.DeleteUser(t.Context(), admins[0].ID); err != nil {
			t.Error(err)
		}
		if err := s.DeleteUser(t.Context(), admins[1].ID); !errors.Is(err, ErrLastAdmin) {
			t.Error(err)
		}
		if err := s.DeleteUser(t.Context(), 1); !errors.Is(err, ErrNoUser) {
			t.Error(err)
		}
		for _, bad := range []string{"", " x", "a\nb"} {
			if _, err := s.NewUser(t.Context(), bad, access.Viewer, "", noon); !errors.Is(err, ErrName) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// race has many use a link at the same time, and gives the secret of the one who got in.
func race(t *testing.T, s *Store, link string) string {
	t.Helper()
	var in atomic.Int32
	var secret atomic.Value
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			_, got, err := s.UseLink(t.Context(), link, "Firefox", "192.0.2.1", noon, noon.Add(time.Hour))
			if err == nil {
				in.Add(1)
				secret.Store(got)
			} else if !errors.Is(err, ErrNoLogin) {
				t.Error(err)
			}
		})
	}
	if work.Wait(); in.Load() != 1 {
		t.Fatalf("%d got in", in.Load())
	}
	return secret.Load().(string)
}

func TestALinkSignsInOnceHoweverManyUseIt(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		u, err := s.NewUser(t.Context(), "anna", access.Admin, "", noon)
		if err != nil {
			t.Fatal(err)
		}
		link, err := s.NewLink(t.Context(), u.ID, noon, noon.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Login(t.Context(), link, noon); !errors.Is(err, ErrNoLogin) {
			t.Errorf("a link is no login: %v", err)
		}
		if _, _, err := s.UseLink(t.Context(), link, "", "", noon.Add(2*time.Hour), noon.Add(3*time.Hour)); !errors.Is(err, ErrNoLogin) {
			t.Errorf("one that has run out: %v", err)
		}
		secret := race(t, s, link)
		for range 20 { // two must meet in the moment between looking and taking
			again, err := s.NewLink(t.Context(), u.ID, noon, noon.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			l, _, err := s.Login(t.Context(), race(t, s, again), noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.EndLogin(t.Context(), u.ID, l.ID); err != nil {
				t.Fatal(err)
			}
		}
		l, who, err := s.Login(t.Context(), secret, noon.Add(2*time.Minute))
		if err != nil || who.Name != "anna" || l.Browser != "Firefox" {
			t.Errorf("%+v, %+v, %v", l, who, err)
		}
		if list, err := s.Logins(t.Context(), u.ID); err != nil || len(list) != 1 || !list[0].SeenAt.Equal(noon.Add(2*time.Minute)) {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.SetPassword(t.Context(), u.ID, "another"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Login(t.Context(), secret, noon); !errors.Is(err, ErrNoLogin) {
			t.Errorf("after another password: %v", err)
		}
	})
}

func TestAUserHasSoManyLoginsAndTheOldestEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		if _, _, err := s.NewLogin(t.Context(), 1, "", "", noon, noon.Add(time.Hour)); !errors.Is(err, ErrNoUser) {
			t.Errorf("a login of nobody: %v", err)
		}
		if _, err := s.NewLink(t.Context(), 1, noon, noon.Add(time.Hour)); !errors.Is(err, ErrNoUser) {
			t.Errorf("a link for nobody: %v", err)
		}
		u, err := s.NewUser(t.Context(), "anna", access.Admin, "", noon)
		if err != nil {
			t.Fatal(err)
		}
		link, err := s.NewLink(t.Context(), u.ID, noon, noon.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		var want []int64 // newest first
		for i := range maxLogins + 3 {
			l, _, err := s.NewLogin(t.Context(), u.ID, "Firefox", "", noon.Add(time.Duration(i)*time.Second), noon.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			want = append([]int64{l.ID}, want...)
		}
		list, err := s.Logins(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, l := range list {
			got = append(got, l.ID)
		}
		if !slices.Equal(got, want[:maxLogins]) {
			t.Errorf("%d logins, want %d", len(got), maxLogins)
		}
		if _, _, err := s.UseLink(t.Context(), link, "", "", noon, noon.Add(time.Hour)); err != nil {
			t.Errorf("logins have put a link out of use: %v", err)
		}
	})
}

func TestAKeyOpensUntilItHasExpiredOrIsDeleted(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		k, secret, err := s.NewKey(t.Context(), Key{Name: "ci", Scope: access.ScopeWrite, CreatedBy: "anna", ExpiresAt: noon.Add(time.Hour)}, noon)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.KeyBySecret(t.Context(), secret, noon)
		if err != nil || got.Scope != access.ScopeWrite || got.Name != "ci" {
			t.Errorf("%+v, %v", got, err)
		}
		for name, c := range map[string]struct {
			secret string
			now    time.Time
		}{"another": {"rf_key_x", noon}, "later": {secret, noon.Add(2 * time.Hour)}, "none": {"", noon}} {
			if _, err := s.KeyBySecret(t.Context(), c.secret, c.now); !errors.Is(err, ErrNoKey) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if list, err := s.Keys(t.Context()); err != nil || len(list) != 1 || !list[0].UsedAt.Equal(noon) {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.DeleteKey(t.Context(), k.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.KeyBySecret(t.Context(), secret, noon); !errors.Is(err, ErrNoKey) {
			t.Error(err)
		}
	})
}

func TestAGroupIsAQueryUnderANameOfItsOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, err := s.NewGroup(t.Context(), "a", "env=prod", noon)
		b, err2 := s.NewGroup(t.Context(), "b", "", noon)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		_, err = s.NewGroup(t.Context(), "a", "", noon)
		_, noQuery := s.NewGroup(t.Context(), "c", "a=b=c,,", noon)
		for i, c := range []struct{ got, want error }{
			{err, ErrTaken},
			{noQuery, ErrLabels},
			{s.SetGroup(t.Context(), b.ID, "a", ""), ErrTaken},
			{s.SetGroup(t.Context(), b.ID, "b", ",,"), ErrLabels},
			{s.SetGroup(t.Context(), b.ID, "", ""), ErrName},
			{s.SetGroup(t.Context(), 1, "d", ""), ErrNoGroup},
			{s.SetGroup(t.Context(), a.ID, "a", "env=test"), nil},
			{s.DeleteGroup(t.Context(), b.ID), nil},
			{s.DeleteGroup(t.Context(), b.ID), ErrNoGroup},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%d: %v, want %v", i, c.got, c.want)
			}
		}
		a.Query = "env=test"
		if list, err := s.Groups(t.Context()); err != nil || !slices.Equal(list, []Group{a}) {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestNamesAndLabelsAreBoundedInCharacters(t *testing.T) {
	for n, ok := range map[int]bool{maxUserName: true, maxUserName + 1: false} {
		if err := checkName(strings.Repeat("ж", n)); (err == nil) != ok {
			t.Errorf("a name of %d: %v", n, err)
		}
	}
	for n, ok := range map[int]bool{maxLabelValue: true, maxLabelValue + 1: false} {
		value := strings.Repeat("ж", n)
		if err := CheckLabels(map[string]string{"city": value}); (err == nil) != ok {
			t.Errorf("a label of %d: %v", n, err)
		}
		if _, err := ParseLabels("city=" + value); (err == nil) != ok {
			t.Errorf("a query for a label of %d: %v", n, err)
		}
	}
	for n, ok := range map[int]bool{maxTerms: true, maxTerms + 1: false} {
		if _, err := ParseLabels(strings.Repeat("a,", n-1) + "a"); (err == nil) != ok {
			t.Errorf("%d terms: %v", n, err)
		}
	}
	labels := map[string]string{}
	for i := range maxLabels {
		labels[strconv.Itoa(i)] = ""
	}
	if err := CheckLabels(labels); err != nil {
		t.Error(err)
	}
	if labels["one-more"] = ""; CheckLabels(labels) == nil {
		t.Error("one label more")
	}
}

func TestLabelsChooseHosts(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for name, labels := range map[string]map[string]string{
			"a": {"env": "prod", "role": "web"}, "b": {"env": "prod", "role": "db"}, "c": {"env": "test"}, "d": {},
		} {
			if err := s.SetLabels(t.Context(), enrol(t, s, name), labels); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string]string{
			"": "abcd", "env=prod": "ab", "env=prod,role!=db": "a", "role!=db": "acd", "role": "ab", "!role": "cd", "env = test , !role": "c", "env=nothing": "",
		} {
			q, err := ParseLabels(query)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			var args []any
			condition := q.where("hosts.id", &args)
			if err := s.reader().all(t.Context(), func(scan func(...any) error) error {
				var name string
				err := scan(&name)
				got += name
				return err
			}, `SELECT name FROM hosts WHERE `+condition+` ORDER BY name`, args...); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%q chooses %q, want %q", query, got, want)
			}
		}
		for _, bad := range []string{"=x", "a b=c", "a,,b", "!", "a='; DROP TABLE hosts", "a=\x00"} {
			if _, err := ParseLabels(bad); bad != "a='; DROP TABLE hosts" && !errors.Is(err, ErrLabels) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}
