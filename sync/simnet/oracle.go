package simnet

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// An Oracle is something that must hold in every run.
type Oracle string

// The oracles.
const (
	// Specification: cells mean what the naive evaluation of the history says.
	Specification Oracle = "specification"
	// CameBack: nothing that was removed is there.
	CameBack Oracle = "nothing removed comes back"
	// Disappeared: nothing that was kept is gone.
	Disappeared Oracle = "nothing kept disappears"
	// LiveDots: a causal cell keeps exactly the dots that nobody has seen.
	LiveDots Oracle = "live dots"
	// Convergence: nodes that have applied the same changes hold the same bytes.
	Convergence Oracle = "convergence"
	// Fingerprints: what was updated change by change is what the cells give.
	Fingerprints Oracle = "fingerprints"
	// Vectors: the vector of a node contains exactly what it has applied.
	Vectors Oracle = "vectors"
	// Sessions: clients that move between nodes have every [Guarantee].
	Sessions Oracle = "sessions"
	// CausalOrder: a change applies once, after all that its author had seen.
	CausalOrder Oracle = "causal order"
	// Stamps: a change is stamped after all that its author had seen.
	Stamps Oracle = "stamps"
	// Durability: what was committed is there after every crash and in the end.
	Durability Oracle = "durability"
	// Identity: no dot names two payloads.
	Identity Oracle = "identity"
	// Detection: if a dot names two payloads all the same, somebody notices.
	Detection Oracle = "detection of forks"
	// Honesty: a node says of itself only what is durable.
	Honesty Oracle = "honesty"
	// Liveness: healed nodes come to rest within a bound of simulated time.
	Liveness Oracle = "liveness"
	// Promptness: without faults a change needs no heartbeat.
	Promptness Oracle = "promptness"
	// Awareness: at rest every link knows that both ends are level.
	Awareness Oracle = "awareness"
	// Bounds: waiting rooms, frames and dependencies are no larger than they
	// must be.
	Bounds Oracle = "bounds"
	// Protocol: no node says what another refuses, and no local write fails.
	Protocol Oracle = "protocol"
	// Tiers: what a node says is safe elsewhere is on the disks there; who holds
	// the frontier back is named; nothing said to be stable is taken back.
	Tiers Oracle = "tiers"
	// Stability: at rest everything becomes stable.
	Stability Oracle = "stability"
	// Repair: damaged cells become again what they were.
	Repair Oracle = "repair"
	// NoPanic: nothing panics.
	NoPanic Oracle = "no panic"
	// Determinism: the same seed gives the same run.
	Determinism Oracle = "determinism"
)

// committed records the changes of a space that a batch has made durable, in
// the order in which they were applied.
func (n *node) committed(space int, b *batch) {
	n.recordMerged(space, b.persists[space])
	for _, c := range b.persists[space].Log {
		n.world.hash.write(c.Dot.Origin[:])
		n.world.hash.number(c.Dot.Seq)
		if c.Dot.Origin != n.origin && c.Time > n.clock.Limit() {
			n.world.violate(Stamps, "%s applies %s, stamped beyond what its clock admits", n.name(), n.world.label(c.Dot))
		}
		if !n.world.bugs.deafClock {
			n.clock.Advance(c.Time)
		}
		if c.Dot.Origin == n.origin {
			n.recordOwn(space, c, b.done)
		} else {
			n.recordApplied(space, c)
		}
	}
	n.checkWaiting(space)
}

// checkWaiting checks that what waits is within bounds, and waits for something.
func (n *node) checkWaiting(space int) {
	w := n.world
	waiting, missing := n.spaces[space].Waiting()
	if waiting > w.knobs.Waiting {
		w.violate(Bounds, "%s lets %d changes wait, the limit is %d", n.name(), waiting, w.knobs.Waiting)
	}
	if waiting > 0 && missing.Seq == 0 {
		w.violate(Bounds, "%s keeps %d changes that wait for nothing", n.name(), waiting)
	}
	if r := n.held(space, missing); r != nil && !w.hasForks(space) {
		w.violate(Bounds, "at %s changes wait for %s, which is applied", n.name(), r.label)
	}
}

// checkDeps checks that a change names no more than it must.
func (n *node) checkDeps(space int, c *crdtsync.Change) {
	w := n.world
	for _, d := range c.Deps {
		for _, e := range c.Deps {
			a, b := n.held(space, d), n.held(space, e)
			if a != nil && b != nil && b.visible.has(a.id) {
				w.violate(Bounds, "%s names %s and %s, which has seen it", w.label(c.Dot), a.label, b.label)
			}
		}
	}
}

func (n *node) recordOwn(space int, c *crdtsync.Change, ops []Op) {
	w, h, label := n.world, n.world.histories[space], n.world.label(c.Dot)
	if n.rewrites(space, c) {
		return
	}
	if h.byDot[c.Dot] != nil && !n.rolledBack {
		w.violate(Identity, "%s writes a second change under %s", n.name(), label)
		return
	}
	if w.trace != nil {
		w.tell(n, "writes %s in %s: %s", label, w.spaces[space], describeOps(ops))
	}
	newest := n.applied[space].newest
	if newest != nil && newest.time >= c.Time {
		w.violate(Stamps, "%s has seen %s and is stamped %v, not after its %v", label, newest.label, c.Time, newest.time)
	}
	if !w.hasForks(space) {
		n.checkDeps(space, c)
	}
	visible := n.applied[space].bitset.clone()
	n.applied[space].add(h.add(c, label, ops, visible, visible))
	h.sessions.Made(c.Dot, n.Vector(w.spaces[space]))
}

func (n *node) recordApplied(space int, c *crdtsync.Change) {
	w, h := n.world, n.world.histories[space]
	r := h.twin(c.Dot, c.Bytes())
	if h.byDot[c.Dot] == nil {
		w.violate(Identity, "%s applies %s, which was never durable at its author", n.name(), w.label(c.Dot))
		return
	}
	if r == nil {
		w.violate(Identity, "%s applies another change under %s than its author wrote", n.name(), w.label(c.Dot))
		return
	}
	if w.trace != nil {
		w.tell(n, "applies %s in %s", r.label, w.spaces[space])
	}
	switch {
	case n.applied[space].has(r.id):
		w.violate(CausalOrder, "%s applies %s a second time", n.name(), r.label)
	}
	if i := n.lacks(space, r); i >= 0 {
		w.violate(CausalOrder, "%s applies %s before %s, which its author had seen", n.name(), r.label, h.records[i].label)
	}
	n.applied[space].add(r)
}

// lacks returns a change that the author of r had applied and the node has not, -1
// for none. What nobody can tell does not count: of which branch it was, and what
// was seen only with the branch.
func (n *node) lacks(space int, r *record) int {
	i := r.visible.missing(n.applied[space].bitset)
	if i < 0 || !n.world.hasForks(space) {
		return i
	}
	h, visible := n.world.histories[space], r.visible.clone()
	for ; i >= 0; i = visible.missing(n.applied[space].bitset) {
		if n.world.onBranch(space, h.records[i].dot) {
			n.world.blurred = n.world.blurred || n.held(space, h.records[i].dot) != nil
		} else if n.world.follows(space, r, h.records[i], make(map[*record]bool)) {
			return i
		}
		visible.remove(i)
	}
	return i
}

// follows reports whether r names x, or a change that does, and so on, but for
// what is said by changes of branches.
func (w *world) follows(space int, r, x *record, been map[*record]bool) bool {
	if r == x || been[r] || !r.visible.has(x.id) {
		return r == x
	}
	been[r] = true
	c, err := crdtsync.DecodeChange(r.raw)
	if err != nil {
		return true
	}
	h := w.histories[space]
	for _, d := range append(slices.Clone(c.Deps), merge.Dot{Origin: c.Dot.Origin, Seq: c.Dot.Seq - 1}) {
		if y := h.byDot[d]; y != nil && !w.onBranch(space, d) && w.follows(space, y, x, been) {
			return true
		}
	}
	return false
}

// checkReopened compares what a node finds in its store with what was committed.
func (n *node) checkReopened() {
	w := n.world
	for i, h := range w.histories {
		logged, err := n.logged(i)
		if err != nil {
			w.violate(Durability, "%s cannot read its log: %v", n.name(), err)
			return
		}
		if k := n.applied[i].missing(logged); k >= 0 {
			w.violate(Durability, "%s has lost %s of %s", n.name(), h.records[k].label, h.space)
		}
		if k := logged.missing(n.applied[i].bitset); k >= 0 {
			w.violate(Durability, "%s finds %s of %s, which it never committed", n.name(), h.records[k].label, h.space)
		}
		n.read(i)
		n.checkVector(i)
	}
}

// logged returns the changes in the log of a space.
func (n *node) logged(space int) (found bitset, err error) {
	w := n.world
	err = n.view(func(r store.Reader) error {
		for rec, err := range r.Scan(w.spaces[space], store.Log, store.Range{}) {
			if err != nil {
				return err
			}
			h, err := crdtsync.ReadHeader(rec.Value)
			if err != nil {
				return err
			}
			known := w.histories[space].twin(h.Dot, rec.Value)
			if known == nil {
				w.violate(Durability, "%s finds %s in its log, which was never committed", n.name(), w.label(h.Dot))
				continue
			}
			found.add(known.id)
		}
		return n.below(r, space, &found)
	})
	return found, err
}

// checkVector compares a node's vector with what it has really applied.
func (n *node) checkVector(space int) {
	w, total := n.world, uint64(0)
	h := w.histories[space]
	for _, d := range n.Vector(w.spaces[space]).Sorted() {
		total += d.Seq
		if n.held(space, d) == nil {
			w.violate(Vectors, "%s claims %s in %s and has not applied it", n.name(), w.label(d), h.space)
		}
	}
	if have := uint64(n.applied[space].count()); total != have {
		w.violate(Vectors, "%s claims %d changes in %s and has applied %d", n.name(), total, h.space, have)
	}
}

// checkFrame checks that what a node says of itself is durable, and that data
// frames are within bounds.
func (w *world) checkFrame(n *node, f crdtsync.Frame) {
	switch f := f.(type) {
	case *crdtsync.Ack:
		n.checkSaid("acknowledges", f.Space, f.Heads)
	case *crdtsync.Subscribe:
		n.checkSaid("claims", f.Space, f.Vector.Sorted())
	case *crdtsync.Changes:
		n.checkData(f)
	case *crdtsync.Fragment:
		n.checkFragment(f)
	case *crdtsync.SnapshotChunk:
		for _, h := range f.Heads {
			n.checkSaid("sends", f.Space, []merge.Dot{{Origin: h.Origin, Seq: h.Seq}})
		}
	}
}

func (n *node) checkSaid(how, space string, heads []merge.Dot) {
	w := n.world
	i := w.spaceIndex(space)
	for _, d := range heads {
		if n.held(i, d) == nil {
			w.violate(Honesty, "%s %s %s, which is not durable there", n.name(), how, w.label(d))
		}
	}
}

// Bounds of a data frame that the core promises.
const (
	maxFrameChanges = 512
	maxFrameBytes   = 64 << 10
)

func (n *node) checkData(f *crdtsync.Changes) {
	size := 0
	for _, raw := range f.Changes {
		size += len(raw)
		if h, err := crdtsync.ReadHeader(raw); err == nil {
			n.checkSaid("sends", f.Space, []merge.Dot{h.Dot})
		}
	}
	if len(f.Changes) > maxFrameChanges || len(f.Changes) > 1 && size > maxFrameBytes || size > wire.MaxFrame {
		n.world.violate(Bounds, "%s sends a frame of %d changes and %d bytes", n.name(), len(f.Changes), size)
	}
}
