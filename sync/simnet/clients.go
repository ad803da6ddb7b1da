package simnet

import (
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// Every node has a client that stays with it, named like the node, and some
// runs have clients that move. A client carries what it read and wrote from node
// to node, and a node that has not applied that turns it away.

func clientName(i int) string { return fmt.Sprintf("c%d", i) }

// read lets the node's own client read a space.
func (n *node) read(space int) { n.visit(space, n.name(), merge.Dot{}) }

// visit shows a client what the node has, and tells it that a write is durable.
func (n *node) visit(space int, client string, wrote merge.Dot) {
	w := n.world
	if w.hasForks(space) {
		return // nodes take back what they have shown
	}
	v := Visit{Client: client, Cut: n.Vector(w.spaces[space]), Wrote: wrote}
	if e, ok := errors.AsType[*SessionError](w.histories[space].sessions.Visit(v)); ok {
		w.violate(Sessions, "client %s is not shown %s at %s in %s: %s", client, w.label(e.Missing), n.name(), w.spaces[space], e.Guarantee)
	}
}

// tellClient tells the writer that its change is durable.
func (b *batch) tellClient() {
	b.node.visit(b.space, b.client, b.own.Dot)
	if b.client == b.node.name() {
		b.node.read(b.space)
	}
}

// serve lets a client that moves read, and write if the step says so.
func (n *node) serve(s Step) {
	if !n.running() || s.Space >= len(n.spaces) {
		return
	}
	w, client := n.world, clientName(s.Nth)
	if !n.admits(s.Space, client) {
		w.coverage[SeenTurnedAway]++
		w.tell(n, "turns client %s away, who has seen more of %s", client, w.spaces[s.Space])
		return
	}
	w.coverage[SeenMoved]++
	w.tell(n, "serves client %s in %s", client, w.spaces[s.Space])
	n.visit(s.Space, client, merge.Dot{})
	if len(s.Ops) > 0 {
		n.write(s, client)
	}
}

// admits reports whether the node has applied what the client carries.
func (n *node) admits(space int, client string) bool {
	bugs, now := n.world.bugs, n.Vector(n.world.spaces[space])
	read, wrote := n.world.histories[space].sessions.Token(client)
	return (bugs.admitReads || now.Covers(read)) && (bugs.admitWrites || now.Covers(wrote))
}

// forgetLost begins the sessions anew that carry what is lost.
func (w *world) forgetLost(space int) {
	h := w.histories[space]
	for i := range w.knobs.Clients {
		client := clientName(i)
		read, wrote := h.sessions.Token(client)
		for _, r := range h.records {
			if r.lost && (read.Contains(r.dot) || wrote.Contains(r.dot)) {
				w.coverage[SeenSessionLost]++
				h.sessions.Forget(client)
				break
			}
		}
	}
}
