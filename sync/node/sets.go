package node

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A GrowSet refers to a set that only grows. Like every reference it is a key
// and a type, usable with any space and from any goroutine. T is encoded as
// canonical CBOR; equal encodings are equal elements.
type GrowSet[T any] struct {
	key  string
	kind string
	has  func(cell []byte) (bool, error)
	add  func(tx *Tx, key crdtsync.CellKey) error
}

// A Set refers to a set whose elements can be removed.
type Set[T any] struct{ GrowSet[T] }

// A TwoPhase refers to a set that takes back no element it has removed.
type TwoPhase[T any] struct{ GrowSet[T] }

// GSet refers to the grow-only set under key.
func GSet[T any](key string) GrowSet[T] {
	return GrowSet[T]{key, crdt.GSetKind.Name(), isThere, addOnce}
}

// ORSet refers to the add-wins set under key: a remove deletes only the adds it
// has seen.
func ORSet[T any](key string) Set[T] {
	return Set[T]{GrowSet[T]{key, crdt.ORSetKind.Name(), isThere, func(tx *Tx, key crdtsync.CellKey) error {
		return tx.supersede(key, true, nil)
	}}}
}

// RWSet refers to the remove-wins set under key: an element is present if it
// was added and every remove has been seen by some add.
func RWSet[T any](key string) Set[T] {
	return Set[T]{GrowSet[T]{key, crdt.RWSetKind.Name(), crdt.RWSetHas, func(tx *Tx, key crdtsync.CellKey) error {
		return tx.supersede(key, true, crdt.Added)
	}}}
}

// TwoPSet refers to the two-phase set under key.
func TwoPSet[T any](key string) TwoPhase[T] {
	return TwoPhase[T]{GrowSet[T]{key, crdt.TwoPSetKind.Name(), twoPhaseHas, (*Tx).addTwoPhase}}
}

func isThere(cell []byte) (bool, error) { return cell != nil, nil }

// addOnce puts an element into a grow-only set that has it not yet.
func addOnce(tx *Tx, key crdtsync.CellKey) error {
	if cell, err := tx.Cell(key); err != nil || cell != nil {
		return err
	}
	return tx.Write(key, crdt.Op{Put: true})
}

func twoPhaseHas(cell []byte) (bool, error) {
	p, err := crdt.DecodePhase(cell)
	return p == crdt.PhaseAdded, err
}

// Object returns the key and the type that the reference names.
func (s GrowSet[T]) Object() Object { return Object{s.key, s.kind} }

func (s GrowSet[T]) cell(v T) (crdtsync.CellKey, error) {
	b, err := crdt.EncodeElement(v)
	return crdtsync.CellKey{Object: s.key, Kind: s.kind, Element: string(b)}, err
}

// Has reports whether v is in the set.
func (s GrowSet[T]) Has(r Reader, v T) (bool, error) {
	key, err := s.cell(v)
	if err != nil {
		return false, err
	}
	cell, err := r.Cell(key)
	if err != nil {
		return false, err
	}
	return s.has(cell)
}

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (s GrowSet[T]) All(r Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for c, err := range r.Cells(s.key, s.kind) {
			v, present, err := s.element(c, err)
			if err != nil {
				yield(v, err)
				return
			}
			if present && !yield(v, nil) {
				return
			}
		}
	}
}

func (s GrowSet[T]) element(c Cell, err error) (v T, present bool, _ error) {
	if err != nil {
		return v, false, err
	}
	if present, err = s.has(c.State); err != nil || !present {
		return v, false, err
	}
	v, err = crdt.DecodeValue[T]([]byte(c.Element))
	return v, true, err
}

// Len returns the number of elements. It visits them all.
func (s GrowSet[T]) Len(r Reader) (n int, err error) {
	for _, err := range s.All(r) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Add puts v into the set. In a two-phase set, an element that was removed is
// crdt.ErrRemoved.
func (s GrowSet[T]) Add(tx *Tx, v T) error {
	key, err := s.cell(v)
	if err != nil {
		return tx.fail(err)
	}
	return s.add(tx, key)
}

// Remove takes v out of the set.
func (s Set[T]) Remove(tx *Tx, v T) error {
	key, err := s.cell(v)
	if err != nil {
		return tx.fail(err)
	}
	if s.kind == crdt.RWSetKind.Name() {
		return tx.supersede(key, true, crdt.Removed)
	}
	return tx.supersede(key, false, nil)
}

// Remove takes v out of the set for ever. Removing what is not in it changes
// nothing.
func (s TwoPhase[T]) Remove(tx *Tx, v T) error {
	key, err := s.cell(v)
	if err != nil {
		return tx.fail(err)
	}
	phase, err := tx.phase(key)
	if err != nil || phase != crdt.PhaseAdded {
		return err
	}
	return tx.putPhase(key, crdt.PhaseRemoved)
}

func (tx *Tx) addTwoPhase(key crdtsync.CellKey) error {
	switch phase, err := tx.phase(key); {
	case err != nil:
		return err
	case phase == crdt.PhaseRemoved:
		return tx.fail(crdt.ErrRemoved)
	case phase == crdt.PhaseAdded:
		return nil
	}
	return tx.putPhase(key, crdt.PhaseAdded)
}

func (tx *Tx) phase(key crdtsync.CellKey) (crdt.Phase, error) {
	cell, err := tx.Cell(key)
	if err != nil {
		return crdt.Phase{}, err
	}
	p, err := crdt.DecodePhase(cell)
	if err != nil {
		return p, tx.fail(err)
	}
	return p, nil
}

func (tx *Tx) putPhase(key crdtsync.CellKey, p crdt.Phase) error {
	payload, _ := p.AppendBinary(nil)
	return tx.Write(key, crdt.Op{Put: true, Payload: payload})
}

// supersede writes over what a cell of a causal kind held before the
// transaction. A removal of nothing is not written, and takes back what the
// transaction wrote.
func (tx *Tx) supersede(key crdtsync.CellKey, put bool, payload []byte) error {
	before, err := tx.Before(key)
	if err != nil {
		return err
	}
	op, err := crdt.Supersede(before, put, payload)
	if err != nil {
		return tx.fail(err)
	}
	if !put && len(op.Seen) == 0 {
		delete(tx.ops, key)
		delete(tx.cells, key)
		return nil
	}
	return tx.Write(key, op)
}
