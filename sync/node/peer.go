package node

import (
	"cmp"
	"context"
	"fmt"
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
	dialled bool

	mu      sync.Mutex // guards what follows
	link    *peerLink
	name    string
	origin  merge.Origin
	lastErr error
	next    time.Time // of the next attempt
	nacks   []crdtsync.Nack
	met     bool // the peer said hello on the last connection
}

func (p *peer) connected(l *peerLink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link, p.met, p.next = l, false, time.Time{}
}

func (p *peer) disconnected(err error) {
	l := p.currentLink()
	hello := l.hello()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link, p.lastErr = nil, err
	if hello != nil {
		p.met, p.name, p.origin = true, hello.Name, hello.Origin
	}
}

func (l *peerLink) hello() *crdtsync.Hello {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.Peer()
}

func (p *peer) currentLink() *peerLink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// nacked remembers the newest refusals, a few.
func (p *peer) nacked(n crdtsync.Nack) {
	const keep = 16
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nacks = append(p.nacks, n)
	if len(p.nacks) > keep {
		p.nacks = slices.Delete(p.nacks, 0, len(p.nacks)-keep)
	}
}

func (n *Node) inbound() *peer {
	return n.addPeer(&peer{address: "inbound"}, fmt.Sprintf("inbound %p", new(byte)))
}

func (n *Node) addPeer(p *peer, key string) *peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[key] = p
	return p
}

func (n *Node) forget(p *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, q := range n.peers {
		if q == p {
			delete(n.peers, key)
		}
	}
}

// Sync keeps the node connected to one peer until ctx ends or the node closes,
// and returns why. While the peer cannot be reached it tries again after pauses
// of random length, up to 0.5 s at first and Config.MaxBackoff later; [Node.Status]
// says why and when. It returns earlier only when trying again cannot help: a
// [*crdtsync.GoodbyeError] with code needs_upgrade or self.
func (n *Node) Sync(ctx context.Context, d wire.Dialer) error {
	p := n.addPeer(&peer{address: d.String(), dialled: true}, d.String())
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
		if p.useful() {
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
		p.mu.Lock()
		p.lastErr, p.met = err, false
		p.mu.Unlock()
		return err
	}
	return n.runLink(ctx, conn, p)
}

func (p *peer) useful() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// pause waits a random time, full jitter, and reports false when ctx ended.
func (p *peer) pause(ctx context.Context, longest time.Duration, failures int) bool {
	limit := min(firstBackoff<<min(failures, 20), longest)
	wait := time.Duration(rand.Int64N(int64(limit) + 1))
	p.mu.Lock()
	p.next = time.Now().Add(wait)
	p.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
