package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// A TwoPSet refers to a set that takes back no element it has removed. T is
// encoded as canonical CBOR; equal encodings are equal elements.
type TwoPSet[T any] struct{ Ref }

// NewTwoPSet refers to the two-phase set under key.
func NewTwoPSet[T any](key string) TwoPSet[T] {
	return TwoPSet[T]{NewRef(key, crdt.TwoPSetKind.Name())}
}

func twoPhaseHas(cell []byte) (bool, error) {
	p, err := crdt.DecodePhase(cell)
	return p == crdt.PhaseAdded, err
}

// Has reports whether v is in the set.
func (t TwoPSet[T]) Has(s Space, v T) (bool, error) { return hasElement(t.Reader(s), v, twoPhaseHas) }

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (t TwoPSet[T]) All(s Space) iter.Seq2[T, error] { return allElements[T](t.Reader(s), twoPhaseHas) }

// Len returns the number of elements. It visits them all, and those that were
// removed.
func (t TwoPSet[T]) Len(s Space) (int, error) { return count(t.All(s)) }

// Add puts v into the set. An element that was removed is [crdt.ErrRemoved].
func (t TwoPSet[T]) Add(tx Tx, v T) error { return writeElement(t.Writer(tx), v, addTwoPhase) }

// Remove takes v out of the set for ever. Removing what is not in it changes
// nothing.
func (t TwoPSet[T]) Remove(tx Tx, v T) error { return writeElement(t.Writer(tx), v, removeTwoPhase) }

func addTwoPhase(w Writer, element string) error {
	switch phase, err := phaseOf(w, element); {
	case err != nil:
		return err
	case phase == crdt.PhaseRemoved:
		return w.Fail(crdt.ErrRemoved)
	case phase == crdt.PhaseAdded && !survives(w):
		return nil
	}
	return putPhase(w, element, crdt.PhaseAdded)
}

func removeTwoPhase(w Writer, element string) error {
	phase, err := phaseOf(w, element)
	if err != nil || phase != crdt.PhaseAdded {
		return err
	}
	return putPhase(w, element, crdt.PhaseRemoved)
}

func phaseOf(w Writer, element string) (crdt.Phase, error) {
	cell, err := w.Cell(element)
	if err != nil {
		return crdt.Phase{}, err
	}
	p, err := crdt.DecodePhase(cell)
	if err != nil {
		return p, w.Fail(err)
	}
	return p, nil
}

func putPhase(w Writer, element string, p crdt.Phase) error {
	payload, _ := p.AppendBinary(nil)
	return w.Write(element, crdt.Op{Put: true, Payload: payload})
}
