package simnet

import (
	"errors"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// This file is what the drivers of mutants do wrong. The core is not changed:
// a mutant puts a space in place of its own whose heads are made up, so that the
// core takes what it would not have taken.

// forces reports whether the mutant applies changes that the core refuses.
func (b bugs) forces() bool { return b.swallowGaps || b.ignoreDeps || b.applyAgain || b.applyEcho }

// offersOf returns what a link offers out of a frame; a mutant without dedupe
// takes everything that is in it.
func (n *node) offersOf(offers []crdtsync.Offered, f crdtsync.Frame) []crdtsync.Offered {
	data, ok := f.(*crdtsync.Changes)
	if !ok || !n.world.bugs.applyAgain && !n.world.bugs.applyEcho {
		return offers
	}
	offers = nil
	for _, raw := range data.Changes {
		if c, err := crdtsync.DecodeChange(raw); err == nil {
			offers = append(offers, crdtsync.Offered{Space: data.Space, Change: c})
		}
	}
	return offers
}

// force applies c, which the core did not because of err, if the mutant does
// such a thing, and reports whether it did.
func (b *batch) force(space int, c *crdtsync.Change, err error) bool {
	bugs, self := b.node.world.bugs, b.node.origin
	early, isEarly := errors.AsType[*crdtsync.EarlyError](err)
	again := errors.Is(err, crdtsync.ErrDuplicate)
	switch {
	case bugs.swallowGaps && isEarly && early.Missing.Origin == c.Dot.Origin:
		return b.forceAfter(space, c, c)
	case bugs.ignoreDeps && isEarly && early.Missing.Origin != c.Dot.Origin:
		bare, err := crdtsync.NewChange(c.Dot, c.Time, c.Prev, nil, append([]crdtsync.CellOp{}, c.Ops...))
		return err == nil && b.forceAfter(space, bare, c)
	case again && (bugs.applyAgain || bugs.applyEcho && c.Dot.Origin == self):
		return b.forceAfter(space, c, nil)
	}
	return false
}

// forceAfter stages c in a space that claims everything before it, and has log
// written instead, or nothing if log is nil.
func (b *batch) forceAfter(space int, c, log *crdtsync.Change) bool {
	n := b.node
	cfg := n.config(n.space(space))
	real := cfg.Heads[c.Dot.Origin]
	if c.Dot.Origin == n.origin {
		cfg.Self = merge.Origin{}
	}
	before := crdtsync.Head{Seq: c.Dot.Seq - 1, Hash: c.Prev}
	if real.Seq == before.Seq {
		before = real
	}
	if cfg.Heads[c.Dot.Origin] = before; before.Seq == 0 {
		delete(cfg.Heads, c.Dot.Origin)
	}
	cfg.Summary.Applied = vectorPrint(vectorOf(cfg.Heads))
	claimed := crdtsync.NewSpace(cfg)
	st := claimed.Stage(spacestore.Cells{Reader: b.tx, Space: claimed.Name()}, n.limit())
	if st.Offer(c) != nil {
		return false
	}
	b.stages[space], b.forced, b.log, b.real = st, claimed, log, real
	return true
}

func vectorOf(heads map[merge.Origin]crdtsync.Head) *merge.VersionVector {
	v := &merge.VersionVector{}
	for o, h := range heads {
		v.Raise(merge.Dot{Origin: o, Seq: h.Seq})
	}
	return v
}

// disguise makes what a forced stage writes look like what the core writes.
func (b *batch) disguise(p *crdtsync.Persist) {
	if b.forced == nil {
		return
	}
	o := p.Log[0].Dot.Origin
	if b.log != nil {
		p.Log = []*crdtsync.Change{b.log}
		h := p.Heads[o]
		h.Hash = b.log.Hash()
		p.Heads[o] = h
		p.Summary.Changes = b.counted(p)
		return
	}
	cfg := b.node.config(b.forced)
	p.Log, p.Heads[o] = nil, b.real
	cfg.Heads[o] = b.real
	p.Summary.Applied, p.Summary.Changes = vectorPrint(vectorOf(cfg.Heads)), cfg.Summary.Changes
}

// counted is how many changes the heads make.
func (b *batch) counted(p *crdtsync.Persist) (n uint64) {
	heads := b.node.config(b.forced).Heads
	maps.Copy(heads, p.Heads)
	for _, h := range heads {
		n += h.Seq
	}
	return n
}

// reload takes the space that a forced stage belongs to from the store.
func (b *batch) reload(space int) {
	if b.forced == nil {
		return
	}
	n := b.node
	err := n.view(func(r store.Reader) (err error) {
		n.spaces[space], err = n.loadSpace(r, n.world.spaces[space])
		return err
	})
	if err != nil {
		n.world.violate(Protocol, "%s cannot load a space: %v", n.name(), err)
	}
}

// limit is the largest stamp that the node accepts.
func (n *node) limit() hlc.Timestamp {
	if n.world.bugs.noLimit {
		return 0
	}
	return n.clock.Limit()
}

// hurry does before the commit what belongs after it.
func (b *batch) hurry() {
	n, bugs := b.node, b.node.world.bugs
	if bugs.sayFirst && b.from != nil && n.sides[b.from.id] != nil {
		for _, o := range b.offers {
			n.send(b.from, []crdtsync.Frame{&crdtsync.Ack{Space: o.Space, Heads: []merge.Dot{o.Change.Dot}}})
		}
	}
	if b.own == nil {
		return
	}
	if bugs.ackFirst {
		n.world.tell(n, "tells client %s that %s is durable", b.client, n.world.label(b.own.Dot))
		n.visit(b.space, b.client, b.own.Dot)
	}
	for id, s := range n.sides {
		if bugs.sendFirst && s != nil {
			n.send(n.world.nodes[id], []crdtsync.Frame{
				&crdtsync.Changes{Space: n.world.spaces[b.space], Changes: [][]byte{b.own.Bytes()}},
			})
		}
	}
}

// tear takes the cells out of what is saved, to write them later.
func (b *batch) tear(p *crdtsync.Persist) {
	if bugs := b.node.world.bugs; bugs.tornCommit || bugs.halfSnapshot && b.snapshot {
		b.torn = append(b.torn, p.Cells)
		p.Cells = nil
	} else {
		b.torn = nil
	}
}

// mendTear writes the cells that tear took out.
func (b *batch) mendTear() error {
	if b.torn == nil {
		return nil
	}
	return b.node.store.Update(background, func(tx store.Tx) error {
		for i, p := range b.persists {
			if p == nil || p.Empty() {
				continue
			}
			p.Cells, b.torn = b.torn[0], b.torn[1:]
			if err := spacestore.Save(tx, b.node.world.spaces[i], p); err != nil {
				return err
			}
		}
		return nil
	})
}

// mendLate writes the cells that a mutant has left for later.
func (n *node) mendLate() {
	if n.late == nil || n.world.steps < n.late.until {
		return
	}
	if err := n.late.mendTear(); err != nil {
		n.world.violate(Protocol, "%s: %v", n.name(), err)
	}
	n.late = nil
}

// keepPrint leaves the cells that are deleted in the fingerprint.
func (b *batch) keepPrint(space int, p *crdtsync.Persist) {
	for key, state := range p.Cells {
		if state != nil || !b.node.world.bugs.keepPrint {
			continue
		}
		before, err := b.tx.Get(b.node.world.spaces[space], store.Cells, []byte(key))
		if err != nil {
			continue
		}
		addPrint(&p.Summary.Cells, cellPrint(store.Record{Key: []byte(key), Value: before}))
		b.forced = b.node.spaces[space] // in memory it is right: reload it
	}
}

// withhold takes out of a frame what the mutant does not send, and reports
// whether nothing is left.
func (n *node) withhold(s *side, f crdtsync.Frame) bool {
	bugs := n.world.bugs
	switch f := f.(type) {
	case *crdtsync.Forked:
		return bugs.secretForks
	case *crdtsync.Subscribe:
		return bugs.askOnce && s.once("ask "+f.Space)
	case *crdtsync.Partial:
		if bugs.claimMore {
			f.Offset += uint64(n.world.knobs.Fragment)
		}
	case *crdtsync.Changes:
		if bugs.sendRemovalsOnce {
			f.Changes = slices.DeleteFunc(f.Changes, n.isOldRemoval)
			return len(f.Changes) == 0
		}
	}
	return false
}

// once notes that a side has done something and reports whether it had before.
func (s *side) once(what string) bool {
	before := slices.Contains(s.done, what)
	s.done = append(s.done, what)
	return before
}

// isOldRemoval reports whether a change only removes and was sent before, to
// anybody.
func (n *node) isOldRemoval(raw []byte) bool {
	c, err := crdtsync.DecodeChange(raw)
	if err != nil || slices.ContainsFunc(c.Ops, func(op crdtsync.CellOp) bool { return op.Put }) {
		return false
	}
	sent := slices.Contains(n.removals, c.Dot)
	n.removals = append(n.removals, c.Dot)
	return sent
}

// lyingCensus is the census by which the node speaks: a mutant's is not true.
func (n *node) lyingCensus(space int) *crdtsync.Census {
	c, bugs := n.census(space), n.world.bugs
	if bugs.forgetMember && len(c.Members) > 0 {
		c.Members = c.Members[1:]
	}
	if bugs.endlessLease {
		c.Lease = 1 << 40
	}
	for _, m := range c.Members {
		m.Hub = m.Hub || bugs.anyHub
		if bugs.retiredCounts && m.Retired() {
			m.Turns++
		}
	}
	return c
}

// hideHeads takes what a snapshot is of out of its chunks.
func (n *node) hideHeads(f crdtsync.Frame) {
	if c, ok := f.(*crdtsync.SnapshotChunk); ok && n.world.bugs.noHeads {
		c.Heads = nil
	}
}
