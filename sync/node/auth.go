package node

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// A Prover is a [wire.Dialer] with a credential of its own for its peer.
type Prover interface {
	wire.Dialer
	// Prove returns what proves to the peer who this node is, nil for nothing. It
	// is asked again at each heartbeat, and must not block.
	Prove(peer *crdtsync.Hello) *crdtsync.Auth
}

// Reauthorize asks Config.Verify again about every credential that a connected
// peer has shown: call it when it may answer otherwise than before. A link ends
// whose credential is not good any more.
func (n *Node) Reauthorize() {
	for _, l := range n.allLinks() {
		l.mu.Lock()
		shown := l.shown
		l.mu.Unlock()
		if err := l.verify(shown); err != nil {
			l.finish(err)
		}
	}
}

// guarded reports whether the peer has to prove who it is.
func (n *Node) guarded(p *peer) bool {
	return n.cfg.Verify != nil && (p.ends == nil || !n.cfg.TrustDialled)
}

// Bounds of what is remembered of peers that were refused.
const (
	maxStrangers  = 16
	keepStrangers = 24 * time.Hour
)

// A stranger is a peer that connected and whose credential was not good.
type stranger struct {
	name   string
	reason string
	at     time.Time
}

// strangers is the last ones, by origin. Node.mu guards it.
type strangers map[merge.Origin]stranger

func (s *strangers) note(o merge.Origin, who stranger) {
	if *s == nil {
		*s = make(strangers)
	}
	(*s)[o] = who
	for len(*s) > maxStrangers {
		oldest := o
		for other, w := range *s {
			if w.at.Before((*s)[oldest].at) {
				oldest = other
			}
		}
		delete(*s, oldest)
	}
}

// problems says who was refused and has not come with a better credential since.
func (s strangers) problems(now time.Time) (list []Problem) {
	for _, o := range slices.SortedFunc(maps.Keys(s), merge.Origin.Compare) {
		if who := s[o]; now.Sub(who.at) < keepStrangers {
			list = append(list, Problem{
				Code: "credential_refused", Peer: cmp.Or(who.name, o.String()), Cause: who.reason,
				Action: "if the device may connect, give it a credential that is good here",
			})
		}
	}
	return list
}

// noteRefused remembers a peer that connected and was refused, or forgets that it
// was.
func (n *Node) noteRefused(p *peer, err error) {
	e, ok := errors.AsType[*crdtsync.GoodbyeError](err)
	p.mu.Lock()
	name, origin := p.name, p.origin
	p.mu.Unlock()
	if !ok || e.ByPeer || e.Code != "needs_auth" || origin == (merge.Origin{}) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.strangers.note(origin, stranger{name, e.Reason, time.Now()})
}

// maxEarlyBytes is what a peer may send before it is admitted.
const maxEarlyBytes = 64 << 10

// budget counts what comes before the peer is admitted, and ends the link when
// it is too much.
func (l *peerLink) budget(size int) error {
	if !l.node.guarded(l.peer) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.core.Admitted() {
		return nil
	}
	if l.early += size; l.early > maxEarlyBytes {
		return fmt.Errorf("node: the peer sent %d bytes before it was admitted, the limit is %d", l.early, maxEarlyBytes)
	}
	return nil
}

// verify checks a credential of the peer.
func (l *peerLink) verify(a *crdtsync.Auth) error {
	if a == nil {
		return nil
	}
	hello := l.hello()
	grant, err := l.node.cfg.Verify(hello, *a)
	l.mu.Lock()
	var r crdtsync.Ready
	if err != nil {
		r = l.core.Deny(err.Error())
	} else {
		r = l.core.Admit(grant)
		l.shown = a
	}
	l.mu.Unlock()
	if err == nil {
		l.node.mu.Lock()
		delete(l.node.strangers, hello.Origin)
		l.node.mu.Unlock()
	}
	return l.queue(r)
}
