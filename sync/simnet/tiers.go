package simnet

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// What a node says of the safety of changes is compared with what the simulator
// knows of every disk. A disk that was thrown away is no member any more, and one
// that took back what it called durable has lied itself: both are left out.

// bearer returns the node that has the origin, nil if it is gone.
func (w *world) bearer(o merge.Origin) *node {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.is != nil && n.origin == o && !n.rolledBack })
	if i < 0 {
		return nil
	}
	return w.nodes[i]
}

// lackedBy returns a change that v contains and the node does not have durably.
func (n *node) lackedBy(space int, v *merge.VersionVector) (merge.Dot, bool) {
	for _, d := range v.Sorted() {
		if n.held(space, d) == nil {
			return d, true
		}
	}
	return merge.Dot{}, false
}

// checkMembers compares what the node believes of the members of a space with
// their disks.
func (n *node) checkMembers(space int) {
	w := n.world
	if n.membership[space] == nil || w.hasForks(space) {
		return
	}
	c := n.census(space)
	for _, m := range c.Members {
		if x := w.bearer(m.Origin); x != nil {
			if d, lacks := x.lackedBy(space, m.Vector(c.Cut)); lacks {
				w.violate(Tiers, "%s believes that %s has %s of %s durably, which it has not", n.name(), x.name(), w.label(d), w.spaces[space])
			}
		}
	}
	n.checkReach(space, c)
	n.checkFrontier(space, c)
}

// checkReach judges what the node says of its whole space, of half of it, and of a
// single change.
func (n *node) checkReach(space int, c *crdtsync.Census) {
	w, all := n.world, n.Vector(n.world.spaces[space])
	for i, d := range all.Sorted() {
		if i == 0 {
			n.checkReachOf(space, c, merge.VectorOf(d))
		}
	}
	half := &merge.VersionVector{}
	for _, d := range all.Sorted() {
		if d.Seq /= 2; d.Seq > 0 {
			half.Raise(d)
		}
	}
	n.checkReachOf(space, c, half)
	n.checkReachOf(space, c, all)
	w.coverage[SeenReach]++
}

func (n *node) checkReachOf(space int, c *crdtsync.Census, v *merge.VersionVector) {
	w, copies, hubs, unknown := n.world, 0, 0, 0
	r := n.lyingCensus(space).Reach(v, true)
	for _, m := range c.Members {
		x := w.bearer(m.Origin)
		if x == nil {
			unknown++
			continue
		}
		d, lacks := x.lackedBy(space, v)
		switch {
		case !lacks && !m.Retired():
			copies++
			if m.Hub {
				hubs++
			}
		case lacks && r.Stable && m.Counts(c.Now, c.Lease):
			w.violate(Tiers, "%s says that changes of %s are stable, and %s lacks %s", n.name(), w.spaces[space], x.name(), w.label(d))
		}
	}
	if r.Copies > copies+unknown {
		w.violate(Tiers, "%s counts %d copies of changes of %s, and there are %d", n.name(), r.Copies, w.spaces[space], copies)
	}
	if r.Hub && hubs+unknown == 0 {
		w.violate(Tiers, "%s says that a hub has changes of %s, and none has", n.name(), w.spaces[space])
	}
}

// checkFrontier judges the stability frontier: it is where all have come to who are
// waited for, names those that hold it back, and does not go back.
func (n *node) checkFrontier(space int, c *crdtsync.Census) {
	w, m, own := n.world, n.members(space), n.Vector(n.world.spaces[space])
	lying := n.lyingCensus(space)
	front, blockers := lying.Frontier(own), lying.Blockers(own)
	waited, more := make(map[merge.Origin]bool), false
	for _, member := range c.Members {
		if !member.Counts(c.Now, c.Lease) {
			continue
		}
		waited[member.Origin] = true
		// A cut is forgotten with a snapshot, or when the index is cut: the node
		// knows less until the two are level again.
		forgotten := member.Common.Position > 0 && c.Cut(member.Common) == nil
		more = more || !m.waited[member.Origin] || forgotten
		named := slices.ContainsFunc(blockers, func(b crdtsync.Blocking) bool { return b.Origin == member.Origin })
		if lacks := crdtsync.Beyond(own, member.Vector(c.Cut)); lacks > 0 != named {
			w.violate(Tiers, "%s waits for %d changes of %s at %s, and says so: %v", n.name(), lacks, w.spaces[space], w.labels[member.Origin], named)
		}
	}
	n.checkHorizon(space, front)
	if m.front != nil && !more && !front.Covers(m.front) {
		w.violate(Tiers, "%s takes back what it said is stable in %s", n.name(), w.spaces[space])
	}
	m.front, m.waited = front, waited
}

// checkHorizon demands that everybody has what v contains who is waited for.
func (n *node) checkHorizon(space int, v *merge.VersionVector) {
	w, c := n.world, n.census(space)
	if w.hasForks(space) {
		return
	}
	for _, m := range c.Members {
		x := w.bearer(m.Origin)
		if x == nil || !m.Counts(c.Now, c.Lease) {
			continue
		}
		if d, lacks := x.lackedBy(space, v); lacks {
			w.violate(Tiers, "%s takes %s of %s for stable, and %s lacks it", n.name(), w.label(d), w.spaces[space], x.name())
		}
	}
}

// becomeStable has people retire who is gone, or waits until nobody waits for them,
// and demands that everything becomes stable.
func (w *world) becomeStable(bound int) {
	if w.failure != nil || w.knobs.Lossy || w.forked != nil || w.blurred {
		return // what a link was told of members it is told once
	}
	if w.seed%2 == 0 {
		w.now += (lease + 2*3600) * 1000
	}
	for _, n := range w.nodes {
		n.retireGone()
	}
	w.run(bound, w.stable)
	if w.failure != nil || w.stable() {
		return
	}
	for i, name := range w.spaces {
		for _, n := range w.nodes {
			own := n.Vector(name)
			if x := n.stranger(i); x != nil {
				w.violate(Stability, "%d heartbeats after all is level %s has not heard that %s keeps %s", bound, n.name(), x.name(), name)
			}
			for _, b := range n.lyingCensus(i).Blockers(own) {
				w.violate(Stability, "%d heartbeats after all is level %s still waits for %d changes of %s at %s", bound, n.name(), b.Missing, name, w.labels[b.Origin])
			}
		}
	}
}

// retireGone retires the members that are gone, unless their lease has ended, and
// takes back the others.
func (n *node) retireGone() {
	for i := range n.world.spaces {
		m := n.members(i)
		for _, member := range m.roster.Members() {
			here := n.world.bearer(member.Origin) != nil
			if here || member.Counts(n.seconds(), lease) {
				m.roster.Turn(member.Origin, !here)
				m.changed(member.Origin)
			}
		}
	}
}

// stranger returns a node that keeps a space and of which this one has not heard,
// nil if it knows all.
func (n *node) stranger(space int) *node {
	for _, x := range n.world.nodes {
		if x != n && x.Summary(n.world.spaces[space]).Changes > 0 && n.members(space).roster.Member(x.origin) == nil {
			return x
		}
	}
	return nil
}

// stable reports whether all nodes say that everything is stable.
func (w *world) stable() bool {
	for i, name := range w.spaces {
		for _, n := range w.nodes {
			if own := n.Vector(name); n.stranger(i) != nil || !n.lyingCensus(i).Frontier(own).Covers(own) {
				return false
			}
		}
	}
	return true
}
