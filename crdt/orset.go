package crdt

import (
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/crdt/internal/columns"
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
// Large sets of strings, integers, booleans, and arrays and structs of these are
// kept in their encoded form, which takes about 50 bytes an element beyond its
// own. Memory of removed elements is reused when there is as much of it as of
// the others.
//
// The zero value is empty and ready to use. An ORSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Bieniusa et al., "An optimized conflict-free replicated set", INRIA
// RR-8083, 2012; Almeida, Shoker, Baquero, "Delta State Replicated Data Types",
// 2018.
type ORSet[T comparable] struct {
	one  single[T]                  // a delta of one change, while its dot is one
	few  *merge.DotMap[T, struct{}] // a small set, nil while it is empty
	many *columns.Table             // a large one
	odd  bool                       // an element of few has no encoding
}

// Add adds v as origin and returns the delta. It retains v.
func (s *ORSet[T]) Add(origin merge.Origin, v T) *ORSet[T] {
	delta := &ORSet[T]{} // in the caller, so that it costs nothing if it is dropped
	s.change(delta, origin, v, true)
	return delta
}

// Remove removes v as origin, present or not, and returns the delta.
func (s *ORSet[T]) Remove(origin merge.Origin, v T) *ORSet[T] {
	delta := &ORSet[T]{}
	s.change(delta, origin, v, false)
	return delta
}

// Has reports whether v is in the set.
func (s *ORSet[T]) Has(v T) bool {
	if s.many == nil {
		return s.small().At(v).Len() > 0
	}
	_, ok := s.find(v)
	return ok
}

// All yields the elements in no particular order. The set may be changed
// meanwhile: what is removed before it was yielded is not yielded, and what is
// added may be.
func (s *ORSet[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		moved := s.moved()
		for v := range s.elements() {
			if moved() && !s.Has(v) {
				continue
			}
			if !yield(v) {
				return
			}
		}
	}
}

// Len returns the number of elements.
func (s *ORSet[T]) Len() int {
	if s.many == nil {
		return s.small().Len()
	}
	return s.many.Len()
}

// Dots returns the adds of v that no remove has seen, ascending, in a slice of
// the caller's own.
func (s *ORSet[T]) Dots(v T) []merge.Dot {
	if s.many == nil {
		return s.small().At(v).Dots()
	}
	if at, ok := s.find(v); ok {
		return s.many.Dots(at)
	}
	return nil
}

// Context returns the changes that the set has seen. It must not be modified,
// and is good until the next change of the set.
func (s *ORSet[T]) Context() *merge.Context {
	if s.many == nil {
		return s.small().Context()
	}
	return s.many.Context()
}

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *ORSet[T]) Merge(from *ORSet[T]) (changed bool) {
	if s == from {
		return false
	}
	s.open()
	switch {
	case s.many == nil && from.many != nil:
		changed = s.mergeLarge(from)
	case s.many == nil:
		changed = s.few.Merge(from.small())
	case from.many != nil:
		changed = s.many.Merge(from.many)
	default:
		changed = s.mergeSmall(from)
	}
	s.enlarge()
	return changed
}

// Equal reports whether both have seen the same changes.
func (s *ORSet[T]) Equal(o *ORSet[T]) bool {
	switch {
	case s.many == nil && o.many == nil:
		return s.small().Equal(o.small())
	case s.many == nil:
		return o.Equal(s)
	case o.many != nil:
		return s.many.Equal(o.many)
	}
	few := o.small()
	if few.Len() != s.Len() || !few.Context().Equal(s.Context()) {
		return false
	}
	for v, f := range few.All() {
		if !slices.Equal(f.Dots(), s.Dots(v)) {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares no mutable memory with the receiver.
func (s *ORSet[T]) Clone() *ORSet[T] {
	c := &ORSet[T]{one: s.one, odd: s.odd}
	if s.few != nil {
		c.few = s.few.Clone()
	}
	if s.many != nil {
		c.many = s.many.Clone()
	}
	return c
}

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none, or an origin that has run out of
// sequence numbers.
func (s *ORSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *ORSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	t, err := s.table()
	if err != nil {
		return nil, err
	}
	return appendTable(dst, ORSetKind.Name(), t)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes, and wrote before version 2, and nothing else: the error
// is a [*merge.FormatError] or a [*ValueError], and then the receiver is
// unchanged. It does not retain b.
func (s *ORSet[T]) UnmarshalBinary(b []byte) error {
	r, version, err := openTable(ORSetKind.Name(), b)
	if err != nil {
		return err
	}
	if version == tableVersion {
		t, err := readTable[T](r)
		if err == nil {
			s.set(t)
		}
		return err
	}
	dots, err := readDotMap[T](r, func(*varint.Reader) struct{} { return struct{}{} })
	if err != nil {
		return err
	}
	*s = ORSet[T]{few: dots}
	return nil
}
