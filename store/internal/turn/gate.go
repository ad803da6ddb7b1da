package turn

import (
	"context"
	"sync"

	"github.com/joinery-crdt/joinery/store"
)

// A Gate counts the transactions of a store in and out. The zero Gate is open.
// All methods are safe for concurrent use.
type Gate struct {
	mu      sync.Mutex // guards closed, and running against Close
	closed  bool
	running sync.WaitGroup
}

// Enter counts a transaction in, or says why there can be none: the gate is
// closed, or ctx has ended. Whoever enters must Leave.
func (g *Gate) Enter(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.running.Add(1)
	return nil
}

// Leave counts a transaction out.
func (g *Gate) Leave() { g.running.Done() }

// Close lets no more transactions in.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Wait waits until all have left, after Close.
func (g *Gate) Wait() { g.running.Wait() }
