package crdt

import "github.com/joinery-crdt/joinery/merge"

// A retracter is a kind that can tell in a cell what some changes put there.
type retracter interface {
	retract(cell []byte, r *Retraction) ([]byte, error)
}

// A Retraction takes back the last changes of one origin.
type Retraction struct {
	Origin merge.Origin // whose changes are taken back
	Gone   merge.Dots   // the changes
	// Element is the name of the cell within its object.
	Element []byte
	// Base is the payload of the origin's last write to the cell that stays, nil
	// if there is none. It matters where a cell counts what its origin did.
	Base []byte
	// Stays returns the writes to the cell that stay, in any order, and false if they
	// are not all known: then all that was reset of what the cell counts stays reset,
	// also what the changes that are taken back have reset. Writes to other cells than
	// counters that are older than those changes may be left out. It may be nil.
	Stays func() ([]Write, bool)
}

// stays is Stays.
func (r *Retraction) stays() ([]Write, bool) {
	if r.Stays == nil {
		return nil, false
	}
	return r.Stays()
}

// Retract returns the cell without what the changes that are taken back have put
// there, nil if nothing is left. What they have superseded stays superseded, and
// so does what cannot be told from what others wrote: the elements of sets that
// only grow, and stamps that others may have given as well. So it is exact if the
// same writes are then made again under another origin: see [Move]. The error is
// a [*CellError], or a [*WriteError] about Base.
func Retract(k Kind, cell []byte, r *Retraction) ([]byte, error) {
	if k, ok := k.(retracter); ok && cell != nil {
		return k.retract(cell, r)
	}
	return cell, nil
}

// retract leaves the live dots that stay.
func (k causal) retract(cell []byte, r *Retraction) ([]byte, error) {
	return mergeDots(k.name, k.live, Held{cell, r.Gone}, Held{nil, r.Gone})
}

// retract drops the cell if it is one of the writes, for what it had overwritten as
// far as that is known. What is not is older than what is written again.
func (k *lwwKind) retract(cell []byte, r *Retraction) ([]byte, error) {
	l, err := k.latest(cell)
	if err != nil || !r.Gone.Contains(l.Dot) {
		return cell, err
	}
	cell = nil
	writes, _ := r.stays()
	for _, w := range writes {
		if cell, err = k.Join(cell, nil, w); err != nil {
			return nil, err
		}
	}
	return cell, nil
}

// retract sets the share of the origin back to its base. What others have reset
// of it stays reset.
func (k lattice[L, P]) retract(cell []byte, r *Retraction) ([]byte, error) {
	if k.name != PNCounterKind.Name() || string(r.Element) != string(r.Origin[:]) {
		return cell, nil
	}
	share, err := DecodeShare(cell)
	if err != nil {
		return nil, err
	}
	var base Share
	if r.Base != nil {
		if base, err = decodeShare(r.Base); err != nil {
			return nil, &WriteError{k.name, err.Error()}
		}
	}
	reset := Share{PBase: share.PBase, NBase: share.NBase}
	if share.PBase > base.PBase || share.NBase > base.NBase {
		if writes, ok := r.stays(); ok {
			reset.PBase, reset.NBase = base.PBase, base.NBase
			for _, w := range writes {
				write, err := decodeShare(w.Payload)
				if err != nil {
					return nil, &WriteError{k.name, err.Error()}
				}
				reset.PBase, reset.NBase = max(reset.PBase, write.PBase), max(reset.NBase, write.NBase)
			}
		}
	}
	left := Share{max(base.P, reset.PBase), max(base.N, reset.NBase), reset.PBase, reset.NBase}
	if r.Base == nil && left == (Share{}) {
		return nil, nil
	}
	return left.AppendBinary(nil)
}

// retract sets the origin's own cell back to its base.
func (k ownLattice[L, P]) retract(cell []byte, r *Retraction) ([]byte, error) {
	if (k.name != GCounterKind.Name() && k.name != BoundedKind.Name()) || string(r.Element) != string(r.Origin[:]) {
		return cell, nil
	}
	return r.Base, nil
}

// retract does in a field what its kind does.
func (k *MapKind) retract(cell []byte, r *Retraction) ([]byte, error) {
	in, err := k.cell(r.Element)
	if err != nil {
		return nil, notInField(err)
	}
	inner := *r
	inner.Element = in.element
	switch kind := in.kind.(type) {
	case retracter: // counters
		return kind.retract(cell, &inner)
	case asItIs:
		return Retract(bare(kind.kind), cell, &inner)
	case causalField:
		return kind.causal.retract(cell, &inner)
	case dotted:
		live := func(b []byte) (merge.DotFun[[]byte], error) { return kind.live(in.element, b) }
		return mergeDots(kind.kind.Name(), live, Held{cell, r.Gone}, Held{nil, r.Gone})
	}
	return cell, nil
}

// bare returns the kind whose cells a field keeps as they are.
func bare(k Kind) Kind {
	if share, ok := k.(shareKind); ok {
		return share.Kind
	}
	return k
}

// retract sets what the origin did back to its base. What removals have seen of
// it stays gone.
func (f *counterField[V, P]) retract(cell []byte, r *Retraction) ([]byte, error) {
	if string(r.Element) != string(r.Origin[:]) {
		return cell, nil
	}
	c, err := f.decode(cell)
	if err != nil {
		return nil, &CellError{f.name, err}
	}
	base, err := f.base(r.Base)
	if err != nil {
		return nil, err
	}
	if P(P(&base.gone).Clone()).Merge(&c.gone) {
		if writes, ok := r.stays(); ok {
			c.gone = base.gone
			for _, w := range writes {
				write, err := f.base(w.Payload)
				if err != nil {
					return nil, err
				}
				P(&c.gone).Merge(&write.gone)
			}
		}
	}
	c.all = base.all
	P(&c.all).Merge(&c.gone)
	if r.Base == nil && P(&c.all).Equal(new(V)) {
		return nil, nil
	}
	return c.AppendBinary(nil)
}

// base reads the payload of a write, nothing for nil.
func (f *counterField[V, P]) base(payload []byte) (c remnant[V, P], err error) {
	if payload != nil {
		if c, err = f.decode(payload); err != nil {
			err = &WriteError{f.name, err.Error()}
		}
	}
	return c, err
}

// move gives what the writer's own count has grown by to the count of to. What a
// removal took of the count that stays is taken there.
func (f *counterField[V, P]) move(w Write, to merge.Origin, cell func([]byte) ([]byte, error)) ([]Placed, error) {
	if string(w.Element) != string(w.Dot.Origin[:]) {
		return []Placed{{w.Element, w.Op}}, nil
	}
	write, err := f.base(w.Payload)
	if err != nil {
		return nil, err
	}
	stays, moved, err := twoCells(w, to, cell, f.base)
	if err != nil {
		return nil, err
	}
	var out []Placed
	P(&write.all).Merge(&stays.all) // which no correct writer goes below
	if !P(&write.gone).Merge(&stays.all) {
		if err := P(&moved.gone).plus(without[V, P](&write.gone, &stays.all)); err != nil {
			return nil, err
		}
		if taken := (remnant[V, P]{stays.all, stays.all}); !P(&stays.all).Equal(new(V)) {
			b, _ := taken.AppendBinary(nil) // never fails
			out = append(out, Placed{w.Element, Op{Put: true, Payload: b}})
		}
	}
	if err := P(&moved.all).plus(without[V, P](&write.all, &stays.all)); err != nil {
		return nil, err
	}
	b, _ := moved.AppendBinary(nil)
	return append(out, Placed{to[:], Op{Put: true, Payload: b}}), nil
}

// without returns what a is above b.
func without[V any, P tally[V]](a, b *V) *V {
	left := P(a).Clone()
	P(left).minus(b)
	return left
}
