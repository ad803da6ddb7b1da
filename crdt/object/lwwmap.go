package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// An LWWMap refers to a map in which the latest write of each field wins. Keys
// and values are encoded as canonical CBOR; equal encodings are equal keys.
type LWWMap[K, V any] struct{ Ref }

// An Entry is a field of a map.
type Entry[K, V any] struct {
	Key   K
	Value V
}

// NewLWWMap refers to the last-writer-wins map under key.
func NewLWWMap[K, V any](key string) LWWMap[K, V] {
	return LWWMap[K, V]{NewRef(key, crdt.LWWMapKind.Name())}
}

// fieldThere is the presence of the fields of a last-writer-wins map.
func fieldThere(cell []byte) (bool, error) {
	latest, err := crdt.DecodeField(cell)
	return len(latest.Value) > 0, err
}

// Get returns the value of the field k, and false if it has none.
func (l LWWMap[K, V]) Get(s Space, k K) (v V, ok bool, err error) {
	b, err := crdt.EncodeElement(k)
	if err != nil {
		return v, false, err
	}
	cell, err := l.Reader(s).Cell(string(b))
	if err != nil {
		return v, false, err
	}
	latest, err := crdt.DecodeField(cell)
	if err != nil || len(latest.Value) == 0 {
		return v, false, err
	}
	v, err = crdt.DecodeValue[V](latest.Value)
	return v, err == nil, err
}

// Has reports whether the field k has a value.
func (l LWWMap[K, V]) Has(s Space, k K) (bool, error) {
	return hasElement(l.Reader(s), k, fieldThere)
}

// Keys yields the keys of the fields that have a value, in the order of their
// encodings. It yields at most one error, last.
func (l LWWMap[K, V]) Keys(s Space) iter.Seq2[K, error] {
	return allElements[K](l.Reader(s), fieldThere)
}

// All yields the fields that have a value, in the order of the encodings of
// their keys. It yields at most one error, last.
func (l LWWMap[K, V]) All(s Space) iter.Seq2[Entry[K, V], error] {
	return func(yield func(Entry[K, V], error) bool) {
		for c, err := range l.Reader(s).Cells("") {
			e, present, err := readEntry[K, V](c, err)
			if err == nil && !present {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func readEntry[K, V any](c Cell, err error) (e Entry[K, V], present bool, _ error) {
	e.Key, present, err = readElement[K](c, err, fieldThere)
	if err != nil || !present {
		return e, false, err
	}
	latest, err := crdt.DecodeField(c.State)
	if err == nil {
		e.Value, err = crdt.DecodeValue[V](latest.Value)
	}
	return e, true, err
}

// Len returns the number of fields that have a value. It visits them all, and
// those that were removed.
func (l LWWMap[K, V]) Len(s Space) (int, error) { return count(l.Keys(s)) }

// Set writes v to the field k. A change whose stamp is not after that of the
// last write of the field is a [*crdt.StaleError].
func (l LWWMap[K, V]) Set(tx Tx, k K, v V) error {
	w := l.Writer(tx)
	payload, err := crdt.EncodeValue(v)
	if err != nil {
		return w.Fail(err)
	}
	return writeField(w, k, payload)
}

// Delete removes the field k, whether or not it has a value. The error is as for
// Set.
func (l LWWMap[K, V]) Delete(tx Tx, k K) error { return writeField(l.Writer(tx), k, nil) }

func writeField[K any](w Writer, k K, payload []byte) error {
	return writeElement(w, k, func(w Writer, element string) error {
		before, err := w.Before(element)
		if err != nil {
			return err
		}
		latest, err := crdt.DecodeField(before)
		if err != nil {
			return w.Fail(err)
		}
		op := crdt.Op{Put: true, Payload: payload}
		if before != nil {
			op.Seen = merge.DotSet{latest.Dot}
		}
		stamp := crdt.Stamp{Time: w.Time(), Origin: w.Dot().Origin}
		current := crdt.Stamp{Time: latest.Time, Origin: latest.Dot.Origin}
		if before != nil && stamp.Compare(current) <= 0 {
			return w.Fail(&crdt.StaleError{Stamp: stamp, Current: current})
		}
		return w.Write(element, op)
	})
}
