package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// progress is one line on a terminal's standard error that says what is being waited for. Elsewhere it is silent.
type progress struct {
	w  io.Writer // nil when silent
	mu sync.Mutex
	// waiting holds the sources that have not answered, in the order in which they began.
	waiting []string
	quit    chan struct{}
	drawn   sync.WaitGroup
}

// patience is how long a scan may take before we say a word: most are over by then, and a flicker says nothing.
const patience = 300 * time.Millisecond

func (p *Program) progress() *progress {
	w := &progress{quit: make(chan struct{})}
	if isTerminal(p.stderr) {
		w.w = p.stderr
		w.drawn.Go(w.draw)
	}
	return w
}

func (w *progress) started(source string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, source)
}

func (w *progress) done(source string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(s string) bool { return s == source })
}

func (w *progress) draw() {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			fmt.Fprint(w.w, "\r\x1b[K")
			return
		case <-tick.C:
			w.mu.Lock()
			line := strings.Join(w.waiting, ", ")
			w.mu.Unlock()
			fmt.Fprintf(w.w, "\r\x1b[Kasking %s …", line)
		}
	}
}

func (w *progress) stop() {
	close(w.quit)
	w.drawn.Wait()
}
