package object_test

import (
	"errors"
	"iter"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A ledge is a transaction over one cell, of the element "x", at any time: also
// at one that no node and no replica hands out.
type ledge struct {
	at     hlc.Timestamp
	cell   []byte
	failed error
	wrote  bool
}

func (l *ledge) Reader(_, _ string) object.Reader { return l }
func (l *ledge) Writer(_, _ string) object.Writer { return l }
func (l *ledge) Cell(string) ([]byte, error)      { return l.cell, nil }
func (l *ledge) Before(string) ([]byte, error)    { return l.cell, nil }
func (l *ledge) Write(_ string, _ crdt.Op) error  { l.wrote = true; return nil }
func (l *ledge) Fail(err error) error             { l.failed = err; return err }
func (l *ledge) Dot() merge.Dot                   { return merge.Dot{Origin: merge.Origin{1}, Seq: 2} }
func (l *ledge) Time() hlc.Timestamp              { return l.at }
func (l *ledge) Cells(string) iter.Seq2[object.Cell, error] {
	return func(yield func(object.Cell, error) bool) { yield(object.Cell{Element: "\x61x", State: l.cell}, nil) }
}

// written returns the cell of one write of the kind, at time 5 by origin 1.
func written(t *testing.T, kind crdt.Kind, payload []byte) []byte {
	t.Helper()
	cell, err := kind.Join(nil, merge.ContextOf(), crdt.Write{
		Dot: merge.Dot{Origin: merge.Origin{1}, Seq: 1}, Time: 5, Op: crdt.Op{Put: true, Payload: payload},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cell
}

func TestStaleWrites(t *testing.T) {
	set, biased, fields := object.NewLWWSet[string]("k"), object.NewRemoveBiasedLWWSet[string]("k"), object.NewLWWMap[string, int]("k")
	for name, c := range map[string]struct {
		cell  []byte
		write func(tx object.Tx) error
	}{
		"LWWSet.Add":                {written(t, crdt.LWWSetKind, crdt.Removed), func(tx object.Tx) error { return set.Add(tx, "x") }},
		"LWWSet.Remove":             {written(t, crdt.LWWSetKind, crdt.Added), func(tx object.Tx) error { return set.Remove(tx, "x") }},
		"RemoveBiasedLWWSet.Add":    {written(t, crdt.RemoveBiasedLWWSetKind, crdt.Added), func(tx object.Tx) error { return biased.Add(tx, "x") }},
		"RemoveBiasedLWWSet.Remove": {written(t, crdt.RemoveBiasedLWWSetKind, crdt.Added), func(tx object.Tx) error { return biased.Remove(tx, "x") }},
		"LWWMap.Set":                {written(t, crdt.LWWMapKind, []byte{1}), func(tx object.Tx) error { return fields.Set(tx, "x", 2) }},
		"LWWMap.Delete":             {written(t, crdt.LWWMapKind, nil), func(tx object.Tx) error { return fields.Delete(tx, "x") }},
	} {
		for at, want := range map[hlc.Timestamp]bool{4: true, 5: true, 6: false} {
			tx := &ledge{at: at, cell: c.cell}
			err := c.write(tx)
			e, isStale := errors.AsType[*crdt.StaleError](err)
			if isStale != want || (err != nil) != want || tx.wrote == want || (tx.failed != nil) != want {
				t.Errorf("%s at %v over a write at 5 = %v, failing with %v, want stale: %v", name, at, err, tx.failed, want)
			}
			if isStale && (e.Stamp.Time != at || e.Current.Time != 5) {
				t.Errorf("%s at %v: %v names other times", name, at, e)
			}
		}
	}
}

func TestDamagedCellsAreReported(t *testing.T) {
	tx := &ledge{at: 9, cell: []byte{7}}
	set, fields, counts := object.NewLWWSet[string]("k"), object.NewLWWMap[string, int]("k"), object.NewPNSet[string]("k")
	for name, read := range map[string]func() error{
		"LWWSet.Has":  func() error { _, err := set.Has(tx, "x"); return err },
		"LWWSet.Len":  func() error { _, err := set.Len(tx); return err },
		"LWWSet.Add":  func() error { return set.Add(tx, "x") },
		"LWWMap.Get":  func() error { _, _, err := fields.Get(tx, "x"); return err },
		"LWWMap.Len":  func() error { _, err := fields.Len(tx); return err },
		"LWWMap.Set":  func() error { return fields.Set(tx, "x", 1) },
		"PNSet.Add":   func() error { return counts.Add(tx, "x") },
		"PNSet.Reset": func() error { return counts.Reset(tx, "x") },
		"LWWMap.All": func() error {
			for _, err := range fields.All(tx) {
				return err
			}
			return nil
		},
	} {
		err := read()
		if _, damaged := errors.AsType[*crdt.CellError](err); !damaged || tx.wrote {
			t.Errorf("%s of a damaged cell = %v, want a *crdt.CellError", name, err)
		}
	}
	if _, err := counts.Len(tx); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("PNSet.Len with a cell that names no origin = %v, want ErrValue", err)
	}
}
