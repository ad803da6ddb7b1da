package node

import (
	"slices"
	"sync"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node/internal/pace"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// peer is what the node knows of one address it connects to, or of one
// connection that came in.
type peer struct {
	address string    // as dialled; "inbound" for a connection that came in
	ends    *endpoint // nil for a connection that came in
	again   chan struct{}
	prove   func(*crdtsync.Hello) *crdtsync.Auth // nil for nothing

	mu      sync.Mutex // guards what follows
	link    *peerLink
	name    string
	origin  merge.Origin
	lastErr error           // why there is no link, nil before the first attempt
	next    time.Time       // of the next attempt
	nacks   []crdtsync.Nack // what the peer refused and still lacks
	useful  bool            // the last connection was worth having
}

// endpoint is what all who dial one address share.
type endpoint struct {
	users int // guarded by Node.mu

	mu      sync.Mutex // guards what follows
	breaker pace.Breaker
}

// with calls fn with the endpoint's breaker.
func (e *endpoint) with(fn func(b *pace.Breaker)) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	fn(&e.breaker)
}

func (e *endpoint) failures() (n int, open bool) {
	e.with(func(b *pace.Breaker) { n, open = b.Failures(), b.Open() })
	return n, open
}

func (p *peer) connected(l *peerLink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link, p.useful = l, false
}

// noteUseful notes that something was learnt or acknowledged over the link: the
// next pause is short.
func (p *peer) noteUseful() {
	p.mu.Lock()
	news := !p.useful
	p.useful = true
	p.mu.Unlock()
	if news {
		p.ends.with((*pace.Breaker).Succeed)
	}
}

// disconnected notes the end of a link.
func (p *peer) disconnected(l *peerLink) {
	hello, err := l.hello(), l.cause()
	p.mu.Lock()
	p.link, p.lastErr = nil, err
	useful := p.useful
	if hello != nil {
		p.name, p.origin = hello.Name, hello.Origin
	}
	p.mu.Unlock()
	if !useful {
		p.ends.with(outcome(err))
	}
}

func (p *peer) unreachable(err error) {
	p.mu.Lock()
	p.lastErr = err
	p.mu.Unlock()
	p.ends.with(outcome(err))
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

// addPeer adds a peer that connected.
func (n *Node) addPeer(address string) *peer {
	p := &peer{address: address, prove: n.cfg.Prove}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[p] = struct{}{}
	return p
}

// addDialled adds a peer to connect to.
func (n *Node) addDialled(d wire.Dialer) *peer {
	address := d.String()
	p := &peer{address: address, again: make(chan struct{}, 1), prove: n.cfg.Prove}
	if prover, ok := d.(Prover); ok {
		p.prove = prover.Prove
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[p] = struct{}{}
	if p.ends = n.endpoints[address]; p.ends == nil {
		p.ends = &endpoint{breaker: pace.Breaker{Limit: breakAfter}}
		n.endpoints[address] = p.ends
	}
	p.ends.users++
	return p
}

func (n *Node) forget(p *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.peers, p)
	if p.ends == nil {
		return
	}
	if p.ends.users--; p.ends.users == 0 {
		delete(n.endpoints, p.address)
	}
}
