package crdt

import (
	"fmt"
	"iter"

	"github.com/joinery-crdt/joinery/merge"
)

// A TwoPSet is a set whose elements can be removed once, for ever. An element
// is present if it was added and no remove has seen any add of it.
//
// A remove wins over concurrent adds and over all later ones. Adding a removed
// element is an error where it is known to be removed, and has no effect where
// it is not. The state is a [Phase] per element; removed elements stay.
//
// The zero value is empty and ready to use. A TwoPSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 12.
type TwoPSet[T comparable] struct {
	phases merge.Map[T, Phase, *Phase]
}

// Add adds v and returns the delta. It returns [ErrRemoved], and a nil delta, if
// v has been removed.
func (s *TwoPSet[T]) Add(v T) (*TwoPSet[T], error) {
	if s.at(v) == PhaseRemoved {
		return nil, ErrRemoved
	}
	return s.advance(v, PhaseAdded), nil
}

// Remove removes v for ever and returns the delta. If v is not present it
// changes nothing and the delta is empty.
func (s *TwoPSet[T]) Remove(v T) *TwoPSet[T] {
	if !s.Has(v) {
		return &TwoPSet[T]{}
	}
	return s.advance(v, PhaseRemoved)
}

func (s *TwoPSet[T]) advance(v T, to Phase) *TwoPSet[T] {
	delta := &TwoPSet[T]{}
	delta.phases.Join(v, &to)
	s.phases.Join(v, &to)
	return delta
}

func (s *TwoPSet[T]) at(v T) Phase {
	if p, ok := s.phases.Get(v); ok {
		return *p
	}
	return Phase{}
}

// Has reports whether v is present.
func (s *TwoPSet[T]) Has(v T) bool { return s.at(v) == PhaseAdded }

// All yields the elements that are present, in no particular order.
func (s *TwoPSet[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for v, p := range s.phases.All() {
			if *p == PhaseAdded && !yield(v) {
				return
			}
		}
	}
}

// Len returns the number of elements that are present. It visits the removed
// ones too.
func (s *TwoPSet[T]) Len() int { return count(s.All()) }

func count[T any](seq iter.Seq[T]) (n int) {
	for range seq {
		n++
	}
	return n
}

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *TwoPSet[T]) Merge(from *TwoPSet[T]) bool { return s.phases.Merge(&from.phases) }

// Equal reports whether both have the same elements, present and removed.
func (s *TwoPSet[T]) Equal(o *TwoPSet[T]) bool { return s.phases.Equal(&o.phases) }

// Clone returns a copy that shares nothing with the receiver.
func (s *TwoPSet[T]) Clone() *TwoPSet[T] { return &TwoPSet[T]{*s.phases.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none.
func (s *TwoPSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *TwoPSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	rows, err := sortRows(keys(s.phases.All()), s.phases.Len())
	if err != nil {
		return nil, err
	}
	body := appendRows(nil, rows)
	for _, row := range rows {
		body = append(body, s.at(row.element).stage)
	}
	return appendEnvelope(dst, TwoPSetKind.Name(), body)
}

func keys[K, V any](seq iter.Seq2[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range seq {
			if !yield(k) {
				return
			}
		}
	}
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *TwoPSet[T]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(TwoPSetKind.Name(), b)
	if err != nil {
		return err
	}
	elements, err := readRows[T](r)
	if err != nil {
		return err
	}
	var read TwoPSet[T]
	for _, v := range elements {
		p := Phase{r.Byte()}
		if p != PhaseAdded && p != PhaseRemoved {
			r.Fail(fmt.Sprintf("unknown stage %d", p.stage))
		}
		read.phases.Join(v, &p)
	}
	if err := r.Done(); err != nil {
		return err
	}
	*s = read
	return nil
}
