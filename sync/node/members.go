package node

import (
	"cmp"
	"slices"
	"sync"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// members is what a space knows of the other nodes that keep it.
type members struct {
	mu    sync.Mutex // guards what follows; nothing else is locked under it
	all   map[merge.Origin]*spacestore.Member
	dirty map[merge.Origin]struct{} // not durable yet
}

func newMembers() *members {
	return &members{all: make(map[merge.Origin]*spacestore.Member), dirty: make(map[merge.Origin]struct{})}
}

// of returns what is known of a member, made if need be, to be changed.
func (m *members) of(o merge.Origin) *spacestore.Member {
	one, ok := m.all[o]
	if !ok {
		one = &spacestore.Member{Origin: o, Beyond: &merge.VersionVector{}}
		m.all[o] = one
	}
	m.dirty[o] = struct{}{}
	return one
}

// met notes a cut that a member and this node have in common.
func (m *members) met(o merge.Origin, c crdtsync.Cursor) {
	one := m.of(o)
	one.Common, one.Beyond = c, &merge.VersionVector{}
}

// has notes what a member says it has durably.
func (m *members) has(o merge.Origin, heads []merge.Dot) {
	one := m.of(o)
	for _, d := range heads {
		one.Beyond.Raise(d)
	}
}

// loadMembers reads what the store knows of a space's members.
func (s *Space) loadMembers(r store.Reader) error {
	known, err := spacestore.Members(r, s.name)
	if err != nil {
		return err
	}
	for _, one := range known {
		s.members.all[one.Origin] = one
	}
	return nil
}

// memberNews notes what a frame says of the member that sent it.
func (l *peerLink) memberNews(f crdtsync.Frame, meetings []crdtsync.Meeting) {
	hello := l.hello()
	if hello == nil {
		return
	}
	for _, m := range meetings {
		l.node.withMembers(m.Space, func(ms *members) { ms.met(hello.Origin, m.Cursor) })
	}
	switch f := f.(type) {
	case *crdtsync.Ack:
		if len(meetings) == 0 {
			l.node.withMembers(f.Space, func(ms *members) { ms.has(hello.Origin, f.Heads) })
		}
	case *crdtsync.Subscribe:
		l.node.withMembers(f.Space, func(ms *members) { ms.has(hello.Origin, f.Vector.Sorted()) })
	}
}

// withMembers calls fn with the members of a space that somebody has asked for.
func (n *Node) withMembers(space string, fn func(*members)) {
	s := n.lookup(space)
	if s == nil {
		return
	}
	s.members.mu.Lock()
	fn(s.members)
	s.members.mu.Unlock()
	n.membersMoved.Store(true)
}

// keepMembers makes durable what is known of members: a job that one waits for
// only to learn that there is room for the next.
type keepMembers struct {
	node *Node
	kept map[*Space][]merge.Origin
}

// keep hands the job to the committer if there is something to keep.
func (n *Node) keep() {
	if n.membersMoved.Swap(false) {
		_ = n.submit(n.ctx, &keepMembers{n, make(map[*Space][]merge.Origin)}) // closed: it is only learnt again later
	}
}

func (n *Node) allSpaces() []*Space {
	n.mu.Lock()
	defer n.mu.Unlock()
	spaces := make([]*Space, 0, len(n.spaces))
	for _, s := range n.spaces {
		spaces = append(spaces, s)
	}
	slices.SortFunc(spaces, func(a, b *Space) int { return cmp.Compare(a.name, b.name) })
	return spaces
}

func (j *keepMembers) weight() int { return 0 }

func (j *keepMembers) stage(b *batch) error {
	for _, s := range j.node.allSpaces() {
		for _, m := range s.takeDirty() {
			m.Seen = j.node.cfg.Now().Unix()
			if err := spacestore.SetMember(b.tx, s.name, m); err != nil {
				return err
			}
			j.kept[s] = append(j.kept[s], m.Origin)
			b.wrote = true
		}
	}
	return nil
}

// takeDirty returns copies of what is to be made durable, and takes it for that.
func (s *Space) takeDirty() (list []*spacestore.Member) {
	if s.summary().Changes == 0 {
		return nil
	}
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	for o := range s.members.dirty {
		one := *s.members.all[o]
		one.Beyond = one.Beyond.Clone()
		list = append(list, &one)
	}
	clear(s.members.dirty)
	slices.SortFunc(list, func(a, b *spacestore.Member) int { return a.Origin.Compare(b.Origin) })
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
		one := m.space.copyMember(m.peer)
		one.Common, one.Beyond, one.Seen = p.Summary.Cursor(), nil, b.node.cfg.Now().Unix()
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
		ms := m.space.members
		ms.mu.Lock()
		ms.met(m.peer, b.persists[m.space].Summary.Cursor())
		delete(ms.dirty, m.peer)
		ms.mu.Unlock()
	}
}

func (s *Space) copyMember(o merge.Origin) *spacestore.Member {
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	if m := s.members.all[o]; m != nil {
		one := *m
		return &one
	}
	return &spacestore.Member{Origin: o}
}
