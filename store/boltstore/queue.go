package boltstore

import (
	"context"
	"sync"

	"github.com/joinery-crdt/joinery/store"
)

// A member is one Update on its way through a group.
type member struct {
	turn  chan *group // receives the group when the member may run
	taken bool        // whether it has left the queue for that; guarded by queue.mu
	gone  bool        // whether it gave up before; guarded by queue.mu
}

// A queue holds the Updates that wait for their turn, first come, first served.
type queue struct {
	mu      sync.Mutex // guards the rest
	nonzero sync.Cond  // on mu: waiting has grown, or closed is set
	waiting []*member
	gone    int   // members of waiting that gave up
	closed  bool  // no more members come
	refused error // why none is taken any more
}

// push adds a member.
func (q *queue) push() (*member, error) {
	m := &member{turn: make(chan *group, 1)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refused != nil {
		return nil, q.refused
	}
	q.waiting = append(q.waiting, m)
	q.nonzero.Signal()
	return m, nil
}

// wait returns the group whose turn-holder m has become. If ctx ends before,
// m leaves the queue.
func (q *queue) wait(ctx context.Context, m *member) (*group, error) {
	select {
	case g := <-m.turn:
		return g, nil
	case <-ctx.Done():
		if q.leave(m) {
			return nil, ctx.Err()
		}
		return <-m.turn, nil
	}
}

// leave takes m out unless it has been given its turn.
func (q *queue) leave(m *member) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m.taken {
		return false
	}
	m.gone = true
	q.gone++
	return true
}

// take waits for a member and removes it; nil means that there will be none.
func (q *queue) take() *member {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if m := q.pop(); m != nil || q.closed || q.refused != nil {
			return m
		}
		q.nonzero.Wait()
	}
}

// next removes a member that waits, nil if there is none.
func (q *queue) next() *member {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pop()
}

// pop is next for a caller that holds mu.
func (q *queue) pop() *member {
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

// len returns how many members wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) - q.gone
}

// close says that no more members come.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.refused == nil {
		q.refused = store.ErrClosed
	}
	q.nonzero.Broadcast()
}

// refuse turns away the members that wait and all later ones.
func (q *queue) refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = err
	for m := q.pop(); m != nil; m = q.pop() {
		m.turn <- refusal(err)
	}
}
