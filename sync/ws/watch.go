package ws

import (
	"context"
	"sync"
)

// A watch kills a connection when a context ends under which a call is in
// progress. Calls come under the same context mostly, which is asked once for all
// of them to tell of its end.
type watch struct {
	kill func()

	mu    sync.Mutex // guards what follows, and all watched
	last  *watched   // nil for none
	ended bool
}

// watched is a context and the calls under it.
type watched struct {
	done  <-chan struct{}
	calls int // in progress
	stop  func() bool
}

// enter begins a call under ctx, which ends with leave. If ctx has ended, the
// connection has been killed or soon is.
func (w *watch) enter(ctx context.Context) *watched {
	done := ctx.Done()
	if done == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil || w.last.done != done {
		w.replace(w.follow(ctx))
	}
	w.last.calls++
	if ctx.Err() != nil {
		go w.kill() // it told of its end when there was no call
	}
	return w.last
}

// follow returns ctx without a call. The caller holds w.mu.
func (w *watch) follow(ctx context.Context) *watched {
	c := &watched{done: ctx.Done()}
	c.stop = context.AfterFunc(ctx, func() {
		w.mu.Lock()
		busy := c.calls > 0
		w.mu.Unlock()
		if busy {
			w.kill()
		}
	})
	return c
}

// leave ends a call.
func (w *watch) leave(c *watched) {
	if c == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.calls--; c.calls == 0 && (c != w.last || w.ended) {
		c.stop()
	}
}

// replace puts next, which may be nil, in the place of the last context. The
// caller holds w.mu.
func (w *watch) replace(next *watched) {
	if w.last != nil && w.last.calls == 0 {
		w.last.stop()
	}
	w.last = next
}

// end lets go of contexts as soon as no call is in progress.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.replace(nil)
}
