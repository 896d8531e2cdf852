// Package snap is the source of snaps. Everything comes from snapd's REST API on its socket, and no text of its program is read: what is installed, what the
// store has on offer, and each change with its tasks. A revision is what is installed, so an update is from one revision to another, and exactly the planned
// one is asked for. snapd keeps the revision before, which is the way back.
package snap

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is snapd. It implements source.Installer, source.Refresher, source.Lister and source.Holder.
type Source struct {
	// StateDir is where the store's last answer is kept; empty asks the store at each scan.
	StateDir string
	// Every is how often snapd is asked how far it is; 0 means twice a second.
	Every time.Duration
}

// Name implements source.Source.
func (Source) Name() string { return "snap" }

// stateFile is there where snapd has ever run.
const stateFile = "/var/lib/snapd/state.json"

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	for _, file := range []string{socket, stateFile} {
		if _, err := m.Stat(file); err == nil || errors.Is(err, os.ErrPermission) {
			return true
		}
	}
	return false
}

// snap is one as snapd describes it (https://snapcraft.io/docs/snapd-rest-api), installed or on offer.
type snap struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Summary  string `json:"summary"`
	Type     string `json:"type"`
	Status   string `json:"status"`
	Channel  string `json:"channel"`
	Tracking string `json:"tracking-channel"`
	Download int64  `json:"download-size"`
	// Broken says what snapd does not find of it.
	Broken string `json:"broken"`
	// Hold is until when a person keeps its updates away, and Gating until when another snap does.
	Hold   time.Time `json:"hold"`
	Gating time.Time `json:"gating-hold"`
	// Inhibit is there while an update waits for its applications to be closed.
	Inhibit *struct {
		Proceed time.Time `json:"proceed-time"`
	} `json:"refresh-inhibit"`
	Apps []struct {
		Name   string `json:"name"`
		Daemon string `json:"daemon"`
		Active bool   `json:"active"`
	} `json:"apps"`
}

// what names a version and its revision, which alone says what is installed: 5.21 (30131).
func (s snap) what() string { return cmp.Or(fleet.Plain(s.Version), "?") + " (" + s.Revision + ")" }

// revisionOf gives the revision of such a name; empty where it has none.
func revisionOf(what string) string {
	_, last, _ := cutLast(what, " (")
	if rev, ok := strings.CutSuffix(last, ")"); ok && isRevision(rev) {
		return rev
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

// isRevision says whether a text is one: a number, or x and a number for what was installed from a file.
func isRevision(text string) bool {
	digits := strings.TrimPrefix(text, "x")
	return digits != "" && len(digits) < 12 && strings.Trim(digits, "0123456789") == ""
}

// isName says whether a text is a snap's name, with its instance: letters, digits and dashes. It goes into a path.
func isName(text string) bool {
	return text != "" && len(text) <= 60 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// check holds a list to what snapd can say.
func check(list []snap) error {
	for _, s := range list {
		if !isName(s.Name) || !isRevision(s.Revision) {
			return &fleet.Unknown{Because: fmt.Sprintf("snapd speaks of a snap %q with the revision %q", fleet.Plain(s.Name), fleet.Plain(s.Revision)), Remedy: "report it, with the output of `snap version`"}
		}
	}
	return nil
}

// installed asks what is installed: of each snap the revision that is used.
func installed(ctx context.Context, m *machine.Machine) ([]snap, error) {
	var list []snap
	if err := get(ctx, m, "/v2/snaps", &list); err != nil {
		return nil, err
	}
	return list, check(list)
}

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	list, err := installed(ctx, m)
	if err != nil {
		return nil, err
	}
	packages := make([]fleet.Package, 0, len(list))
	for _, p := range list {
		packages = append(packages, fleet.Package{Source: s.Name(), Name: p.Name, Version: p.what()})
	}
	fleet.SortPackages(packages)
	return packages, nil
}

// noAdvisories is what is known of security here.
const noAdvisories = "the Snap Store publishes no advisories"

// Scan implements source.Source.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{SecurityUnknown: noAdvisories}
	list, err := installed(ctx, m)
	if err != nil {
		return f, err
	}
	a, err := s.offers(ctx, m, list, false)
	if err != nil {
		return f, err
	}
	f.AsOf = a.Asked
	for _, p := range list {
		if to, ok := a.of(p); ok {
			f.Updates = append(f.Updates, update(p, to, m.Now()))
		}
	}
	f.Notes, err = notes(ctx, m)
	for _, p := range list {
		if p.Broken != "" {
			f.Notes = append(f.Notes, p.Name+" is broken: "+fleet.Plain(p.Broken))
		}
	}
	return f, err
}

// update gives the form that people see.
func update(from, to snap, now time.Time) fleet.Update {
	u := fleet.Update{Name: from.Name, From: from.what(), To: to.what(), Origin: fleet.Plain(to.Channel), Size: to.Download, Summary: fleet.Plain(to.Summary)}
	switch {
	case from.Hold.After(now):
		u.Blocked, u.BlockedBecause = fleet.Held, until(from.Hold, now)
	case from.Gating.After(now):
		u.BlockedBecause = "another snap keeps snapd from updating it by itself " + until(from.Gating, now)
	}
	return u
}

// forever is a time that nobody will see: snapd writes a hold without an end as one of some hundred years.
const forever = 50 * 365 * 24 * time.Hour

func until(at, now time.Time) string {
	if at.Sub(now) > forever {
		return "until it is released"
	}
	return "until " + at.UTC().Format("2006-01-02 15:04 UTC")
}

// answer is what the store said, and for which revisions.
type answer struct {
	Asked     time.Time         `json:"asked"`
	Revisions map[string]string `json:"revisions"`
	Offers    []snap            `json:"offers"`
}

// of gives what is on offer for an installed snap.
func (a answer) of(p snap) (snap, bool) {
	at := slices.IndexFunc(a.Offers, func(o snap) bool { return o.Name == p.Name && o.Revision != p.Revision })
	if at < 0 {
		return snap{}, false
	}
	return a.Offers[at], true
}

// askEvery is how often the store is asked: snapd itself asks it four times a day.
const askEvery = time.Hour

// offers asks what the store has on offer, or gives its last answer, if that is about exactly what is installed and not old.
func (s Source) offers(ctx context.Context, m *machine.Machine, list []snap, anew bool) (answer, error) {
	a := answer{Asked: m.Now().UTC(), Revisions: map[string]string{}}
	for _, p := range list {
		a.Revisions[p.Name] = p.Revision
	}
	if last, ok := s.last(); ok && !anew && sameRevisions(last.Revisions, a.Revisions) && a.Asked.Sub(last.Asked).Abs() < askEvery {
		return last, nil
	}
	if err := get(ctx, m, "/v2/find?"+url.Values{"select": {"refresh"}}.Encode(), &a.Offers); err != nil {
		because, remedy := fleet.Explain(err)
		return a, &fleet.Unknown{Because: "what the Snap Store has on offer is not known: " + because, Remedy: remedy, Err: err}
	}
	if err := check(a.Offers); err != nil {
		return a, err
	}
	return a, s.keep(a)
}

func sameRevisions(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, revision := range a {
		if b[name] != revision {
			return false
		}
	}
	return true
}

// answerFile keeps the store's last answer.
const answerFile = "snap.json"

func (s Source) last() (a answer, ok bool) {
	if s.StateDir == "" {
		return a, false
	}
	text, err := os.ReadFile(filepath.Join(s.StateDir, answerFile))
	return a, err == nil && json.Unmarshal(text, &a) == nil && check(a.Offers) == nil
}

func (s Source) keep(a answer) error {
	if s.StateDir == "" {
		return nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return machine.WriteFile(filepath.Join(s.StateDir, answerFile), text, 0o600)
}

// Refresh implements source.Refresher: it asks the store anew.
func (s Source) Refresh(ctx context.Context, m *machine.Machine) error {
	list, err := installed(ctx, m)
	if err != nil {
		return err
	}
	_, err = s.offers(ctx, m, list, true)
	return err
}

// system is what snapd says of the machine and of itself.
type system struct {
	Version   string `json:"version"`
	OnClassic bool   `json:"on-classic"`
	Refresh   struct {
		Hold string `json:"hold"`
		Next string `json:"next"`
	} `json:"refresh"`
}

// notes says when snapd will install updates by itself.
func notes(ctx context.Context, m *machine.Machine) ([]string, error) {
	var s system
	if err := get(ctx, m, "/v2/system-info", &s); err != nil {
		return nil, err
	}
	now := m.Now()
	if hold, err := time.Parse(time.RFC3339, s.Refresh.Hold); err == nil && hold.After(now) {
		return []string{"snapd installs no updates by itself " + until(hold, now) + " (refresh.hold)"}, nil
	}
	if next, err := time.Parse(time.RFC3339, s.Refresh.Next); err == nil {
		return []string{"snapd installs updates by itself, the next time at " + next.UTC().Format("2006-01-02 15:04 UTC")}, nil
	}
	return nil, nil
}
