package sync

import (
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A Reissue writes again, under the node's own origin, changes that it wrote
// under another whose dots turned out to name other changes.
type Reissue struct {
	stage   *Stage
	renamed map[merge.Dot]merge.Dot
	before  map[CellKey][]byte // cells as they were when they were first looked at
}

// Reissue begins to write changes again in the stage. It must not have applied
// any of them.
func (st *Stage) Reissue() *Reissue {
	return &Reissue{st, make(map[merge.Dot]merge.Dot), make(map[CellKey][]byte)}
}

// Continue goes on in another stage of the same space, when the stage before it
// has been committed.
func (r *Reissue) Continue(st *Stage) { r.stage = st }

// Change writes c again, stamped at, and returns the change that it became, nil
// if nothing is left of it to do. The changes of a branch come in order. Nothing is written when it returns an
// error: [*TooLargeError], or a [*RefusedError] if some kind cannot repeat a
// write under another origin.
func (r *Reissue) Change(c *Change, at hlc.Timestamp) (*Change, error) {
	ops := make(map[CellKey]crdt.Op, len(c.Ops))
	for i := range c.Ops {
		if err := r.op(c, &c.Ops[i], ops); err != nil {
			return nil, &RefusedError{c.Dot, ErrRejected, err.Error()}
		}
	}
	list := make([]CellOp, 0, len(ops))
	for key, op := range ops {
		if op.Put || len(op.Seen) > 0 {
			list = append(list, CellOp{key, op})
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	again, err := r.stage.Author(at, list)
	if err == nil {
		r.renamed[c.Dot] = again.Dot
	}
	return again, err
}

func (r *Reissue) op(c *Change, op *CellOp, into map[CellKey]crdt.Op) error {
	w := c.write(op)
	w.Element, w.Seen = []byte(op.Cell.Element), r.rename(c.Dot.Origin, op.Seen)
	kind, ok := r.stage.space.kinds[op.Cell.Kind]
	if !ok {
		return fmt.Errorf("type %q is not known here", op.Cell.Kind)
	}
	at := func(element []byte) CellKey {
		return CellKey{op.Cell.Object, op.Cell.Kind, string(element)}
	}
	moved, err := crdt.Move(kind, w, r.stage.space.self, func(e []byte) ([]byte, error) { return r.cell(at(e)) })
	if err != nil {
		return err
	}
	for _, m := range moved {
		into[at(m.Element)] = m.Op
	}
	return nil
}

// cell returns a cell as it was before anything was written again.
func (r *Reissue) cell(key CellKey) ([]byte, error) {
	if b, ok := r.before[key]; ok {
		return b, nil
	}
	b, err := r.stage.Cell(key)
	if err == nil {
		r.before[key] = b
	}
	return b, err
}

// rename returns the dots under their new names. Those of the branch that were
// not written again are left out: there is nothing of them to supersede.
func (r *Reissue) rename(branch merge.Origin, seen merge.DotSet) (out merge.DotSet) {
	for _, d := range seen {
		if again, ok := r.renamed[d]; ok {
			out = append(out, again)
		} else if d.Origin != branch || r.stage.Contains(d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, merge.Dot.Compare)
	return out
}

// Renew lets the node write under another origin from now on. No stage may be
// open.
func (s *Space) Renew(self merge.Origin) { s.self = self }
