package crdt

import (
	"iter"
	"maps"
)

// A GSet is a set that only grows.
//
// Concurrent adds of any elements all take effect. The state is the elements,
// and each stays for ever. Elements are subject to the rules of the package
// about what can be a T.
//
// The zero value is empty and ready to use. A GSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 11.
type GSet[T comparable] struct {
	elements map[T]struct{}
}

// Add adds v and returns the delta: v alone, also if v was there, since in the
// field of a map that add survives a removal which has seen only the first.
func (s *GSet[T]) Add(v T) *GSet[T] {
	s.insert(v)
	delta := &GSet[T]{}
	delta.insert(v)
	return delta
}

func (s *GSet[T]) insert(v T) bool {
	if s.Has(v) {
		return false
	}
	if s.elements == nil {
		s.elements = make(map[T]struct{})
	}
	s.elements[v] = struct{}{}
	return true
}

// Has reports whether v is in the set.
func (s *GSet[T]) Has(v T) bool {
	_, ok := s.elements[v]
	return ok
}

// All yields the elements in no particular order.
func (s *GSet[T]) All() iter.Seq[T] { return maps.Keys(s.elements) }

// Len returns the number of elements.
func (s *GSet[T]) Len() int { return len(s.elements) }

// Merge joins from into the receiver, the union, and reports a change. It
// neither modifies nor retains from.
func (s *GSet[T]) Merge(from *GSet[T]) (changed bool) {
	for v := range from.elements {
		changed = s.insert(v) || changed
	}
	return changed
}

// Equal reports whether both have the same elements.
func (s *GSet[T]) Equal(o *GSet[T]) bool { return maps.Equal(s.elements, o.elements) }

// Clone returns a copy that shares nothing with the receiver.
func (s *GSet[T]) Clone() *GSet[T] { return &GSet[T]{maps.Clone(s.elements)} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none.
func (s *GSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *GSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	rows, err := sortRows(s.All(), s.Len())
	if err != nil {
		return nil, err
	}
	return appendEnvelope(dst, GSetKind.Name(), appendRows(nil, rows))
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *GSet[T]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(GSetKind.Name(), b)
	if err != nil {
		return err
	}
	elements, err := readRows[T](r)
	if err != nil {
		return err
	}
	if err := r.Done(); err != nil {
		return err
	}
	read := GSet[T]{make(map[T]struct{}, len(elements))}
	for _, v := range elements {
		read.elements[v] = struct{}{}
	}
	*s = read
	return nil
}
