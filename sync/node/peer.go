package node

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// firstBackoff is the longest pause after the first failed attempt; it doubles
// up to Config.MaxBackoff.
const firstBackoff = 500 * time.Millisecond

// peer is what the node knows of one address it connects to, or of one
// connection that came in.
type peer struct {
	address string // as dialled; "inbound" for a connection that came in

	mu      sync.Mutex // guards what follows
	link    *peerLink
	since   time.Time // when link was made
	name    string
	origin  merge.Origin
	lastErr error
	next    time.Time       // of the next attempt
	nacks   []crdtsync.Nack // what the peer refused and still lacks
	useful  bool            // the last connection was worth having
}

func (p *peer) connected(l *peerLink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link, p.since = l, time.Now()
}

// disconnected notes the end of a link. It was useful if the peer said hello
// and stayed for a heartbeat.
func (p *peer) disconnected(l *peerLink) {
	hello, err := l.hello(), l.cause()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link, p.lastErr = nil, err
	p.useful = hello != nil && time.Since(p.since) >= l.node.cfg.Heartbeat
	if hello != nil {
		p.name, p.origin = hello.Name, hello.Origin
	}
}

func (p *peer) unreachable(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr, p.useful = err, false
}

func (l *peerLink) hello() *crdtsync.Hello {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.Peer()
}

// nacked remembers the newest refusals, a few, each once.
func (p *peer) nacked(n crdtsync.Nack) (news bool) {
	const keep = 16
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, known := range p.nacks {
		if known.Space == n.Space && known.Dot == n.Dot {
			p.nacks[i] = n
			return false
		}
	}
	p.nacks = append(p.nacks, n)
	if len(p.nacks) > keep {
		p.nacks = slices.Delete(p.nacks, 0, len(p.nacks)-keep)
	}
	return true
}

// took forgets the refusals of what the peer has by now.
func (p *peer) took(space string, has func(merge.Dot) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nacks = slices.DeleteFunc(p.nacks, func(n crdtsync.Nack) bool {
		return n.Space == space && has(n.Dot)
	})
}

func (n *Node) addPeer(address string) *peer {
	p := &peer{address: address}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[p] = struct{}{}
	return p
}

func (n *Node) forget(p *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.peers, p)
}

// Sync keeps the node connected to one peer until ctx ends or the node closes,
// and returns why. While the peer cannot be reached it tries again after pauses
// of random length, up to 0.5 s at first and Config.MaxBackoff later; [Node.Status]
// says why and when. It returns earlier only when trying again cannot help: a
// [*crdtsync.GoodbyeError] with code needs_upgrade or self.
func (n *Node) Sync(ctx context.Context, d wire.Dialer) error {
	p := n.addPeer(d.String())
	defer n.forget(p)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	for failures := 0; ; failures++ {
		err := n.syncOnce(ctx, d, p)
		switch {
		case n.ctx.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case isFatal(err):
			return err
		}
		if p.wasUseful() {
			failures = 0
		}
		if !p.pause(ctx, n.cfg.MaxBackoff, failures) {
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

func (n *Node) syncOnce(ctx context.Context, d wire.Dialer, p *peer) error {
	conn, err := d.Dial(ctx)
	if err != nil {
		p.unreachable(err)
		return err
	}
	return n.runLink(ctx, conn, p)
}

func (p *peer) wasUseful() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.useful
}

// pause waits a random time, full jitter, and reports false when ctx ended.
func (p *peer) pause(ctx context.Context, longest time.Duration, failures int) bool {
	limit := min(firstBackoff<<min(failures, 20), longest)
	wait := time.Duration(rand.Int64N(int64(limit) + 1))
	p.setNext(time.Now().Add(wait))
	defer p.setNext(time.Time{})
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
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
