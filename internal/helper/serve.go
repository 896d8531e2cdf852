package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Socket is where the helper of a machine listens, and Dir its folder.
const (
	Dir    = "/run/redflag"
	Socket = Dir + "/helper.sock"
)

const (
	// maxConnections bounds the requests at once: the agent has a handful.
	maxConnections = 32
	// readPatience and writePatience are how long a peer may take over one request or answer.
	readPatience  = 30 * time.Second
	writePatience = 30 * time.Second
)

// Listen makes a socket that only root and a group can speak to. One that is left over from before is replaced.
func Listen(file string, group int) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen: %w", err)
	}
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "unix", file)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	err = os.Chmod(file, 0o600)
	if err == nil && group >= 0 {
		err = os.Chown(file, 0, group)
	}
	if err == nil && group >= 0 {
		err = os.Chmod(file, 0o660)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// Server takes requests on a socket.
type Server struct {
	helper *Helper
	// user is the agent's, the only one beside root who is listened to.
	user int
}

// NewServer makes one for a helper, and the user of the agent.
func NewServer(h *Helper, user int) *Server { return &Server{h, user} }

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	places := make(chan struct{}, maxConnections)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen: %w", err)
		}
		select {
		case places <- struct{}{}:
		default:
			conn.Close() // it comes again
			continue
		}
		all.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			s.answer(ctx, conn)
		})
	}
}

// answer answers one request: whoever asks writes it, says that it is whole by closing that half, and reads.
func (s *Server) answer(ctx context.Context, conn net.Conn) {
	user, err := peer(conn)
	if err != nil || user != 0 && user != s.user {
		s.helper.Log.Warn("a stranger is not listened to", "uid", user, "err", err)
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(readPatience)) // a socket of ours takes one
	data, err := io.ReadAll(io.LimitReader(conn, maxRequest+1))
	if err != nil {
		return // nobody is there any more
	}
	response := s.respond(ctx, data)
	text, err := json.Marshal(response)
	if err != nil || len(text) > maxResponse {
		text = []byte(`{"kind":"failed","because":"the answer is too large"}`)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writePatience))
	_, _ = conn.Write(text) // who does not read it asks again
}

func (s *Server) respond(ctx context.Context, data []byte) Response {
	r, err := ParseRequest(data)
	if err != nil {
		return failed(err)
	}
	h := s.helper
	switch {
	case r.Facts != nil:
		f, err := h.Facts(ctx)
		if err != nil {
			return failed(err)
		}
		return Response{Facts: &f}
	case r.Refresh != nil:
		if err := h.Refresh(ctx); err != nil {
			return failed(err)
		}
		return Response{}
	}
	var report Report
	if r.Do != nil {
		report, err = h.Do(ctx, *r.Do)
	} else {
		report, err = h.Look(ctx, *r.Look)
	}
	if err != nil {
		return failed(err)
	}
	return Response{Report: &report}
}
