package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

const (
	space     = "space"
	heartbeat = 2 * time.Second
)

// lockstep moves the frames of all connections, one at a time: the next one only
// when all that the last one led to has been done.
type lockstep struct {
	t      *testing.T
	ends   []*end
	opened uint64 // nodes
}

// end is one end of a connection.
type end struct {
	peer    *end
	out     chan []byte // a frame that Send holds
	in      chan []byte
	closed  chan struct{}
	closing chan struct{} // holds the token of the one who closes
	sees    func(frame []byte)
}

func newEnd() *end {
	e := &end{out: make(chan []byte), in: make(chan []byte, 1024), closed: make(chan struct{}), closing: make(chan struct{}, 1)}
	e.closing <- struct{}{}
	return e
}

// Send implements wire.Conn: it returns when the frame has been taken.
func (e *end) Send(ctx context.Context, frame []byte) error {
	select {
	case e.out <- frame:
		return nil
	case <-e.closed:
	case <-e.peer.closed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return &wire.ClosedError{Reason: "closed"}
}

// Recv implements wire.Conn.
func (e *end) Recv(ctx context.Context) ([]byte, error) {
	select {
	case f := <-e.in:
		return f, nil
	case <-e.closed:
	case <-e.peer.closed:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, &wire.ClosedError{Reason: "closed"}
}

// Close implements wire.Conn.
func (e *end) Close(string) error {
	select {
	case <-e.closing:
		close(e.closed)
	default:
	}
	return nil
}

// link is a connection between two nodes.
type link struct {
	*counter
	end func()
}

// connect opens a connection on which a is the one who asks.
func (l *lockstep) connect(a, b *node.Node) *link {
	near, far := newEnd(), newEnd()
	near.peer, far.peer = far, near
	c := &counter{t: l.t}
	near.sees, far.sees = func(f []byte) { c.count(0, f) }, func(f []byte) { c.count(1, f) }
	l.ends = append(l.ends, near, far)
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = a.Serve(ctx, near); done <- struct{}{} }()
	go func() { _ = b.Serve(ctx, far); done <- struct{}{} }()
	return &link{c, func() {
		cancel()
		<-done
		<-done
		l.forget(near, far)
	}}
}

func (l *lockstep) forget(gone ...*end) {
	var left []*end
	for _, e := range l.ends {
		if e != gone[0] && e != gone[1] {
			left = append(left, e)
		}
	}
	l.ends = left
}

// settle delivers all frames, and those that they lead to.
func (l *lockstep) settle() {
	for more := true; more; {
		more = false
		for _, e := range l.ends {
			synctest.Wait()
			select {
			case f := <-e.out:
				e.sees(f)
				e.peer.in <- f
				more = true
			default:
			}
		}
	}
}

// until lets heartbeats pass until done.
func (l *lockstep) until(what string, done func() bool) {
	for range 200 {
		l.settle()
		if done() {
			return
		}
		time.Sleep(heartbeat)
	}
	l.t.Fatalf("ladder: not after 200 heartbeats: %s", what)
}

// level waits until the nodes have applied the same and have said so.
func (l *lockstep) level(nodes ...*node.Node) {
	l.until("level", func() bool {
		first := nodes[0].Space(space).Summary()
		for _, n := range nodes[1:] {
			if n.Space(space).Summary() != first {
				return false
			}
		}
		return true
	})
	for range 4 { // and what follows of it
		time.Sleep(heartbeat)
		l.settle()
	}
}

// open starts a node in memory.
func (l *lockstep) open(tree bool) *node.Node {
	l.opened++
	self, nonces := l.opened, uint64(0)
	n, err := node.Open(l.t.Context(), node.Config{
		Store: memstore.New(), Heartbeat: heartbeat, AuditInterval: 1000 * time.Hour, Tree: tree,
		NewOrigin: func() merge.Origin { return merge.Origin(name(self, 0)) },
		NewNonce:  func() crdtsync.Nonce { nonces++; return crdtsync.Nonce(name(self, nonces)) },
	})
	l.check(err)
	return n
}

// name returns 16 bytes that look drawn, the same in every run.
func name(of, which uint64) [16]byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, of), which))
	return [16]byte(h[:16])
}

func (l *lockstep) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lockstep) update(n *node.Node, fn func(tx *node.Tx) error) {
	l.t.Helper()
	l.check(n.Space(space).Update(l.t.Context(), fn))
}

// cells returns how many bytes the cells of a node's space take, and their keys.
func (l *lockstep) cells(n *node.Node) (bytes int, keys [][]byte) {
	l.check(n.Store().View(l.t.Context(), func(r store.Reader) error {
		for rec, err := range r.Scan(space, store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			bytes += len(rec.Key) + len(rec.Value)
			keys = append(keys, append([]byte(nil), rec.Key...))
		}
		return nil
	}))
	return bytes, keys
}
