package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// A USet refers to a set of unique elements: each is added once, by its creator,
// for example with a new UUID in it. T is encoded as canonical CBOR; equal
// encodings are equal elements.
type USet[T any] struct{ Ref }

// NewUSet refers to the set of unique elements under key.
func NewUSet[T any](key string) USet[T] { return USet[T]{NewRef(key, crdt.USetKind.Name())} }

// Has reports whether v is in the set.
func (u USet[T]) Has(s Space, v T) (bool, error) { return hasElement(u.Reader(s), v, isThere) }

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (u USet[T]) All(s Space) iter.Seq2[T, error] { return allElements[T](u.Reader(s), isThere) }

// Len returns the number of elements. It visits them all.
func (u USet[T]) Len(s Space) (int, error) { return count(u.All(s)) }

// Add puts v into the set. An element that is in it, or that the transaction has
// removed, is [crdt.ErrAdded]; one that was removed earlier is known no more.
func (u USet[T]) Add(tx Tx, v T) error { return writeElement(u.Writer(tx), v, addUnique) }

// Remove takes v out of the set. Removing what is not in it changes nothing.
func (u USet[T]) Remove(tx Tx, v T) error {
	return writeElement(u.Writer(tx), v, func(w Writer, element string) error {
		return supersede(w, element, false, nil)
	})
}

func addUnique(w Writer, element string) error {
	for _, read := range []func(string) ([]byte, error){w.Before, w.Cell} {
		cell, err := read(element)
		if err != nil {
			return err
		}
		if cell != nil {
			return w.Fail(crdt.ErrAdded)
		}
	}
	return w.Write(element, crdt.Op{Put: true})
}
