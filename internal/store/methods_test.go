package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/version"
	"redflag/internal/wire"
)

// filled is a store with something in every table.
type filled struct {
	*Store
	ctx   context.Context //nolint:containedctx // it lives as long as the test
	host  fleet.HostID
	user  User
	key   Key
	group Group
	token Token
	login Login
	order wire.OrderID
	job   Job
	offer int64
}

func newFilled(t *testing.T, s *Store) *filled {
	t.Helper()
	fill(t, s)
	f := &filled{Store: s, ctx: t.Context()}
	hosts, _, err := s.Hosts(f.ctx, HostFilter{}, Page{})
	if err != nil {
		t.Fatal(err)
	}
	f.host = hosts[0].ID
	users, err := s.Users(f.ctx)
	keys, err2 := s.Keys(f.ctx)
	groups, err3 := s.Groups(f.ctx)
	tokens, err4 := s.Tokens(f.ctx)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	f.user, f.key, f.group, f.token = users[0], keys[0], groups[0], tokens[0]
	logins, err := s.Logins(f.ctx, f.user.ID)
	orders, err2 := s.Orders(f.ctx, f.host, 1)
	offers, _, err3 := s.Offers(f.ctx, OfferFilter{}, Page{})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	jobs, _, err := s.Jobs(f.ctx, JobFilter{}, Page{})
	if err != nil {
		t.Fatal(err)
	}
	f.job = jobs[0]
	f.login, f.order, f.offer = logins[0], orders[0].ID, offers[0].ID
	return f
}

// reads are the store's questions, asked in every way that changes the statement.
func (f *filled) reads() map[string][]func() error {
	after := func(key ...any) Page { return Page{After: cursor(key...), Limit: 3} }
	labels, err := ParseLabels("env=prod,role!=db,!gone,env")
	hosts := func(h HostFilter, p Page) func() error {
		h.Stale = noon
		return func() error { _, _, e := f.Hosts(f.ctx, h, p); return errors.Join(err, e) }
	}
	offers := func(o OfferFilter, p Page) func() error {
		return func() error { _, _, e := f.Offers(f.ctx, o, p); return e }
	}
	all := map[string][]func() error{
		"Hosts": {
			hosts(HostFilter{}, Page{}), hosts(HostFilter{}, after("a", 1)), hosts(HostFilter{Desc: true}, after("z", 1)),
			hosts(HostFilter{Sort: "seen"}, after(1, 1)), hosts(HostFilter{Sort: "security", Desc: true}, after(9, 1)), hosts(HostFilter{Sort: "updates"}, after(0, 1)),
			hosts(HostFilter{Text: "w%_b", State: HostUnknown}, Page{}), hosts(HostFilter{State: HostSecurity, Reboot: fleet.Needed, Restart: fleet.Needed}, Page{}),
			hosts(HostFilter{Labels: labels}, Page{}), hosts(HostFilter{Only: []fleet.HostID{f.host}}, Page{}),
		},
		"Offers": {
			offers(OfferFilter{}, Page{}), offers(OfferFilter{Desc: true}, after(9, 1)), offers(OfferFilter{Sort: "name"}, after("a", 1)), offers(OfferFilter{Sort: "first_seen"}, after(1, 1)), offers(OfferFilter{Sort: "security", Desc: true}, after(1, 9, 1)),
			offers(OfferFilter{Text: "o", Source: "apt", Kind: fleet.Rebuild, Security: true, Blocked: true}, Page{}),
		},
		"Offer":      {func() error { _, e := f.Offer(f.ctx, f.offer); return e }},
		"OfferHosts": {func() error { _, _, e := f.OfferHosts(f.ctx, f.offer, after(1)); return e }},
		"Images": {
			func() error { _, _, e := f.Images(f.ctx, ImageFilter{}, after("a", "b")); return e },
			func() error { _, _, e := f.Images(f.ctx, ImageFilter{Text: "n", Answer: fleet.Gone}, Page{}); return e },
		},
		"ImageHosts":   {func() error { _, _, e := f.ImageHosts(f.ctx, "nginx:1", after(1, "", "")); return e }},
		"PackageNames": {func() error { _, _, e := f.PackageNames(f.ctx, "vi", after("vi", "")); return e }},
		"PackageHosts": {
			func() error {
				_, _, e := f.PackageHosts(f.ctx, PackageQuery{Name: "vim", Below: "9", Compare: version.Compare}, after(1, 1))
				return e
			},
			func() error {
				_, _, e := f.PackageHosts(f.ctx, PackageQuery{Name: "vim", BySource: true}, Page{})
				return e
			},
		},
		"History": {
			func() error { _, _, e := f.History(f.ctx, 0, after(9, 9)); return e },
			func() error { _, _, e := f.History(f.ctx, f.host, after(9, 9)); return e },
		},
		"Appeared": {func() error { _, _, e := f.Appeared(f.ctx, after(9, 9, "", "", "", "", "", "")); return e }},
		"OfferGroups": {
			func() error { _, _, e := f.OfferGroups(f.ctx, ByPackage, "", after("a", "b")); return e },
			func() error { _, _, e := f.OfferGroups(f.ctx, BySource, "", Page{}); return e },
			func() error { _, _, e := f.OfferGroups(f.ctx, ByLabel, "env", after("a")); return e },
		},
		"AllOrders": {
			func() error { _, _, e := f.AllOrders(f.ctx, OrderFilter{State: "failed"}, after(9, 9)); return e },
			func() error { _, _, e := f.AllOrders(f.ctx, OrderFilter{State: "waiting"}, Page{}); return e },
		},
		"Host":          {func() error { _, e := f.Host(f.ctx, f.host); return e }},
		"Known":         {func() error { _, e := f.Known(f.ctx, f.host); return e }},
		"Findings":      {func() error { _, e := f.Findings(f.ctx, f.host); return e }},
		"Packages":      {func() error { _, e := f.Packages(f.ctx, f.host); return e }},
		"Containers":    {func() error { _, e := f.Containers(f.ctx, f.host); return e }},
		"Labels":        {func() error { _, e := f.Labels(f.ctx, f.host); return e }},
		"LabelUses":     {func() error { _, e := f.LabelUses(f.ctx); return e }},
		"Groups":        {func() error { _, e := f.Groups(f.ctx); return e }},
		"Keys":          {func() error { _, e := f.Keys(f.ctx); return e }},
		"Tokens":        {func() error { _, e := f.Tokens(f.ctx); return e }},
		"Users":         {func() error { _, e := f.Users(f.ctx); return e }},
		"User":          {func() error { _, e := f.User(f.ctx, f.user.ID); return e }},
		"UserByName":    {func() error { _, _, e := f.UserByName(f.ctx, "anna"); return e }},
		"Logins":        {func() error { _, e := f.Logins(f.ctx, f.user.ID); return e }},
		"Orders":        {func() error { _, e := f.Orders(f.ctx, f.host, 5); return e }},
		"OneOrder":      {func() error { _, e := f.OneOrder(f.ctx, f.order); return e }},
		"WaitingOrders": {func() error { _, e := f.WaitingOrders(f.ctx, f.host, noon); return e }},
		"Ping":          {func() error { return f.Ping(f.ctx) }},
		"Backup":        {func() error { return f.Backup(f.ctx, &bytes.Buffer{}) }},
	}
	maps.Copy(all, f.jobReads())
	maps.Copy(all, f.surveys(labels))
	for name, ask := range f.more() {
		all[name] = []func() error{ask}
	}
	return all
}

// surveys are the questions of who counts vulnerabilities.
func (f *filled) surveys(labels LabelQuery) map[string][]func() error {
	to := Survey{
		Host: func(Surveyed) error { return nil }, Packages: func(fleet.HostID, []int64) error { return nil }, Offer: func(fleet.HostID, int64, bool) error { return nil },
	}
	return map[string][]func() error{
		"Survey": {
			func() error { return f.Survey(f.ctx, nil, to) }, func() error { return f.Survey(f.ctx, []fleet.HostID{f.host, 1}, to) },
		},
		"Stamps":        {func() error { _, e := f.Stamps(f.ctx, noon); return e }},
		"CountReported": {func() error { _, e := f.CountReported(f.ctx); return e }},
		"PackagesByID": {
			func() error { _, e := f.PackagesByID(f.ctx, nil); return e }, func() error { _, e := f.PackagesByID(f.ctx, []int64{1}); return e },
		},
		"BriefOffers":  {func() error { _, e := f.BriefOffers(f.ctx, OfferFilter{Text: "o", Security: true}); return e }},
		"OffersOf":     {func() error { _, e := f.OffersOf(f.ctx, []int64{f.offer}); return e }},
		"OffersByID":   {func() error { _, e := f.OffersByID(f.ctx, nil); return e }},
		"Blocks":       {func() error { _, e := f.Blocks(f.ctx, []int64{f.offer}, []fleet.HostID{f.host}); return e }},
		"HostIDs":      {func() error { _, e := f.HostIDs(f.ctx, labels); return e }},
		"Suppressions": {func() error { _, e := f.Suppressions(f.ctx, noon); return e }},
		"Feeds":        {func() error { _, e := f.Feeds(f.ctx); return e }},
		"FeedErrors":   {func() error { _, e := f.FeedErrors(f.ctx); return e }},
	}
}

// jobReads are the questions about jobs.
func (f *filled) jobReads() map[string][]func() error {
	after := func(key ...any) Page { return Page{After: cursor(key...), Limit: 3} }
	return map[string][]func() error{
		"Jobs": {
			func() error { _, _, e := f.Jobs(f.ctx, JobFilter{}, after(9, 9)); return e },
			func() error { _, _, e := f.Jobs(f.ctx, JobFilter{State: FilterOpen}, Page{}); return e },
			func() error { _, _, e := f.Jobs(f.ctx, JobFilter{State: "failed"}, Page{}); return e },
			func() error {
				_, _, e := f.Jobs(f.ctx, JobFilter{State: "planned", Host: f.job.Host}, after(9, 9))
				return e
			},
			func() error { _, _, e := f.Jobs(f.ctx, JobFilter{Rollout: f.job.Rollout}, Page{}); return e },
		},
		"RolloutJobs": {func() error {
			_, _, e := f.RolloutJobs(f.ctx, JobFilter{Rollout: f.job.Rollout, State: FilterOpen}, after("a", 9))
			return e
		}},
		"Rollouts":    {func() error { _, _, e := f.Rollouts(f.ctx, after(9, 9)); return e }},
		"Rollout":     {func() error { _, e := f.Rollout(f.ctx, f.job.Rollout); return e }},
		"EachPlanned": {func() error { return f.EachPlanned(f.ctx, f.job.Rollout, func(PlannedJob) error { return nil }) }},
		"Planned":     {func() error { _, _, e := f.Planned(f.ctx, Scope{Rollout: f.job.Rollout}); return e }},
		"Undoable": {
			func() error { _, e := f.Undoable(f.ctx, Undo{Job: f.job.ID}); return ignore(e, ErrNothingToUndo) },
			func() error {
				_, e := f.Undoable(f.ctx, Undo{Rollout: f.job.Rollout})
				return ignore(e, ErrNothingToUndo)
			},
		},
		"Job":   {func() error { _, e := f.Job(f.ctx, f.job.ID); return e }},
		"Lines": {func() error { _, e := f.Lines(f.ctx, f.job.ID, 0, 10); return e }},
	}
}

// ignore takes a kind of error for none.
func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// more are questions that are asked in one way.
func (f *filled) more() map[string]func() error {
	return map[string]func() error{
		"LastSeenBetween": func() error { _, e := f.LastSeenBetween(f.ctx, noon, noon.Add(time.Hour)); return e },
		"HostUpdates":     func() error { _, e := f.HostUpdates(f.ctx, f.host); return e },
		"WaitingHosts":    func() error { _, e := f.WaitingHosts(f.ctx); return e },
		"CountHosts":      func() error { _, e := f.CountHosts(f.ctx); return e },
		"Summary":         func() error { _, e := f.Summary(f.ctx, noon, noon); return e },
		"Trend":           func() error { _, e := f.Trend(f.ctx, noon); return e },
		"Deeds": func() error {
			_, _, e := f.Deeds(f.ctx, DeedFilter{Who: "anna", Text: "x"}, Page{After: cursor(9, 9)})
			return e
		},
		"TOTP":     func() error { _, e := f.TOTP(f.ctx, f.user.ID); return e },
		"Passkeys": func() error { _, e := f.Passkeys(f.ctx, f.user.ID); return e },
	}
}

// missing is good where an error says that something is not there.
func missing(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return errors.Join(errors.New("it should not be there"), err)
}

// advisoryWrites are what changes what is known of advisories.
func (f *filled) advisoryWrites() map[string]func() error {
	return map[string]func() error{
		"FirstSeen": func() error { _, e := f.FirstSeen(f.ctx, []string{"CVE-2026-0001"}, noon); return e },
		"NewSuppression": func() error {
			_, e := f.NewSuppression(f.ctx, Suppression{ID: "CVE-2026-0001", Group: 1, Status: "accepted", Owner: "o", Reason: "r", Until: noon}, noon)
			return missing(e, ErrNoGroup)
		},
		"DeleteSuppression": func() error { _, e := f.DeleteSuppression(f.ctx, 1); return missing(e, ErrNoSuppression) },
		"SaveFeed":          func() error { return f.SaveFeed(f.ctx, Feed{Name: "n"}, "", strings.NewReader("x"), noon) },
		"ReadFeed":          func() error { return missing(f.ReadFeed(f.ctx, Feed{Digest: "x"}, io.Discard), ErrOtherFeed) },
		"CheckedFeed":       func() error { return f.CheckedFeed(f.ctx, "kev", noon.Add(time.Hour)) },
		"DeleteFeed":        func() error { return missing(f.DeleteFeed(f.ctx, "none"), ErrNoFeed) },
		"NoteFeed":          func() error { return f.NoteFeed(f.ctx, FeedError{Address: "https://a", Error: "away", At: noon}) },
		"TidyFeeds":         func() error { return f.TidyFeeds(f.ctx, noon.AddDate(0, 0, 7)) },
	}
}

// writes are what changes the store.
func (f *filled) writes() map[string]func() error {
	all := map[string]func() error{
		"NewToken":    func() error { _, _, e := f.NewToken(f.ctx, Token{Seats: 1}); return e },
		"DeleteToken": func() error { return f.DeleteToken(f.ctx, f.token.ID) },
		"Enroll":      func() error { _, e := f.Enroll(f.ctx, wire.Enroll{Token: "x"}, "", noon); return missing(e, ErrToken) },
		"Session":     func() error { return f.Session(f.ctx, f.host, Session{Name: "s", At: noon}) },
		"SaveReport": func() error {
			_, e := f.SaveReport(f.ctx, f.host, wire.Report{Session: "other"}, "", noon)
			return missing(e, ErrLate)
		},
		"Seen": func() error {
			return f.Seen(f.ctx, map[fleet.HostID]Seen{f.host: {At: noon.Add(time.Hour), Scanned: map[string]int64{"apt": noon.Unix() * 2}}})
		},
		"Order":  func() error { return missing(f.Order(f.ctx, 1, wire.Order{}, wire.SignedOrder{}, "", noon), ErrNoHost) },
		"Result": func() error { return f.Result(f.ctx, f.host, wire.Result{Order: f.order, State: wire.Running}, noon) },
		"NewRollout": func() error {
			return missing(f.NewRollout(f.ctx, Rollout{ID: 1}, []Delivery{{Order: wire.Order{Host: 1}}}, noon), ErrNoHost)
		},
		"Approve": func() error {
			_, e := f.Approve(f.ctx, Scope{Job: f.job.ID}, "x", "", noon, nil)
			return missing(e, ErrOtherPlan)
		},
		"Cancel": func() error {
			_, e := f.Cancel(f.ctx, Scope{Rollout: 7}, "", noon, nil)
			return missing(e, ErrNoRollout)
		},
		"Progress": func() error {
			_, e := f.Progress(f.ctx, f.job.Host, wire.Progress{Order: f.job.WorkOrder, Lines: []string{"x"}}, noon)
			return e
		},
		"ExpireOrders":  func() error { _, e := f.ExpireOrders(f.ctx, noon); return e },
		"NewUser":       func() error { _, e := f.NewUser(f.ctx, "bert", access.Admin, "", noon); return e },
		"SetPassword":   func() error { return f.SetPassword(f.ctx, f.user.ID, "x") },
		"SetRole":       func() error { return missing(f.SetRole(f.ctx, 1, access.Viewer), ErrNoUser) },
		"DeleteUser":    func() error { return missing(f.DeleteUser(f.ctx, 1), ErrNoUser) },
		"NewLogin":      func() error { _, _, e := f.NewLogin(f.ctx, f.user.ID, "", "", noon, noon); return e },
		"NewLink":       func() error { _, e := f.NewLink(f.ctx, f.user.ID, noon, noon); return e },
		"UseLink":       func() error { _, _, e := f.UseLink(f.ctx, "x", "", "", noon, noon); return missing(e, ErrNoLogin) },
		"Login":         func() error { _, _, e := f.Login(f.ctx, "x", noon); return missing(e, ErrNoLogin) },
		"EndLogin":      func() error { return missing(f.EndLogin(f.ctx, 1, 1), ErrNoLogin) },
		"OfferTOTP":     func() error { return f.OfferTOTP(f.ctx, f.user.ID, "s") },
		"UseTOTP":       func() error { return missing(f.UseTOTP(f.ctx, 1, 1), ErrStep) },
		"DeleteTOTP":    func() error { return missing(f.DeleteTOTP(f.ctx, 1), ErrNoTOTP) },
		"NewPasskey":    func() error { return f.NewPasskey(f.ctx, Passkey{ID: "q", Name: "phone", User: f.user.ID}, noon) },
		"UsePasskey":    func() error { return missing(f.UsePasskey(f.ctx, "none", nil, noon), ErrNoPasskey) },
		"DeletePasskey": func() error { return missing(f.DeletePasskey(f.ctx, 1, "p"), ErrNoPasskey) },
		"NewChallenge":  func() error { _, e := f.NewChallenge(f.ctx, []byte("x"), noon); return e },
		"TakeChallenge": func() error { _, e := f.TakeChallenge(f.ctx, "x", noon); return missing(e, ErrNoChallenge) },
		"Note": func() error {
			return f.Note(f.ctx, Deed{At: noon, Who: "anna", What: "x", About: strings.Repeat("y", 9000)})
		},
		"SaveTrend":    func() error { return f.SaveTrend(f.ctx, noon, noon) },
		"NewKey":       func() error { _, _, e := f.NewKey(f.ctx, Key{Name: "k", Scope: access.ScopeRead}, noon); return e },
		"KeyBySecret":  func() error { _, e := f.KeyBySecret(f.ctx, "x", noon); return missing(e, ErrNoKey) },
		"DeleteKey":    func() error { return f.DeleteKey(f.ctx, f.key.ID) },
		"NewGroup":     func() error { _, e := f.NewGroup(f.ctx, "g", "env", noon); return e },
		"SetGroup":     func() error { return missing(f.SetGroup(f.ctx, 1, "g", "env"), ErrNoGroup) },
		"DeleteGroup":  func() error { return f.DeleteGroup(f.ctx, f.group.ID) },
		"SetLabels":    func() error { return f.SetLabels(f.ctx, f.host, map[string]string{"a": "b"}) },
		"Setting":      func() error { _, e := f.Setting(f.ctx, "s", func() ([]byte, error) { return nil, nil }); return e },
		"SaveSetting":  func() error { return f.SaveSetting(f.ctx, "s", []byte("x")) },
		"Lease":        func() error { _, e := f.Lease(f.ctx, "l", "me", noon, noon); return e },
		"Notify":       func() error { return f.Notify(f.ctx, "x") },
		"Tidy":         func() error { return f.Tidy(f.ctx, time.Hour, noon) },
		"TidyPackages": func() error { return f.TidyPackages(f.ctx) },
		"Restore":      func() error { return missing(f.Restore(f.ctx, strings.NewReader("")), ErrNotEmpty) },
		"Forget":       func() error { return missing(f.Forget(f.ctx, 1), ErrNoHost) },
	}
	maps.Copy(all, f.advisoryWrites())
	return all
}

// elsewhere are tried by tests of their own.
var elsewhere = []string{"Close", "Listen"}

func TestEveryMethodRunsOnBothDatabases(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		f := newFilled(t, open(t, dsn))
		reads, writes := f.reads(), f.writes()
		for i := range reflect.TypeFor[*Store]().NumMethod() {
			name := reflect.TypeFor[*Store]().Method(i).Name
			if reads[name] == nil && writes[name] == nil && !slices.Contains(elsewhere, name) {
				t.Errorf("no test runs %s on both databases", name)
			}
		}
		for name, calls := range reads {
			for _, call := range calls {
				if err := call(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(writes)) {
			if err := writes[name](); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
