package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// An LWWSet refers to a set in which the latest write of an element decides, and
// an add wins over a remove of the same time. T is encoded as canonical CBOR;
// equal encodings are equal elements.
type LWWSet[T any] struct{ Ref }

// NewLWWSet refers to the set under key.
func NewLWWSet[T any](key string) LWWSet[T] { return LWWSet[T]{NewRef(key, crdt.LWWSetKind.Name())} }

// Has reports whether v is in the set.
func (l LWWSet[T]) Has(s Space, v T) (bool, error) { return hasElement(l.Reader(s), v, addBiased) }

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (l LWWSet[T]) All(s Space) iter.Seq2[T, error] { return allElements[T](l.Reader(s), addBiased) }

// Len returns the number of elements. It visits them all, and those that were
// removed.
func (l LWWSet[T]) Len(s Space) (int, error) { return count(l.All(s)) }

// Add puts v into the set. A change whose time is not after that of the last
// write of v is a [*crdt.StaleError].
func (l LWWSet[T]) Add(tx Tx, v T) error { return writeElement(l.Writer(tx), v, addStamped) }

// Remove takes v out of the set, whether or not it is in it. The error is as for
// Add.
func (l LWWSet[T]) Remove(tx Tx, v T) error { return writeElement(l.Writer(tx), v, removeStamped) }

// A RemoveBiasedLWWSet refers to a set as [LWWSet] does, in which a remove wins
// over an add of the same time.
type RemoveBiasedLWWSet[T any] struct{ Ref }

// NewRemoveBiasedLWWSet refers to the set under key.
func NewRemoveBiasedLWWSet[T any](key string) RemoveBiasedLWWSet[T] {
	return RemoveBiasedLWWSet[T]{NewRef(key, crdt.RemoveBiasedLWWSetKind.Name())}
}

// Has reports whether v is in the set.
func (l RemoveBiasedLWWSet[T]) Has(s Space, v T) (bool, error) {
	return hasElement(l.Reader(s), v, removeBiased)
}

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (l RemoveBiasedLWWSet[T]) All(s Space) iter.Seq2[T, error] {
	return allElements[T](l.Reader(s), removeBiased)
}

// Len returns the number of elements. It visits them all, and those that were
// removed.
func (l RemoveBiasedLWWSet[T]) Len(s Space) (int, error) { return count(l.All(s)) }

// Add puts v into the set. A change whose time is not after that of the last
// write of v is a [*crdt.StaleError].
func (l RemoveBiasedLWWSet[T]) Add(tx Tx, v T) error {
	return writeElement(l.Writer(tx), v, addStamped)
}

// Remove takes v out of the set, whether or not it is in it. The error is as for
// Add.
func (l RemoveBiasedLWWSet[T]) Remove(tx Tx, v T) error {
	return writeElement(l.Writer(tx), v, removeStamped)
}

func addBiased(cell []byte) (bool, error) {
	times, err := crdt.DecodeTimes(cell)
	return times.AddBiased(), err
}

func removeBiased(cell []byte) (bool, error) {
	times, err := crdt.DecodeTimes(cell)
	return times.RemoveBiased(), err
}

func addStamped(w Writer, element string) error { return writeStamped(w, element, crdt.Added) }

func removeStamped(w Writer, element string) error { return writeStamped(w, element, crdt.Removed) }

func writeStamped(w Writer, element string, payload []byte) error {
	before, err := w.Before(element)
	if err != nil {
		return err
	}
	times, err := crdt.DecodeTimes(before)
	if err != nil {
		return w.Fail(err)
	}
	if w.Time() <= times.Last() {
		return w.Fail(&crdt.StaleError{Stamp: crdt.Stamp{Time: w.Time()}, Current: crdt.Stamp{Time: times.Last()}})
	}
	return w.Write(element, crdt.Op{Put: true, Payload: payload})
}
