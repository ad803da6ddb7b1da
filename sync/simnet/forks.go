package simnet

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// In some runs the disk of a node takes back what it called durable, and nobody
// knows: the node goes on under its origin with numbers that are used elsewhere.
// When it learns that, it takes a new origin and writes again, under that of the
// branch, what it wrote under such numbers. If others have applied it, they sever
// the origin and write both branches again. While that goes on nodes hold different
// changes under one dot, and what others built on one of them stands on the other:
// the space is judged when it is over.

// rollBack replaces the store by its backup and says so to nobody. That happens no
// second time before the node has heard of the first: what was written between two
// forks of one origin may be written again twice, which is documented and makes
// the specification say nothing.
func (n *node) rollBack() {
	if n.backup == nil || n.rolledBack {
		return
	}
	n.world.coverage[FaultRollback]++
	b := n.backup
	n.backup, n.rolledBack = nil, true
	n.replace(b, "finds its disk as it was when it was backed up")
}

// twin returns the record of a change with this encoding, nil if there is none.
func (h *history) twin(d merge.Dot, raw []byte) *record {
	for r := h.byDot[d]; r != nil; r = r.next {
		if bytes.Equal(r.raw, raw) {
			return r
		}
	}
	return nil
}

// held returns the change of that name that the node has applied, nil for none.
func (n *node) held(space int, d merge.Dot) *record {
	for r := n.world.histories[space].byDot[d]; r != nil; r = r.next {
		if n.applied[space].has(r.id) {
			return r
		}
	}
	return nil
}

// A fork is a dot that its author has used twice.
type fork struct {
	space int
	dot   merge.Dot
}

// rewrites reports whether c, which the node has written, is a change that it has
// written before it was rolled back, and notes if it is another one of that name.
func (n *node) rewrites(space int, c *crdtsync.Change) bool {
	w, h := n.world, n.world.histories[space]
	if h.byDot[c.Dot] == nil || !n.rolledBack {
		return false
	}
	if r := h.twin(c.Dot, c.Bytes()); r != nil { // to the byte, and taken back all the same
		w.tell(n, "writes %s again", r.label)
		w.forked = append(w.forked, fork{space, c.Dot})
		n.applied[space].add(r)
		return true
	}
	w.tell(n, "writes another change under %s", w.label(c.Dot))
	w.coverage[SeenFork]++
	w.forked = append(w.forked, fork{space, c.Dot})
	return false
}

// hasForks reports whether any dot of the space ever named two changes.
func (w *world) hasForks(space int) bool {
	return slices.ContainsFunc(w.forked, func(f fork) bool { return f.space == space })
}

// onBranch reports whether d is at or after a dot that names two changes.
func (w *world) onBranch(space int, d merge.Dot) bool {
	return slices.ContainsFunc(w.forked, func(f fork) bool {
		return f.space == space && f.dot.Origin == d.Origin && f.dot.Seq <= d.Seq
	})
}

// heldTwice reports whether nodes hold different changes under one dot.
func (w *world) heldTwice(f fork) bool {
	var first *record
	for _, n := range w.nodes {
		r := n.held(f.space, f.dot)
		if r != nil && first != nil && r != first {
			return true
		}
		if r != nil {
			first = r
		}
	}
	return false
}

// settleForks gives the nodes time to repair what was built on a change that was
// taken back, and demands that no dot names two changes in the end.
func (w *world) settleForks(bound int) {
	if w.forked == nil || w.failure != nil {
		return
	}
	w.run(bound, func() bool { return w.alike() && !slices.ContainsFunc(w.forked, w.heldTwice) })
	for _, f := range w.forked {
		if w.heldTwice(f) {
			w.violate(Detection, "%d heartbeats after the nodes are level %s still names two changes", bound, w.label(f.dot))
		}
	}
}

// alike reports whether all nodes say that they hold the same cells.
func (w *world) alike() bool {
	for _, name := range w.spaces {
		for _, n := range w.nodes {
			if n.Summary(name).Cells != w.nodes[0].Summary(name).Cells {
				return false
			}
		}
	}
	return true
}

// beginning returns the first change of the branch that goes on under an origin,
// nil if none does.
func (h *history) beginning(o merge.Origin) *record {
	for _, r := range h.records {
		if crdtsync.BranchOrigin(sha256.Sum256(r.raw)) == o {
			return r
		}
	}
	return nil
}

// branch returns the changes that follow one another from first on.
func (h *history) branch(first *record) (list []*record) {
	for r := first; r != nil; {
		list = append(list, r)
		hash, next := sha256.Sum256(r.raw), (*record)(nil)
		for x := h.byDot[merge.Dot{Origin: r.dot.Origin, Seq: r.dot.Seq + 1}]; x != nil; x = x.next {
			if c, err := crdtsync.DecodeChange(x.raw); err == nil && c.Prev == hash {
				next = x
			}
		}
		r = next
	}
	return list
}

// renamed returns the changes of s, with what became of those of a branch in
// place of them.
func renamed(s bitset, branch []*record) bitset {
	out := s.clone()
	for _, r := range branch {
		if s.has(r.id) {
			out.remove(r.id)
			if r.again != nil {
				out.add(r.again.id)
			}
		}
	}
	return out
}

// carriesReset reports whether r, of a branch, has seen that somebody else reset what
// earlier changes of the branch had counted: its share says so for good, and the
// specification takes the reset for one of the branch under its old name alone.
func (h *history) carriesReset(r *record, earlier []*record) bool {
	return slices.ContainsFunc(h.records, func(x *record) bool {
		resets := slices.ContainsFunc(x.ops, func(op Op) bool { return op.Do == Zero })
		return resets && r.seen.has(x.id) && slices.ContainsFunc(earlier, func(e *record) bool { return x.seen.has(e.id) })
	})
}
