package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node/internal/pace"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// maxControl is how many control frames wait for a slow peer before the node
// reads no more of it, or as many as these steps bring: a node with many spaces
// says something of each, and two of them must not both stop reading. Data never
// waits: it stays in the log.
const (
	maxControl      = 4096
	maxControlSteps = 8
)

// lastWords is how long a link that ends goes on to say or to hear why.
const lastWords = time.Second

// peerLink drives one link over one connection: a goroutine reads, one writes.
type peerLink struct {
	node  *Node
	conn  wire.Conn
	peer  *peer
	is    *identity // under which it speaks
	nonce crdtsync.Nonce
	wake  chan struct{}     // the writer has something to do
	took  chan struct{}     // the writer has taken what was in line
	work  chan struct{}     // cells are to be compared
	ended chan struct{}     // closed when all is over
	told  map[string]uint64 // by space, the last news of members; of tickLoop
	vitals

	mu      sync.Mutex // guards what follows
	core    *crdtsync.Link
	control []crdtsync.Frame
	// What the link asks for in order to compare cells, and who waits for that.
	comparing []crdtsync.Comparing
	differs   atomic.Bool                            // a space did, and may not any more
	audits    map[string][]chan crdtsync.AuditResult // by space
	room      int                                    // for control frames
	err       error                                  // why the link ends
	cancel    context.CancelFunc

	shown     *crdtsync.Auth // the credential by which the peer was admitted
	early     int            // bytes that came before the peer was admitted
	asked     uint64         // questions
	questions map[uint64]chan<- crdtsync.Explained
}

// Serve runs a link over a connection that a peer has opened, until it ends,
// and returns why. It closes the connection. When too many connect at once, or
// the node drains, it tells the peer when to come again instead.
func (n *Node) Serve(ctx context.Context, conn wire.Conn) error {
	if away := n.admission.handshake(); away != nil && n.ctx.Err() == nil {
		return sendAway(ctx, conn, away)
	}
	p := n.addPeer("inbound")
	err := n.runLink(ctx, conn, p)
	n.noteRefused(p, err)
	n.forget(p)
	return err
}

// runLink drives a link until it ends and returns why.
func (n *Node) runLink(ctx context.Context, conn wire.Conn, p *peer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	is := n.identity()
	cfg := n.linkConfig(is, p)
	l := &peerLink{
		node: n, conn: conn, peer: p, wake: make(chan struct{}, 1), took: make(chan struct{}, 1), work: make(chan struct{}, 1), audits: make(map[string][]chan crdtsync.AuditResult),
		ended: make(chan struct{}), told: make(map[string]uint64), cancel: cancel, room: maxControl, vitals: vitals{detector: pace.NewDetector(n.cfg.Heartbeat, time.Now())},
		is: is, questions: make(map[uint64]chan<- crdtsync.Explained), core: crdtsync.NewLink(cfg, locals{n}), nonce: cfg.Nonce,
	}
	if err := n.register(l); err != nil {
		_ = conn.Close(err.Error())
		return err
	}
	defer n.unregister(l)
	defer n.releaseAll(l)
	p.connected(l)
	_ = l.queue(crdtsync.Ready{Send: l.core.Start()})

	var wg sync.WaitGroup
	wg.Go(func() { l.finish(l.readLoop(ctx)) })
	wg.Go(func() { l.end(l.writeLoop(ctx)) })
	wg.Go(func() { l.finish(l.tickLoop(ctx)) })
	wg.Go(func() { l.finish(l.compareLoop(ctx)) })
	<-ctx.Done()
	l.end(ctx.Err())
	_ = conn.Close(l.cause().Error())
	wg.Wait()
	p.disconnected(l)
	n.keep()
	return l.cause()
}

func (n *Node) register(l *peerLink) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	if l.is != n.identity() {
		return &crdtsync.GoawayError{Goaway: renewed}
	}
	n.links[l] = struct{}{}
	n.noteNonce(l.nonce)
	return nil
}

func (n *Node) unregister(l *peerLink) {
	defer close(l.ended)
	n.admission.leave(l)
	came := l.rungs()
	n.mu.Lock()
	delete(n.links, l)
	n.rungs.Add(came)
	n.mu.Unlock()
	n.graft()
}

// end ends the link at once; the first reason counts.
func (l *peerLink) end(err error) {
	l.because(err)
	l.cancel()
}

// finish ends the link when the writer has sent what is in line, or after a
// moment. It does not block.
func (l *peerLink) finish(err error) {
	l.because(err)
	poke(l.wake)
	time.AfterFunc(lastWords, l.cancel)
}

func (l *peerLink) because(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
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
		if err := l.awaitRoom(ctx); err != nil {
			return err
		}
		b, err := l.conn.Recv(ctx)
		if err != nil {
			return err
		}
		f, err := wire.Decode(b)
		if err == nil {
			err = l.budget(len(b))
		}
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
	if _, beat := f.(*crdtsync.Ping); beat {
		l.detector.Heard(time.Now())
	}
	l.awaitTurn(&r)
	l.mu.Unlock()
	l.note(f, r)
	l.memberNews(f, r.Meetings)
	if err := l.queue(r); err != nil {
		return err
	}
	if err := l.verify(r.Auth); err != nil {
		return err
	}
	if err := l.takeStaged(ctx, r); err != nil || len(r.Offer)+len(r.Rejected) == 0 {
		return err
	}
	results, err := l.node.offer(ctx, r.Offer, &source{l.hello().Origin, r.Position, l.from()}, r.Rejected...)
	if err != nil {
		return notStored(ctx, err)
	}
	for space, res := range results {
		if res.applied > 0 {
			l.peer.noteUseful()
		}
		l.mu.Lock()
		done := l.core.Done(space, res.appliedHeads(), res.refused)
		l.mu.Unlock()
		if err := l.queue(done); err != nil {
			return err
		}
		if err := l.repeated(space, res); err != nil {
			return err
		}
	}
	return nil
}

// errNotStored: this node cannot keep what the peer sends.
var errNotStored = errors.New("node: this node cannot store what the peer sends")

func notStored(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", errNotStored, err)
}

// note records what the peer said that people want to know.
func (l *peerLink) note(f crdtsync.Frame, r crdtsync.Ready) {
	for _, space := range r.Diverged {
		l.node.Space(space).noteDiverged(l.peer)
		l.differs.Store(true)
	}
	for _, e := range r.Explained {
		l.answered(e)
	}
	for _, nack := range r.Refused {
		if l.peer.nacked(nack) {
			l.node.log.Warn("peer refused a change", "code", "nack_"+nack.Code, "space", nack.Space, "change", nack.Dot, "reason", nack.Reason)
		}
	}
	switch f := f.(type) {
	case *crdtsync.Ack:
		l.peer.noteUseful()
		l.peer.took(f.Space, merge.VectorOf(f.Heads...).Contains)
	case *crdtsync.Frontier:
		if s := l.node.lookup(f.Space); s != nil && s.levelWith(f) {
			l.peer.noteUseful()
			l.peer.took(f.Space, s.contains)
		}
	}
}

// queue puts a step's frames in line for the writer and returns why the step
// ends the link.
func (l *peerLink) queue(r crdtsync.Ready) error {
	for _, f := range r.Forks {
		l.node.foundFork(l.is, f)
	}
	for _, split := range r.Splits {
		l.node.foundSplit(split)
	}
	l.mu.Lock()
	l.room = max(l.room, maxControlSteps*len(r.Send))
	l.control = append(l.control, r.Send...)
	l.awaitWork(r.Comparing)
	l.mu.Unlock()
	poke(l.wake)
	return r.Err
}

// awaitRoom waits while too many control frames are in line. If that lasts, the
// peer counts as silent.
func (l *peerLink) awaitRoom(ctx context.Context) error {
	for l.full() {
		select {
		case <-l.took:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *peerLink) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.control) > l.room || len(l.comparing) > maxComparing
}

// poke lets the goroutine that waits on c look again.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *peerLink) takeControl() []crdtsync.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames := l.control
	l.control = nil
	poke(l.took)
	return frames
}

// writeLoop sends control frames, then data, and waits when there is neither.
// It returns when the link is to end and everything in line has been sent.
func (l *peerLink) writeLoop(ctx context.Context) error {
	for {
		f, err := l.write(ctx)
		switch {
		case errors.Is(err, wire.ErrClosed):
			return l.hearWhy(ctx, err)
		case err != nil:
			return err
		case f:
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write sends what is in line and one data frame, and reports whether there
// was one.
func (l *peerLink) write(ctx context.Context) (more bool, err error) {
	cause := l.cause()
	for _, f := range l.takeControl() {
		if err := l.send(ctx, f); err != nil {
			return false, err
		}
	}
	if cause != nil {
		return false, cause
	}
	f, err := l.nextInTurn()
	if f == nil || err != nil {
		return false, err
	}
	return true, l.send(ctx, f)
}

// nextInTurn returns the next data frame, nil if there is none or it is not this
// link's turn. A link with nothing left to send makes room for another.
func (l *peerLink) nextInTurn() (crdtsync.Frame, error) {
	l.mu.Lock()
	if l.lined.Load() {
		l.mu.Unlock()
		return nil, nil
	}
	f, err := l.core.Next()
	l.mu.Unlock()
	if f == nil || err != nil {
		l.node.admission.leave(l)
	}
	return f, err
}

// hearWhy waits for a moment until the reader has taken what the peer sent
// before it closed the connection: its goodbye, perhaps.
func (l *peerLink) hearWhy(ctx context.Context, err error) error {
	late := time.NewTimer(lastWords)
	defer late.Stop()
	for l.cause() == nil {
		select {
		case <-l.wake:
		case <-late.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
	return err
}

func (l *peerLink) send(ctx context.Context, f crdtsync.Frame) error {
	b, err := l.node.fanout.encode(f)
	if err != nil {
		return err
	}
	l.began()
	defer l.sent()
	return l.conn.Send(ctx, b)
}

func (l *peerLink) tickLoop(ctx context.Context) error {
	t := time.NewTicker(l.node.cfg.Heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		l.mu.Lock()
		l.noteAgreed()
		r := l.core.Tick()
		l.mu.Unlock()
		_ = l.queue(l.repeatPlace())
		for _, name := range r.Abandoned {
			l.node.Space(name).release(l)
		}
		if err := l.takeStaged(ctx, r); err != nil {
			return err
		}
		if err := l.queue(r); err != nil {
			return err
		}
		if err := l.gossip(); err != nil {
			return err
		}
		l.node.keep()
	}
}

// moved tells the link that a space has moved. Only the committer calls it.
func (l *peerLink) moved(space string, heads []merge.Dot) {
	l.mu.Lock()
	r := l.core.Moved(space, heads)
	l.mu.Unlock()
	if len(r.Send) == 0 && r.Err == nil {
		poke(l.wake)
		return
	}
	if err := l.queue(r); err != nil {
		l.finish(err)
	}
}

func (s *Space) noteDiverged(p *peer) {
	s.mu.Lock()
	news := !s.diverged
	s.diverged = true
	s.mu.Unlock()
	if news {
		s.node.log.Error("spaces with the same changes differ", "code", "diverged", "space", s.name, "peer", p.address)
	}
}
