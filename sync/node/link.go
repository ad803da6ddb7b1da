package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// maxControl is how many control frames wait for a slow peer before the link
// is given up. Data never waits: it stays in the log.
const maxControl = 4096

// peerLink drives one link over one connection: a goroutine reads, one writes.
type peerLink struct {
	node *Node
	conn wire.Conn
	peer *peer
	wake chan struct{} // the writer has something to do

	mu      sync.Mutex // guards what follows
	core    *crdtsync.Link
	control []crdtsync.Frame
	err     error // why the link ended
	cancel  context.CancelFunc
}

// Serve runs a link over a connection that a peer has opened, until it ends,
// and returns why. It closes the connection.
func (n *Node) Serve(ctx context.Context, conn wire.Conn) error {
	p := n.inbound()
	err := n.runLink(ctx, conn, p)
	n.forget(p)
	return err
}

// runLink drives a link until it ends and returns why.
func (n *Node) runLink(ctx context.Context, conn wire.Conn, p *peer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &peerLink{
		node: n, conn: conn, peer: p, wake: make(chan struct{}, 1), cancel: cancel,
		core: crdtsync.NewLink(crdtsync.LinkConfig{Origin: n.origin, Name: n.cfg.Name}, locals{n}),
	}
	if err := n.register(l); err != nil {
		_ = conn.Close("shutting down")
		return err
	}
	defer n.unregister(l)
	p.connected(l)
	l.queue(crdtsync.Ready{Send: l.core.Start()})

	var wg sync.WaitGroup
	wg.Go(func() { l.end(l.readLoop(ctx)) })
	wg.Go(func() { l.end(l.writeLoop(ctx)) })
	wg.Go(func() { l.tickLoop(ctx) })
	<-ctx.Done()
	l.end(ctx.Err())
	_ = conn.Close(l.cause().Error())
	wg.Wait()
	p.disconnected(l.cause())
	return l.cause()
}

func (n *Node) register(l *peerLink) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	n.links[l] = struct{}{}
	return nil
}

func (n *Node) unregister(l *peerLink) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, l)
}

// end ends the link; the first reason counts.
func (l *peerLink) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	l.cancel()
}

func (l *peerLink) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// readLoop takes frames from the peer until one of them, or the connection,
// ends the link.
func (l *peerLink) readLoop(ctx context.Context) error {
	for {
		b, err := l.conn.Recv(ctx)
		if err != nil {
			return err
		}
		f, err := wire.Decode(b)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := l.step(ctx, f); err != nil {
			return err
		}
	}
}

func (l *peerLink) step(ctx context.Context, f crdtsync.Frame) error {
	l.mu.Lock()
	r := l.core.Step(f)
	l.mu.Unlock()
	l.note(r)
	if err := l.queue(r); err != nil {
		return err
	}
	if len(r.Offer) == 0 {
		return nil
	}
	results, err := l.node.offer(ctx, r.Offer)
	if err != nil {
		return err
	}
	for space, res := range results {
		l.mu.Lock()
		done := l.core.Done(space, res.appliedHeads(), res.refused)
		l.mu.Unlock()
		if err := l.queue(done); err != nil {
			return err
		}
	}
	return nil
}

// note records what the peer said that people want to know.
func (l *peerLink) note(r crdtsync.Ready) {
	for _, space := range r.Diverged {
		l.node.Space(space).noteDiverged(l.peer)
	}
	for _, nack := range r.Refused {
		l.node.log.Warn("peer refused a change", "code", "nack_"+nack.Code, "space", nack.Space, "change", nack.Dot, "reason", nack.Reason)
		l.peer.nacked(nack)
	}
}

// queue puts a step's frames in line for the writer and returns the step's end.
func (l *peerLink) queue(r crdtsync.Ready) error {
	l.mu.Lock()
	l.control = append(l.control, r.Send...)
	full := len(l.control) > maxControl
	l.mu.Unlock()
	if full {
		return fmt.Errorf("node: peer does not read: %w", crdtsync.ErrSilent)
	}
	l.poke()
	if r.Err != nil {
		l.flush()
	}
	return r.Err
}

func (l *peerLink) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// flush sends what is in line before the link ends, for a moment.
func (l *peerLink) flush() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.node.ctx), time.Second)
	defer cancel()
	for _, f := range l.takeControl() {
		if l.send(ctx, f) != nil {
			return
		}
	}
}

func (l *peerLink) takeControl() []crdtsync.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames := l.control
	l.control = nil
	return frames
}

// writeLoop sends control frames, then data, and waits when there is neither.
func (l *peerLink) writeLoop(ctx context.Context) error {
	for {
		for _, f := range l.takeControl() {
			if err := l.send(ctx, f); err != nil {
				return err
			}
		}
		l.mu.Lock()
		f, err := l.core.Next()
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if f != nil {
			if err := l.send(ctx, f); err != nil {
				return err
			}
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *peerLink) send(ctx context.Context, f crdtsync.Frame) error {
	b, err := wire.Append(nil, f)
	if err != nil {
		return err
	}
	return l.conn.Send(ctx, b)
}

func (l *peerLink) tickLoop(ctx context.Context) {
	t := time.NewTicker(l.node.cfg.Heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		r := l.core.Tick()
		l.mu.Unlock()
		if err := l.queue(r); err != nil {
			l.end(err)
			return
		}
	}
}

// moved tells the link that a space has moved. Only the committer calls it.
func (l *peerLink) moved(space string, heads []merge.Dot) {
	l.mu.Lock()
	r := l.core.Moved(space, heads)
	l.mu.Unlock()
	if err := l.queue(r); err != nil {
		l.end(err)
	}
}

func (s *Space) noteDiverged(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.diverged {
		s.node.log.Error("spaces with the same changes differ", "code", "diverged", "space", s.name, "peer", p.address)
	}
	s.diverged = true
}

// isFatal reports whether trying again cannot help.
func isFatal(err error) bool {
	e, ok := errors.AsType[*crdtsync.GoodbyeError](err)
	return ok && (e.Code == "needs_upgrade" || e.Code == "self")
}
