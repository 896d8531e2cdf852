package registry

import "sync"

// gate lets one after the other through until one of them has learnt what the others wait for; then it stands open.
type gate struct {
	mu   sync.Mutex
	open bool
}

// enter waits for its turn. The function that it gives must be called once, with whether the gate may stand open now.
func (g *gate) enter() func(known bool) {
	g.mu.Lock()
	if g.open {
		g.mu.Unlock()
		return func(bool) {}
	}
	return func(known bool) {
		g.open = known
		g.mu.Unlock()
	}
}
