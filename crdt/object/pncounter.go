package object

import (
	"math"
	"math/big"

	"github.com/joinery-crdt/joinery/crdt"
)

// A PNCounter refers to a counter that goes up and down.
type PNCounter struct{ Ref }

// NewPNCounter refers to the counter under key.
func NewPNCounter(key string) PNCounter { return PNCounter{NewRef(key, crdt.PNCounterKind.Name())} }

// Value returns the count. A sum beyond 64 bits is the nearest int64.
func (p PNCounter) Value(s Space) (int64, error) {
	total := new(big.Int)
	for cell, err := range p.Reader(s).Cells("") {
		if err != nil {
			return 0, err
		}
		share, err := crdt.DecodeShare(cell.State)
		if err != nil {
			return 0, err
		}
		addTo(total, share)
	}
	return nearest(total), nil
}

// addTo adds what a share counts to total.
func addTo(total *big.Int, s crdt.Share) {
	total.Add(total, big.NewInt(int64(s.P-s.PBase)))
	total.Sub(total, big.NewInt(int64(s.N-s.NBase)))
}

// nearest returns the int64 nearest to n.
func nearest(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// Add changes the count by delta, which may be negative. [crdt.ErrOverflow] says
// that this origin's share cannot grow further.
func (p PNCounter) Add(tx Tx, delta int64) error {
	w := p.Writer(tx)
	origin := w.Dot().Origin
	return addShare(w, string(origin[:]), delta)
}

// addShare counts the share of this origin, which is in the cell given.
func addShare(w Writer, element string, delta int64) error {
	cell, err := w.Cell(element)
	if err != nil {
		return err
	}
	share, err := crdt.DecodeShare(cell)
	if err != nil {
		return w.Fail(err)
	}
	added, err := share.Add(delta)
	if err != nil {
		return w.Fail(err)
	}
	return putShare(w, element, share, added)
}

// Reset subtracts exactly what the transaction sees: an increment concurrent
// with it survives.
func (p PNCounter) Reset(tx Tx) error { return resetShares(p.Writer(tx), "") }

// resetShares resets the shares in the cells with the prefix.
func resetShares(w Writer, prefix string) error {
	for cell, err := range w.Cells(prefix) {
		if err != nil {
			return err
		}
		share, err := crdt.DecodeShare(cell.State)
		if err != nil {
			return w.Fail(err)
		}
		if err := putShare(w, cell.Element, share, share.Reset()); err != nil {
			return err
		}
	}
	return nil
}

// putShare writes a counter's share unless it is what it was.
func putShare(w Writer, element string, was, s crdt.Share) error {
	if s == was {
		return nil
	}
	payload, _ := s.AppendBinary(nil)
	return w.Write(element, crdt.Op{Put: true, Payload: payload})
}
