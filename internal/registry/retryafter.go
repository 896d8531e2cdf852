package registry

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// minWait is what a registry that limits us gets at the least: a shorter Retry-After means soon, not at once.
	minWait = time.Second
	// maxWait is what we wait within a pass. Above it the host is left alone and old answers stand.
	maxWait = time.Minute
	// maxLimited is how long we believe a registry that wants to be left alone: Docker Hub's window.
	maxLimited = 6 * time.Hour
)

// retryAfter reads how long a registry wants to be left alone, in every form that was seen: seconds, also with a fraction, an
// HTTP date (RFC 9110 §10.2.3), a Go duration; and in the body "retry-after: 1.5s" (GHCR). 0 means that it did not say.
func retryAfter(header string, body []byte, now time.Time) time.Duration {
	if d, ok := parseWait(header, now); ok {
		return d
	}
	if m := waitInBody.FindSubmatch(body); m != nil {
		if d, ok := parseWait(string(m[1]), now); ok {
			return d
		}
	}
	return 0
}

var waitInBody = regexp.MustCompile(`(?i)retry-?_?after"?\s*[:=]\s*"?([0-9][0-9a-zµ.]{0,31})`)

// parseWait gives a wait from 0 to maxLimited.
func parseWait(s string, now time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		return within(seconds), seconds >= 0
	}
	if d, err := time.ParseDuration(s); err == nil {
		return within(d.Seconds()), d >= 0
	}
	if t, err := http.ParseTime(s); err == nil {
		return within(max(0, t.Sub(now).Seconds())), true
	}
	return 0, false
}

func within(seconds float64) time.Duration {
	if !(seconds < maxLimited.Seconds()) { // also NaN
		return maxLimited
	}
	return time.Duration(seconds * float64(time.Second))
}
