package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Feed is a feed of advisories, as people see it.
type Feed struct {
	Name string        `json:"name"`
	Kind advisory.Kind `json:"kind"`
	// Publisher is who is to be named for it, and Licence whose terms it is under.
	Publisher string `json:"publisher"`
	Licence   string `json:"licence"`
	// From is the file or the address that it was read from.
	From string `json:"from"`
	// AsOf is when its publisher made it, or where it does not say, when it was imported. CheckedAt is when it was last found to be all that there is.
	AsOf       time.Time `json:"as_of"`
	ImportedAt time.Time `json:"imported_at"`
	CheckedAt  time.Time `json:"checked_at,omitzero"`
	// Entries is how many records it has, and Ecosystems how many statements on which distributions' packages.
	Entries    int            `json:"entries"`
	Ecosystems map[string]int `json:"ecosystems"`
	// Stale: it is so old that it must be expected to lack something.
	Stale bool `json:"stale"`
	// Error says why it cannot be read, or why its address had nothing newer to give; empty where nothing is wrong.
	Error string `json:"error"`
}

// Advisories is what is known of advisories here.
type Advisories struct {
	Feeds []Feed `json:"feeds"`
	// Unknown says what is not known, in words; empty where nothing is missing.
	Unknown []string `json:"unknown"`
	// Addresses are those that the configuration names: the server asks them, and no other. Without any it asks nobody.
	Addresses []FeedAddress `json:"addresses"`
}

// FeedAddress is an address that the server asks for a feed.
type FeedAddress struct {
	URL string `json:"url"`
	// Error says why it had none the last time; empty where it had.
	Error string `json:"error"`
}

// ImportedFeeds is what became of an import.
type ImportedFeeds struct {
	Feeds []ImportedFeed `json:"feeds"`
	// Problems say what was not taken, of a bundle that had more than one feed.
	Problems string `json:"problems,omitempty"`
}

// ImportedFeed is one feed that was imported.
type ImportedFeed struct {
	Feed
	// Unchanged: what is there is what would have been imported.
	Unchanged bool `json:"unchanged"`
}

// Advisories says what is known of advisories here.
func (s *Server) Advisories(ctx context.Context) (Advisories, error) {
	known := Advisories{Feeds: []Feed{}, Unknown: []string{}, Addresses: []FeedAddress{}}
	kept, err := s.cfg.Store.Feeds(ctx)
	if err != nil {
		return known, err
	}
	failed, err := s.cfg.Store.FeedErrors(ctx)
	if err != nil {
		return known, err
	}
	because := map[string]string{}
	for _, e := range failed {
		because[e.Address] = e.Error
	}
	for _, k := range kept {
		var f advisory.Feed
		if err := json.Unmarshal([]byte(k.About), &f); err != nil {
			return known, fmt.Errorf("the description of feed %s: %w", fleet.Plain(k.Name), err)
		}
		f.CheckedAt = k.CheckedAt
		one := shown(f, s.cfg.Now())
		one.Error = because[f.From]
		known.Feeds = append(known.Feeds, one)
	}
	for _, a := range s.cfg.Feeds {
		known.Addresses = append(known.Addresses, FeedAddress{advisory.Shown(a), because[a]})
	}
	known.Unknown, err = s.exposure.Unknown(ctx)
	return known, err
}

// shown is a feed as people see it.
func shown(f advisory.Feed, now time.Time) Feed {
	one := Feed{
		Name: f.Name, Kind: f.Kind, Publisher: fleet.Plain(f.Attribution), Licence: fleet.Plain(f.Licence), From: advisory.Shown(f.From),
		AsOf: f.Age(), ImportedAt: f.ImportedAt, CheckedAt: f.CheckedAt, Entries: f.Records, Ecosystems: f.Ecosystems, Stale: f.Stale(now),
	}
	if one.Ecosystems == nil {
		one.Ecosystems = map[string]int{}
	}
	return one
}

// feedText is how a feed's description is kept.
func feedText(f advisory.Feed) (string, error) {
	text, err := json.Marshal(f)
	return string(text), err
}

// ErrFeedLarge: a feed that is sent is over the bound.
var ErrFeedLarge = errors.New("the feed is too large to be sent: import it where the server runs, or name its address in the configuration")

// ImportFeed imports a feed that is sent, or those of a bundle. From says where it comes from.
func (s *Server) ImportFeed(ctx context.Context, body io.Reader, from string, replace bool) (ImportedFeeds, error) {
	temp, err := os.CreateTemp("", "redflag-feed-*")
	if err != nil {
		return ImportedFeeds{}, fmt.Errorf("receive a feed: %w", err)
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	_, err = io.Copy(temp, body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return ImportedFeeds{}, ErrFeedLarge
	case err != nil:
		return ImportedFeeds{}, fmt.Errorf("receive a feed: %w", err)
	}
	from = cmp.Or(from, "what was sent")
	return s.importFeeds(ctx, func(dir string) ([]advisory.Imported, error) {
		return advisory.Import{Dir: dir, Now: s.cfg.Now(), Replace: replace}.File(temp, from)
	})
}

// ErrAddress: an address that the configuration does not name.
var ErrAddress = errors.New("this server asks only the addresses that its configuration names (feeds in the section server), and this is none of them")

// FetchFeed imports what is at an address that the configuration names. Who asks may leave out the password in it, as he is not shown it.
func (s *Server) FetchFeed(ctx context.Context, address string, replace bool) (ImportedFeeds, error) {
	i := slices.IndexFunc(s.cfg.Feeds, func(a string) bool { return a == address || advisory.Shown(a) == address })
	if i < 0 {
		return ImportedFeeds{}, ErrAddress
	}
	address = s.cfg.Feeds[i]
	done, err := s.importFeeds(ctx, func(dir string) ([]advisory.Imported, error) {
		return advisory.Import{Dir: dir, Now: s.cfg.Now(), Replace: replace}.From(ctx, address)
	})
	note := store.FeedError{Address: address, At: s.cfg.Now()}
	if err != nil {
		because, _ := fleet.Explain(err)
		note.Error = fleet.Plain(because)
	}
	return done, errors.Join(err, s.cfg.Store.NoteFeed(context.WithoutCancel(ctx), note))
}

func (s *Server) importFeeds(ctx context.Context, do func(dir string) ([]advisory.Imported, error)) (ImportedFeeds, error) {
	done := ImportedFeeds{Feeds: []ImportedFeed{}}
	taken, err := s.feeds.take(ctx, s.cfg.Now(), do)
	for _, one := range taken {
		done.Feeds = append(done.Feeds, ImportedFeed{shown(one.Feed, s.cfg.Now()), one.Unchanged})
	}
	if len(taken) > 0 {
		s.Note(TopicAdvisories)
		if err != nil {
			done.Problems, _ = fleet.Explain(err)
			err = nil
		}
	}
	return done, err
}

// DeleteFeed forgets a feed.
func (s *Server) DeleteFeed(ctx context.Context, name string) error {
	if err := s.cfg.Store.DeleteFeed(ctx, name); err != nil {
		return err
	}
	s.Note(TopicAdvisories)
	_, err := s.feeds.sync(ctx)
	return err
}

const (
	// syncEvery is how often it is seen whether another process has imported feeds, and what hosts have said.
	syncEvery = 5 * time.Second
	// fetchEvery is how often it is seen which addresses are to be asked; each is asked once in askedEvery, and once in an hour where it had nothing for us.
	fetchEvery = 15 * time.Minute
	askedEvery = 20 * time.Hour
	failedWait = time.Hour
)

// syncFeeds takes over what other processes have imported, and keeps what is known of the fleet's vulnerabilities up to date.
func (s *Server) syncFeeds(ctx context.Context) error {
	changed, err := s.feeds.sync(ctx)
	if changed {
		s.changes.publish(Change{Topic: TopicAdvisories})
	}
	return errors.Join(err, s.exposure.Renew(ctx))
}

// fetchFeeds asks the addresses that the configuration names, one process for all. Without any it asks nobody.
func (s *Server) fetchFeeds(ctx context.Context) error {
	if len(s.cfg.Feeds) == 0 {
		return nil
	}
	now := s.cfg.Now()
	ours, err := s.cfg.Store.Lease(ctx, "feeds", s.name, now, now.Add(2*fetchEvery))
	if err != nil || !ours {
		return err
	}
	known, err := s.Advisories(ctx)
	if err != nil {
		return err
	}
	failed, err := s.cfg.Store.FeedErrors(ctx)
	if err != nil {
		return err
	}
	next := map[string]time.Time{} // by the addresses as they are shown
	for _, f := range known.Feeds {
		next[f.From] = f.CheckedAt.Add(askedEvery)
	}
	for _, e := range failed {
		next[advisory.Shown(e.Address)] = e.At.Add(failedWait)
	}
	var problems []error
	for _, address := range s.cfg.Feeds {
		if !now.Before(next[advisory.Shown(address)]) {
			_, err := s.FetchFeed(ctx, address, false)
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
