package simnet

import (
	"fmt"
	"slices"
	"strings"
)

// judge compares everything a node shows of a space with what it should show
// after what it has applied.
func (n *node) judge(space int) *observation {
	w := n.world
	o, err := n.observe(space)
	if err != nil {
		w.violate(Specification, "%s cannot read its cells: %v", n.name(), err)
		return nil
	}
	if n.world.settled && !n.world.blurred || !n.world.hasForks(space) {
		n.checkSpec(space, o)
	}
	n.checkVector(space)
	n.checkPrints(space, o)
	n.checkParts()
	return o
}

func (n *node) checkPrints(space int, o *observation) {
	w, name := n.world, n.world.spaces[space]
	s := n.Summary(name)
	if s.Cells != o.print {
		w.violate(Fingerprints, "%s keeps a fingerprint of the cells of %s that is not theirs", n.name(), name)
	}
	if s.Applied != vectorPrint(n.Vector(name)) {
		w.violate(Fingerprints, "%s keeps a fingerprint of the vector of %s that is not its own", n.name(), name)
	}
	if have := n.applied[space].count(); s.Changes != uint64(have) {
		w.violate(Fingerprints, "%s counts %d changes in %s and has applied %d", n.name(), s.Changes, name, have)
	}
}

// checkSpec evaluates the specification of every thing over the changes that
// the node claims to have applied.
func (n *node) checkSpec(space int, o *observation) {
	h, visible := n.world.histories[space], n.claimed(space)
	shown := 0
	for _, t := range h.things {
		if _, known := n.kinds[t.kind]; !known {
			continue
		}
		ts := among(h.touches[t], visible)
		want, got := specs[t.kind](ts), o.values[t]
		if got != "" {
			shown++
		}
		if got != want {
			n.world.violate(verdict(t, want), "%s shows %s for %s of %s, want %s, after:\n%s",
				n.name(), orNothing(got), t, h.space, orNothing(want), tellTouches(ts))
		}
	}
	if shown != len(o.values) {
		n.world.violate(Specification, "%s shows %d things in %s that nobody has written", n.name(), len(o.values)-shown, h.space)
	}
	n.checkDots(space, o, visible)
}

// checkDots compares the dots that causal cells keep with those they should.
func (n *node) checkDots(space int, o *observation, visible bitset) {
	h := n.world.histories[space]
	for _, t := range h.things {
		_, known := n.kinds[t.kind]
		if causal := t.kind == orset || t.kind == rwset || t.kind == mvregister; !causal || !known {
			continue
		}
		ts := among(h.touches[t], visible)
		if want, got := liveDots(ts), o.dots[t]; got != want {
			n.world.violate(LiveDots, "%s keeps dots [%s] for %s of %s, want [%s], after:\n%s",
				n.name(), got, t, h.space, want, tellTouches(ts))
		}
	}
}

// claimed returns the changes that the node's vector contains.
func (n *node) claimed(space int) (s bitset) {
	h := n.world.histories[space]
	v := n.Vector(h.space)
	for _, r := range h.records {
		if v.Contains(r.dot) && (h.alone(r) || n.applied[space].has(r.id)) {
			s.add(r.id)
		}
	}
	return s
}

// verdict names the oracle that a wrong value violates.
func verdict(t thing, want string) Oracle {
	switch t.kind {
	case gset, twopset, orset, rwset:
		if want == present {
			return Disappeared
		}
		return CameBack
	}
	return Specification
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// tellTouches lists what was done to a thing and who had seen what.
func tellTouches(ts []touch) string {
	var b strings.Builder
	for _, t := range ts {
		var seen []string
		for _, o := range ts {
			if o.before(t.record) {
				seen = append(seen, o.label)
			}
		}
		fmt.Fprintf(&b, "    %-6s %v", t.label, t.op)
		if len(seen) > 0 {
			fmt.Fprintf(&b, ", having seen %s", strings.Join(slices.Compact(seen), " "))
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// judgeAll judges every node and compares them with each other.
func (w *world) judgeAll() {
	for i, h := range w.histories {
		w.compare(i)
		required := h.required()
		for _, n := range w.nodes {
			n.read(i)
			n.checkMembers(i)
			if k := required.missing(n.applied[i].bitset); k >= 0 {
				w.violate(Durability, "%s of %s is not at %s in the end", h.records[k].label, h.space, n.name())
			}
		}
	}
}

// compare judges every node and compares the bytes they hold in a space.
func (w *world) compare(space int) {
	var first *observation
	var of *node
	for _, n := range w.nodes {
		o := n.judge(space)
		switch {
		case o == nil || n.older():
		case first == nil:
			first, of = o, n
		case o.digest != first.digest:
			w.violate(Convergence, "%s and %s hold different bytes in %s", of.name(), n.name(), w.spaces[space])
		}
	}
	w.hash.number(uint64(len(w.histories[space].records)))
	if first != nil {
		w.hash.number(uint64(first.digest))
	}
}

// older reports whether the node does not know all kinds.
func (n *node) older() bool {
	return !n.upgraded && n.world.knobs.Older && n.id == len(n.world.nodes)-1
}
