package object

import "github.com/joinery-crdt/joinery/crdt"

// An MVRegister refers to a register that keeps concurrent values side by side.
// T is encoded as canonical CBOR.
type MVRegister[T any] struct{ Ref }

// NewMVRegister refers to the multi-value register under key.
func NewMVRegister[T any](key string) MVRegister[T] {
	return MVRegister[T]{NewRef(key, crdt.MVKind.Name())}
}

// Values returns the values that no later write has seen, in the order of their
// dots; more than one is a conflict to resolve by setting the right one.
func (m MVRegister[T]) Values(s Space) (values []T, err error) {
	cell, err := m.Reader(s).Cell("")
	if err != nil {
		return nil, err
	}
	live, err := crdt.DecodeDots(cell)
	if err != nil {
		return nil, err
	}
	for e := range live.All() {
		v, err := crdt.DecodeValue[T](e.Value)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// Set writes v over all values the transaction sees.
func (m MVRegister[T]) Set(tx Tx, v T) error {
	w := m.Writer(tx)
	payload, err := crdt.EncodeValue(v)
	if err != nil {
		return w.Fail(err)
	}
	return supersede(w, "", true, payload)
}

// Clear removes all values the transaction sees.
func (m MVRegister[T]) Clear(tx Tx) error { return supersede(m.Writer(tx), "", false, nil) }
