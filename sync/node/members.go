package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// members is what a space knows of the other nodes that keep it.
type members struct {
	mu     sync.Mutex // guards what follows; nothing is waited for under it
	roster *crdtsync.Roster
	dirty  map[merge.Origin]struct{} // not durable yet
	moved  chan struct{}             // closed at the next change
}

func newMembers(self merge.Origin, known ...*crdtsync.Member) *members {
	return &members{
		roster: crdtsync.NewRoster(self, known...), dirty: make(map[merge.Origin]struct{}), moved: make(chan struct{}),
	}
}

// list returns what is known of all, in memory of the caller's own.
func (ms *members) list() []*crdtsync.Member {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.roster.Members()
}

// one returns what is known of a member, made if need be.
func (ms *members) one(o merge.Origin) *crdtsync.Member {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m := ms.roster.Member(o); m != nil {
		return m
	}
	return &crdtsync.Member{Origin: o}
}

// change calls fn with the roster to change what it says of one member.
func (ms *members) change(o merge.Origin, fn func(*crdtsync.Roster)) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	fn(ms.roster)
	ms.changed(o)
}

// changed notes of whom there is news. The caller holds ms.mu.
func (ms *members) changed(origins ...merge.Origin) {
	for _, o := range origins {
		ms.dirty[o] = struct{}{}
	}
	close(ms.moved)
	ms.moved = make(chan struct{})
}

// renew begins anew under another origin, without the cuts if they are no more.
func (ms *members) renew(self merge.Origin, cutsGone bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	now, changed := ms.roster.Renewed(self, cutsGone)
	ms.roster = now
	ms.changed(changed...)
}

// loadMembers reads what the store knows of a space's members.
func (s *Space) loadMembers(r store.Reader) error {
	known, err := spacestore.Members(r, s.name)
	if err == nil {
		s.members = newMembers(s.node.Origin(), known...)
	}
	return err
}

// withMember calls fn to change what is known of a member of a space, if the
// node has the space.
func (n *Node) withMember(space string, o merge.Origin, fn func(*crdtsync.Roster)) {
	s := n.lookup(space)
	if s == nil || o == n.Origin() {
		return
	}
	s.members.change(o, fn)
	n.membersMoved.Store(true)
}

// memberNews notes what a frame says of the member that sent it, or of others.
func (l *peerLink) memberNews(f crdtsync.Frame, meetings []crdtsync.Meeting) {
	hello := l.hello()
	if hello == nil {
		return
	}
	for _, m := range meetings {
		l.node.withMember(m.Space, hello.Origin, func(r *crdtsync.Roster) { r.Met(hello.Origin, m.Cursor, m.Sure) })
	}
	switch f := f.(type) {
	case *crdtsync.Ack:
		l.learn(f.Space, hello.Origin, f)
	case *crdtsync.Subscribe:
		l.learn(f.Space, hello.Origin, f)
	case *crdtsync.Members:
		if l.shares(f.Space) {
			l.learn(f.Space, hello.Origin, f)
		}
	}
}

// learn notes what a frame says of members of a space.
func (l *peerLink) learn(space string, from merge.Origin, f crdtsync.Frame) {
	s := l.node.lookup(space)
	if s == nil || from == l.node.Origin() {
		return
	}
	cut := s.cuts()
	if f, ok := f.(*crdtsync.Members); ok {
		for _, m := range f.Members {
			cut(m.Common) // now: nothing is read under the lock
		}
	}
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	if of := s.members.roster.Note(from, f, cut); len(of) > 0 {
		s.members.changed(of...)
		l.node.membersMoved.Store(true)
	}
}

func (l *peerLink) shares(space string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.Shares(space)
}

// cut returns the vector at a cut, nil if the space was never there.
func (s *Space) cut(c crdtsync.Cursor) *merge.VersionVector {
	if c.Position == 0 {
		return nil
	}
	return locals{s.node}.Cut(s.name, c)
}

// gossip notes that the peer is there and tells it what is new of others and of
// signed heads.
func (l *peerLink) gossip() error {
	hello := l.hello()
	if hello == nil {
		return nil
	}
	hub := slices.Contains(hello.Features, crdtsync.FeatureHub)
	for _, s := range l.node.allSpaces() {
		if !l.shares(s.name) {
			continue
		}
		s.members.heard(hello, hub, l.node.now())
		if err := l.queue(crdtsync.Ready{Send: append(l.membersFrames(s, hello.Origin), l.signedFrames(s, hello)...)}); err != nil {
			return err
		}
	}
	return nil
}

// What is told of members at a time: origins in their vectors, and, if one vector
// has more, the beats between two members.
const (
	gossipOrigins = 16 << 10
	gossipEvery   = 16
)

// gossipNow returns how many members of a space may be told of at this beat.
func (l *peerLink) gossipNow(s *Space) int {
	most := gossipOrigins / max(1, s.origins())
	if most == 0 && l.beats%gossipEvery == 0 {
		most = 1
	}
	return min(most, crdtsync.MaxMembers)
}

// features returns what the node says of itself in its hello.
func (n *Node) features() []string {
	f := append(crdtsync.Features(), crdtsync.FeatureSigned)
	if n.cfg.Hub {
		f = append(f, crdtsync.FeatureHub)
	}
	if n.cfg.Tree {
		f = append(f, crdtsync.FeatureTree)
	}
	slices.Sort(f)
	return f
}

func (n *Node) now() uint64 { return uint64(max(0, n.cfg.Now().Unix())) }

func (ms *members) heard(hello *crdtsync.Hello, hub bool, now uint64) {
	ms.mu.Lock()
	news := ms.roster.Heard(hello.Origin, hello.Name, hub, now)
	ms.mu.Unlock()
	if news {
		ms.change(hello.Origin, func(*crdtsync.Roster) {})
	}
}

// membersFrames returns what to tell the peer of a space's members. A member is
// told by a cut that the peer has had, or by its vector.
func (l *peerLink) membersFrames(s *Space, to merge.Origin) []crdtsync.Frame {
	most := l.gossipNow(s)
	if most == 0 {
		return nil
	}
	s.members.mu.Lock()
	list, upTo := s.members.roster.News(to, l.told[s.name], most)
	common := s.members.roster.Common(to)
	s.members.mu.Unlock()
	if l.told == nil {
		l.told = make(map[string]uint64)
	}
	l.told[s.name] = upTo
	return crdtsync.TellMembers(s.name, list, common, s.cuts())
}

func (n *Node) allSpaces() []*Space {
	n.spacesMu.RLock()
	defer n.spacesMu.RUnlock()
	spaces := make([]*Space, 0, len(n.spaces))
	for _, s := range n.spaces {
		spaces = append(spaces, s)
	}
	slices.SortFunc(spaces, func(a, b *Space) int { return cmp.Compare(a.name, b.name) })
	return spaces
}

// keepMembers makes durable what is known of members and signed heads: a job of the committer's.
type keepMembers struct {
	node *Node
	kept map[*Space][]merge.Origin
	// signed is what was not durable of signed heads.
	signed map[*Space]unkept
}

func newKeepMembers(n *Node) *keepMembers {
	return &keepMembers{n, make(map[*Space][]merge.Origin), make(map[*Space]unkept)}
}

// keep hands the job to the committer if there is something to keep.
func (n *Node) keep() {
	if n.membersMoved.Swap(false) {
		_ = n.submit(n.ctx, newKeepMembers(n)) // closed: Close does it
	}
}

// keepLast does it when the committer has ended. What cannot be kept is learnt
// again from the peers.
func (n *Node) keepLast() {
	j := newKeepMembers(n)
	if n.failure() != nil {
		return
	}
	err := n.store.Update(context.Background(), func(tx store.Tx) error {
		b := &batch{node: n, tx: tx}
		if err := j.stage(b); err != nil || b.wrote {
			return err
		}
		return errNothing
	})
	if err != nil && !errors.Is(err, errNothing) {
		n.log.Warn("what is known of members is not kept", "code", "store_error", "err", err)
	}
}

func (j *keepMembers) weight() int { return 0 }

func (j *keepMembers) stage(b *batch) error {
	for _, s := range j.node.allSpaces() {
		for _, m := range s.takeDirty() {
			if err := spacestore.SetMember(b.tx, s.name, m); err != nil {
				return err
			}
			j.kept[s] = append(j.kept[s], m.Origin)
			b.wrote = true
		}
		signed, err := b.keepSigned(s)
		if j.signed[s] = signed; err != nil {
			return err
		}
	}
	return nil
}

// takeDirty returns copies of what is to be made durable, and takes it for that.
func (s *Space) takeDirty() (list []*crdtsync.Member) {
	if s.summary().Changes == 0 {
		return nil
	}
	ms := s.members
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for o := range ms.dirty {
		if m := ms.roster.Member(o); m != nil {
			list = append(list, m)
		}
	}
	clear(ms.dirty)
	slices.SortFunc(list, func(a, b *crdtsync.Member) int { return a.Origin.Compare(b.Origin) })
	return list
}

func (j *keepMembers) finish(err error) {
	if err == nil {
		return
	}
	for s, origins := range j.kept {
		s.members.mu.Lock()
		for _, o := range origins {
			s.members.dirty[o] = struct{}{}
		}
		s.members.mu.Unlock()
	}
	for s, u := range j.signed {
		s.signed.unkeep(u)
	}
	j.node.membersMoved.Store(true)
}

// A meeting is a position at which a space comes to a cut in common with a peer.
type meeting struct {
	space    *Space
	peer     merge.Origin
	position uint64
}

// saveMeetings notes in the transaction of the changes that they complete a
// common cut. Another job in the batch may have led past it.
func (b *batch) saveMeetings() error {
	kept := b.meetings[:0]
	for _, m := range b.meetings {
		p := b.persists[m.space]
		if p == nil || p.Empty() || p.Summary.Changes != m.position {
			continue
		}
		one := m.space.members.one(m.peer)
		one.Last = p.Summary.Cursor()
		if err := spacestore.SetMember(b.tx, m.space.name, one); err != nil {
			return err
		}
		kept = append(kept, m)
	}
	b.meetings = kept
	return nil
}

// publishMeetings shows what saveMeetings has made durable.
func (b *batch) publishMeetings() {
	for _, m := range b.meetings {
		c := b.persists[m.space].Summary.Cursor()
		m.space.members.change(m.peer, func(r *crdtsync.Roster) { r.Met(m.peer, c, false) })
		m.space.members.kept(m.peer)
	}
}

// kept notes that what is known of a member is durable.
func (ms *members) kept(o merge.Origin) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	delete(ms.dirty, o)
}
