package sync

import (
	"errors"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A Reread applies what a node has logged and could not read, once it knows the
// kinds: after an upgrade.
type Reread struct {
	stage *Stage
	since map[string]*merge.VersionVector
	again map[merge.Dot]struct{} // read again so far
}

// Reread begins to read changes again, which are given to Change in an order in
// which they could have been applied. since has, per kind, what had been applied
// when the first op of the kind could not be read: from then on none was. It
// keeps since.
func (st *Stage) Reread(since map[string]*merge.VersionVector) *Reread {
	return &Reread{st, since, make(map[merge.Dot]struct{})}
}

// Wants reports whether a change has ops to read again.
func (r *Reread) Wants(c *Change) bool {
	for i := range c.Ops {
		if r.wants(c.Dot, c.Ops[i].Cell.Kind) {
			return true
		}
	}
	return false
}

func (r *Reread) wants(d merge.Dot, kind string) bool {
	since, ok := r.since[kind]
	return ok && !since.Contains(d)
}

// Change joins the ops in c that were not read. One that no correct node writes,
// or that this node still cannot read, stays unread: that c is applied cannot be
// taken back. Other errors come from reading cells.
func (r *Reread) Change(c *Change) error {
	for i := range c.Ops {
		op := &c.Ops[i]
		if !r.wants(c.Dot, op.Cell.Kind) {
			continue
		}
		target, err := r.stage.cell(op.Cell)
		if err != nil {
			return err
		}
		after, err := r.stage.join(r.stage.space.kinds[op.Cell.Kind], target, c, op, readBefore{r, op.Cell.Kind})
		switch {
		case errors.Is(err, crdt.ErrUnknownKind) || errors.Is(err, ErrRejected):
			continue
		case err != nil:
			return err
		}
		target.after = after
		r.stage.summary.Unread -= min(1, r.stage.summary.Unread)
	}
	r.again[c.Dot] = struct{}{}
	r.stage.mended = true
	return nil
}

// readBefore is what has been applied to the cells of one kind.
type readBefore struct {
	reread *Reread
	kind   string
}

// Contains reports whether the ops of d on cells of the kind have been joined.
func (c readBefore) Contains(d merge.Dot) bool {
	_, again := c.reread.again[d]
	return again || c.reread.since[c.kind].Contains(d)
}
