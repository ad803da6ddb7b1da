package sync

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Cells reads the stored cells of a space.
type Cells interface {
	// Cell returns the state of the cell with the given stored key, nil if it
	// is absent. The result stays valid until the stage is done with.
	Cell(key []byte) ([]byte, error)
}

// A Stage prepares changes to a space. Nothing of it is visible in the space
// until Commit, which the driver calls when it has made durable what Persist
// returned. A stage that is dropped instead leaves no trace. One stage of a
// space may be open at a time.
type Stage struct {
	space *Space
	cells Cells
	limit hlc.Timestamp

	heads   map[merge.Origin]Head
	tips    map[merge.Origin]struct{} // nil until it differs from the space's
	touched map[string]*cell          // by stored key
	log     []*Change
	effects [][]Effect // by change
	record  bool
	most    int  // bytes of a change to author, 0 for MaxChange
	mended  bool // cells or their fingerprint were put right, beside all changes
	summary Summary
	waiting *waitingRoom            // nil until it differs from the space's
	floor   *merge.VersionVector    // nil until it differs from the space's
	merged  []merge.Dot             // heads that came in snapshots
	cuts    map[merge.Origin]uint64 // nil until it differs from the space's

	unused  []cell     // made together, to be used one by one
	key     []byte     // scratch
	element []byte     // scratch
	joined  []joinedOp // scratch
	unread  []string   // kinds of ops that were not joined
}

// joinedOp is one op of a change that is being applied: its cell and what the
// cell will be.
type joinedOp struct {
	cell  *cell
	after []byte
	op    *CellOp
}

// cell is the state of one stored cell before and after the stage.
type cell struct{ before, after []byte }

// An Effect is what one applied change, or a snapshot, did to one cell. States
// are nil when the cell is absent, and must not be modified.
type Effect struct {
	Change        *Change // nil if a snapshot did it
	Op            *CellOp // one of the change's; of a snapshot, only Cell is set
	Before, After []byte
}

// Stage opens a stage over the stored cells. Offered changes stamped after
// limit are refused with [ErrFuture]; limit 0 refuses none. The node's own
// changes are not held to it: a wall clock that was set back must not keep the
// node from writing.
func (s *Space) Stage(cells Cells, limit hlc.Timestamp) *Stage {
	return &Stage{
		space: s, cells: cells, limit: limit, summary: s.summary,
		heads: make(map[merge.Origin]Head), touched: make(map[string]*cell),
	}
}

// Record makes Commit return effects. Without it they are not kept.
func (st *Stage) Record() { st.record = true }

// MaxChange makes Author refuse changes of more than most bytes.
func (st *Stage) MaxChange(most int) { st.most = most }

// Head returns the head of an origin as the stage leaves it.
func (st *Stage) Head(o merge.Origin) Head {
	if h, ok := st.heads[o]; ok {
		return h
	}
	return st.space.heads[o]
}

// Contains reports whether d is applied as the stage leaves it.
func (st *Stage) Contains(d merge.Dot) bool { return d.Seq != 0 && d.Seq <= st.Head(d.Origin).Seq }

// LastTime returns the largest stamp of what is applied as the stage leaves it.
// A driver advances its clock to it before it stamps what Author makes and when
// it has committed: Offer may have applied more than the change it was given.
func (st *Stage) LastTime() hlc.Timestamp { return st.summary.LastTime }

// Cell returns the state of a cell as the stage leaves it, nil if it is absent.
func (st *Stage) Cell(key CellKey) ([]byte, error) {
	c, err := st.cell(key)
	if err != nil {
		return nil, err
	}
	return c.after, nil
}

// Touched returns the state of a stored cell as the stage leaves it, and
// whether the stage has looked at it at all.
func (st *Stage) Touched(key []byte) (state []byte, ok bool) {
	c, ok := st.touched[string(key)]
	if !ok {
		return nil, false
	}
	return c.after, true
}

// TouchedKeys returns the stored keys of the cells the stage has changed or
// looked at, ascending, that begin with prefix.
func (st *Stage) TouchedKeys(prefix []byte) []string {
	var keys []string
	for k := range st.touched {
		if len(k) >= len(prefix) && k[:len(prefix)] == string(prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func (st *Stage) cell(key CellKey) (*cell, error) {
	st.key, _ = key.AppendBinary(st.key[:0])
	if c, ok := st.touched[string(st.key)]; ok {
		return c, nil
	}
	state, err := st.cells.Cell(st.key)
	if err != nil {
		return nil, err
	}
	c := st.newCell()
	c.before, c.after = state, state
	st.touched[string(st.key)] = c
	return c, nil
}

func (st *Stage) newCell() *cell {
	const most = 32 // at once
	if len(st.unused) == 0 {
		st.unused = make([]cell, min(2+2*len(st.touched), most))
	}
	c := &st.unused[0]
	st.unused = st.unused[1:]
	return c
}

// Author makes and applies the node's own next change, stamped at, out of ops,
// which it keeps. It depends on everything that is applied, for which it names
// the changes that no other applied change depends on. at must be
// above [Stage.LastTime].
func (st *Stage) Author(at hlc.Timestamp, ops []CellOp) (*Change, error) {
	self := st.space.self
	head := st.Head(self)
	tips := st.tips
	if tips == nil {
		tips = st.space.tips
	}
	deps := make([]merge.Dot, 0, len(tips))
	for o := range tips {
		if o != self {
			deps = append(deps, merge.Dot{Origin: o, Seq: st.Head(o).Seq})
		}
	}
	c, err := NewChange(merge.Dot{Origin: self, Seq: head.Seq + 1}, at, head.Hash, deps, ops)
	if err != nil {
		return nil, err
	}
	if st.most > 0 && len(c.raw) > st.most {
		return nil, &TooLargeError{len(c.raw), st.most, "bytes"}
	}
	if err := st.apply(c); err != nil {
		return nil, err
	}
	return c, nil
}

// Offer applies c, and whatever waited for it, or says why not: [ErrDuplicate],
// an [*EarlyError] when it waits or could not, or a [*RefusedError]. Other
// errors come from reading cells; the stage is as it was. c is kept.
func (st *Stage) Offer(c *Change) error {
	if st.Contains(c.Dot) {
		return st.checkDuplicate(c)
	}
	if err := st.refuseSevered(c); err != nil {
		return err
	}
	if c.Dot.Origin == st.space.self {
		return restored(c)
	}
	if missing, ok := firstMissing(c, st); ok {
		kept := st.ownWaiting().add(c, missing)
		return &EarlyError{c.Dot, missing, kept}
	}
	if err := st.apply(c); err != nil {
		return err
	}
	st.release(c.Dot)
	return nil
}

// checkDuplicate tells a repeated change from another one under the same dot,
// as far as the head shows it.
func (st *Stage) checkDuplicate(c *Change) error {
	if h := st.Head(c.Dot.Origin); h.Seq == c.Dot.Seq && h.Hash != c.Hash() {
		return &RefusedError{c.Dot, ErrForked, "another change with this number was applied before"}
	}
	return ErrDuplicate
}

// release applies the changes that waited for d, and those that waited for
// them. What is refused among them, or meets a cell that cannot be read, is
// dropped: its sender will be asked again, and then hears why.
func (st *Stage) release(d merge.Dot) {
	applied := []merge.Dot{d}
	for len(applied) > 0 {
		d, applied = applied[0], applied[1:]
		if len(st.waitingNow().blocked[d]) == 0 {
			continue
		}
		for _, c := range st.ownWaiting().take(d) {
			if st.retry(c) {
				applied = append(applied, c.Dot)
			}
		}
	}
}

func (st *Stage) retry(c *Change) (applied bool) {
	if st.Contains(c.Dot) || st.refuseSevered(c) != nil {
		return false
	}
	if missing, ok := firstMissing(c, st); ok {
		st.ownWaiting().add(c, missing)
		return false
	}
	return st.apply(c) == nil
}

func (st *Stage) waitingNow() *waitingRoom {
	if st.waiting != nil {
		return st.waiting
	}
	return &st.space.waiting
}

func (st *Stage) ownWaiting() *waitingRoom {
	if st.waiting == nil {
		w := st.space.waiting.clone()
		st.waiting = &w
	}
	return st.waiting
}

// apply joins every op of c, which is next in line, or nothing of it.
func (st *Stage) apply(c *Change) error {
	if err := st.admit(c); err != nil {
		return err
	}
	st.joined = st.joined[:0]
	unread, unknown := uint64(0), []string(nil)
	for i := range c.Ops {
		op := &c.Ops[i]
		kind, ok := st.space.kinds[op.Cell.Kind]
		if !ok {
			unread++
			unknown = append(unknown, op.Cell.Kind)
			continue
		}
		target, err := st.cell(op.Cell)
		if err != nil {
			return err
		}
		after, err := st.join(kind, target, c, op, st)
		if errors.Is(err, crdt.ErrUnknownKind) {
			unread++
			continue
		}
		if err != nil {
			return err
		}
		st.joined = append(st.joined, joinedOp{target, after, op})
	}
	if st.record {
		st.effects = append(st.effects, effectsOf(c, st.joined))
	}
	for _, j := range st.joined {
		j.cell.after = j.after
	}
	st.summary.Unread += unread
	st.unread = append(st.unread, unknown...)
	st.advance(c)
	return nil
}

func effectsOf(c *Change, joined []joinedOp) []Effect {
	effects := make([]Effect, len(joined))
	for i, j := range joined {
		effects[i] = Effect{c, j.op, j.cell.after, j.after}
	}
	return effects
}

// join returns the cell after an op, of which what is seen has been applied.
func (st *Stage) join(kind crdt.Kind, target *cell, c *Change, op *CellOp, seen merge.Dots) ([]byte, error) {
	w := c.write(op)
	st.element = append(st.element[:0], op.Cell.Element...)
	w.Element = st.element
	if err := kind.Check(w); errors.Is(err, crdt.ErrUnknownKind) {
		return nil, err
	} else if err != nil {
		return nil, rejected(c, err)
	}
	state, err := kind.Join(target.after, seen, w)
	if err != nil {
		return nil, fmt.Errorf("sync: cell %q of %s %q: %w", op.Cell.Element, op.Cell.Kind, op.Cell.Object, err)
	}
	return state, nil
}

// admit checks what must hold between c and the head it follows.
func (st *Stage) admit(c *Change) error {
	head := st.Head(c.Dot.Origin)
	switch {
	case c.Prev != head.Hash:
		return forked(c)
	case st.limit != 0 && c.Time > st.limit && c.Dot.Origin != st.space.self:
		return future(c, st.limit)
	case c.Time <= head.Time:
		return rejected(c, fmt.Errorf("stamped %v, not after its predecessor's %v", c.Time, head.Time))
	}
	return nil
}

// advance moves the head of c's origin to c, and makes c a tip in place of what
// it depends on.
func (st *Stage) advance(c *Change) {
	o := c.Dot.Origin
	was := st.Head(o)
	if st.tips == nil {
		st.tips = maps.Clone(st.space.tips)
	}
	for _, dep := range c.Deps {
		if h := st.Head(dep.Origin); h.Tip && h.Seq == dep.Seq {
			h.Tip = false
			st.heads[dep.Origin] = h
			delete(st.tips, dep.Origin)
		}
	}
	st.tips[o] = struct{}{}
	st.heads[o] = Head{c.Dot.Seq, c.Hash(), c.Time, true}
	st.summary.Applied.moveHead(o, was.Seq, c.Dot.Seq)
	st.summary.Changes++
	st.summary.LastTime = max(st.summary.LastTime, c.Time)
	st.log = append(st.log, c)
}

// A Persist is what the driver makes durable, whole or not at all, before it
// commits a stage. Nothing in it may be modified.
type Persist struct {
	Cells   map[string][]byte // stored key to state; nil deletes the cell
	Log     []*Change
	Heads   map[merge.Origin]Head
	Summary Summary
	// Floor is the floor of the space, nil if it has not moved.
	Floor *merge.VersionVector
	// Merged is the heads that came in snapshots, without their changes.
	Merged []merge.Dot
	// Unread is the kinds of ops in Log that this node does not know.
	Unread []string
	Mended bool // something was put right, beside all changes
}

// Empty reports whether there is nothing to make durable.
func (p *Persist) Empty() bool {
	return len(p.Log) == 0 && p.Floor == nil && len(p.Cells) == 0 && !p.Mended
}

// Moved returns the heads that have moved, ascending.
func (p *Persist) Moved() []merge.Dot {
	v := merge.VectorOf(p.Merged...)
	for _, c := range p.Log {
		v.Raise(c.Dot)
	}
	return v.Sorted()
}

// Persist returns what has to be durable before Commit. No changes may be
// offered or authored after it.
func (st *Stage) Persist() *Persist {
	p := &Persist{Cells: make(map[string][]byte, len(st.touched)), Log: st.log, Heads: st.heads, Floor: st.floor, Merged: st.merged, Unread: st.unread, Mended: st.mended}
	for key, c := range st.touched {
		if same(c.before, c.after) {
			continue
		}
		p.Cells[key] = c.after
		st.summary.Cells.replaceCell(key, c.before, c.after)
		c.before = c.after
	}
	st.summary.Chains = st.space.summary.Chains
	for o, h := range st.heads {
		st.summary.Chains.moveChain(o, st.space.heads[o], h)
	}
	p.Summary = st.summary
	return p
}

// same reports whether two cell states are equal, telling absent from empty.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }

// Commit makes the stage the state of its space and returns what its changes
// did, in the order in which they were applied, if Record was called first.
func (st *Stage) Commit() []Effect {
	s := st.space
	for o, h := range st.heads {
		if s.heads[o] = h; h.Seq == 0 {
			delete(s.heads, o)
		}
	}
	if st.tips != nil {
		s.tips = st.tips
	}
	if st.waiting != nil {
		s.waiting = *st.waiting
	}
	if st.floor != nil {
		s.floor = st.floor
	}
	if st.cuts != nil {
		s.cuts = st.cuts
	}
	s.summary = st.summary
	return slices.Concat(st.effects...)
}
