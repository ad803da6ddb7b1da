package object

import (
	"encoding"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A BoundedCounter refers to a counter that never falls below 0: counting down
// spends rights that this origin created by counting up, or was given.
type BoundedCounter struct{ Ref }

// NewBoundedCounter refers to the bounded counter under key.
func NewBoundedCounter(key string) BoundedCounter {
	return BoundedCounter{NewRef(key, crdt.BoundedKind.Name())}
}

// Read returns the counter as a value of the caller's own, which tells the count
// and who has rights.
func (b BoundedCounter) Read(s Space) (*crdt.BoundedCounter, error) { return readBounded(b.Reader(s)) }

func readBounded(r Reader) (*crdt.BoundedCounter, error) {
	all := &crdt.BoundedCounter{}
	err := eachOrigin(r, func(o merge.Origin, cell []byte) error {
		account, err := crdt.DecodeAccount(cell)
		all.Join(o, account)
		return err
	})
	return all, err
}

// Value returns the count.
func (b BoundedCounter) Value(s Space) (uint64, error) {
	all, err := b.Read(s)
	if err != nil {
		return 0, err
	}
	return all.Value(), nil
}

// Rights returns by how much the origin may count down.
func (b BoundedCounter) Rights(s Space, origin merge.Origin) (uint64, error) {
	all, err := b.Read(s)
	if err != nil {
		return 0, err
	}
	return all.Rights(origin), nil
}

// Inc adds n, which gives this origin as many rights. [crdt.ErrOverflow] says
// that it cannot create as many.
func (b BoundedCounter) Inc(tx Tx, n uint64) error {
	return b.change(tx, func(c *crdt.BoundedCounter, own merge.Origin) (*crdt.BoundedCounter, error) {
		return c.Inc(own, n)
	})
}

// Dec subtracts n, which spends as many rights of this origin. A
// [*crdt.RightsError] says that it has fewer.
func (b BoundedCounter) Dec(tx Tx, n uint64) error {
	return b.change(tx, func(c *crdt.BoundedCounter, own merge.Origin) (*crdt.BoundedCounter, error) {
		return c.Dec(own, n)
	})
}

// Transfer gives n rights of this origin to another. A [*crdt.RightsError] says
// that it has fewer.
func (b BoundedCounter) Transfer(tx Tx, to merge.Origin, n uint64) error {
	return b.change(tx, func(c *crdt.BoundedCounter, own merge.Origin) (*crdt.BoundedCounter, error) {
		return c.Transfer(own, to, n)
	})
}

// change applies a mutator to the counter that the transaction sees, and writes
// the origin's own account.
func (b BoundedCounter) change(tx Tx, mutate func(*crdt.BoundedCounter, merge.Origin) (*crdt.BoundedCounter, error)) error {
	w := b.Writer(tx)
	all, err := readBounded(w)
	if err != nil {
		return w.Fail(err)
	}
	own := w.Dot().Origin
	before := all.Account(own)
	if _, err := mutate(all, own); err != nil {
		return w.Fail(err)
	}
	after := all.Account(own)
	if after.Equal(&before) {
		return nil
	}
	return putOwn(w, &after)
}

// eachOrigin hands the cells of an object to f, which are named by origins.
func eachOrigin(r Reader, f func(o merge.Origin, cell []byte) error) error {
	for cell, err := range r.Cells("") {
		if err != nil {
			return err
		}
		var o merge.Origin
		copy(o[:], cell.Element)
		if err := f(o, cell.State); err != nil {
			return err
		}
	}
	return nil
}

// putOwn writes the cell of the transaction's own origin.
func putOwn(w Writer, state encoding.BinaryAppender) error {
	payload, err := state.AppendBinary(nil)
	if err != nil {
		return w.Fail(err)
	}
	own := w.Dot().Origin
	return w.Write(string(own[:]), crdt.Op{Put: true, Payload: payload})
}
