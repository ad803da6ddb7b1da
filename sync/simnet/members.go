package simnet

import (
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// lease is for how many seconds a node waits for a member that it does not hear.
const lease = 24 * 3600

// membership is what a node knows of the other nodes that keep a space.
type membership struct {
	roster *crdtsync.Roster
	dirty  map[merge.Origin]struct{} // not durable yet
	// The last frontier that was judged, and for whom it waited.
	front  *merge.VersionVector
	waited map[merge.Origin]bool
}

func newMembership(self merge.Origin, known ...*crdtsync.Member) *membership {
	return &membership{roster: crdtsync.NewRoster(self, known...), dirty: make(map[merge.Origin]struct{})}
}

func (m *membership) changed(origins ...merge.Origin) {
	for _, o := range origins {
		m.dirty[o] = struct{}{}
	}
}

// members returns what the node knows of those that keep a space.
func (n *node) members(space int) *membership {
	if n.membership[space] == nil {
		n.membership[space] = newMembership(n.origin)
	}
	return n.membership[space]
}

// loadMembers reads what the store knows of a space's members.
func (n *node) loadMembers(r store.Reader, name string) error {
	known, err := spacestore.Members(r, name)
	n.membership[n.world.spaceIndex(name)] = newMembership(n.origin, known...)
	return err
}

func (n *node) seconds() uint64 { return uint64(n.wall().Unix()) }

// noteMembers notes what a frame says of the member that sent it, or of others.
func (n *node) noteMembers(s *side, f crdtsync.Frame, meetings []crdtsync.Meeting) {
	hello := s.link.Peer()
	if hello == nil || hello.Origin == n.origin {
		return
	}
	n.meet(hello.Origin, meetings...)
	name := ""
	switch f := f.(type) {
	case *crdtsync.Ack:
		name = f.Space
	case *crdtsync.Subscribe:
		name = f.Space
	case *crdtsync.Members:
		if name = f.Space; !s.link.Shares(name) {
			return
		}
	default:
		return
	}
	m := n.members(n.world.spaceIndex(name))
	m.changed(m.roster.Note(hello.Origin, f, n.cutOf(name))...)
}

func (n *node) cutOf(space string) func(crdtsync.Cursor) *merge.VersionVector {
	return func(c crdtsync.Cursor) *merge.VersionVector {
		if c.Position == 0 {
			return nil
		}
		return n.Cut(space, c)
	}
}

// meet notes the last cuts in common with a peer.
func (n *node) meet(o merge.Origin, meetings ...crdtsync.Meeting) {
	for _, c := range meetings {
		m := n.members(n.world.spaceIndex(c.Space))
		m.roster.Met(o, c.Cursor, c.Sure || n.world.bugs.guessIsProof)
		m.changed(o)
	}
}

// gossip notes that a peer is there and tells it what is new of others.
func (n *node) gossip(peer *node, s *side) {
	hello := s.link.Peer()
	if hello == nil || hello.Origin == n.origin {
		return
	}
	for i, name := range n.world.spaces {
		if !s.link.Shares(name) {
			continue
		}
		m := n.members(i)
		if m.roster.Heard(hello.Origin, hello.Name, slices.Contains(hello.Features, crdtsync.FeatureHub), n.seconds()) {
			m.changed(hello.Origin)
		}
		if n.world.bugs.untoldMembers {
			continue
		}
		list, upTo := m.roster.News(hello.Origin, s.told[i], crdtsync.MaxMembers)
		for _, told := range list {
			if n.world.bugs.ownForTheirs {
				told.Beyond = n.Vector(name)
			}
		}
		frames := crdtsync.TellMembers(name, list, m.roster.Common(hello.Origin), n.cutOf(name))
		n.world.coverage[SeenGossip] += len(frames)
		n.send(peer, frames)
		s.told[i] = upTo
	}
}

// keepMembers makes durable what is known of members.
func (n *node) keepMembers() {
	if n.full || !slices.ContainsFunc(n.membership, func(m *membership) bool { return m != nil && len(m.dirty) > 0 }) {
		return
	}
	err := n.store.Update(background, func(tx store.Tx) error {
		for i, m := range n.membership {
			if m == nil || n.Summary(n.world.spaces[i]).Changes == 0 {
				continue
			}
			for _, o := range slices.SortedFunc(maps.Keys(m.dirty), merge.Origin.Compare) {
				if err := spacestore.SetMember(tx, n.world.spaces[i], m.roster.Member(o)); err != nil {
					return err
				}
			}
			clear(m.dirty)
		}
		return nil
	})
	if err != nil {
		n.world.violate(Protocol, "%s cannot keep what it knows of members: %v", n.name(), err)
	}
}

// renewMembers begins anew under another origin.
func (n *node) renewMembers(space int, cutsGone bool) {
	m := n.members(space)
	roster, changed := m.roster.Renewed(n.origin, cutsGone)
	m.roster, m.front = roster, nil
	m.changed(changed...)
}

// census looks at the members of a space.
func (n *node) census(space int) *crdtsync.Census {
	return &crdtsync.Census{Members: n.members(space).roster.Members(), Now: n.seconds(), Lease: lease, Cut: n.cutOf(n.world.spaces[space])}
}

// turn has people retire a node at another, or take it back.
func (n *node) turn(peer *node, retire bool) {
	if !n.running() || peer.is == nil {
		return
	}
	for i := range n.world.spaces {
		if m := n.members(i); m.roster.Turn(peer.origin, retire) {
			m.changed(peer.origin)
			n.world.coverage[FaultDismiss]++
		}
	}
	n.world.tell(n, "is told that %s is retired: %v", peer.name(), retire)
}

// trim takes out of the log what everybody has who is waited for.
func (n *node) trim(s Step) {
	if !n.running() || s.Space >= len(n.spaces) || n.spaces[s.Space] == nil || n.world.bugs.increments || n.older() {
		return
	}
	name := n.world.spaces[s.Space]
	horizon := n.lyingCensus(s.Space).Horizon(n.Vector(name), n.origin)
	if n.world.bugs.trimOwn {
		horizon = n.Vector(name)
	}
	if horizon == nil {
		return
	}
	n.world.coverage[FaultTrim]++
	n.world.tell(n, "truncates its log of %s to what all have", name)
	b := &batch{node: n, space: s.Space}
	b.chore = func() error {
		for _, d := range horizon.Sorted() {
			if err := b.truncate(name, d, false); err != nil {
				return err
			}
		}
		_, err := spacestore.TrimArrival(b.tx, name, n.spaces[s.Space].Floors(), 1<<20)
		return err
	}
	b.commit(s.Crash)
	if n.running() {
		n.checkHorizon(s.Space, horizon)
	}
}
