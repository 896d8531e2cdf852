// Package client asks the people's API of a fleet's server, for the commands that a person types. What it reads are the values that the server wrote.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"redflag/internal/api"
	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Client asks one server with one key.
type Client struct {
	server, key string
	http        *http.Client
}

// Config says where a server is, and how it is believed.
type Config struct {
	// Server is its base URL: https://fleet.example.com. Key is one of its API.
	Server, Key string
	// CAFile is a PEM file of the authority that vouches for it, and Pin the fingerprint of its own authority, which stands in an enrolment token behind the point.
	// CA is an authority that is pinned already, in PEM. Of the three the first that is there counts; without one the system's authorities do.
	CAFile, Pin, CA string
	// PlainHTTP allows http:// to other machines.
	PlainHTTP bool
}

// patience bounds one request: the longest answer is a large rollout's plans.
const patience = time.Minute

// New makes a client.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Server)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is no server's address; it looks like https://fleet.example.com", fleet.Plain(c.Server))
	case u.Scheme == "http" && !c.PlainHTTP && !loopback(u.Hostname()):
		return nil, &fleet.Unknown{Because: "over plain HTTP anybody in between could read the key, and approve what you did not", Remedy: "use https://, or --plain-http in a network that you trust"}
	}
	config, err := c.trust()
	if err != nil {
		return nil, err
	}
	return &Client{server: strings.TrimSuffix(c.Server, "/"), key: c.Key, http: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, MaxIdleConnsPerHost: 8},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a key is for one server
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// trust says whom a connection believes.
func (c Config) trust() (*tls.Config, error) {
	switch {
	case c.CAFile != "":
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the server's authority: %w", err)
		}
		return wire.TrustCA(string(pem))
	case c.Pin != "":
		return wire.TrustFingerprint(c.Pin, nil), nil
	case c.CA != "":
		return wire.TrustCA(c.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12}, nil
}

// Problem is an answer that is none (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error implements error.
func (p *Problem) Error() string {
	text := fleet.Plain(p.Detail)
	for _, e := range p.Errors {
		text += "; " + fleet.Plain(e.Message)
	}
	return text
}

// IsStatus says whether an error is an answer with a status.
func IsStatus(err error, status int) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == status
}

// maxAnswer bounds an answer: a rollout's plans are at most so many, each of 2 MiB, and mostly the same.
const maxAnswer = 256 << 20

// Ask sends a request, with a body where there is one, and reads the answer into a value.
func (c *Client) Ask(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// Copy writes an answer as it is.
func (c *Client) Copy(ctx context.Context, path string, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// send gives an answer that is one; whoever gets it closes it.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	data := []byte{}
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.server+api.Prefix+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req)
}

// do sends a request with the key.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	p := &Problem{}
	const maxProblem = 64 << 10
	if json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(p) != nil || p.Status == 0 {
		return nil, errors.New("what answers is not the fleet's server: " + fleet.Plain(resp.Status))
	}
	return nil, p
}

// All reads a list to its end, page by page.
func All[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	var all []T
	for query = clone(query); ; {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := c.Ask(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("after", page.Next)
	}
}

func clone(query url.Values) url.Values {
	q := url.Values{"limit": {"500"}}
	for k, v := range query {
		q[k] = v
	}
	return q
}
