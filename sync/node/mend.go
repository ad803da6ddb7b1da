package node

import (
	"crypto/sha256"
	"errors"
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
type identity struct {
	origin merge.Origin
	former []merge.Origin // given up, oldest first
}

// has reports whether o is or was the node's.
func (i *identity) has(o merge.Origin) bool { return o == i.origin || slices.Contains(i.former, o) }

// told returns the former origins as a Hello names them.
func (i *identity) told() []merge.Origin {
	last := slices.Clone(i.former[max(0, len(i.former)-crdtsync.MaxFormer):])
	slices.SortFunc(last, merge.Origin.Compare)
	return last
}

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
		Origin: is.origin, Former: is.told(), Name: n.cfg.Name, Mends: n.mendable, Features: n.features(),
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

// mending is the mending of one fork.
type mending struct {
	node    *Node
	fork    found
	is      *identity // from now on
	space   *Space    // nil if nothing is taken back
	stage   *crdtsync.Stage
	persist *crdtsync.Persist
	again   int // changes that were issued again
	kept    []spacestore.Held
	unkept  []merge.Dot // leave quarantine
	deeper  uint64      // first change that may have to be taken back and is no longer in the log
	given   map[*Space]spacestore.Given
}

// mendable reports whether what the node wrote under an origin in a space is its
// own to take back: it has not done so before, and nothing of others came on top.
func (n *Node) mendable(space string, o merge.Origin) bool {
	s, is := n.lookup(space), n.identity()
	if o == is.origin {
		return true
	}
	if s == nil || !is.has(o) {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	given, ok := s.given[o]
	return ok && given.Taken.Dot.Seq == 0 && given.Own == s.core.Head(o).Seq
}

// tookBack refuses the first change of a branch that was taken back.
func (s *Space) tookBack(c *crdtsync.Change) error {
	given, ok := s.given[c.Dot.Origin]
	if !ok || given.Taken.Dot != c.Dot || given.Taken.Hash != c.Hash() {
		return nil
	}
	return &crdtsync.RefusedError{Dot: c.Dot, Kind: crdtsync.ErrForked, Reason: "the device that wrote it has taken it back and issued it again under another origin"}
}

// mendFork makes the node go on under a new origin, if the one that forked is its
// present one, and issues again what it wrote under dots that name other changes
// elsewhere. Only the committer calls it, between two batches.
func (n *Node) mendFork(f found) {
	m := &mending{node: n, fork: f, is: f.is, given: make(map[*Space]spacestore.Given)}
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
	case f.Origin != m.is.origin:
		return
	}
	if err := n.outcome(n.store.Update(n.ctx, m.run)); err == nil {
		m.publish()
	}
}

func (m *mending) run(tx store.Tx) error {
	if m.fork.Origin == m.is.origin {
		m.is = &identity{m.node.cfg.NewOrigin(), append(slices.Clone(m.is.former), m.is.origin)}
		if err := errors.Join(spacestore.SetOrigin(tx, m.is.origin), spacestore.SetFormer(tx, m.is.former), m.giveUp(tx)); err != nil {
			return err
		}
	}
	if m.space == nil {
		return nil
	}
	m.reach()
	if err := m.takeBack(tx); err != nil {
		return err
	}
	return m.reissue(tx)
}

// giveUp notes, in each space, what the node wrote under the origin it gives up.
func (m *mending) giveUp(tx store.Tx) error {
	for _, s := range m.node.allSpaces() {
		head := s.core.Head(m.fork.Origin).Seq
		if head == 0 {
			continue
		}
		m.given[s] = spacestore.Given{Own: head}
		if err := spacestore.SetGiven(tx, s.name, m.fork.Origin, m.given[s]); err != nil {
			return err
		}
	}
	return nil
}

// takeBack notes the first change that is taken back, lest it come again from
// somebody to whom it was sent.
func (m *mending) takeBack(tx store.Tx) error {
	first := m.first()
	if m.fork.split != nil || first.Seq > m.space.core.Head(first.Origin).Seq {
		return nil // which refuses it from now on, or nothing is taken back
	}
	raw, err := spacestore.Change(tx, m.space.name, first)
	if err != nil {
		return err
	}
	m.given[m.space] = spacestore.Given{Own: m.fork.Common, Taken: crdtsync.Known{Dot: first, Hash: sha256.Sum256(raw)}}
	return spacestore.SetGiven(tx, m.space.name, m.fork.Origin, m.given[m.space])
}

// first returns the first change that is taken back, if the node has it.
func (m *mending) first() merge.Dot { return merge.Dot{Origin: m.fork.Origin, Seq: m.fork.Common + 1} }

// reissue writes a branch again under the origin that belongs to it. What cannot
// be is kept in quarantine, where people see it.
func (m *mending) reissue(tx store.Tx) error {
	name := m.space.name
	m.stage = m.space.core.Stage(spacestore.Cells{Reader: tx, Space: name}, 0)
	if err := m.sever(tx, m.stage); err != nil {
		return err
	}
	left, err := spacestore.TakeBack(tx, m.space.core, m.stage, m.first())
	if err != nil {
		return err
	}
	for _, l := range left {
		h := spacestore.Held{Dot: l.Change.Dot, Code: "unrepeatable", Reason: l.Reason, From: "this node", At: m.node.cfg.Now(), Raw: l.Change.Bytes()}
		if err := spacestore.Hold(tx, name, h); err != nil {
			return err
		}
		m.kept = append(m.kept, h)
	}
	if err := m.setApart(tx); err != nil {
		return err
	}
	m.persist = m.stage.Persist()
	m.again = len(m.persist.Log)
	return spacestore.Save(tx, name, m.persist)
}

// publish shows what is durable and lets all links begin anew.
func (m *mending) publish() {
	n := m.node
	is := *m.is
	n.who.Store(&is)
	n.spacesMu.RLock()
	spaces := slices.Collect(maps.Values(n.spaces))
	n.spacesMu.RUnlock()
	n.mu.Lock()
	if m.concerns() {
		n.renewals = append(n.renewals, m.problem())
	}
	n.mu.Unlock()
	for _, s := range spaces {
		s.mu.Lock()
		if s == m.space {
			m.stage.Commit()
			s.recent.Reset()
			if m.fork.split != nil {
				s.publishSplit(m.fork.split, m.unkept)
			}
			s.lagWatchers()
			for _, h := range m.kept {
				s.hold(h)
			}
		}
		if given, ok := m.given[s]; ok {
			s.given[m.fork.Origin] = given
		}
		s.core.Renew(m.is.origin)
		s.members.renew(m.is.origin, s == m.space)
		delete(s.refused, m.fork.Origin)
		s.diverged = s.diverged && s != m.space
		s.mu.Unlock()
	}
	if m.persist != nil {
		n.clock.Advance(m.persist.Summary.LastTime)
	}
	n.log.Warn(m.what(), "code", m.code(), "space", m.fork.Space,
		"origin", m.is.origin, "forked", m.fork.Origin, "common", m.fork.Common, "reissued", m.again, "quarantined", len(m.kept))
	away := m.away()
	for _, l := range n.allLinks() {
		l.finish(l.queue(crdtsync.Ready{Send: []crdtsync.Frame{&away}, Err: &crdtsync.GoawayError{Goaway: away}}))
	}
}

// problem says what happened, for the status.
func (m *mending) problem() Problem {
	cause := fmt.Sprintf("this node was restored from a backup or copied: a peer has other changes under %s", m.fork.Origin)
	if m.space != nil {
		cause += fmt.Sprintf("; %d of its own changes after %d were issued again", m.again, m.fork.Common)
	}
	cause += m.doubts()
	if len(m.kept) > 0 {
		cause += fmt.Sprintf(", %d could not be and are in quarantine", len(m.kept))
	}
	return Problem{
		Code: "new_origin", Space: m.fork.Space, Cause: fmt.Sprintf("%s; it goes on under %s", cause, m.is.origin),
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
