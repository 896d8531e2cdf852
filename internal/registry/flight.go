package registry

import (
	"context"
	"sync"
)

// flight does work once for all who want it at the same time. Its context ends when nobody waits any more, so that one who
// gives up changes nothing for the others, and all of them giving up ends the work. (x/sync/singleflight has no such end,
// and no way to wait for what was started.)
type flight struct {
	mu    sync.Mutex
	calls map[string]*call
	under sync.WaitGroup
}

// call is one piece of work under way.
type call struct {
	done    chan struct{} // closed when value and err are set
	value   any
	err     error
	cancel  context.CancelFunc
	waiters int
}

// do gives what work gives, or ctx's error as soon as it ends.
func (f *flight) do(ctx context.Context, key string, work func(context.Context) (any, error)) (any, error) {
	c := f.join(ctx, key, work)
	defer f.leave(key, c)
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *flight) join(ctx context.Context, key string, work func(context.Context) (any, error)) *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.calls[key]; ok {
		c.waiters++
		return c
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxWork)
	c := &call{done: make(chan struct{}), cancel: cancel, waiters: 1}
	if f.calls == nil {
		f.calls = map[string]*call{}
	}
	f.calls[key] = c
	f.under.Go(func() {
		c.value, c.err = work(own)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.forget(key, c)
		close(c.done)
	})
	return c
}

// leave ends work that nobody waits for. Whoever wants the same afterwards starts anew.
func (f *flight) leave(key string, c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.waiters--
	if c.waiters == 0 {
		f.forget(key, c)
		c.cancel()
	}
}

// forget must be called with the lock held.
func (f *flight) forget(key string, c *call) {
	if f.calls[key] == c {
		delete(f.calls, key)
	}
}

// wait returns when nothing is under way.
func (f *flight) wait() { f.under.Wait() }
