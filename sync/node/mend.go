package node

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// maxMends is how many forks wait for the committer. More are seen again.
const maxMends = 16

// identity is who a node is. It is replaced as a whole.
type identity = spacestore.Identity

// A found is a fork and who the node was when it was found.
type found struct {
	crdtsync.Fork
	is    *identity
	split *crdtsync.Split // what proves it to everybody, nil if only this node is concerned
}

// foundFork asks the committer to mend a fork of one of the node's origins.
func (n *Node) foundFork(is *identity, f crdtsync.Fork) {
	select {
	case n.mends <- found{Fork: f, is: is}:
	default:
	}
}

// renewed ends the links of a node that has a new origin.
var renewed = crdtsync.Goaway{Code: "renewed", Reason: "this node has taken a new origin"}

// linkConfig returns how a link speaks for the node.
func (n *Node) linkConfig(is *identity, p *peer) crdtsync.LinkConfig {
	return crdtsync.LinkConfig{
		Origin: is.Origin, Former: is.Told(), Name: n.cfg.Name, Mends: n.mendable, Features: n.features(),
		Clock:     func() uint64 { return uint64(n.cfg.Now().UnixMilli()) },
		Heartbeat: uint64(n.cfg.Heartbeat.Milliseconds()), Nonce: n.cfg.NewNonce(), Own: n.ownNonce,
		Guard: n.guarded(p), Prove: p.prove,
	}
}

// maxNonces is how many nonces a node remembers. Its links may have ended when the
// other end of one hears of it.
const maxNonces = 4096

// ownNonce reports whether the nonce is that of one of the node's own links.
func (n *Node) ownNonce(nonce crdtsync.Nonce) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.nonces, nonce)
}

// noteNonce remembers a nonce. The caller holds n.mu.
func (n *Node) noteNonce(nonce crdtsync.Nonce) {
	if n.nonces = append(n.nonces, nonce); len(n.nonces) > maxNonces {
		n.nonces = slices.Delete(n.nonces, 0, maxNonces/2)
	}
}

// from names the peer for people.
func (l *peerLink) from() string {
	if h := l.hello(); h != nil && h.Name != "" {
		return h.Name
	}
	return l.peer.address
}

// mendable reports whether what the node wrote under an origin in a space is its
// own to take back.
func (n *Node) mendable(space string, o merge.Origin) bool {
	s, is := n.lookup(space), n.identity()
	if s == nil {
		return is.Mendable(nil, nil, o)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return is.Mendable(s.core, s.given, o)
}

// mending is the mending of one fork.
type mending struct {
	node  *Node
	fork  found
	is    *identity          // from now on
	space *Space             // nil if nothing is taken back
	key   ed25519.PrivateKey // of a new origin, nil for none
	signing
	*spacestore.Mended
}

// mendFork makes the node go on under a new origin, if the one that forked is its
// present one, and issues again what it wrote under dots that name other changes
// elsewhere. Only the committer calls it, between two batches.
func (n *Node) mendFork(f found) {
	m := &mending{node: n, fork: f}
	s := n.lookup(f.Space)
	switch {
	case f.is != n.identity(): // it was found before another was mended
		return
	case f.split != nil:
		if m.space = n.Space(f.Space); m.space.bad != nil || !m.space.severs(f.split) || m.space.tooDeep(f.split) {
			return
		}
	case !n.mendable(f.Space, f.Origin):
		return
	case s != nil && s.core.Head(f.Origin).Seq > f.Common:
		m.space = s
	case f.Origin != f.is.Origin:
		return
	}
	if err := n.outcome(n.store.Update(n.ctx, m.run)); err == nil {
		m.is, m.fork.Fork = m.Is, m.Fork
		m.publish()
	}
}

// run writes the outcome.
func (m *mending) run(tx store.Tx) error {
	err := m.sign(tx)
	if err == nil {
		m.Mended, err = m.work().Run(tx)
	}
	return cmp.Or(err, keepKey(tx, m.key))
}

func (m *mending) newOrigin() (o merge.Origin) {
	o, m.key = m.node.newIdentity()
	return o
}

// work is the mending without what is the node's own.
func (m *mending) work() *spacestore.Mending {
	n := m.node
	w := &spacestore.Mending{
		Fork: m.fork.Fork, Split: m.fork.split, Is: m.fork.is, Kinds: n.cfg.Kinds, NewOrigin: m.newOrigin, At: n.cfg.Now(),
	}
	for _, s := range n.allSpaces() {
		w.Spaces = append(w.Spaces, s.core)
	}
	if m.space != nil {
		w.Space, w.Held = m.space.core, m.space.held
	}
	return w
}

// reissued counts the changes that were issued again.
func (m *mending) reissued() int {
	if m.Persist == nil {
		return 0
	}
	return len(m.Persist.Log)
}

// publish shows what is durable and lets all links begin anew.
func (m *mending) publish() {
	n := m.node
	n.addKey(m.is.Origin, m.key)
	n.who.Store(m.is)
	n.spacesMu.RLock()
	spaces := slices.Collect(maps.Values(n.spaces))
	n.spacesMu.RUnlock()
	n.mu.Lock()
	if m.concerns() {
		n.renewals = append(n.renewals, m.problem())
	}
	n.mu.Unlock()
	for _, s := range spaces {
		m.show(s)
	}
	m.publishSigned()
	if m.Persist != nil {
		n.clock.Advance(m.Persist.Summary.LastTime)
	}
	n.log.Warn(m.what(), "code", m.code(), "space", m.fork.Space,
		"origin", m.is.Origin, "forked", m.fork.Origin, "common", m.fork.Common, "reissued", m.reissued(), "quarantined", len(m.Kept))
	away := m.away()
	for _, l := range n.allLinks() {
		l.finish(l.queue(crdtsync.Ready{Send: []crdtsync.Frame{&away}, Err: &crdtsync.GoawayError{Goaway: away}}))
	}
}

// show shows what became of one space.
func (m *mending) show(s *Space) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s == m.space {
		m.Stage.Commit()
		s.recent.Reset()
		if m.Split != nil {
			s.publishSplit(m.Split, m.Unkept)
		}
		s.lagWatchers()
		for _, h := range m.Kept {
			s.hold(h)
		}
	}
	if given, ok := m.Given[s.name]; ok {
		s.given[m.fork.Origin] = given
	}
	s.core.Renew(m.is.Origin)
	s.members.renew(m.is.Origin, s == m.space)
	delete(s.refused, m.fork.Origin)
	s.diverged = s.diverged && s != m.space
}

// problem says what happened, for the status.
func (m *mending) problem() Problem {
	cause := fmt.Sprintf("this node was restored from a backup or copied: a peer has other changes under %s", m.fork.Origin)
	if m.space != nil {
		cause += fmt.Sprintf("; %d of its own changes after %d were issued again", m.reissued(), m.fork.Common)
	}
	cause += m.doubts()
	if len(m.Kept) > 0 {
		cause += fmt.Sprintf(", %d could not be and are in quarantine", len(m.Kept))
	}
	return Problem{
		Code: "new_origin", Space: m.fork.Space, Cause: fmt.Sprintf("%s; it goes on under %s", cause, m.is.Origin),
		Action: "nothing is lost; if this was a copy, let only one of the two run, or give each a data directory of its own. This note ends with the process",
	}
}

// lagWatchers ends all watchers: what they have seen was built anew. The caller
// holds s.mu.
func (s *Space) lagWatchers() {
	for w := range s.watchers {
		w.lag()
	}
}
