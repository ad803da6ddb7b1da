package simnet

import "slices"

// Bounds of simulated time after healing.
const (
	heartbeat  = 1000 // ms between two ticks of a node
	restTicks  = 160  // within which nodes level out, and again within which every link knows; a link waits up to 64 before it asks again
	lossyTicks = 2500 // the same while frames are lost
	floodLimit = 200_000
)

// finish heals everything, lets the nodes come to rest and judges them.
func (w *world) finish() {
	w.upgrade()
	w.heal()
	rest := restTicks
	if w.knobs.Lossy {
		rest = lossyTicks
	}
	bound := w.waitForClocks() + rest
	if w.knobs.Busy {
		w.keepWriting(bound)
	}
	ticks := w.run(bound, w.level)
	w.coverage[SeenHealTicks] = max(w.coverage[SeenHealTicks], ticks)
	if w.failure == nil && !w.level() {
		w.violate(Liveness, "%s", w.describeStuck(bound))
	}
	if w.failure != nil {
		return
	}
	w.settleForks(rest)
	w.settled = true
	w.run(rest, w.aware)
	w.judgeAll()
	if w.failure == nil && !w.aware() {
		w.violate(Awareness, "%s", w.describeUnaware(rest))
	}
	if w.failure == nil && w.knobs.Window == 0 { // else a lost CREDIT is made up for only by the next question
		w.checkPrompt()
	}
	w.becomeStable(rest)
	w.decay(rest)
}

// checkPrompt lets a node write in a network without faults, and demands that
// the others get the change at once, without a heartbeat.
func (w *world) checkPrompt() {
	if w.knobs.Tree {
		return // which two nodes may cut at once in two places; heartbeats mend it
	}
	const settle = 3 // heartbeats
	w.fate = nil
	w.run(settle, func() bool { return false })
	for i, h := range w.histories {
		n := w.earliest()
		before := len(h.records)
		w.do(Step{Do: Write, Node: n.id, Space: i, Ops: []Op{n.anyOp()}})
		w.deliverAll()
		if len(h.records) == before {
			w.violate(Promptness, "%s cannot write in %s", n.name(), h.space)
			return
		}
		last := h.records[len(h.records)-1]
		for _, m := range w.nodes {
			if w.failure == nil && !m.applied[i].has(last.id) && last.time.Millis() <= m.wall().UnixMilli()+w.knobs.MaxDrift {
				w.violate(Promptness, "%s writes %s in %s, and %s does not get it without a heartbeat", n.name(), last.label, h.space, m.name())
			}
		}
	}
}

// anyOp returns an op of a kind that the node knows.
func (n *node) anyOp() Op {
	op := Op{Do: Set, Object: objectNames[0], Kind: lww}
	if _, known := n.kinds[lww]; !known {
		op.Do, op.Kind, op.N = Count, pncounter, 1
	}
	return op
}

// earliest returns the node that stamps its changes lowest.
func (w *world) earliest() *node {
	return slices.MinFunc(w.nodes, func(a, b *node) int { return a.wall().Compare(b.wall()) })
}

// heal ends every fault, but for a network that goes on losing frames in some
// runs.
func (w *world) heal() {
	w.fate, w.room = w.random("healing", 0), maxInFlight
	w.tell(nil, "everything is healed")
	w.healed = true
	for _, n := range w.nodes {
		n.full = false
		if w.knobs.Upgrade {
			n.upgrade()
		}
		n.start()
		n.pause(false)
		for _, peer := range w.nodes {
			w.block(n, peer, false)
		}
	}
}

// keepWriting has every node go on writing, with every heartbeat and later with
// some, and demands that what was written before the healing gets everywhere all
// the same.
func (w *world) keepWriting(bound int) {
	var before []bitset
	for _, h := range w.histories {
		before = append(before, h.required())
	}
	g := newGenerator(w)
	g.r = w.random("writing", 0)
	const later = 8 // heartbeats
	beats := 0
	ticks := w.run(bound, func() bool {
		if w.everywhere(before) {
			return true
		}
		if beats++; beats > restTicks && beats%later != 0 {
			return false
		}
		for _, n := range w.nodes {
			space, ops := g.transaction(n)
			w.do(Step{Do: Write, Node: n.id, Space: space, Ops: ops})
		}
		return false
	})
	if w.failure == nil && !w.everywhere(before) {
		w.violate(Liveness, "while the nodes go on writing, %s", w.describeStuck(ticks))
	}
}

// everywhere reports whether all nodes claim the given changes of each space.
func (w *world) everywhere(changes []bitset) bool {
	for i, h := range w.histories {
		now := renamed(changes[i], h.records)
		for _, n := range w.nodes {
			if now.missing(n.claimed(i)) >= 0 {
				return false
			}
		}
	}
	return true
}

// run lets time pass, heartbeat by heartbeat, until done or the bound is
// reached, and returns the heartbeats it took.
func (w *world) run(bound int, done func() bool) (ticks int) {
	for {
		w.deliverAll()
		if w.failure != nil || done() || ticks == bound {
			return ticks
		}
		ticks++
		w.beat()
	}
}

// beat reconnects who is not connected and lets every node tick.
func (w *world) beat() {
	w.now += heartbeat
	for _, p := range w.links {
		if !w.connected(p[0], p[1]) {
			w.do(Step{Do: Connect, Node: p[0].id, Peer: p[1].id})
		}
	}
	for _, n := range w.nodes {
		w.do(Step{Do: Tick, Node: n.id})
	}
}

// deliverAll delivers frames until none is in flight.
func (w *world) deliverAll() {
	for delivered := 0; w.failure == nil; {
		idle := true
		for _, from := range w.nodes {
			for _, to := range w.nodes {
				if len(w.pipe(from, to).frames) > 0 {
					w.do(Step{Do: w.lateFate(), Node: to.id, Peer: from.id, Wait: 1})
					idle, delivered = false, delivered+1
				}
			}
		}
		if idle {
			return
		}
		if delivered > floodLimit {
			w.violate(Liveness, "nodes still exchange frames after %d of them, without a heartbeat", delivered)
		}
	}
}

// lateFate is what becomes of a frame after healing.
func (w *world) lateFate() Verb {
	if w.fate != nil && w.knobs.Lossy && w.fate.IntN(100) < w.knobs.Loss {
		return Drop
	}
	return Deliver
}

// waitForClocks returns the heartbeats until every node accepts every stamp.
func (w *world) waitForClocks() int {
	last := int64(0)
	for _, h := range w.histories {
		for _, r := range h.records {
			last = max(last, r.time.Millis())
		}
	}
	wait := int64(0)
	for _, n := range w.nodes {
		wait = max(wait, last-n.wall().UnixMilli()-w.knobs.MaxDrift)
	}
	return int(wait/heartbeat) + 1
}

// level reports whether all nodes have applied the same changes, and those
// include all that must not be lost.
func (w *world) level() bool {
	for i, h := range w.histories {
		first := w.nodes[0].Summary(h.space).Applied
		for _, n := range w.nodes {
			if n.Summary(h.space).Applied != first {
				return false
			}
		}
		if h.required().missing(w.nodes[0].claimed(i)) >= 0 {
			return false
		}
	}
	return true
}

// aware reports whether every link knows that both its ends are level.
func (w *world) aware() bool {
	for _, p := range w.links {
		for _, ends := range [][2]*node{p, {p[1], p[0]}} {
			side := ends[0].sides[ends[1].id]
			if side == nil {
				return false
			}
			for _, s := range side.link.Report() {
				if !s.Level || s.Missing > 0 {
					return false
				}
			}
		}
	}
	return true
}
