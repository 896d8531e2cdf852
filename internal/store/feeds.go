package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"redflag/internal/fleet"
)

// Feed is a feed of advisories, as every process on this database has it: a file.
type Feed struct {
	Name string
	// About describes it, in the words of who made the file; the store does not read them.
	About string
	// Digest is the SHA-256 of the file, in hex, and Size its length.
	Digest string
	Size   int64
	// CheckedAt is when it was last found to be all that there is.
	CheckedAt time.Time

	body int64
}

// ErrNoFeed: there is no feed of this name.
var ErrNoFeed = errors.New("no such feed")

// ErrOtherFeed: another one has taken the place of the feed that was to be replaced.
var ErrOtherFeed = errors.New("somebody else has imported this feed at the same time: look at what is there, and try again")

const (
	// feedPart is how many bytes of a feed one row has, and one transaction writes: less than a report does.
	feedPart = 384 << 10
	// maxStoredFeed bounds a feed: that of all of Ubuntu's releases has 200 MB.
	maxStoredFeed = 2 << 30
)

// Feeds gives every feed, by name.
func (s *Store) Feeds(ctx context.Context) ([]Feed, error) {
	list := []Feed{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var f Feed
		var checked int64
		err := scan(&f.Name, &f.About, &f.Digest, &f.Size, &f.body, &checked)
		f.CheckedAt = moment(checked)
		list = append(list, f)
		return err
	}, `SELECT name, about, digest, size, body, checked_at FROM feeds ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list feeds: %w", err)
	}
	return list, nil
}

// SaveFeed keeps a feed's file in the place of the one whose digest is before; an empty one is none. Its parts are written one by one, so that no report
// waits long, and nobody sees it before all of it is there: then it takes its place at once.
func (s *Store) SaveFeed(ctx context.Context, f Feed, before string, file io.Reader, now time.Time) error {
	f.body = newID()
	left, err := f.body, s.writeFeed(ctx, &f, file, now)
	if err == nil {
		err = s.inTx(ctx, func(c conn) error {
			replaced, err := placeFeed(ctx, c, f, before)
			if err == nil {
				left = replaced
			}
			return err
		})
	}
	if dropErr := s.dropFeed(context.WithoutCancel(ctx), left); err == nil {
		err = dropErr
	}
	if err != nil {
		return fmt.Errorf("keep feed %s: %w", fleet.Plain(f.Name), err)
	}
	return nil
}

// writeFeed writes the parts of a file, and holds them to its digest.
func (s *Store) writeFeed(ctx context.Context, f *Feed, file io.Reader, now time.Time) error {
	h := sha256.New()
	part, n := make([]byte, feedPart), int64(0)
	for {
		read, err := io.ReadFull(file, part)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if f.Size += int64(read); f.Size > maxStoredFeed {
			return fmt.Errorf("it has over %d MB", maxStoredFeed>>20)
		}
		_, _ = h.Write(part[:read]) // never fails
		data := base64.StdEncoding.EncodeToString(part[:read])
		if err := s.inTx(ctx, func(c conn) error {
			_, err := c.exec(ctx, `INSERT INTO feed_parts (body, part, written_at, data) VALUES ($1, $2, $3, $4)`, f.body, n, millis(now), data)
			return err
		}); err != nil {
			return err
		}
		n++
	}
	f.Digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

// placeFeed puts a feed that is written in the place of another, and gives the body of that; 0 where there was none.
func placeFeed(ctx context.Context, c conn, f Feed, before string) (replaced int64, err error) {
	var digest string
	err = c.one(ctx, []any{&digest, &replaced}, `SELECT digest, body FROM feeds WHERE name = $1`+c.forUpdate(), f.Name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	if digest != before {
		return 0, ErrOtherFeed
	}
	n, err := c.exec(ctx, `INSERT INTO feeds (name, about, digest, size, body, checked_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET about = excluded.about, digest = excluded.digest, size = excluded.size, body = excluded.body, checked_at = excluded.checked_at
		WHERE feeds.digest = $7`, f.Name, f.About, f.Digest, f.Size, f.body, millis(f.CheckedAt), before)
	if err == nil && n == 0 { // another process was faster
		err = ErrOtherFeed
	}
	return replaced, err
}

// ReadFeed writes a feed's file, and holds it to its digest.
func (s *Store) ReadFeed(ctx context.Context, f Feed, to io.Writer) error {
	h := sha256.New()
	out := io.MultiWriter(to, h)
	for n := int64(0); ; n++ {
		var data string
		err := s.reader().one(ctx, []any{&data}, `SELECT data FROM feed_parts WHERE body = $1 AND part = $2`, f.body, n)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return fmt.Errorf("read feed %s: %w", fleet.Plain(f.Name), err)
		}
		part, err := base64.StdEncoding.DecodeString(data)
		if err == nil {
			_, err = out.Write(part)
		}
		if err != nil {
			return fmt.Errorf("read feed %s: %w", fleet.Plain(f.Name), err)
		}
	}
	if hex.EncodeToString(h.Sum(nil)) != f.Digest {
		return fmt.Errorf("read feed %s: %w", fleet.Plain(f.Name), ErrOtherFeed) // it was replaced meanwhile, or is damaged
	}
	return nil
}

// CheckedFeed notes that a feed was found to be all that there is.
func (s *Store) CheckedFeed(ctx context.Context, name string, now time.Time) error {
	return s.inTx(ctx, func(c conn) error {
		_, err := c.exec(ctx, `UPDATE feeds SET checked_at = $1 WHERE name = $2 AND checked_at < $1`, millis(now), name)
		return err
	})
}

// DeleteFeed forgets a feed.
func (s *Store) DeleteFeed(ctx context.Context, name string) error {
	var body int64
	err := s.inTx(ctx, func(c conn) error {
		if err := c.one(ctx, []any{&body}, `SELECT body FROM feeds WHERE name = $1`+c.forUpdate(), name); err != nil {
			return notFound(err, ErrNoFeed)
		}
		_, err := c.exec(ctx, `DELETE FROM feeds WHERE name = $1`, name)
		return err
	})
	if err != nil {
		return err
	}
	return s.dropFeed(ctx, body)
}

// feedRows is how many parts are deleted in one transaction.
const feedRows = 20

// dropFeed deletes the parts of a file, a few at a time.
func (s *Store) dropFeed(ctx context.Context, body int64) error {
	for {
		n, err := s.dropParts(ctx, body)
		if err != nil || n < feedRows {
			return err
		}
	}
}

// dropParts deletes a few parts of a file, and says how many: the first one last, by which the rest is found if this is where it ends.
func (s *Store) dropParts(ctx context.Context, body int64) (n int64, err error) {
	err = s.inTx(ctx, func(c conn) (err error) {
		n, err = c.exec(ctx, `DELETE FROM feed_parts WHERE body = $1 AND part IN (SELECT part FROM feed_parts WHERE body = $1 ORDER BY part DESC LIMIT $2)`, body, feedRows)
		return err
	})
	return n, err
}

// unfinished is after how long a file whose parts nobody has put in a feed's place is one whose writer has died.
const unfinished = 24 * time.Hour

// TidyFeeds deletes the parts of files that were never put in place.
func (s *Store) TidyFeeds(ctx context.Context, now time.Time) error {
	var bodies []int64
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		bodies = append(bodies, id)
		return err
	}, `SELECT body FROM feed_parts WHERE part = 0 AND written_at < $1 AND NOT EXISTS (SELECT 1 FROM feeds WHERE feeds.body = feed_parts.body)`, now.Add(-unfinished).UnixMilli())
	for _, id := range bodies {
		err = errors.Join(err, s.dropFeed(ctx, id))
	}
	return err
}

// FeedError is why an address had no feed for us, the last time that it was asked.
type FeedError struct {
	Address string    `json:"address"`
	Error   string    `json:"error"`
	At      time.Time `json:"at"`
}

// FeedErrors gives those of all addresses that have one.
func (s *Store) FeedErrors(ctx context.Context) ([]FeedError, error) {
	list := []FeedError{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var e FeedError
		var at int64
		err := scan(&e.Address, &e.Error, &at)
		e.At = moment(at)
		list = append(list, e)
		return err
	}, `SELECT address, error, at FROM feed_errors ORDER BY address`)
	return list, err
}

// NoteFeed notes why an address had no feed, or that it had one, where the error is empty.
func (s *Store) NoteFeed(ctx context.Context, e FeedError) error {
	return s.inTx(ctx, func(c conn) error {
		if e.Error == "" {
			_, err := c.exec(ctx, `DELETE FROM feed_errors WHERE address = $1`, e.Address)
			return err
		}
		_, err := c.exec(ctx, `INSERT INTO feed_errors (address, error, at) VALUES ($1, $2, $3) ON CONFLICT (address) DO UPDATE SET error = excluded.error, at = excluded.at`,
			e.Address, e.Error, millis(e.At))
		return err
	})
}
