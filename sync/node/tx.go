package node

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Reader reads objects: a [View] or a [Tx]. What it returns is the caller's
// to keep and must not be modified.
type Reader interface {
	object.Space // typed references read through it
	// Cell returns the state of one cell, nil if it is absent.
	Cell(key crdtsync.CellKey) ([]byte, error)
	// Cells yields the cells of one object in ascending order of element. It
	// yields at most one error, last.
	Cells(object, kind string) iter.Seq2[Cell, error]
	// Objects yields the objects whose key starts with prefix, ascending.
	Objects(prefix string) iter.Seq2[Object, error]
}

// A Cell is one stored part of an object.
type Cell = object.Cell

// An Object names an object: the same key with two kinds is two objects.
type Object = object.Object

// A View is one immutable snapshot of a space. It is valid until the function
// it was given to returns, and for one goroutine at a time.
type View struct {
	space string
	r     store.Reader
}

// Cell returns the state of one cell, nil if it is absent.
func (v *View) Cell(key crdtsync.CellKey) ([]byte, error) {
	b, _ := key.AppendBinary(nil)
	return spacestore.Cells{Reader: v.r, Space: v.space}.Cell(b)
}

// Cells yields the cells of one object in ascending order of element.
func (v *View) Cells(object, kind string) iter.Seq2[Cell, error] {
	return v.cells(Object{Key: object, Kind: kind}, "")
}

// cells yields those whose element starts with element.
func (v *View) cells(o Object, element string) iter.Seq2[Cell, error] {
	prefix := crdtsync.KindPrefix(o.Key, o.Kind)
	within := store.Range{Prefix: append(prefix[:len(prefix):len(prefix)], element...)}
	return func(yield func(Cell, error) bool) {
		for rec, err := range v.r.Scan(v.space, store.Cells, within) {
			if err != nil {
				yield(Cell{}, err)
				return
			}
			c := Cell{Element: string(rec.Key[len(prefix):]), State: append([]byte{}, rec.Value...)}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Objects yields the objects whose key starts with prefix, ascending. It visits
// one cell per object.
func (v *View) Objects(prefix string) iter.Seq2[Object, error] { return v.objects(prefix, nil) }

// ObjectsAfter yields those that Objects yields after the object given, which
// need not exist: the next page.
func (v *View) ObjectsAfter(prefix string, o Object) iter.Seq2[Object, error] {
	return v.objects(prefix, pastObject(crdtsync.CellKey{Object: o.Key, Kind: o.Kind}))
}

func (v *View) objects(prefix string, after []byte) iter.Seq2[Object, error] {
	start := crdtsync.ObjectPrefix(nil, prefix)
	start = start[:len(start)-2] // without the end of the name: longer names too
	return func(yield func(Object, error) bool) {
		after := after
		for {
			rec, err := v.first(store.Range{Prefix: start, After: after})
			if rec == nil && err == nil {
				return
			}
			var key crdtsync.CellKey
			if err == nil {
				key, err = crdtsync.ParseCellKey(rec)
			}
			if !yield(Object{Key: key.Object, Kind: key.Kind}, err) || err != nil {
				return
			}
			after = pastObject(key)
		}
	}
}

// pastObject returns a key above all cells of the object and below all others
// that follow: its prefix, the last byte of which no stored key has one higher.
func pastObject(key crdtsync.CellKey) []byte {
	b := crdtsync.KindPrefix(key.Object, key.Kind)
	b[len(b)-1]++
	return b
}

// first returns the first key in the range, nil if there is none.
func (v *View) first(r store.Range) ([]byte, error) {
	for rec, err := range v.r.Scan(v.space, store.Cells, r) {
		return bytes.Clone(rec.Key), err
	}
	return nil, nil
}

// A Tx is a transaction: it reads the space as it is plus its own writes. It is
// valid until the function it was given to returns, and for one goroutine at a
// time. The first error of one of its methods sticks and makes the transaction
// fail, even if it is ignored.
type Tx struct {
	space *Space
	base  View
	stage *crdtsync.Stage
	write crdt.Write // dot and time of the change being made
	cells cellWrites // what the transaction has written
	err   error
	over  atomic.Bool // the function it was given to has returned
}

// ErrEnded: a transaction was used after its function had returned.
var ErrEnded = errors.New("node: transaction used after its function returned")

func newTx(s *Space, b *batch) *Tx {
	st := b.stageOf(s)
	s.node.clock.Advance(st.LastTime())
	return &Tx{
		space: s, stage: st, base: View{s.name, b.tx},
		write: crdt.Write{
			Dot:  merge.Dot{Origin: s.node.Origin(), Seq: st.Head(s.node.Origin()).Seq + 1},
			Time: s.node.clock.Now(),
		},
	}
}

// Dot returns the dot that the transaction's change will have, if it makes one.
func (tx *Tx) Dot() merge.Dot { return tx.write.Dot }

// Time returns the stamp that the transaction's change will have.
func (tx *Tx) Time() hlc.Timestamp { return tx.write.Time }

// end makes the transaction useless: what it reads is the committer's again.
func (tx *Tx) end() { tx.over.Store(true) }

func (tx *Tx) usable() error {
	if tx.over.Load() {
		return ErrEnded
	}
	return nil
}

// Changed reports whether the transaction has written anything so far. If it
// has not when its function returns, it makes no change and takes no dot.
func (tx *Tx) Changed() bool { return tx.cells.len() > 0 }

// fail makes err stick and returns it.
func (tx *Tx) fail(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return err
}

// Before returns the state of a cell before the transaction, nil if it is
// absent: what its op supersedes.
func (tx *Tx) Before(key crdtsync.CellKey) ([]byte, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	b, err := tx.stage.Cell(key)
	if err != nil {
		return nil, tx.fail(err)
	}
	return b, nil
}

// Cell returns the state of one cell as the transaction leaves it.
func (tx *Tx) Cell(key crdtsync.CellKey) ([]byte, error) {
	if w := tx.cells.find(key); w != nil {
		return w.state, tx.usable()
	}
	return tx.Before(key)
}

// Write sets what the transaction does to a cell, replacing what it did to it
// earlier: op works on the state that Before returns and contains what the
// transaction did before. An op that neither puts nor supersedes takes back what
// the transaction did. The typed references do this; call it for kinds of your
// own.
func (tx *Tx) Write(key crdtsync.CellKey, op crdt.Op) error {
	if err := crdtsync.CheckName("object", key.Object, crdtsync.MaxObject); err != nil {
		return tx.fail(err)
	}
	kind, ok := tx.space.node.cfg.Kinds[key.Kind]
	if !ok {
		return tx.fail(&crdtsync.NameError{
			What: "kind", Name: key.Kind,
			Problem: fmt.Sprintf("is unknown; known are %v", tx.space.node.cfg.Kinds.Names()),
		})
	}
	before, err := tx.Before(key)
	if err != nil {
		return err
	}
	if isNothing(op) {
		tx.cells.remove(key)
		return nil
	}
	w := tx.write
	w.Element, w.Op = []byte(key.Element), op
	if err := kind.Check(w); err != nil {
		return tx.fail(err)
	}
	after, err := kind.Join(before, tx.stage, w)
	if err != nil {
		return tx.fail(err)
	}
	tx.cells.set(cellWrite{key, op, after})
	return nil
}

// author makes the transaction's writes a change, unless there are none.
func (tx *Tx) author() error {
	if tx.err != nil || tx.cells.len() == 0 {
		return tx.err
	}
	ops := make([]crdtsync.CellOp, 0, tx.cells.len())
	for w := range tx.cells.all() {
		ops = append(ops, crdtsync.CellOp{Cell: w.key, Op: w.op})
	}
	tx.stage.MaxChange(tx.space.node.cfg.MaxChange)
	_, err := tx.stage.Author(tx.write.Time, ops)
	return err
}

// Cells yields the cells of one object as the transaction leaves them.
func (tx *Tx) Cells(object, kind string) iter.Seq2[Cell, error] {
	return tx.cellsOf(Object{Key: object, Kind: kind}, "")
}

// cellsOf yields those whose element starts with prefix.
func (tx *Tx) cellsOf(o Object, prefix string) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) {
		found, err := tx.collect(o, prefix)
		for _, element := range slices.Sorted(maps.Keys(found)) {
			if !yield(Cell{Element: element, State: found[element]}, nil) {
				return
			}
		}
		if err != nil {
			yield(Cell{}, tx.fail(err))
		}
	}
}

// collect lays what the batch and the transaction have written over what is
// stored of one object, of elements that start with prefix.
func (tx *Tx) collect(o Object, prefix string) (map[string][]byte, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	found := make(map[string][]byte)
	set := func(element string, state []byte) {
		if delete(found, element); state != nil {
			found[element] = state
		}
	}
	for c, err := range tx.base.cells(o, prefix) {
		if err != nil {
			return nil, err
		}
		set(c.Element, c.State)
	}
	name := crdtsync.KindPrefix(o.Key, o.Kind)
	for _, key := range tx.stage.TouchedKeys(append(name[:len(name):len(name)], prefix...)) {
		state, _ := tx.stage.Touched([]byte(key))
		set(key[len(name):], state)
	}
	for w := range tx.cells.all() {
		if w.key.Object == o.Key && w.key.Kind == o.Kind && strings.HasPrefix(w.key.Element, prefix) {
			set(w.key.Element, w.state)
		}
	}
	return found, nil
}

// Objects yields the objects whose key starts with prefix as the transaction
// leaves them, ascending.
func (tx *Tx) Objects(prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		found, err := tx.collectObjects(prefix)
		if err != nil {
			yield(Object{}, tx.fail(err))
			return
		}
		for _, o := range slices.SortedFunc(maps.Keys(found), compareObjects) {
			alive, err := tx.holds(o)
			if err != nil {
				yield(Object{}, err)
				return
			}
			if alive && !yield(o, nil) {
				return
			}
		}
	}
}

// collectObjects returns the objects that are stored and those that the batch
// or the transaction has written, which may be left without cells.
func (tx *Tx) collectObjects(prefix string) (map[Object]bool, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	found := make(map[Object]bool)
	for o, err := range tx.base.Objects(prefix) {
		if err != nil {
			return nil, err
		}
		found[o] = true
	}
	tx.addTouched(prefix, found)
	return found, nil
}

// addTouched adds the objects that the batch and the transaction have written.
func (tx *Tx) addTouched(prefix string, found map[Object]bool) {
	start := crdtsync.ObjectPrefix(nil, prefix)
	for _, stored := range tx.stage.TouchedKeys(start[:len(start)-2]) {
		if key, err := crdtsync.ParseCellKey([]byte(stored)); err == nil {
			found[Object{Key: key.Object, Kind: key.Kind}] = true
		}
	}
	for w := range tx.cells.all() {
		if strings.HasPrefix(w.key.Object, prefix) {
			found[Object{Key: w.key.Object, Kind: w.key.Kind}] = true
		}
	}
}

func (tx *Tx) holds(o Object) (bool, error) {
	for _, err := range tx.Cells(o.Key, o.Kind) {
		return err == nil, err
	}
	return false, nil
}

func compareObjects(o, p Object) int { return cellOf(o, "").Compare(cellOf(p, "")) }
