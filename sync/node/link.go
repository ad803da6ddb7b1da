package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"weak"

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

// peerLink drives one link over one connection. There are many that do nothing: the
// goroutine that serves or dials reads, and all else runs only while there is
// something to do.
type peerLink struct {
	node    *Node
	conn    wire.Conn
	peer    *peer
	is      *identity // under which it speaks
	nonce   crdtsync.Nonce
	ctx     context.Context // ends with the link
	cancel  context.CancelFunc
	tasks   sync.WaitGroup    // begun by task
	wake    chan struct{}     // the writer has something to do, or the link has ended
	took    chan struct{}     // the writer has taken what was in line
	ended   chan struct{}     // closed when all is over
	told    map[string]uint64 // by space, the last news of members; of tick
	beat    *time.Timer       // of the next tick
	beats   uint64            // ticks; of tick
	longs   uint64            // frames that went in pieces; of the writer
	s2      atomic.Bool       // frames may be compressed
	telling                   // of signed heads
	vitals

	mu      sync.Mutex // guards what follows
	over    bool       // no task begins any more
	writing bool       // there is a writer
	flowing bool       // it has sent data since the last tick
	core    *crdtsync.Link
	control []crdtsync.Frame
	// What the link asks for in order to compare cells, whether somebody does it,
	// and who waits for that.
	comparing []crdtsync.Comparing
	atWork    bool
	differs   atomic.Bool                            // a space did, and may not any more
	audits    map[string][]chan crdtsync.AuditResult // by space
	room      int                                    // for control frames
	err       error                                  // why the link ends

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
		node: n, conn: conn, peer: p, is: is, nonce: cfg.Nonce, ctx: ctx, cancel: cancel,
		wake: make(chan struct{}, 1), took: make(chan struct{}, 1), ended: make(chan struct{}),
		vitals: vitals{detector: pace.NewDetector(n.cfg.Heartbeat, time.Now())},
		core:   crdtsync.NewLink(cfg, locals{n}), room: maxControl,
	}
	if err := n.register(l); err != nil {
		_ = conn.Close(err.Error())
		return err
	}
	defer n.unregister(l)
	defer n.releaseAll(l)
	p.connected(l)
	_ = l.queue(crdtsync.Ready{Send: l.core.Start()})
	l.run()
	p.disconnected(l)
	n.keep()
	return l.cause()
}

// run reads until the link ends, and returns when nothing of it runs any more.
func (l *peerLink) run() {
	l.mu.Lock()
	l.beat = time.AfterFunc(l.node.cfg.Heartbeat, beater(weak.Make(l)))
	l.mu.Unlock()
	stop := context.AfterFunc(l.ctx, func() { l.task(l.hangUp) })
	l.finish(l.readLoop(l.ctx))
	<-l.ctx.Done()
	stop()
	l.hangUp()
	l.mu.Lock()
	l.over = true
	l.beat.Stop()
	l.mu.Unlock()
	l.tasks.Wait()
}

// beater ticks if there is still a link: the runtime may hold a timer that was
// stopped until its time.
func beater(link weak.Pointer[peerLink]) func() {
	return func() {
		if l := link.Value(); l != nil {
			l.task(l.tick)
		}
	}
}

// task runs fn, unless the link is over.
func (l *peerLink) task(fn func()) {
	l.mu.Lock()
	over := l.over
	if !over {
		l.tasks.Add(1)
	}
	l.mu.Unlock()
	if !over {
		defer l.tasks.Done()
		fn()
	}
}

// hangUp closes the connection of a link that has ended.
func (l *peerLink) hangUp() {
	l.end(l.ctx.Err())
	poke(l.wake)
	_ = l.conn.Close(l.cause().Error())
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
	l.mu.Lock()
	l.rouse()
	l.mu.Unlock()
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
	if _, ok := f.(*crdtsync.Hello); ok {
		l.s2.Store(l.core.Both(crdtsync.FeatureS2))
	}
	if _, beat := f.(*crdtsync.Ping); beat {
		l.detector.Heard(time.Now())
	}
	l.awaitTurn(&r)
	l.mu.Unlock()
	l.note(f, r)
	l.memberNews(f, r.Meetings)
	if err := cmp.Or(l.queue(r), l.signedNews(f)); err != nil {
		return err
	}
	if err := l.verify(r.Auth); err != nil {
		return err
	}
	if len(r.Long) > 0 {
		return l.takeLong(ctx, r.Long)
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
	l.rouse()
	l.mu.Unlock()
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

// tick is a heartbeat. The next one follows.
func (l *peerLink) tick() {
	if err := l.tickOnce(); err != nil {
		l.finish(err)
		return
	}
	l.node.keep()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.beat.Reset(l.node.cfg.Heartbeat)
	}
}

func (l *peerLink) tickOnce() error {
	l.mu.Lock()
	l.flowing = false
	l.noteAgreed()
	r := l.core.Tick()
	l.mu.Unlock()
	l.beats++
	l.note(nil, r)
	l.memberNews(nil, r.Meetings)
	_ = l.queue(l.repeatPlace())
	for _, name := range r.Abandoned {
		l.node.Space(name).release(l)
	}
	if err := l.takeStaged(l.ctx, r); err != nil {
		return err
	}
	if err := l.queue(r); err != nil {
		return err
	}
	return l.gossip()
}

// moved tells the link that a space has moved. Only the committer calls it.
func (l *peerLink) moved(space string, heads []merge.Dot) {
	l.mu.Lock()
	r := l.core.Moved(space, heads)
	quiet := len(r.Send) == 0 && r.Err == nil
	if quiet {
		l.rouse()
	}
	l.mu.Unlock()
	if quiet {
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
