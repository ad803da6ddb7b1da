package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An MVRegister holds every value that no later write has seen.
//
// A write or a clear replaces the values that its author saw. Concurrent writes
// are kept side by side, each under its dot, until a later write has seen them;
// a clear leaves what was written concurrently. The state is the live values
// and one causal context. It grows with the concurrent values, the origins, and
// the gaps in what has been seen.
//
// Values are kept as canonical CBOR: what is passed in is not retained, and
// what is read out is the caller's own.
//
// Every change takes the next dot of its origin, so an origin belongs to one
// MVRegister of one replica, whose state must not be lost and then written
// again under the same origin.
//
// The zero value holds nothing and is ready to use. An MVRegister must not be
// copied by assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 10; with dots: Almeida,
// Shoker, Baquero, "Delta State Replicated Data Types", 2018.
type MVRegister[T any] struct {
	values merge.DotMap[struct{}, []byte] // at one key
}

// Set replaces what the register holds by v, as origin, and returns the delta.
// It returns a [*ValueError], a nil delta, and changes nothing if v cannot be
// encoded and read back.
func (r *MVRegister[T]) Set(origin merge.Origin, v T) (*MVRegister[T], error) {
	b, err := encodeContent(v)
	if err != nil {
		return nil, err
	}
	return &MVRegister[T]{*r.values.Put(origin, struct{}{}, b)}, nil
}

// Clear removes what the register holds, as origin, and returns the delta.
func (r *MVRegister[T]) Clear(origin merge.Origin) *MVRegister[T] {
	return &MVRegister[T]{*r.values.Drop(origin, struct{}{})}
}

// All yields the values under the dots of their writes, ascending by dot: the
// same order on every replica. Two writes of equal values are two entries.
func (r *MVRegister[T]) All() iter.Seq2[merge.Dot, T] {
	return func(yield func(merge.Dot, T) bool) {
		for e := range r.values.At(struct{}{}).All() {
			if !yield(e.Dot, decodeContent[T](e.Value)) {
				return
			}
		}
	}
}

// Values yields the values in the order of All.
func (r *MVRegister[T]) Values() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, v := range r.All() {
			if !yield(v) {
				return
			}
		}
	}
}

// Len returns the number of values: 0 if nothing was written or it was cleared,
// and above 1 if there is a conflict.
func (r *MVRegister[T]) Len() int { return r.values.At(struct{}{}).Len() }

// Conflicted reports whether concurrent writes left several values.
func (r *MVRegister[T]) Conflicted() bool { return r.Len() > 1 }

// Context returns the changes that the register has seen. It is the register's
// own and must not be modified.
func (r *MVRegister[T]) Context() *merge.Context { return r.values.Context() }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (r *MVRegister[T]) Merge(from *MVRegister[T]) bool { return r.values.Merge(&from.values) }

// Equal reports whether both have seen the same changes.
func (r *MVRegister[T]) Equal(o *MVRegister[T]) bool { return r.values.Equal(&o.values) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (r *MVRegister[T]) Clone() *MVRegister[T] { return &MVRegister[T]{*r.values.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an origin that has run out of sequence numbers.
func (r *MVRegister[T]) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (r *MVRegister[T]) AppendBinary(dst []byte) ([]byte, error) {
	return appendStored(dst, r)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (r *MVRegister[T]) UnmarshalBinary(b []byte) error {
	var read MVRegister[T]
	if err := readStored(b, &read); err != nil {
		return err
	}
	r.values = read.values
	return nil
}

func (r *MVRegister[T]) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	return appendBlobFun(dst, r.values.At(struct{}{}), t), nil
}

func (r *MVRegister[T]) readStore(body *varint.Reader, t *dotTable) error {
	read, err := readBlobFun(body, t)
	if err != nil {
		return err
	}
	for e := range read.At(struct{}{}).All() {
		if err := checkContent[T](e.Value); err != nil {
			return err
		}
	}
	r.values = *read
	return nil
}
