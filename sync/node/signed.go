package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// signatures is what a space knows of signed heads.
type signatures struct {
	mu   sync.Mutex // guards what follows; nothing is waited for under it
	core *crdtsync.Signatures
	unkept
	epoch int // counts what was taken back: what was read before is of no use
}

// unkept is what is not durable yet: the last heads of origins, and those of branches.
type unkept struct {
	lasts    map[merge.Origin]struct{}
	branches map[crdtsync.Known]struct{}
}

func newSignatures(core *crdtsync.Signatures) *signatures {
	s := &signatures{core: core}
	s.take()
	return s
}

// take returns what is not durable, and takes it for that.
func (s *signatures) take() (u unkept) {
	u, s.unkept = s.unkept, unkept{make(map[merge.Origin]struct{}), make(map[crdtsync.Known]struct{})}
	return u
}

// loadSigned reads the signed heads that the store keeps of a space.
func (s *Space) loadSigned(r store.Reader) error {
	core, err := spacestore.Signed(r, s.name)
	if err == nil {
		s.signed = newSignatures(core)
	}
	return err
}

// newIdentity makes an origin that nobody has used, and the key that it belongs to
// unless the configuration makes it.
func (n *Node) newIdentity() (merge.Origin, ed25519.PrivateKey) {
	if n.cfg.NewOrigin != nil {
		return n.cfg.NewOrigin(), nil
	}
	public, key, _ := ed25519.GenerateKey(nil) // does not fail
	return crdtsync.OriginOf(public), key
}

// keepKey makes the key of a new origin durable, if it has one.
func keepKey(tx store.Tx, key ed25519.PrivateKey) error {
	if key == nil {
		return nil
	}
	return spacestore.SetKey(tx, key)
}

// key returns the key to which an own origin belongs, nil for none.
func (n *Node) key(o merge.Origin) ed25519.PrivateKey {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.keys[o]
}

func (n *Node) addKey(o merge.Origin, key ed25519.PrivateKey) {
	if key == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys == nil {
		n.keys = make(map[merge.Origin]ed25519.PrivateKey)
	}
	n.keys[o] = key
}

// standing returns what the space has where a signed head points.
func (s *Space) standing(k crdtsync.Known) (at crdtsync.Standing) {
	l := locals{s.node}
	at.Head = l.Head(s.name, k.Dot.Origin)
	at.Hash, at.Known = l.HashOf(s.name, k.Dot)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if split, ok := s.splits[k.Dot.Origin]; ok {
		at.Fork = &split
	}
	return at
}

// took notes that the head of that name is to be made durable. The caller holds mu.
func (s *signatures) took(name crdtsync.Known) {
	if _, ok := s.core.Branch(name); ok {
		s.branches[name] = struct{}{}
	} else {
		s.lasts[name.Dot.Origin] = struct{}{}
	}
}

// takeSigned takes a verified head that came over the link of a nonce.
func (s *Space) takeSigned(from crdtsync.Nonce, h crdtsync.SignedHead) {
	s.withStanding(h.Known, func(at crdtsync.Standing) bool { return s.signed.core.Take(from, h, at) })
}

// withStanding calls fn, which takes the head of that name, with what the space has
// where it points. fn reports whether the head is to be kept.
func (s *Space) withStanding(name crdtsync.Known, fn func(crdtsync.Standing) bool) {
	s.signed.mu.Lock()
	epoch := s.signed.epoch
	s.signed.mu.Unlock()
	at := s.standing(name)
	s.signed.mu.Lock()
	defer s.signed.mu.Unlock()
	if epoch == s.signed.epoch && fn(at) {
		s.signed.took(name)
		s.node.membersMoved.Store(true)
	}
}

// takeStrays takes again what could not be compared with what is here, or differed.
func (s *Space) takeStrays() {
	s.signed.mu.Lock()
	strays := s.signed.core.Strays()
	s.signed.mu.Unlock()
	for _, name := range strays {
		s.withStanding(name, func(at crdtsync.Standing) bool { return s.signed.core.Again(name, at) })
	}
}

// sign signs the last own change, if that is new.
func (s *Space) sign() {
	o := s.node.Origin()
	key := s.node.key(o)
	if key == nil {
		return
	}
	head := locals{s.node}.Last(s.name, o)
	s.signed.mu.Lock()
	news := head.Seq > s.signed.core.Last(o).Dot.Seq
	s.signed.mu.Unlock()
	if news {
		s.takeSigned(crdtsync.Nonce{}, crdtsync.SignHead(s.name, crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: head.Seq}, Hash: head.Hash}, key))
	}
}

// signedNews takes the signed heads that the peer tells.
func (l *peerLink) signedNews(f crdtsync.Frame) error {
	signed, ok := f.(*crdtsync.Signed)
	hello := l.hello()
	if !ok || hello == nil || !l.shares(signed.Space) {
		return nil
	}
	s := l.node.lookup(signed.Space)
	if s == nil {
		return nil
	}
	l.withTelling(s, func(t *crdtsync.Telling) { t.Hear(signed.Print) })
	for _, h := range signed.Heads {
		s.signed.mu.Lock()
		wanted := s.signed.core.Wants(&h)
		s.signed.mu.Unlock()
		if !wanted {
			continue
		}
		if err := h.Verify(s.name); err != nil {
			bye := crdtsync.Goodbye{Code: "protocol", Reason: err.Error()}
			return l.queue(crdtsync.Ready{Send: []crdtsync.Frame{&bye}, Err: &crdtsync.GoodbyeError{Goodbye: bye}})
		}
		s.takeSigned(hello.Nonce, h)
	}
	return nil
}

// signedFrames signs what is new of this node's, and returns what to tell the peer of
// signed heads.
func (l *peerLink) signedFrames(s *Space, hello *crdtsync.Hello) []crdtsync.Frame {
	if !slices.Contains(hello.Features, crdtsync.FeatureSigned) {
		return nil
	}
	s.signed.mu.Lock()
	l.withTelling(s, s.signed.core.Meet)
	s.signed.mu.Unlock()
	s.sign()
	s.takeStrays()
	s.signed.mu.Lock()
	defer s.signed.mu.Unlock()
	s.signed.core.Spoke(hello.Former...)
	var told *crdtsync.Signed
	l.withTelling(s, func(t *crdtsync.Telling) { told = s.signed.core.Tell(t, hello.Nonce) })
	if told == nil {
		return nil
	}
	told.Space = s.name
	return []crdtsync.Frame{told}
}

// telling is what a link has told of signed heads.
type telling struct {
	tellingMu sync.Mutex // guards of; nothing is waited for under it
	of        map[*Space]*crdtsync.Telling
}

// withTelling calls fn with what the link has told of a space.
func (l *telling) withTelling(s *Space, fn func(*crdtsync.Telling)) {
	l.tellingMu.Lock()
	defer l.tellingMu.Unlock()
	t, ok := l.of[s]
	if !ok {
		if l.of == nil {
			l.of = make(map[*Space]*crdtsync.Telling)
		}
		t = new(crdtsync.Telling)
		l.of[s] = t
	}
	fn(t)
}

// keepSigned makes durable what is known of signed heads, and returns what that is.
func (b *batch) keepSigned(s *Space) (unkept, error) {
	s.signed.mu.Lock()
	u := s.signed.take()
	heads := make(map[crdtsync.SignedHead]crdtsync.Known)
	for o := range u.lasts {
		if h := s.signed.core.Last(o); h.Dot.Seq > 0 {
			heads[h] = crdtsync.Known{}
		}
	}
	s.signed.mu.Unlock()
	for h := range heads {
		if err := spacestore.SetSigned(b.tx, s.name, crdtsync.Known{}, h); err != nil {
			return u, err
		}
	}
	for first := range u.branches {
		s.signed.mu.Lock()
		h, _ := s.signed.core.Branch(first)
		s.signed.mu.Unlock()
		if err := spacestore.SetSigned(b.tx, s.name, first, h); err != nil {
			return u, err
		}
	}
	b.wrote = b.wrote || len(heads)+len(u.branches) > 0
	return u, nil
}

// unkeep notes that a commit of what was to be kept has failed.
func (s *signatures) unkeep(u unkept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.lasts, u.lasts)
	maps.Copy(s.branches, u.branches)
}

// signing is what a mending does to signed heads.
type signing struct {
	// What covers the branch that was here, and its first change; zero for nothing.
	branch crdtsync.SignedHead
	first  crdtsync.Known
	// heads is last heads of the origin, by space: of what stays of it there.
	heads map[*Space]crdtsync.SignedHead
}

// sign signs, before a branch is taken back, what the node wrote under the origin that
// it gives up, in each space, and notes which branch of an origin that has forked is
// the one that is here, if that is signed.
func (m *mending) sign(tx store.Tx) error {
	o := m.fork.Origin
	key := m.node.key(o)
	m.signing = signing{heads: make(map[*Space]crdtsync.SignedHead)}
	if o == m.fork.is.Origin && key != nil {
		for _, s := range m.node.allSpaces() {
			if head := s.core.Head(o); head.Seq > 0 && s != m.space {
				m.heads[s] = crdtsync.SignHead(s.name, crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: head.Seq}, Hash: head.Hash}, key)
			}
		}
	}
	if m.space != nil {
		if err := m.signBranch(tx, key); err != nil {
			return err
		}
	}
	for s, h := range m.heads {
		if err := spacestore.SetSigned(tx, s.name, crdtsync.Known{}, h); err != nil {
			return err
		}
	}
	return nil
}

// signBranch does it in the space in which the branch is taken back.
func (m *mending) signBranch(tx store.Tx, key ed25519.PrivateKey) error {
	s, o, common := m.space, m.fork.Origin, m.fork.Common
	if m.fork.split == nil {
		common = max(common, s.core.Floor(o)) // as deep as it can be mended
	}
	raw, err := spacestore.Change(tx, s.name, merge.Dot{Origin: o, Seq: common + 1})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := crdtsync.DecodeChange(slices.Clone(raw))
	if err != nil {
		return err
	}
	m.first = crdtsync.Known{Dot: c.Dot, Hash: c.Hash()}
	own := key != nil && (o == m.fork.is.Origin || c.Dot.Seq <= s.given[o].Own)
	s.signed.mu.Lock()
	last := s.signed.core.Last(o)
	s.signed.mu.Unlock()
	if own && common > 0 {
		m.heads[s] = crdtsync.SignHead(s.name, crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: common}, Hash: c.Prev}, key)
	} else if last.Dot.Seq > common {
		err = spacestore.DropSigned(tx, s.name, o)
	}
	switch {
	case err != nil:
		return err
	case own:
		m.branch = crdtsync.SignHead(s.name, m.first, key)
	case last.Dot.Seq > common:
		m.branch = last
	default:
		return nil
	}
	return spacestore.SetSigned(tx, s.name, m.first, m.branch)
}

// publishSigned shows what sign has made durable.
func (m *mending) publishSigned() {
	if s := m.space; s != nil && m.first.Dot.Seq > 0 {
		s.signed.mu.Lock()
		s.signed.epoch++
		s.signed.core.Rewind(m.first.Dot)
		if m.branch.Dot.Seq > 0 {
			s.signed.core.Cover(crdtsync.Nonce{}, m.first, m.branch)
		}
		s.signed.mu.Unlock()
	}
	for s, h := range m.heads {
		s.signed.mu.Lock()
		s.signed.core.Take(crdtsync.Nonce{}, h, crdtsync.Standing{Head: h.Dot.Seq, Hash: h.Hash, Known: true})
		s.signed.mu.Unlock()
	}
}

// A signedStatus is what the status of a space says of signed heads.
type signedStatus struct {
	covered  uint64
	against  []crdtsync.SignedHead
	branches map[merge.Origin][2]bool
}

// signedStatus must be called without the lock of the space.
func (s *Space) signedStatus() (st signedStatus) {
	splits := locals{s.node}.Splits(s.name)
	heads := s.Vector()
	st.branches = make(map[merge.Origin][2]bool, len(splits))
	s.signed.mu.Lock()
	defer s.signed.mu.Unlock()
	for i := range splits {
		st.branches[splits[i].Dot.Origin] = s.signed.core.Signs(&splits[i])
	}
	st.against = s.signed.core.Against()
	st.covered = s.signed.core.Covered(heads.Get)
	return st
}

// problems says where others hold what an origin has signed and this node does not.
func (st *signedStatus) problems(space string) (list []Problem) {
	for _, h := range st.against {
		list = append(list, Problem{
			Code: "signed_otherwise", Space: space,
			Cause:  fmt.Sprintf("%s is another change here than the one that its device has signed", h.Dot),
			Action: "nothing if it ends soon: the two are looked for and set apart; if it stays, connect a peer that has what the device wrote, and look who may write the space",
		})
	}
	return list
}
