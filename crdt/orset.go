package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An ORSet is an add-wins set: a remove deletes only the adds it has seen.
//
// Of a concurrent add and remove of one element the add wins. The state is the
// live dots of the elements that are present, and one causal context; removed
// elements leave nothing behind, and adding an element again replaces the dots
// that it had. It grows with the elements that are present, the origins, and
// the gaps in what has been seen.
//
// Every change takes the next dot of its origin, so an origin belongs to one
// ORSet of one replica, whose state must not be lost and then written again
// under the same origin.
//
// The zero value is empty and ready to use. An ORSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Bieniusa et al., "An optimized conflict-free replicated set", INRIA
// RR-8083, 2012; Almeida, Shoker, Baquero, "Delta State Replicated Data Types",
// 2018.
type ORSet[T comparable] struct {
	dots merge.DotMap[T, struct{}]
}

// Add adds v as origin and returns the delta.
func (s *ORSet[T]) Add(origin merge.Origin, v T) *ORSet[T] {
	return &ORSet[T]{*s.dots.Put(origin, v, struct{}{})}
}

// Remove removes v as origin, present or not, and returns the delta.
func (s *ORSet[T]) Remove(origin merge.Origin, v T) *ORSet[T] {
	return &ORSet[T]{*s.dots.Drop(origin, v)}
}

// Has reports whether v is in the set.
func (s *ORSet[T]) Has(v T) bool { return s.dots.At(v).Len() > 0 }

// All yields the elements in no particular order.
func (s *ORSet[T]) All() iter.Seq[T] { return keys(s.dots.All()) }

// Len returns the number of elements.
func (s *ORSet[T]) Len() int { return s.dots.Len() }

// Dots returns the adds of v that no remove has seen, ascending, in a slice of
// the caller's own.
func (s *ORSet[T]) Dots(v T) []merge.Dot { return s.dots.At(v).Dots() }

// Context returns the changes that the set has seen. It is the set's own and
// must not be modified.
func (s *ORSet[T]) Context() *merge.Context { return s.dots.Context() }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *ORSet[T]) Merge(from *ORSet[T]) bool { return s.dots.Merge(&from.dots) }

// Equal reports whether both have seen the same changes.
func (s *ORSet[T]) Equal(o *ORSet[T]) bool { return s.dots.Equal(&o.dots) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (s *ORSet[T]) Clone() *ORSet[T] { return &ORSet[T]{*s.dots.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none, or an origin that has run out of
// sequence numbers.
func (s *ORSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *ORSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	body, err := appendDotMap(nil, &s.dots, func(b []byte, _ struct{}) []byte { return b })
	if err != nil {
		return nil, err
	}
	return appendEnvelope(dst, ORSetKind.Name(), body)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *ORSet[T]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(ORSetKind.Name(), b)
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
