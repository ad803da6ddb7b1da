package object

import (
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// An LWWRegister refers to a register whose latest write wins. T is encoded as
// canonical CBOR.
type LWWRegister[T any] struct{ Ref }

// NewLWWRegister refers to the last-writer-wins register under key.
func NewLWWRegister[T any](key string) LWWRegister[T] {
	return LWWRegister[T]{NewRef(key, crdt.LWWKind.Name())}
}

// Get returns the value, and false if none was ever set.
func (l LWWRegister[T]) Get(s Space) (v T, ok bool, err error) {
	cell, err := l.Reader(s).Cell("")
	if err != nil || cell == nil {
		return v, false, err
	}
	latest, err := crdt.DecodeLatest(cell)
	if err != nil {
		return v, false, err
	}
	v, err = crdt.DecodeValue[T](latest.Value)
	return v, err == nil, err
}

// Set writes v.
func (l LWWRegister[T]) Set(tx Tx, v T) error {
	w := l.Writer(tx)
	payload, err := crdt.EncodeValue(v)
	if err != nil {
		return w.Fail(err)
	}
	before, err := w.Before("")
	if err != nil {
		return err
	}
	op := crdt.Op{Put: true, Payload: payload}
	if before != nil {
		replaced, err := crdt.DecodeLatest(before)
		if err != nil {
			return w.Fail(err)
		}
		op.Seen = merge.DotSet{replaced.Dot}
	}
	return w.Write("", op)
}
