package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// An RWSet refers to a remove-wins set: an element is present if it was added
// and every remove has been seen by some add. T is encoded as canonical CBOR;
// equal encodings are equal elements.
type RWSet[T any] struct{ Ref }

// NewRWSet refers to the remove-wins set under key.
func NewRWSet[T any](key string) RWSet[T] { return RWSet[T]{NewRef(key, crdt.RWSetKind.Name())} }

// Has reports whether v is in the set.
func (r RWSet[T]) Has(s Space, v T) (bool, error) { return hasElement(r.Reader(s), v, crdt.RWSetHas) }

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (r RWSet[T]) All(s Space) iter.Seq2[T, error] {
	return allElements[T](r.Reader(s), crdt.RWSetHas)
}

// Len returns the number of elements. It visits them all, and the removes that
// no add has seen.
func (r RWSet[T]) Len(s Space) (int, error) { return count(r.All(s)) }

// Add puts v into the set.
func (r RWSet[T]) Add(tx Tx, v T) error {
	return writeElement(r.Writer(tx), v, func(w Writer, element string) error {
		return supersede(w, element, true, crdt.Added)
	})
}

// Remove takes v out of the set. It holds against concurrent adds even if v is
// not in it.
func (r RWSet[T]) Remove(tx Tx, v T) error {
	return writeElement(r.Writer(tx), v, func(w Writer, element string) error {
		return supersede(w, element, true, crdt.Removed)
	})
}
