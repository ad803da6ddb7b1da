package crdt

import (
	"encoding"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// Embedded is the constraint "an L can be the value of a [Nested]": *L is a
// lattice with a canonical binary form, as every type of this package and any
// of an application's own.
type Embedded[L any] interface {
	merge.Ptr[L]
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// A Nested is a lattice that can be reset, and so be a field of an [ORMap]: a
// [GSet], an [LWWRegister] or one of an application's own, which by themselves
// only grow.
//
// It keeps the deltas that were written, each under the dot of its write, and
// its value is their join. A write supersedes those it sees that its delta
// dominates, so that of a chain, such as a register or a maximum, one is left. A
// reset, which is what the removal of the field is, takes away the deltas it has
// seen and no other: what was written at the same time stays whole, the part of
// it that repeats what was reset included. That is why the counters, whose deltas
// are totals, are fields by themselves and need no Nested.
//
// The state is the deltas that no later write dominates and no reset has seen,
// and one causal context. Every change takes the next dot of its origin, so an
// origin belongs to one Nested, or the map it is in, of one replica.
//
// The zero value is bottom and ready to use. A Nested must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: the dot functions of Almeida, Shoker, Baquero, "Delta State Replicated
// Data Types", 2018, section 7, over deltas.
type Nested[L any, P Embedded[L]] struct {
	writes merge.DotMap[struct{}, P] // at one key; the deltas are never modified
}

// Join joins delta into the value as origin and returns the delta of the
// Nested. It does not retain delta. A bottom one changes nothing that can be
// read.
func (n *Nested[L, P]) Join(origin merge.Origin, delta P) *Nested[L, P] {
	if delta.Equal(new(L)) {
		return &Nested[L, P]{*n.writes.DropOld(origin, struct{}{}, func(P) bool { return false })}
	}
	mine := P(delta.Clone())
	return &Nested[L, P]{*n.writes.PutOver(origin, struct{}{}, mine, func(old P) bool { return dominates[L](mine, old) })}
}

// dominates reports whether old is below v or equal to it.
func dominates[L any, P Embedded[L]](v, old P) bool {
	return !P(v.Clone()).Merge(old)
}

// Reset takes away what the Nested holds, as origin, and returns the delta.
func (n *Nested[L, P]) Reset(origin merge.Origin) *Nested[L, P] {
	return &Nested[L, P]{*n.writes.Drop(origin, struct{}{})}
}

// Value returns the join of the deltas, which is the caller's own.
func (n *Nested[L, P]) Value() P {
	value := P(new(L))
	for e := range n.writes.At(struct{}{}).All() {
		value.Merge(e.Value)
	}
	return value
}

// Len returns the number of deltas that are kept: 0 if the value is bottom.
func (n *Nested[L, P]) Len() int { return n.writes.At(struct{}{}).Len() }

// Context returns the changes that the Nested has seen. It is its own and must
// not be modified.
func (n *Nested[L, P]) Context() *merge.Context { return n.writes.Context() }

// Merge joins from into the receiver and reports a change. It does not modify
// from, and keeps no more of it than deltas, which nobody modifies.
func (n *Nested[L, P]) Merge(from *Nested[L, P]) bool { return n.writes.Merge(&from.writes) }

// Equal reports whether both have seen the same changes and keep the same.
func (n *Nested[L, P]) Equal(o *Nested[L, P]) bool { return n.writes.Equal(&o.writes) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (n *Nested[L, P]) Clone() *Nested[L, P] { return &Nested[L, P]{*n.writes.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is that
// of a delta, or a [*ValueError] about an origin that has run out of sequence
// numbers.
func (n *Nested[L, P]) MarshalBinary() ([]byte, error) { return n.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (n *Nested[L, P]) AppendBinary(dst []byte) ([]byte, error) { return appendStored(dst, n) }

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError], a
// [*ValueError] or one of L's own, and then the receiver is unchanged. It does
// not retain b unless L does.
func (n *Nested[L, P]) UnmarshalBinary(b []byte) error {
	var read Nested[L, P]
	if err := readStored(b, &read); err != nil {
		return err
	}
	n.writes = read.writes
	return nil
}

func (n *Nested[L, P]) store() store { return dotStore[struct{}, P]{&n.writes} }

func (n *Nested[L, P]) under(seen *merge.Context) *Nested[L, P] {
	return &Nested[L, P]{*underContext(&n.writes, seen)}
}

func (n *Nested[L, P]) typeName() string { return "nested" }

func (n *Nested[L, P]) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	var blobs []merge.Entry[[]byte]
	for e := range n.writes.At(struct{}{}).All() {
		b, err := e.Value.MarshalBinary()
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, merge.Entry[[]byte]{Dot: e.Dot, Value: b})
	}
	return appendBlobFun(dst, merge.DotFunOf(blobs...), t), nil
}

func (n *Nested[L, P]) readStore(r *varint.Reader, t *dotTable) error {
	blobs, err := readBlobFun(r, t)
	if err != nil {
		return err
	}
	var writes []merge.Entry[P]
	for e := range blobs.At(struct{}{}).All() {
		delta := P(new(L))
		if err := delta.UnmarshalBinary(e.Value); err != nil {
			return err
		}
		if delta.Equal(new(L)) {
			r.Fail("a delta that holds nothing")
			return r.Err()
		}
		writes = append(writes, merge.Entry[P]{Dot: e.Dot, Value: delta})
	}
	if len(writes) == 0 {
		return nil
	}
	read, err := restore(r, 1, func(yield func(struct{}, merge.DotFun[P]) bool) {
		yield(struct{}{}, merge.DotFunOf(writes...))
	}, t)
	if err == nil {
		n.writes = *read
	}
	return err
}
