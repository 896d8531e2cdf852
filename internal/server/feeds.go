package server

import (
	"context"
	"io"
	"time"

	"redflag/internal/advisory"
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
func (s *Server) Advisories(context.Context) (Advisories, error) {
	return Advisories{Feeds: []Feed{}, Unknown: []string{"no advisory data"}, Addresses: []FeedAddress{}}, nil
}

// ImportFeed imports a feed, or those of a bundle.
func (s *Server) ImportFeed(context.Context, io.Reader, string, bool) (ImportedFeeds, error) {
	return ImportedFeeds{}, nil
}

// FetchFeed imports what is at an address that the configuration names.
func (s *Server) FetchFeed(context.Context, string, bool) (ImportedFeeds, error) {
	return ImportedFeeds{}, nil
}

// DeleteFeed forgets a feed.
func (s *Server) DeleteFeed(ctx context.Context, name string) error {
	return s.cfg.Store.DeleteFeed(ctx, name)
}
