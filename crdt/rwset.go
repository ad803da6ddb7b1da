package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An RWSet is a remove-wins set: an element is present if it was added and
// every remove of it has been seen by some add.
//
// Of a concurrent add and remove of one element the remove wins, whether or not
// the remover had the element; a later add brings it back. The state is, per
// element, the adds and removes that no later change of it has seen, and one
// causal context. It grows with the elements that are present, the removed ones
// that were not added again, the origins, and the gaps in what has been seen.
//
// Every change takes the next dot of its origin, so an origin belongs to one
// RWSet of one replica, whose state must not be lost and then written again
// under the same origin.
//
// The zero value is empty and ready to use. An RWSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Baquero, Almeida, Cunha, Ferreira, "Composition in state-based
// replicated data types", Bulletin of the EATCS 123, 2017; Almeida, Shoker,
// Baquero, "Delta State Replicated Data Types", 2018.
type RWSet[T comparable] struct {
	dots merge.DotMap[T, polarity]
}

// polarity says what a live change of an element did.
type polarity byte

const (
	removed polarity = 0
	added   polarity = 1
)

// Add adds v as origin and returns the delta. It overrules the removes that the
// set has seen.
func (s *RWSet[T]) Add(origin merge.Origin, v T) *RWSet[T] {
	return &RWSet[T]{*s.dots.Put(origin, v, added)}
}

// Remove removes v as origin, present or not, and returns the delta.
func (s *RWSet[T]) Remove(origin merge.Origin, v T) *RWSet[T] {
	return &RWSet[T]{*s.dots.Put(origin, v, removed)}
}

// Has reports whether v is in the set.
func (s *RWSet[T]) Has(v T) bool { return isPresent(s.dots.At(v)) }

func isPresent(cell merge.DotFun[polarity]) bool {
	for e := range cell.All() {
		if e.Value == removed {
			return false
		}
	}
	return cell.Len() > 0
}

// All yields the elements in no particular order.
func (s *RWSet[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for v, cell := range s.dots.All() {
			if isPresent(cell) && !yield(v) {
				return
			}
		}
	}
}

// Len returns the number of elements. It visits the removed ones too.
func (s *RWSet[T]) Len() int { return count(s.All()) }

// Context returns the changes that the set has seen. It is the set's own and
// must not be modified.
func (s *RWSet[T]) Context() *merge.Context { return s.dots.Context() }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *RWSet[T]) Merge(from *RWSet[T]) bool { return s.dots.Merge(&from.dots) }

// Equal reports whether both have seen the same changes.
func (s *RWSet[T]) Equal(o *RWSet[T]) bool { return s.dots.Equal(&o.dots) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (s *RWSet[T]) Clone() *RWSet[T] { return &RWSet[T]{*s.dots.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none, or an origin that has run out of
// sequence numbers.
func (s *RWSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *RWSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	body, err := appendDotMap(nil, &s.dots, appendPolarity)
	if err != nil {
		return nil, err
	}
	return appendEnvelope(dst, RWSetKind.Name(), body)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *RWSet[T]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(RWSetKind.Name(), b)
	if err != nil {
		return err
	}
	dots, err := readDotMap[T](r, readPolarity)
	if err != nil {
		return err
	}
	s.dots = *dots
	return nil
}

func appendPolarity(dst []byte, p polarity) []byte { return append(dst, byte(p)) }

func readPolarity(r *varint.Reader) polarity {
	p := polarity(r.Byte())
	if p > added {
		r.Fail("neither an add nor a remove")
	}
	return p
}
