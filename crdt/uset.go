package crdt

import (
	"errors"
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// ErrAdded says that a unique set has, or had, the element already.
var ErrAdded = errors.New("crdt: the element was added to the unique set before; each is added once, so make a new one")

// A USet is a set of unique elements: each is added once, by its creator, and
// can be removed once.
//
// That no element is added twice is the caller's to see to, for example with a
// new UUID in each. In return a remove needs no record: the state is one dot per
// element that is present, and one causal context. It grows with the elements
// that are present, the origins, and the gaps in what has been seen.
//
// Adding an element that is present is [ErrAdded]. An element that was removed
// has left nothing to tell it by: adding it again brings it back, and where two
// origins add one element concurrently it is present until both adds have been
// seen by a remove, as in an [ORSet].
//
// Every change takes the next dot of its origin, so an origin belongs to one
// USet of one replica, whose state must not be lost and then written again under
// the same origin.
//
// The zero value is empty and ready to use. A USet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 13, without its
// assumption of causal delivery: Almeida, Shoker, Baquero, "Delta State
// Replicated Data Types", 2018.
type USet[T comparable] struct {
	dots merge.DotMap[T, struct{}]
}

// Add adds v as origin and returns the delta. It returns [ErrAdded], a nil
// delta, and changes nothing if v is present.
func (s *USet[T]) Add(origin merge.Origin, v T) (*USet[T], error) {
	if s.Has(v) {
		return nil, ErrAdded
	}
	return &USet[T]{*s.dots.Put(origin, v, struct{}{})}, nil
}

// Remove removes v as origin and returns the delta. If v is not present it
// changes nothing and the delta is empty.
func (s *USet[T]) Remove(origin merge.Origin, v T) *USet[T] {
	if !s.Has(v) {
		return &USet[T]{}
	}
	return &USet[T]{*s.dots.Drop(origin, v)}
}

// Has reports whether v is in the set.
func (s *USet[T]) Has(v T) bool { return s.dots.At(v).Len() > 0 }

// All yields the elements in no particular order.
func (s *USet[T]) All() iter.Seq[T] { return keys(s.dots.All()) }

// Len returns the number of elements.
func (s *USet[T]) Len() int { return s.dots.Len() }

// Context returns the changes that the set has seen. It is the set's own and
// must not be modified.
func (s *USet[T]) Context() *merge.Context { return s.dots.Context() }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *USet[T]) Merge(from *USet[T]) bool { return s.dots.Merge(&from.dots) }

// Equal reports whether both have seen the same changes.
func (s *USet[T]) Equal(o *USet[T]) bool { return s.dots.Equal(&o.dots) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (s *USet[T]) Clone() *USet[T] { return &USet[T]{*s.dots.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none, or an origin that has run out of
// sequence numbers.
func (s *USet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *USet[T]) AppendBinary(dst []byte) ([]byte, error) {
	body, err := appendDotMap(nil, &s.dots, func(b []byte, _ struct{}) []byte { return b })
	if err != nil {
		return nil, err
	}
	return appendEnvelope(dst, USetKind.Name(), body)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *USet[T]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(USetKind.Name(), b)
	if err != nil {
		return err
	}
	dots, err := readDotMap[T](r, func(*varint.Reader) struct{} { return struct{}{} })
	if err != nil {
		return err
	}
	s.dots = *dots
	return nil
}
