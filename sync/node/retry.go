package node

import (
	"cmp"
	"context"
	"errors"
	"time"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node/internal/pace"
	"github.com/joinery-crdt/joinery/sync/wire"
)

const (
	// firstBackoff is the longest pause after the first failed attempt; it
	// doubles up to Config.MaxBackoff.
	firstBackoff = 500 * time.Millisecond
	// breakAfter is how many failures in a row open the breaker of an endpoint.
	breakAfter = 8
	// defaultRecheck is how long the node leaves an endpoint alone at which
	// trying again cannot help.
	defaultRecheck = 15 * time.Minute
)

// errProbed: the endpoint's breaker is open and another attempt probes it.
var errProbed = errors.New("node: another connection to this address is being tried first")

// errDraining: the node shuts down.
var errDraining = errors.New("node: shutting down")

// Sync keeps the node connected to one peer until ctx ends or the node closes,
// and returns why. While the peer cannot be reached it tries again after pauses
// of random length, up to 0.5 s at first and Config.MaxBackoff later, and 0.5 s
// again after a connection over which something was learnt or acknowledged.
// When trying again cannot help, because an upgrade, credentials or another
// address are needed, it waits for Config.Recheck, or for [Node.Retry].
// [Node.Status] says why, until when, and what to do.
func (n *Node) Sync(ctx context.Context, d wire.Dialer) error {
	p := n.addDialled(d)
	defer n.forget(p)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	for {
		err := n.attempt(ctx, d, p)
		switch {
		case n.ctx.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if !p.pause(ctx, n.pauseAfter(err, p)) {
			return cmp.Or(n.closedErr(), ctx.Err())
		}
	}
}

func (n *Node) closedErr() error {
	if n.ctx.Err() != nil {
		return ErrClosed
	}
	return nil
}

// attempt connects to the peer, unless its breaker holds that back, and returns
// why there is no link any more.
func (n *Node) attempt(ctx context.Context, d wire.Dialer, p *peer) error {
	p.tried()
	if n.admission.isDraining() {
		p.heldBack(errDraining)
		return errDraining
	}
	may := false
	p.ends.with(func(b *pace.Breaker) { may = b.Try() })
	if !may {
		p.heldBack(errProbed)
		return errProbed
	}
	conn, err := d.Dial(ctx)
	if err != nil {
		p.unreachable(err)
		return err
	}
	return n.runLink(ctx, conn, p)
}

// tried forgets the calls of NetworkChanged and Retry before this attempt.
func (p *peer) tried() {
	select {
	case <-p.again:
	default:
	}
}

// heldBack notes why there was no attempt, unless there is a reason already.
func (p *peer) heldBack(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = cmp.Or(p.lastErr, err)
}

// outcome returns what an attempt that was of no use means for its endpoint.
func outcome(err error) func(*pace.Breaker) {
	_, away := errors.AsType[*crdtsync.GoawayError](err)
	if away || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		return (*pace.Breaker).Leave
	}
	return (*pace.Breaker).Fail
}

// pauseAfter returns how long to wait after an attempt that ended with err.
func (n *Node) pauseAfter(err error, p *peer) time.Duration {
	if e, ok := errors.AsType[*crdtsync.GoawayError](err); ok && e.ByPeer {
		return e.Pause() + n.cfg.Random(firstBackoff)
	}
	if isFinal(err) {
		return n.cfg.Recheck + n.cfg.Random(n.cfg.Recheck/4)
	}
	failures, _ := p.ends.failures()
	backoff := pace.Backoff{First: firstBackoff, Longest: n.cfg.MaxBackoff, Random: n.cfg.Random}
	return backoff.Pause(max(failures-1, 0))
}

// pause waits and reports false when ctx ended. A call of NetworkChanged or of
// Retry ends it early.
func (p *peer) pause(ctx context.Context, wait time.Duration) bool {
	p.setNext(time.Now().Add(wait))
	defer p.setNext(time.Time{})
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.again:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *peer) setNext(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = at
}

// NetworkChanged tells the node that peers may be reachable which were not: a
// network interface came up, the machine woke up. Each peer that is not
// connected is tried once, at once; if that fails, its pauses go on as before.
func (n *Node) NetworkChanged() { n.tryNow(func(*peer) bool { return true }) }

// Retry tries a peer at once, whatever the node waits for: its configuration or
// its credentials have changed. It reports whether there is a Sync with a dialer
// of that address.
func (n *Node) Retry(address string) bool {
	return n.tryNow(func(p *peer) bool { return p.address == address }) > 0
}

// tryNow wakes the peers that are to be connected to, and returns their number.
func (n *Node) tryNow(which func(*peer) bool) (found int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.peers {
		if p.ends == nil || !which(p) {
			continue
		}
		found++
		if !p.isConnected() {
			poke(p.again)
		}
	}
	return found
}

func (p *peer) isConnected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}
