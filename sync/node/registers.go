package node

import (
	"math"
	"math/big"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Latest refers to a register whose latest write wins.
type Latest[T any] struct{ key string }

// LWW refers to the last-writer-wins register under key.
func LWW[T any](key string) Latest[T] { return Latest[T]{key} }

// Object returns the key and the type that the reference names.
func (l Latest[T]) Object() Object { return Object{l.key, crdt.LWWKind.Name()} }

func (l Latest[T]) cell() crdtsync.CellKey {
	return crdtsync.CellKey{Object: l.key, Kind: crdt.LWWKind.Name()}
}

// Get returns the value, and false if none was ever set.
func (l Latest[T]) Get(r Reader) (v T, ok bool, err error) {
	cell, err := r.Cell(l.cell())
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
func (l Latest[T]) Set(tx *Tx, v T) error {
	payload, err := crdt.EncodeValue(v)
	if err != nil {
		return tx.fail(err)
	}
	before, err := tx.Before(l.cell())
	if err != nil {
		return err
	}
	op := crdt.Op{Put: true, Payload: payload}
	if before != nil {
		replaced, err := crdt.DecodeLatest(before)
		if err != nil {
			return tx.fail(err)
		}
		op.Seen = merge.DotSet{replaced.Dot}
	}
	return tx.Write(l.cell(), op)
}

// A Multi refers to a register that keeps concurrent values side by side.
type Multi[T any] struct{ key string }

// MVRegister refers to the multi-value register under key.
func MVRegister[T any](key string) Multi[T] { return Multi[T]{key} }

// Object returns the key and the type that the reference names.
func (m Multi[T]) Object() Object { return Object{m.key, crdt.MVKind.Name()} }

func (m Multi[T]) cell() crdtsync.CellKey {
	return crdtsync.CellKey{Object: m.key, Kind: crdt.MVKind.Name()}
}

// Values returns the values that no later write has seen, in the order of their
// dots; more than one is a conflict to resolve by setting the right one.
func (m Multi[T]) Values(r Reader) (values []T, err error) {
	cell, err := r.Cell(m.cell())
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
func (m Multi[T]) Set(tx *Tx, v T) error {
	payload, err := crdt.EncodeValue(v)
	if err != nil {
		return tx.fail(err)
	}
	return tx.supersede(m.cell(), true, payload)
}

// Clear removes all values the transaction sees.
func (m Multi[T]) Clear(tx *Tx) error { return tx.supersede(m.cell(), false, nil) }

// A Counter refers to a counter that goes up and down.
type Counter struct{ key string }

// PNCounter refers to the counter under key.
func PNCounter(key string) Counter { return Counter{key} }

// Object returns the key and the type that the reference names.
func (c Counter) Object() Object { return Object{c.key, crdt.PNCounterKind.Name()} }

// Value returns the count. A sum beyond 64 bits is the nearest int64.
func (c Counter) Value(r Reader) (int64, error) {
	total := new(big.Int)
	for cell, err := range r.Cells(c.key, crdt.PNCounterKind.Name()) {
		if err != nil {
			return 0, err
		}
		share, err := crdt.DecodeShare(cell.State)
		if err != nil {
			return 0, err
		}
		total.Add(total, big.NewInt(int64(share.P-share.PBase)))
		total.Sub(total, big.NewInt(int64(share.N-share.NBase)))
	}
	if !total.IsInt64() {
		if total.Sign() < 0 {
			return math.MinInt64, nil
		}
		return math.MaxInt64, nil
	}
	return total.Int64(), nil
}

// Add changes the count by delta, which may be negative. crdt.ErrOverflow says
// that this node's share cannot grow further.
func (c Counter) Add(tx *Tx, delta int64) error {
	key := crdtsync.CellKey{Object: c.key, Kind: crdt.PNCounterKind.Name(), Element: string(tx.write.Dot.Origin[:])}
	cell, err := tx.Cell(key)
	if err != nil {
		return err
	}
	share, err := crdt.DecodeShare(cell)
	if err != nil {
		return tx.fail(err)
	}
	added, err := share.Add(delta)
	if err != nil {
		return tx.fail(err)
	}
	return tx.putShare(key, share, added)
}

// Reset subtracts exactly what the transaction sees: an increment concurrent
// with it survives.
func (c Counter) Reset(tx *Tx) error {
	for cell, err := range tx.Cells(c.key, crdt.PNCounterKind.Name()) {
		if err != nil {
			return err
		}
		share, err := crdt.DecodeShare(cell.State)
		if err != nil {
			return tx.fail(err)
		}
		key := crdtsync.CellKey{Object: c.key, Kind: crdt.PNCounterKind.Name(), Element: cell.Element}
		if err := tx.putShare(key, share, share.Reset()); err != nil {
			return err
		}
	}
	return nil
}

// putShare writes a counter's share unless it is what it was.
func (tx *Tx) putShare(key crdtsync.CellKey, was, s crdt.Share) error {
	if s == was {
		return nil
	}
	payload, _ := s.AppendBinary(nil)
	return tx.Write(key, crdt.Op{Put: true, Payload: payload})
}
