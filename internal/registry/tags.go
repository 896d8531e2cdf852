package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/distribution/reference"
)

const (
	// MaxTags bounds a list of tags: past it, the list is cut and a warning is logged.
	MaxTags = 10_000
	// tagsPage is how many are asked for at once; some registries give fewer.
	tagsPage = "1000"
	// maxPages bounds the requests for one list: 100 tags a page, as GHCR gives, are 10,000 in 100.
	maxPages = 100
	// maxTagsPage bounds a page: 1,000 tags of 128 bytes are 131 kB; some registries ignore n and send all at once.
	maxTagsPage = 8 << 20
	// tagsLifetime is how long a list is used again: new versions come by the day, and a list costs more than a HEAD.
	tagsLifetime = 24 * time.Hour
	// tagsBound is how old a list may be that serves because no newer one can be had.
	tagsBound = 7 * 24 * time.Hour
)

const recordTags = "tags"

type tagsRecord struct {
	Tags []string  `json:"tags"`
	At   time.Time `json:"at"`
}

// TagList is the tags of a repository, and when the registry gave them.
type TagList struct {
	Tags      []string
	CheckedAt time.Time
}

// Tags lists the tags of a repository: at most MaxTags, kept for a day (not at all where [Config.TagLifetime] is less than 0). When the
// registry cannot be asked, the list before serves for a week: a newer tag in it is newer still.
func (c *Client) Tags(ctx context.Context, name reference.Named) ([]string, error) {
	l, err := c.TagList(ctx, name)
	return l.Tags, err
}

// TagList is [Client.Tags], and says how old the list is.
func (c *Client) TagList(ctx context.Context, name reference.Named) (TagList, error) {
	if l, ok := c.RecallTags(name); ok {
		return l, nil
	}
	if l, ok := c.shareTags(ctx, name); ok {
		c.keepTags(name, l)
		return l, nil
	}
	tags, err := once(ctx, c, "tags "+tagsKey(name), func(ctx context.Context) ([]string, error) {
		return eachEndpoint(c, name, func(h *host) ([]string, error) { return c.listTags(ctx, h, name) })
	})
	if err != nil {
		var rec tagsRecord
		if canBeOld(err) && c.cache.record(recordTags, tagsKey(name), &rec) && c.young(rec.At, tagsBound) {
			return TagList{rec.Tags, rec.At}, nil
		}
		return TagList{}, err
	}
	l := TagList{tags, c.cfg.Now().UTC()}
	c.keepTags(name, l)
	return l, nil
}

// RecallTags gives a repository's tags from the cache while they are young. It asks nobody.
func (c *Client) RecallTags(name reference.Named) (TagList, bool) {
	var rec tagsRecord
	if c.cfg.TagLifetime < 0 || !c.cache.record(recordTags, tagsKey(name), &rec) || !c.young(rec.At, tagsLifetime) {
		return TagList{}, false
	}
	return TagList{rec.Tags, rec.At}, true
}

func (c *Client) keepTags(name reference.Named, l TagList) {
	c.cache.keepRecord(recordTags, tagsKey(name), tagsRecord{Tags: l.Tags, At: l.CheckedAt})
}

func tagsKey(name reference.Named) string { return reference.TrimNamed(name).String() }

// listTags walks over the pages of a list (distribution-spec, content discovery).
func (c *Client) listTags(ctx context.Context, h *host, name reference.Named) ([]string, error) {
	repo := reference.Path(name)
	path := repo + "/tags/list?n=" + tagsPage
	tags, seen := []string{}, map[string]bool{}
	for path != "" && !seen[path] {
		if len(seen) == maxPages || len(tags) > MaxTags {
			c.cfg.Log.Warn("a list of tags is cut: newer ones may be missing", "repository", name.String(), "tags", len(tags))
			break
		}
		seen[path] = true
		page, next, err := c.pageOfTags(ctx, h, question{method: http.MethodGet, path: path, repo: repo, accept: "application/json", limit: maxTagsPage})
		if err != nil {
			return nil, err
		}
		tags, path = append(tags, page...), next
	}
	return tags[:min(len(tags), MaxTags)], nil
}

// pageOfTags gives one page, and the path of the next; empty after the last.
func (c *Client) pageOfTags(ctx context.Context, h *host, q question) (tags []string, next string, err error) {
	r, err := c.ask(ctx, h, q)
	if err != nil {
		return nil, "", err
	}
	if err := c.status(h, r); err != nil {
		return nil, "", err
	}
	if tags, err = parseTags(r.body); err != nil {
		return nil, "", badAnswer(h.name, "%v", err)
	}
	if u, ok := nextPage(r.header.Values("Link"), r.url); ok {
		if next, err = belowV2(u, r.url); err != nil {
			return nil, "", badAnswer(h.name, "%v", err)
		}
	}
	return tags, next, nil
}

var validTag = regexp.MustCompile(`^[\w][\w.-]{0,127}$`)

// parseTags reads a page of tags. One that the grammar of references does not allow is dropped.
func parseTags(body []byte) ([]string, error) {
	var j struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(body, &j); err != nil {
		return nil, fmt.Errorf("no JSON list of tags: %w", err)
	}
	return validTags(j.Tags), nil
}

// validTags leaves out what the grammar of references does not allow.
func validTags(list []string) []string {
	tags := []string{}
	for _, t := range list {
		if validTag.MatchString(t) {
			tags = append(tags, t)
		}
	}
	return tags
}

// nextPage finds the address of the next page in Link headers (RFC 8288).
func nextPage(links []string, base *url.URL) (*url.URL, bool) {
	for _, header := range links {
		for link := range strings.SplitSeq(header, ",") {
			target, params, ok := strings.Cut(strings.TrimSpace(link), ">")
			if !ok || !strings.HasPrefix(target, "<") || !isNext(params) {
				continue
			}
			u, err := base.Parse(target[1:])
			return u, err == nil
		}
	}
	return nil, false
}

func isNext(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(value, `" `), "next") {
			return true
		}
	}
	return false
}

// belowV2 takes the path of a next page, which must be of the same list.
func belowV2(next, from *url.URL) (string, error) {
	if next.Host != from.Host || next.Scheme != from.Scheme {
		return "", errors.New("a next page on another host")
	}
	_, path, ok := strings.Cut(next.RequestURI(), "/v2/")
	if !ok || next.Path != from.Path {
		return "", errors.New("a next page that is not of the same list")
	}
	return path, nil
}
