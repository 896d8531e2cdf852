package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Client is the agent's side of the conversation.
type Client struct {
	// Server is the base URL: https://fleet.example.com.
	Server string
	Signer Signer
	// HTTP does the requests; nil means http.DefaultClient.
	HTTP *http.Client
}

// NewKeyID is the key ID of who has none yet, and signs with the key that he brings.
const NewKeyID = "new"

// Enroll asks to join the fleet.
func (c *Client) Enroll(ctx context.Context, e Enroll) (Enrolled, error) {
	var got Enrolled
	err := c.post(ctx, PathEnroll, e, &got)
	return got, err
}

// CheckIn says that the host is there. What it gives names the parts that the server wants; nil when it knows all.
func (c *Client) CheckIn(ctx context.Context, in CheckIn) ([]string, error) {
	var got CheckedIn
	err := c.post(ctx, PathCheckIn, in, &got)
	return got.Send, err
}

// Report says what has changed. What it gives names the parts that the server could not use.
func (c *Client) Report(ctx context.Context, r Report) ([]string, error) {
	var got Reported
	err := c.post(ctx, PathReport, r, &got)
	return got.Send, err
}

// Orders waits for orders, as long as the request says. It gives none when there were none.
func (c *Client) Orders(ctx context.Context, w Wait) ([]SignedOrder, error) {
	var got Orders
	err := c.post(ctx, PathOrders, w, &got)
	return got.Orders, err
}

// Result says what became of an order.
func (c *Client) Result(ctx context.Context, r Result) error {
	return c.post(ctx, PathResults, r, nil)
}

// Progress says what the tools say, and gives the number of the line that the server waits for.
func (c *Client) Progress(ctx context.Context, p Progress) (next int, err error) {
	var got Progressed
	err = c.post(ctx, PathProgress, p, &got)
	return got.Next, err
}

// Leave takes the host out of the fleet.
func (c *Client) Leave(ctx context.Context) error {
	return c.post(ctx, PathLeave, Leave{Level: Level}, nil)
}

// maxAnswer bounds what a server answers to one message: 10,000 tags of 128 bytes are 1.3 MB.
const maxAnswer = 4 << 20

// post sends a message, signed, and reads the answer. A refusal is a *[Refusal].
func (c *Client) post(ctx context.Context, path string, message, answer any) error {
	body, encoding, err := Pack(message)
	if err != nil {
		return fmt.Errorf("pack the message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	req.Header["User-Agent"] = nil // the message says who we are; a header would be the third of a check-in
	c.Signer.Sign(req, body)
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("read the server's answer: %w", err)
	case resp.StatusCode == http.StatusNoContent:
		return nil
	case resp.StatusCode != http.StatusOK:
		return refusalOf(resp, data)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// refusalOf reads a problem document. What answers without one is no server of ours: a proxy, a hotel's login page.
func refusalOf(resp *http.Response, data []byte) error {
	var r Refusal
	if resp.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(data, &r) != nil || r.Code == "" {
		return errors.New("what answers is not the fleet's server: " + fleet.Plain(resp.Status))
	}
	r.Status, r.Detail = resp.StatusCode, fleet.Plain(r.Detail)
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		r.RetryAfter = time.Duration(seconds) * time.Second
	}
	return &r
}
