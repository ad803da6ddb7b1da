package simnet

import (
	"bytes"
	"slices"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// In some runs the disk of a node takes back what it called durable, and nobody
// knows: the node goes on under its origin with numbers that are used elsewhere.
// If a peer tells it before it writes, it takes a new origin and all is well. If
// it writes first, its dots name two changes, which no replica can make good. All
// that is demanded then is that somebody notices.

// rollBack replaces the store by its backup and says so to nobody.
func (n *node) rollBack() {
	if n.backup == nil {
		return
	}
	n.world.coverage[FaultRollback]++
	b := n.backup
	n.backup, n.rolledBack = nil, true
	n.replace(b, "finds its disk as it was when it was backed up")
}

// rewrites reports whether c, which the node has written, has a dot that the
// node has used before it was rolled back. Unless c happens to be the same
// change, little else is demanded from then on.
func (n *node) rewrites(space int, c *crdtsync.Change) bool {
	w := n.world
	r := w.histories[space].byDot[c.Dot]
	if r == nil || !n.rolledBack {
		return false
	}
	if bytes.Equal(r.raw, c.Bytes()) {
		n.applied[space].add(r)
		return true
	}
	w.tell(n, "writes another change under %s", r.label)
	w.coverage[SeenFork]++
	w.forked = append(w.forked, fork{space, r})
	w.only = []Oracle{NoPanic, Detection}
	return true
}

// A fork is a change whose dot its author has used again.
type fork struct {
	space int
	first *record
}

// isForked reports whether two nodes still hold different changes under one dot.
func (w *world) isForked() bool { return slices.ContainsFunc(w.forked, w.heldTwice) }

func (w *world) heldTwice(f fork) bool {
	var held []byte
	for _, n := range w.nodes {
		raw, err := n.Change(w.spaces[f.space], f.first.dot)
		if err == nil && held != nil && !bytes.Equal(raw, held) {
			return true
		}
		if err == nil {
			held = raw
		}
	}
	return false
}

// noticed notes that a node knows of a fork.
func (w *world) notice(n *node, how string) {
	if w.forked != nil && !w.noticed {
		w.tell(n, "notices: %s", how)
		w.noticed = true
	}
}

// mend takes a new origin when a peer has shown that the node knows less of its
// own than others do.
func (n *node) mend(forks []crdtsync.Fork) {
	w := n.world
	switch {
	case len(forks) == 0:
	case w.forked != nil:
		w.notice(n, "a peer has other changes of mine")
	case !n.rolledBack:
		w.violate(Identity, "%s is told that its changes after %d are not its own, and was never rolled back", n.name(), forks[0].Common)
	default:
		w.coverage[SeenRollback]++
		w.tell(n, "hears that it was rolled back")
		n.rolledBack = false
		n.reincarnate()
	}
}

// finishForked demands that a fork is noticed.
func (w *world) finishForked() {
	w.heal()
	w.run(lossyTicks, func() bool { return w.noticed || !w.isForked() })
	if w.failure == nil && !w.noticed && w.isForked() {
		w.violate(Detection, "%d heartbeats after healing nobody has noticed that one dot names two changes", lossyTicks)
	}
}
