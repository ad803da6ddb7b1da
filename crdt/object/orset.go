package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// An ORSet refers to an add-wins set: a remove deletes only the adds it has
// seen. T is encoded as canonical CBOR; equal encodings are equal elements.
type ORSet[T any] struct{ Ref }

// NewORSet refers to the add-wins set under key.
func NewORSet[T any](key string) ORSet[T] { return ORSet[T]{NewRef(key, crdt.ORSetKind.Name())} }

// Has reports whether v is in the set.
func (o ORSet[T]) Has(s Space, v T) (bool, error) { return hasElement(o.Reader(s), v, isThere) }

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (o ORSet[T]) All(s Space) iter.Seq2[T, error] { return allElements[T](o.Reader(s), isThere) }

// Len returns the number of elements. It visits them all.
func (o ORSet[T]) Len(s Space) (int, error) { return count(o.All(s)) }

// Add puts v into the set.
func (o ORSet[T]) Add(tx Tx, v T) error {
	return writeElement(o.Writer(tx), v, func(w Writer, element string) error {
		return supersede(w, element, true, nil)
	})
}

// Remove takes v out of the set. Removing what is not in it changes nothing.
func (o ORSet[T]) Remove(tx Tx, v T) error {
	return writeElement(o.Writer(tx), v, func(w Writer, element string) error {
		return supersede(w, element, false, nil)
	})
}
