package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Client asks the helper of a machine over its socket.
type Client struct{ file string }

// NewClient asks the helper that listens at a file.
func NewClient(file string) *Client { return &Client{file} }

// ErrAway: no helper answers.
var ErrAway = errors.New("the root helper does not answer")

// dialPatience is how long a helper may take to be there: a socket of this machine.
const dialPatience = 10 * time.Second

func (c *Client) ask(ctx context.Context, request Request) (Response, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return Response{}, err
	}
	dialer := net.Dialer{Timeout: dialPatience}
	conn, err := dialer.DialContext(ctx, "unix", c.file)
	if errors.Is(err, os.ErrPermission) {
		return Response{}, &fleet.Unknown{Because: "this user may not speak to the root helper", Remedy: "run the agent as the service that `redflag agent install` makes", Err: errors.Join(ErrAway, err)}
	}
	if err != nil {
		return Response{}, &fleet.Unknown{Because: ErrAway.Error(), Remedy: "see what it says: journalctl -u redflag-helper", Err: ErrAway}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	response, err := exchange(conn, data)
	if err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrAway, errors.Join(ctx.Err(), err))
	}
	return response, response.err()
}

func exchange(conn net.Conn, data []byte) (Response, error) {
	if _, err := conn.Write(data); err != nil {
		return Response{}, err
	}
	if half, ok := conn.(*net.UnixConn); ok {
		if err := half.CloseWrite(); err != nil {
			return Response{}, err
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxResponse+1))
	if err != nil {
		return Response{}, err
	}
	var r Response
	if err := json.Unmarshal(answer, &r); err != nil {
		return Response{}, fmt.Errorf("read its answer: %w", err)
	}
	return r, nil
}

// Facts is [Helper.Facts].
func (c *Client) Facts(ctx context.Context) (Facts, error) {
	r, err := c.ask(ctx, Request{Facts: &struct{}{}})
	if err == nil && r.Facts == nil {
		err = ErrAway
	}
	if err != nil {
		return Facts{}, err
	}
	return *r.Facts, nil
}

// Refresh is [Helper.Refresh].
func (c *Client) Refresh(ctx context.Context) error {
	_, err := c.ask(ctx, Request{Refresh: &struct{}{}})
	return err
}

// Do is [Helper.Do].
func (c *Client) Do(ctx context.Context, signed wire.SignedOrder) (Report, error) {
	return c.report(ctx, Request{Do: &signed})
}

// Look is [Helper.Look].
func (c *Client) Look(ctx context.Context, l Look) (Report, error) {
	return c.report(ctx, Request{Look: &l})
}

func (c *Client) report(ctx context.Context, request Request) (Report, error) {
	r, err := c.ask(ctx, request)
	if err == nil && r.Report == nil {
		err = ErrAway
	}
	if err != nil {
		return Report{}, err
	}
	return *r.Report, nil
}
