// Package turn is what backends share that gather Updates into groups, whose
// members run one after the other and share one commit: the queue of those that
// wait for their turn, and the gate that a store closes behind the last.
package turn

import (
	"context"
	"sync"

	"github.com/joinery-crdt/joinery/store"
)

// A Member is one Update on its way through a group of type G.
type Member[G any] struct {
	turn  chan given[G] // receives once
	taken bool          // whether it has left the queue for that; guarded by the queue's mu
	gone  bool          // whether it gave up before; guarded by the queue's mu
}

// given is a group to run in, or why there is none.
type given[G any] struct {
	group *G
	err   error
}

// Give lets the member run in a group. A member that was taken from a queue
// gets exactly one, or is turned away.
func (m *Member[G]) Give(g *G) { m.turn <- given[G]{group: g} }

// TurnAway tells the member why it cannot run.
func (m *Member[G]) TurnAway(err error) { m.turn <- given[G]{err: err} }

// A Queue holds the members that wait for their turn, first come, first
// served. All methods are safe for concurrent use.
type Queue[G any] struct {
	mu      sync.Mutex // guards the rest
	nonzero *sync.Cond // on mu: waiting has grown, or closed is set
	waiting []*Member[G]
	gone    int   // members of waiting that gave up
	closed  bool  // no more members come
	refused error // why none is taken any more
}

// NewQueue returns an empty queue.
func NewQueue[G any]() *Queue[G] {
	q := &Queue[G]{}
	q.nonzero = sync.NewCond(&q.mu)
	return q
}

// Join adds a member and returns the group whose turn-holder it has become, or
// why it has not. If ctx ends before, the member leaves the queue and Join
// returns the context's error.
func (q *Queue[G]) Join(ctx context.Context) (*G, error) {
	m, err := q.push()
	if err != nil {
		return nil, err
	}
	var turn given[G]
	select {
	case turn = <-m.turn:
	case <-ctx.Done():
		if q.leave(m) {
			return nil, ctx.Err()
		}
		turn = <-m.turn
	}
	return turn.group, turn.err
}

// push adds a member, or returns why none is taken any more.
func (q *Queue[G]) push() (*Member[G], error) {
	m := &Member[G]{turn: make(chan given[G], 1)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refused != nil {
		return nil, q.refused
	}
	q.waiting = append(q.waiting, m)
	q.nonzero.Signal()
	return m, nil
}

// leave takes m out unless it has been given its turn.
func (q *Queue[G]) leave(m *Member[G]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m.taken {
		return false
	}
	m.gone = true
	q.gone++
	return true
}

// Take waits for a member and removes it; nil means that there will be none.
func (q *Queue[G]) Take() *Member[G] {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if m := q.pop(); m != nil || q.closed || q.refused != nil {
			return m
		}
		q.nonzero.Wait()
	}
}

// Next removes a member that waits, nil if there is none.
func (q *Queue[G]) Next() *Member[G] {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pop()
}

// pop is Next for a caller that holds mu.
func (q *Queue[G]) pop() *Member[G] {
	for i, m := range q.waiting {
		q.waiting[i] = nil
		if m.gone {
			q.gone--
			continue
		}
		q.waiting = q.waiting[i+1:]
		m.taken = true
		return m
	}
	q.waiting = q.waiting[:0]
	return nil
}

// Len returns how many members wait.
func (q *Queue[G]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) - q.gone
}

// Close says that no more members come: Join returns store.ErrClosed.
func (q *Queue[G]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.refused == nil {
		q.refused = store.ErrClosed
	}
	q.nonzero.Broadcast()
}

// Refuse turns away the members that wait and all later ones.
func (q *Queue[G]) Refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = err
	for m := q.pop(); m != nil; m = q.pop() {
		m.TurnAway(err)
	}
	q.nonzero.Broadcast()
}
