package sync

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A StoredCell is a cell as a store keeps it.
type StoredCell struct {
	Key   string // stored form of a [CellKey]
	State []byte // nil if the cell is absent
}

// A Snapshot is cells of another node and all that it has applied.
type Snapshot struct {
	// Heads is the last change of every origin that the other has applied. It is
	// the context under which its cells are read.
	Heads map[merge.Origin]Head
	// Cells yields each cell at most once. Those that it does not name are the
	// same at both nodes, but for what only the receiver has applied.
	Cells iter.Seq2[StoredCell, error]
	// Whole says that Cells names every cell that either node holds.
	Whole bool
	// Print is the fingerprint of all cells of the other.
	Print Fingerprint
}

// ErrSnapshot is the kind of every [*SnapshotError].
var ErrSnapshot = errors.New("sync: unusable snapshot")

// A SnapshotError says why a snapshot was not merged. Another one has to be
// asked for.
type SnapshotError struct {
	Space   string
	Problem string
}

// Error names the space.
func (e *SnapshotError) Error() string {
	return fmt.Sprintf("sync: a snapshot of space %q %s", e.Space, e.Problem)
}

// Is makes a SnapshotError match [ErrSnapshot].
func (e *SnapshotError) Is(target error) bool { return target == ErrSnapshot }

// context is a snapshot's heads as what its sender has seen.
type context map[merge.Origin]Head

// Contains reports whether the sender has applied d.
func (c context) Contains(d merge.Dot) bool { return d.Seq != 0 && d.Seq <= c[d.Origin].Seq }

// Merge takes everything that the snapshot's sender has applied, or nothing: it
// merges the cells and takes the heads over. What the space has applied and the
// sender has not stays. The floor rises over what came without its changes.
//
// A [*SnapshotError] says that the snapshot does not add up, a [*RefusedError]
// that an origin in it has forked or is from the future, or that it may concern
// cells that this node cannot read: it could neither keep nor pass on what it said it has.
// Other errors come from reading cells.
func (st *Stage) Merge(s *Snapshot) error {
	if err := st.admitHeads(s.Heads); err != nil {
		return err
	}
	m := merger{stage: st, seen: s.Heads, print: st.cellsPrint()}
	if s.Whole && st.summary.Unread > 0 { // a cell that it does not name may be one of those
		return unreadable(m.news(), "it comes in a snapshot, and this node holds operations of types it does not know, whose cells may be gone there")
	}
	for c, err := range s.Cells {
		if err == nil {
			err = m.cell(c)
		}
		if err != nil {
			return err
		}
	}
	if problem := m.check(s); problem != "" {
		return &SnapshotError{st.space.name, problem}
	}
	m.apply()
	st.takeHeads(s.Heads)
	st.releaseCovered()
	return nil
}

// cellsPrint returns the fingerprint of the cells as the stage leaves them.
func (st *Stage) cellsPrint() Fingerprint {
	f := st.summary.Cells
	for key, c := range st.touched {
		if !same(c.before, c.after) {
			f.replaceCell(key, c.before, c.after)
		}
	}
	return f
}

// merger merges the cells of a snapshot without changing the stage.
type merger struct {
	stage *Stage
	seen  context
	cells []mergedCell // that differ
	named Fingerprint  // of the sender's cells that were named
	print Fingerprint  // of the stage's cells once they are merged
}

// mergedCell is a cell and what merging makes of it.
type mergedCell struct {
	key   CellKey
	cell  *cell
	after []byte
}

func (m *merger) cell(c StoredCell) error {
	if c.State != nil {
		m.named.add(cellPrint(c.Key, c.State))
	}
	key, err := ParseCellKey([]byte(c.Key))
	if err != nil {
		return &SnapshotError{m.stage.space.name, err.Error()}
	}
	kind, ok := m.stage.space.kinds[key.Kind]
	if !ok {
		return unknownType(m.news(), key.Kind)
	}
	target, err := m.stage.cell(key)
	if err != nil {
		return err
	}
	after, err := kind.Merge([]byte(key.Element), crdt.Held{Cell: target.after, Seen: m.stage}, crdt.Held{Cell: c.State, Seen: m.seen})
	switch {
	case errors.Is(err, crdt.ErrUnknownKind):
		return unknownType(m.news(), key.Kind)
	case err != nil:
		return fmt.Errorf("%w: cell %q of %s %q: %w", ErrSnapshot, key.Element, key.Kind, key.Object, err)
	case !same(target.after, after):
		m.cells = append(m.cells, mergedCell{key, target, after})
		m.print.replaceCell(c.Key, target.after, after)
	}
	return nil
}

// check returns what does not add up, or "". The cells of a whole snapshot are
// compared with what their sender says of them. What comes of another is
// compared if the sender has applied all that is applied here: only then must
// both hold the same.
func (m *merger) check(s *Snapshot) string {
	switch {
	case s.Whole && m.named != s.Print:
		return "is not what its sender holds: parts of it were lost or are of another time"
	case s.Whole || m.stage.summary.Unread > 0 || m.stage.ahead(m.seen):
		return ""
	case m.print != s.Print:
		return "leaves cells that its sender does not hold: something outside it differs"
	}
	return ""
}

// ahead reports whether the stage has applied what seen does not contain.
func (st *Stage) ahead(seen context) bool {
	for o, h := range st.heads {
		if h.Seq > seen[o].Seq {
			return true
		}
	}
	for o, h := range st.space.heads {
		if h.Seq > seen[o].Seq {
			return true
		}
	}
	return false
}

// apply makes what was merged the state of the cells.
func (m *merger) apply() {
	st := m.stage
	effects := make([]Effect, 0, len(m.cells))
	for _, c := range m.cells {
		if st.record {
			effects = append(effects, Effect{Op: &CellOp{Cell: c.key}, Before: c.cell.after, After: c.after})
		}
		c.cell.after = c.after
	}
	if st.record {
		st.effects = append(st.effects, effects)
	}
}

// news returns the first head of the snapshot that is not applied here.
func (m *merger) news() (d merge.Dot) {
	for _, o := range slices.SortedFunc(maps.Keys(m.seen), merge.Origin.Compare) {
		if d = (merge.Dot{Origin: o, Seq: m.seen[o].Seq}); !m.stage.Contains(d) {
			return d
		}
	}
	return d
}

// admitHeads checks what must hold between the heads of a snapshot and those
// here.
func (st *Stage) admitHeads(heads map[merge.Origin]Head) error {
	for _, o := range slices.SortedFunc(maps.Keys(heads), merge.Origin.Compare) {
		theirs, mine := heads[o], st.Head(o)
		c := &Change{Dot: merge.Dot{Origin: o, Seq: theirs.Seq}, Time: theirs.Time}
		switch {
		case theirs.Seq < mine.Seq:
		case st.refuseSevered(c) != nil:
			return st.refuseSevered(c)
		case theirs.Seq == mine.Seq && theirs.Hash != mine.Hash:
			return forked(c)
		case theirs.Seq == mine.Seq:
		case o == st.space.self:
			return restored(c)
		case st.limit != 0 && theirs.Time > st.limit:
			return future(c, st.limit)
		case theirs.Time <= mine.Time:
			return rejected(c, fmt.Errorf("stamped %v, not after its predecessor's %v", theirs.Time, mine.Time))
		}
	}
	return nil
}

// takeHeads moves the heads that the snapshot has further. One that both have is
// a tip if it is one at both.
func (st *Stage) takeHeads(heads map[merge.Origin]Head) {
	if st.tips == nil {
		st.tips = maps.Clone(st.space.tips)
	}
	for o, h := range heads {
		mine := st.Head(o)
		switch {
		case h.Seq > mine.Seq:
			st.summary.Applied.moveHead(o, mine.Seq, h.Seq)
			st.summary.Changes += h.Seq - mine.Seq
			st.summary.LastTime = max(st.summary.LastTime, h.Time)
			st.ownFloor().Raise(merge.Dot{Origin: o, Seq: h.Seq})
			st.merged = append(st.merged, merge.Dot{Origin: o, Seq: h.Seq})
		case h.Seq == mine.Seq && mine.Tip && !h.Tip:
		default:
			continue
		}
		st.heads[o] = h
		if delete(st.tips, o); h.Tip {
			st.tips[o] = struct{}{}
		}
	}
	slices.SortFunc(st.merged, merge.Dot.Compare)
}

// releaseCovered lets go of the changes that waited for what is applied now.
func (st *Stage) releaseCovered() {
	for _, d := range slices.SortedFunc(maps.Keys(st.waitingNow().blocked), merge.Dot.Compare) {
		if st.Contains(d) {
			st.release(d)
		}
	}
}

// RaiseFloor says that the log no longer holds the changes up to d.
func (st *Stage) RaiseFloor(d merge.Dot) { st.ownFloor().Raise(d) }

func (st *Stage) ownFloor() *merge.VersionVector {
	if st.floor == nil {
		st.floor = st.space.floor.Clone()
	}
	return st.floor
}
