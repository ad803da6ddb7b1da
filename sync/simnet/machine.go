package simnet

import (
	"context"
	"fmt"
	"strings"

	"github.com/joinery-crdt/joinery/store/memstore"
)

// background is the context of store transactions, which never wait here.
var background = context.Background()

// crash loses everything that is not in the store. where says at which point
// of a commit, empty for between two events.
func (n *node) crash(where string) {
	if n.store == nil {
		return
	}
	w := n.world
	if where == "" {
		w.coverage[FaultCrash]++
	}
	w.tell(n, "%s", strings.TrimSpace("crashes "+where))
	if err := n.store.Close(); err != nil {
		w.violate(Protocol, "%s cannot close its store: %v", n.name(), err)
	}
	n.store = nil
	n.forgetMemory()
	for id := range n.sides {
		w.hangUp(n, w.nodes[id])
	}
}

func (n *node) pause(on bool) {
	if n.store == nil || n.paused == on {
		return
	}
	n.paused = on
	if on {
		n.world.coverage[FaultPause]++
		n.world.tell(n, "is paused")
	} else {
		n.world.tell(n, "goes on")
	}
}

// jump sets the wall clock by ms.
func (n *node) jump(ms int64) {
	if ms == 0 {
		return
	}
	if ms > 0 {
		n.world.coverage[FaultJumpAhead]++
	} else {
		n.world.coverage[FaultJumpBack]++
	}
	n.offset += ms
	n.world.tell(n, "wall clock jumps by %+d ms", ms)
}

func (n *node) fill(on bool) {
	if n.full == on {
		return
	}
	n.full = on
	if on {
		n.world.tell(n, "disk is full")
	} else {
		n.world.tell(n, "disk has room again")
	}
}

// backUp copies the store, as an operator would while the node runs or not.
func (n *node) backUp() {
	if n.rolledBack {
		return // see rollBack
	}
	n.backup = n.copy()
	n.world.tell(n, "is backed up")
}

func (n *node) copy() *backup {
	b := &backup{disk: n.disk.Clone()}
	for _, s := range n.applied {
		b.applied = append(b.applied, s.clone())
	}
	return b
}

// restore replaces the store by its backup and gives the node a new origin, as
// the restore command of a node does. What nobody else holds is lost.
func (n *node) restore() {
	if n.backup == nil {
		return
	}
	n.world.coverage[FaultRestore]++
	b := n.backup
	n.backup = nil
	n.replace(b, "is restored from its backup")
	n.renewAfter()
}

// copyFrom replaces the store by a copy of another node's, as somebody does who
// copies a data directory to another device. The copy takes a new origin.
func (n *node) copyFrom(other *node) {
	if n == other || n.older() || other.older() {
		return // a node that knows more kinds has to read again, and this one is not that node
	}
	n.world.coverage[FaultClone]++
	n.replace(other.copy(), "is set up with a copy of the store of "+other.name())
	n.renewAfter()
}

// retire ends the node for good; another one without any data joins in its place.
func (n *node) retire() {
	n.world.coverage[FaultRetire]++
	empty := &backup{disk: &memstore.Disk{}, applied: make([]holding, len(n.applied))}
	n.backup = nil
	n.replace(empty, "retires, and a new node joins in its place")
	n.renewAfter()
}

// renewAfter gives the node a new origin after its store was replaced.
func (n *node) renewAfter() {
	n.rolledBack = false
	if n.world.failure == nil && !n.world.bugs.keepOrigin {
		n.reincarnate()
	}
}

// replace puts a store in place of the node's. What nobody else holds is lost.
func (n *node) replace(by *backup, what string) {
	w := n.world
	n.crash("")
	n.disk, n.applied = by.disk, by.applied
	for i, h := range w.histories {
		for _, r := range h.records {
			r.lost = r.lost || !w.heldBySomebody(i, r)
		}
		h.sessions.Forget(n.name())
		w.forgetLost(i)
	}
	w.tell(n, "%s", what)
	n.start()
}

// reincarnate gives a running node a new origin.
func (n *node) reincarnate() {
	if err := n.renew(); err != nil {
		n.world.violate(Protocol, "%s cannot set its origin: %v", n.name(), err)
		return
	}
	n.crash("to take its new origin")
	n.start()
}

func (w *world) heldBySomebody(space int, r *record) bool {
	for _, n := range w.nodes {
		if n.applied[space].has(r.id) {
			return true
		}
	}
	return false
}

// describeState says what a starting node has, for the trace.
func (n *node) describeState() string {
	if n.world.trace == nil {
		return ""
	}
	var b strings.Builder
	for i, s := range n.spaces {
		if s == nil {
			continue
		}
		fmt.Fprintf(&b, " with %s at", n.world.spaces[i])
		for _, d := range s.Vector().Sorted() {
			b.WriteString(" " + n.world.label(d))
		}
	}
	return b.String()
}
