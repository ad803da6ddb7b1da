package simnet

import (
	"context"
	"fmt"
	"strings"
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
	n.store, n.clock, n.paused = nil, nil, false
	clear(n.spaces)
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
	b := &backup{disk: n.disk.Clone()}
	for _, s := range n.applied {
		b.applied = append(b.applied, s.clone())
	}
	n.backup = b
	n.world.tell(n, "is backed up")
}

// restore replaces the store by its backup and gives the node a new origin, as
// the restore command of a node does. What nobody else holds is lost.
func (n *node) restore() {
	if n.backup == nil {
		return
	}
	w := n.world
	w.coverage[FaultRestore]++
	n.crash("to be restored")
	b := n.backup
	n.backup = nil
	n.disk, n.applied = b.disk, b.applied
	for i, h := range w.histories {
		for _, r := range h.records {
			r.lost = r.lost || !w.heldBySomebody(i, r)
		}
		n.sessions[i].forget()
	}
	w.tell(n, "is restored from its backup")
	n.start()
	if w.failure == nil && !w.bugs.keepOrigin {
		n.reincarnate()
	}
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
