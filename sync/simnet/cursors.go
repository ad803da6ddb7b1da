package simnet

import (
	"encoding/binary"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Cut implements crdtsync.Cuts.
func (n *node) Cut(space string, c crdtsync.Cursor) (v *merge.VersionVector) {
	if slices.Contains(n.trusted, c) || n.Summary(space).Cursor() == c {
		return n.Vector(space)
	}
	err := n.view(func(r store.Reader) (err error) {
		if n.world.bugs.bareCursor {
			c.Print = printAt(r, space, c)
		}
		v, err = spacestore.Cut(r, space, c)
		return err
	})
	if err != nil {
		n.world.violate(Protocol, "%s cannot read a cut: %v", n.name(), err)
	}
	return v
}

// printAt is the print of the cut that the node has at the position of c: the
// mutant takes every cut with as many changes for the same.
func printAt(r store.Reader, space string, c crdtsync.Cursor) uint64 {
	b, err := r.Get(space, store.Arrival, binary.BigEndian.AppendUint64(nil, c.Position))
	if err != nil {
		return c.Print
	}
	return binary.BigEndian.Uint64(b)
}

// Common implements crdtsync.Cuts.
func (n *node) Common(space string, peer merge.Origin) (c crdtsync.Cursor) {
	roster := n.members(n.world.spaceIndex(space)).roster
	if !n.world.bugs.bareCursor {
		return roster.Last(peer)
	}
	for _, m := range roster.Members() {
		if n.world.labels[m.Origin][0] == n.world.labels[peer][0] && m.Last.Position >= c.Position {
			c = m.Last
		}
	}
	return c
}

// meetBefore notes the cursor of changes that are not durable yet, and that the
// node is not to look whether it has been there.
func (n *node) meetBefore(peer *node, r crdtsync.Ready) {
	if !n.world.bugs.cursorFirst || len(r.Offer) == 0 || r.Position == 0 {
		return
	}
	space := r.Offer[0].Space
	c := peer.Summary(space).Cursor()
	if c.Position == r.Position {
		n.trusted = append(n.trusted, c)
		n.meet(peer.origin, crdtsync.Meeting{Space: space, Cursor: c})
		n.keepMembers()
	}
}

// saveMeetings notes, with the changes that complete it, the cut in common with
// the peer that sent them.
func (b *batch) saveMeetings() error {
	for i, p := range b.persists {
		if p == nil || p.Empty() || b.from == nil || p.Summary.Changes != b.position || b.origin == (merge.Origin{}) {
			continue
		}
		b.node.world.coverage[SeenMeeting]++
		m := b.node.members(i).roster.Member(b.origin)
		if m == nil {
			m = &crdtsync.Member{Origin: b.origin}
		}
		m.Last = p.Summary.Cursor()
		if err := spacestore.SetMember(b.tx, b.node.world.spaces[i], m); err != nil {
			return err
		}
		b.met = append(b.met, i)
	}
	return nil
}

// showMeetings shows what saveMeetings has made durable.
func (b *batch) showMeetings() {
	for _, i := range b.met {
		m := b.node.members(i)
		m.roster.Met(b.origin, b.persists[i].Summary.Cursor(), false)
		delete(m.dirty, b.origin)
	}
}

// checkResume checks that who resumes from a cut that this node knows has all
// that is in it, unless it was restored since then.
func (n *node) checkResume(from *node, f crdtsync.Frame) {
	resume, ok := f.(*crdtsync.Resume)
	if !ok {
		return
	}
	known := n.Cut(resume.Space, resume.Cursor)
	if known == nil {
		n.world.coverage[SeenRewind]++
		return
	}
	n.world.coverage[SeenResume]++
	if !n.world.connected(n, from) || n.world.hasForks(n.world.spaceIndex(resume.Space)) {
		return
	}
	from.checkSaid("resumes after", resume.Space, known.Sorted())
}
