package sync

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A Branch is the last changes of an origin, of which the first has a dot that
// names another change elsewhere.
type Branch struct {
	Changes []*Change // in order, without gaps, at least one
	// Base returns the payload of the last write of the origin to a cell before
	// the branch, nil if there is none, or [ErrNoBase]. It is asked for cells that
	// count what the origin did.
	Base func(CellKey) ([]byte, error)
	// Stays returns the writes to a cell of the branch that stay, as a
	// [crdt.Retraction] wants them. It may be nil.
	Stays func(CellKey) ([]crdt.Write, bool)
}

// ErrNoBase: it is not known what an origin had counted before it forked.
var ErrNoBase = errors.New("sync: the log no longer holds what was counted before")

// BranchOrigin returns the origin under which a branch that begins with the
// change of the given hash goes on. It is the same at every node, and another one
// for every branch.
func BranchOrigin(first Hash) merge.Origin {
	h := sha256.Sum256(append([]byte("joinery branch\n"), first[:]...))
	return merge.Origin(h[:len(merge.Origin{})])
}

// A Left is a change of a branch that could not be written again, and why.
type Left struct {
	Change *Change
	Reason string
}

// Reissue returns the changes of a branch as they are written again under its
// [BranchOrigin], and those that cannot be. What comes out depends on the branch
// alone, so that all nodes that hold a branch make the same changes of it, to the
// byte, and a node that holds less of it makes the first of them. Where that
// cannot be known, because a type or a base is not, it ends.
func Reissue(kinds crdt.Kinds, b *Branch) (again []*Change, left []Left) {
	first := b.Changes[0]
	r := reissue{
		kinds: kinds, base: b.Base, first: first, to: BranchOrigin(first.Hash()),
		renamed: make(map[uint64]uint64), put: make(map[CellKey]merge.DotSet),
	}
	for i, c := range b.Changes {
		err := r.change(c)
		if errors.Is(err, errBlind) {
			for _, c := range b.Changes[i:] {
				left = append(left, Left{c, err.Error()})
			}
			break
		}
		if err != nil {
			left = append(left, Left{c, err.Error()})
		}
	}
	return r.again, left
}

// errBlind ends a reissue: another node may be able to go on.
var errBlind = errors.New("sync: not enough is known here to write it again")

// reissue is a branch that is being written again.
type reissue struct {
	kinds   crdt.Kinds
	base    func(CellKey) ([]byte, error)
	first   *Change
	to      merge.Origin
	renamed map[uint64]uint64        // number in the branch to number now
	put     map[CellKey]merge.DotSet // what it has put into a cell and not superseded
	again   []*Change
}

// change writes c again, unless nothing is left of it to do. A change is put
// after its predecessor that was written again, and the first one after what the
// branch grew out of.
func (r *reissue) change(c *Change) error {
	ops := make(map[CellKey]crdt.Op, len(c.Ops))
	dot, prev := merge.Dot{Origin: r.to, Seq: 1}, Hash{}
	// Its author may have seen what others made of the branch.
	deps := slices.DeleteFunc(slices.Clone(c.Deps), func(d merge.Dot) bool { return d.Origin == r.to })
	if n := len(r.again); n > 0 {
		dot.Seq, prev = uint64(n)+1, r.again[n-1].Hash()
	} else if r.first.Dot.Seq > 1 {
		deps = append(deps, merge.Dot{Origin: c.Dot.Origin, Seq: r.first.Dot.Seq - 1})
	}
	for i := range c.Ops {
		if err := r.op(c, dot, &c.Ops[i], ops); err != nil {
			return err
		}
	}
	list := make([]CellOp, 0, len(ops))
	for key, op := range ops {
		if op.Put || len(op.Seen) > 0 {
			list = append(list, CellOp{key, op})
		}
	}
	if len(list) == 0 {
		return nil
	}
	again, err := NewChange(dot, c.Time, prev, deps, list)
	if err == nil {
		r.again = append(r.again, again)
		r.renamed[c.Dot.Seq] = dot.Seq
	}
	return err
}

func (r *reissue) op(c *Change, dot merge.Dot, op *CellOp, into map[CellKey]crdt.Op) error {
	kind, ok := r.kinds[op.Cell.Kind]
	if !ok {
		return fmt.Errorf("%w: type %q", errBlind, op.Cell.Kind)
	}
	w := c.write(op)
	w.Element, w.Seen = []byte(op.Cell.Element), r.rename(op.Seen)
	at := func(element []byte) CellKey {
		return CellKey{op.Cell.Object, op.Cell.Kind, string(element)}
	}
	moved, err := crdt.Move(kind, w, r.to, func(e []byte) ([]byte, error) { return r.before(at(e)) })
	for _, m := range moved {
		w.Dot, w.Element, w.Op = dot, m.Element, m.Op
		if err == nil {
			err = kind.Check(w)
		}
		into[at(m.Element)] = r.supersede(kind, w, at(m.Element))
	}
	if errors.Is(err, crdt.ErrUnknownKind) || errors.Is(err, ErrNoBase) {
		err = fmt.Errorf("%w: %w", errBlind, err)
	}
	return err
}

// supersede returns the op of w, which also supersedes what the branch has put into
// the cell before, where the kind allows it. Its author had seen that, and does not
// name it if others had superseded it: under the name that it had.
func (r *reissue) supersede(kind crdt.Kind, w crdt.Write, key CellKey) crdt.Op {
	before := r.put[key]
	if seen := union(w.Seen, before); len(before) > 0 {
		plain := w.Op
		if w.Seen = seen; kind.Check(w) != nil {
			w.Op = plain
		}
	}
	left := slices.DeleteFunc(slices.Clone(before), w.Seen.Contains)
	if w.Put {
		left = append(left, w.Dot)
	}
	r.put[key] = left
	return w.Op
}

func union(a, b merge.DotSet) merge.DotSet {
	both := slices.Concat(a, b)
	slices.SortFunc(both, merge.Dot.Compare)
	return slices.Compact(both)
}

// before returns what stands in a counter's cell before the branch: of the origin
// that forked what it had written, of the one it goes on under nothing.
func (r *reissue) before(key CellKey) ([]byte, error) {
	if namesOrigin(key, r.to) {
		return nil, nil
	}
	return r.base(key)
}

// namesOrigin reports whether a cell is that of an origin, in a counter or in one
// that is in a field.
func namesOrigin(key CellKey, o merge.Origin) bool {
	n := len(key.Element) - len(o)
	return n >= 0 && key.Element[n:] == string(o[:])
}

// rename returns the dots under their new names. Those of the branch that were
// not written again are left out: there is nothing of them to supersede.
func (r *reissue) rename(seen merge.DotSet) (out merge.DotSet) {
	for _, d := range seen {
		if d.Origin != r.first.Dot.Origin || d.Seq < r.first.Dot.Seq {
			out = append(out, d)
		} else if seq, ok := r.renamed[d.Seq]; ok {
			out = append(out, merge.Dot{Origin: r.to, Seq: seq})
		}
	}
	slices.SortFunc(out, merge.Dot.Compare)
	return out
}

// Renew lets the node write under another origin from now on. No stage may be
// open.
func (s *Space) Renew(self merge.Origin) { s.self = self }
