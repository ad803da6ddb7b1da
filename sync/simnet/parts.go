package simnet

import (
	"math/rand/v2"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// In some runs few changes fit a frame, and the others go in fragments; in some
// long frames go in pieces; and in some a node knows no fragments until
// everything is healed, and does without what needs them.

func (k *Knobs) drawParts(r *rand.Rand) {
	maybe(r, 3, func() {
		k.Whole, k.Fragment = 60+r.IntN(150), 20+r.IntN(100)
		if k.Large { // a change would take hundreds of frames, of which some are always lost
			k.Fragment *= 40
		}
		if k.Lossy { // each change takes frames of its own, of which some are always lost: writers would be faster
			k.Busy = false
		}
		maybe(r, 3, func() { k.Unparted = true })
	})
	maybe(r, 4, func() {
		if k.Piece = 80 + r.IntN(200); k.Large { // a frame of more pieces than are on their way never arrives
			k.Piece *= 40
		}
	})
}

// unparted reports whether the node knows no fragments for now.
func (n *node) unparted() bool {
	w := n.world
	return w.knobs.Unparted && !w.upgraded && n.id == int(w.seed%uint64(len(w.nodes)))
}

// features returns what the node says that it knows.
func (n *node) features() []string {
	f := crdtsync.Features()
	if n.world.knobs.Tree {
		f = append(f, crdtsync.FeatureTree)
	}
	if n.world.knobs.Nameless && n.id == 0 {
		f = slices.DeleteFunc(f, func(name string) bool { return name == crdtsync.FeatureNames })
	}
	if n.id < n.world.knobs.Hubs {
		f = append(f, crdtsync.FeatureHub)
	}
	slices.Sort(f)
	if n.unparted() {
		f = slices.DeleteFunc(f, func(f string) bool { return f == crdtsync.FeatureFragment })
	}
	return f
}

// upgrade has every node know everything.
func (w *world) upgrade() {
	for _, n := range w.nodes {
		if n.unparted() {
			w.tell(n, "is upgraded")
			for _, peer := range w.nodes {
				w.reset(n, peer)
			}
		}
	}
	w.upgraded = true
}

// cut sends an encoded frame in pieces, if it is long in this run, and reports
// whether it did.
func (n *node) cut(peer *node, s *side, b []byte) bool {
	w := n.world
	limit := w.knobs.Piece
	if limit == 0 || len(b) <= limit || !wire.Type(b[0]).Long() || !s.link.Both(crdtsync.FeaturePiece) {
		return false
	}
	w.longs++
	for p := range crdtsync.Pieces(w.longs, b, limit) {
		n.send(peer, []crdtsync.Frame{p})
	}
	return true
}

// stepLong hands frames that came in pieces to the link.
func (n *node) stepLong(peer *node, s *side, frames [][]byte, by Step) {
	for _, b := range frames {
		f, err := wire.DecodeLong(b)
		if err != nil {
			n.world.violate(Protocol, "%s cannot decode a long frame of %s: %v", n.name(), peer.name(), err)
			return
		}
		n.world.coverage[SeenLong]++
		if n.sides[peer.id] == s {
			n.step(peer, s, f, by)
		}
	}
}

// noteParts counts what comes of fragments.
func (w *world) noteParts(f crdtsync.Frame, r crdtsync.Ready) {
	switch f := f.(type) {
	case *crdtsync.Fragment:
		w.coverage[SeenFragmented] += len(r.Offer)
	case *crdtsync.Partial:
		if f.Offset > 0 {
			w.coverage[SeenPartial]++
		}
	}
	for _, nack := range r.Refused {
		if nack.Code == "needs_upgrade" {
			w.coverage[SeenHeldBack]++
		}
	}
}

// Partials implements crdtsync.Keeper.
func (n *node) Partials(fn func(*crdtsync.Partials)) { fn(&n.parts) }

// ChangePart implements crdtsync.Slicer.
func (n *node) ChangePart(space string, d merge.Dot, offset, size int) (part []byte, err error) {
	err = n.view(func(r store.Reader) (err error) {
		part, err = spacestore.ChangePart(r, space, d, offset, size)
		return err
	})
	return part, err
}

// checkFragment checks that a fragment is of a change that is durable, and is
// what it says.
func (n *node) checkFragment(f *crdtsync.Fragment) {
	w := n.world
	n.checkSaid("sends", f.Space, []merge.Dot{f.Dot})
	if k := w.knobs; len(f.Bytes) > k.Fragment || f.Size <= uint64(k.Whole) {
		w.violate(Bounds, "%s sends %d bytes of a change of %d in a fragment", n.name(), len(f.Bytes), f.Size)
	}
}

// checkParts checks that what a node keeps of changes in fragments is bounded.
func (n *node) checkParts() {
	const each, most = 64 << 10, 64
	if got := n.parts.Bytes(); n.parts.Len() > 4*len(n.world.nodes)+most || got > each*max(1, n.parts.Len()) {
		n.world.violate(Bounds, "%s keeps %d bytes of %d changes in fragments", n.name(), got, n.parts.Len())
	}
}
