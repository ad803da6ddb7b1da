package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// A GSet refers to a set that only grows. T is encoded as canonical CBOR; equal
// encodings are equal elements.
type GSet[T any] struct{ Ref }

// NewGSet refers to the grow-only set under key.
func NewGSet[T any](key string) GSet[T] { return GSet[T]{NewRef(key, crdt.GSetKind.Name())} }

// Has reports whether v is in the set.
func (g GSet[T]) Has(s Space, v T) (bool, error) { return hasElement(g.Reader(s), v, isThere) }

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (g GSet[T]) All(s Space) iter.Seq2[T, error] { return allElements[T](g.Reader(s), isThere) }

// Len returns the number of elements. It visits them all.
func (g GSet[T]) Len(s Space) (int, error) { return count(g.All(s)) }

// Add puts v into the set. Adding what is in it changes nothing.
func (g GSet[T]) Add(tx Tx, v T) error { return writeElement(g.Writer(tx), v, addOnce) }

func addOnce(w Writer, element string) error {
	if cell, err := w.Cell(element); err != nil || cell != nil && !survives(w) {
		return err
	}
	return w.Write(element, crdt.Op{Put: true})
}
