package object

import (
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A GCounter refers to a counter that only goes up.
type GCounter struct{ Ref }

// NewGCounter refers to the grow-only counter under key.
func NewGCounter(key string) GCounter { return GCounter{NewRef(key, crdt.GCounterKind.Name())} }

// Value returns the count. A sum beyond 64 bits is the largest uint64.
func (g GCounter) Value(s Space) (uint64, error) {
	var all crdt.GCounter
	err := eachOrigin(g.Reader(s), func(o merge.Origin, cell []byte) error {
		total, err := crdt.DecodeTotal(cell)
		all.Join(o, total)
		return err
	})
	return all.Value(), err
}

// Add adds n. [crdt.ErrOverflow] says that this origin's total cannot grow by as
// much.
func (g GCounter) Add(tx Tx, n uint64) error {
	w := g.Writer(tx)
	origin := w.Dot().Origin
	cell, err := w.Cell(string(origin[:]))
	if err != nil {
		return err
	}
	total, err := crdt.DecodeTotal(cell)
	if err != nil {
		return w.Fail(err)
	}
	added, err := total.Add(n)
	if err != nil {
		return w.Fail(err)
	}
	if n == 0 {
		return nil
	}
	return putOwn(w, &added)
}
