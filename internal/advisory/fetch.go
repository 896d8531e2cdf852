package advisory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"redflag/internal/fleet"
)

const (
	// maxFetch bounds a download: OSV's archive of all of Ubuntu has some hundred MB.
	maxFetch = 2 << 30
	// fetchTime bounds all of it, on a line of 1 MB/s.
	fetchTime = 45 * time.Minute
	// answerTime is how long an address may take to begin.
	answerTime = 30 * time.Second
	// maxRedirects bounds a chain of them.
	maxRedirects = 5
)

// IsURL tells an address from the name of a file.
func IsURL(from string) bool {
	return strings.HasPrefix(from, "https://") || strings.HasPrefix(from, "http://")
}

// client fetches feeds. It sends nothing but the address and what was fetched from there before.
func client() *http.Client {
	return &http.Client{
		Timeout: fetchTime,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: answerTime, TLSHandshakeTimeout: answerTime,
			DisableCompression: true, // a feed is compressed itself, and its ETag is of that
			DisableKeepAlives:  true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) >= maxRedirects {
				return errors.New("too many redirects")
			}
			if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
				return errors.New("it leads from https to http")
			}
			return nil
		},
	}
}

// errUnchanged is an address that has nothing newer.
var errUnchanged = errors.New("nothing newer")

// fetch writes what is at an address to a file, and gives its ETag. Where an address has what etag names already, it is errUnchanged.
func fetch(ctx context.Context, from, etag string, to *os.File) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", from, err)
	}
	r.Header.Set("User-Agent", "redflag")
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	answer, err := client().Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return "", &fleet.Unknown{Because: fmt.Sprintf("%s cannot be fetched: %v", shown(from), err), Err: err}
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotModified && etag != "":
		return etag, errUnchanged
	case answer.StatusCode != http.StatusOK:
		return "", refused("%s cannot be fetched: it answers %s", shown(from), fleet.Plain(answer.Status))
	case answer.ContentLength > maxFetch:
		return "", refused("%s has %d MB, at most %d are fetched", shown(from), answer.ContentLength>>20, maxFetch>>20)
	}
	n, err := io.Copy(to, io.LimitReader(answer.Body, maxFetch+1))
	switch {
	case err != nil:
		return "", &fleet.Unknown{Because: fmt.Sprintf("%s broke off after %d bytes: %v", shown(from), n, err), Err: err}
	case n > maxFetch:
		return "", refused("%s has over %d MB", shown(from), maxFetch>>20)
	}
	return bounded(answer.Header.Get("ETag")), nil
}

// bounded gives an ETag that may be kept.
func bounded(etag string) string {
	if len(etag) > maxName || strings.ContainsAny(etag, "\r\n") {
		return ""
	}
	return etag
}

// Shown is where a feed is from as people see it: of an address without the password in it.
func Shown(from string) string {
	if IsURL(from) {
		return shown(from)
	}
	return fleet.Plain(from)
}

// shown is an address without what gives access.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return fleet.Plain(address)
	}
	return fleet.Plain(u.Redacted())
}
