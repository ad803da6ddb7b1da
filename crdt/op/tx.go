package op

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Reader returns the object of that key and kind, for typed references.
func (r *Replica) Reader(key, kind string) object.Reader {
	return reader{r, object.Object{Key: key, Kind: kind}}
}

// reader is one object of a replica.
type reader struct {
	replica *Replica
	name    object.Object
}

func (o reader) Cell(element string) ([]byte, error) {
	return o.replica.cell(Cell{o.name.Key, o.name.Kind, element}), nil
}

func (o reader) Cells(prefix string) iter.Seq2[object.Cell, error] {
	return func(yield func(object.Cell, error) bool) {
		c := o.replica.objects[o.name]
		if c == nil {
			return
		}
		for _, element := range c.elements(prefix) {
			if !yield(object.Cell{Element: element, State: c.states[element]}, nil) {
				return
			}
		}
	}
}

// Do runs fn and makes what it wrote one message, stamped at, which takes effect
// here at once and is for everybody else to Receive. It returns nil without an
// error if fn wrote nothing, and leaves no trace if fn or a method of the
// transaction failed.
//
// at must be above LastTime, or it is a [*StampError]: of two writes of which
// one saw the other, the later stamp must be the later's. fn must not call the
// replica's other methods that change it.
func (r *Replica) Do(at hlc.Timestamp, fn func(tx object.Tx) error) (*Message, error) {
	if at <= r.lastTime {
		return nil, &StampError{at, r.lastTime}
	}
	h := r.delivery.Next()
	tx := &tx{replica: r, message: &Message{Dot: h.Dot, Time: at, Deps: h.Deps}, cells: make(map[Cell]written)}
	if err := tx.run(fn); err != nil || len(tx.cells) == 0 {
		return nil, err
	}
	m := tx.message
	for _, cell := range slices.SortedFunc(maps.Keys(tx.cells), Cell.Compare) {
		w := tx.cells[cell]
		m.Ops = append(m.Ops, CellOp{cell, w.op})
		r.set(cell, w.after)
	}
	r.lastTime = at
	r.delivery.Send(m)
	return m, nil
}

// tx is a transaction on a replica.
type tx struct {
	replica *Replica
	message *Message // dot and time of the one being made
	cells   map[Cell]written
	err     error
	over    bool
}

// written is what a transaction has done to one cell.
type written struct {
	op    crdt.Op
	after []byte
}

func (t *tx) run(fn func(object.Tx) error) error {
	defer func() { t.over = true }()
	err := fn(t)
	if err == nil {
		err = t.err
	}
	return err
}

func (t *tx) usable() error {
	if t.over {
		return ErrEnded
	}
	return nil
}

func (t *tx) Reader(key, kind string) object.Reader { return t.Writer(key, kind) }

func (t *tx) Writer(key, kind string) object.Writer {
	return writer{t, object.Object{Key: key, Kind: kind}}
}

// writer is one object in a transaction.
type writer struct {
	tx   *tx
	name object.Object
}

func (w writer) cell(element string) Cell { return Cell{w.name.Key, w.name.Kind, element} }

func (w writer) Before(element string) ([]byte, error) {
	return w.tx.replica.cell(w.cell(element)), w.tx.usable()
}

func (w writer) Cell(element string) ([]byte, error) {
	if done, ok := w.tx.cells[w.cell(element)]; ok {
		return done.after, w.tx.usable()
	}
	return w.Before(element)
}

func (w writer) Cells(prefix string) iter.Seq2[object.Cell, error] {
	return func(yield func(object.Cell, error) bool) {
		if err := w.tx.usable(); err != nil {
			yield(object.Cell{}, err)
			return
		}
		found := w.tx.overlay(w.name, prefix)
		for _, element := range slices.Sorted(maps.Keys(found)) {
			if !yield(object.Cell{Element: element, State: found[element]}, nil) {
				return
			}
		}
	}
}

// overlay lays what the transaction has written over what the replica holds of
// one object.
func (t *tx) overlay(name object.Object, prefix string) map[string][]byte {
	found := make(map[string][]byte)
	if c := t.replica.objects[name]; c != nil {
		for _, element := range c.elements(prefix) {
			found[element] = c.states[element]
		}
	}
	for cell, w := range t.cells {
		if cell.Key != name.Key || cell.Kind != name.Kind || !strings.HasPrefix(cell.Element, prefix) {
			continue
		}
		if delete(found, cell.Element); w.after != nil {
			found[cell.Element] = w.after
		}
	}
	return found
}

func (w writer) Write(element string, op crdt.Op) error {
	if err := w.tx.usable(); err != nil {
		return err
	}
	cell := w.cell(element)
	if !op.Put && len(op.Seen) == 0 && len(op.Payload) == 0 {
		delete(w.tx.cells, cell)
		return nil
	}
	after, err := w.tx.join(&CellOp{cell, op})
	if err != nil {
		return w.Fail(err)
	}
	w.tx.cells[cell] = written{op, after}
	return nil
}

// join returns what a cell is after the op, in place of what the transaction did
// to it before.
func (t *tx) join(op *CellOp) ([]byte, error) {
	kind, ok := t.replica.kinds[op.Kind]
	if !ok {
		return nil, &KindError{op.Kind, t.replica.kinds.Names()}
	}
	if err := op.check(t.message.Dot); err != nil {
		return nil, t.message.malformed("an op that cannot be", err)
	}
	write := t.message.write(op)
	if err := kind.Check(write); err != nil {
		return nil, err
	}
	for _, d := range op.Seen {
		if !t.replica.delivery.Contains(d) {
			return nil, t.message.malformed("an op that cannot be", errUnseen)
		}
	}
	return kind.Join(t.replica.cell(op.Cell), t.replica.delivery, write)
}

var errUnseen = errors.New("it supersedes what the replica has not seen")

func (w writer) Fail(err error) error {
	if w.tx.err == nil {
		w.tx.err = err
	}
	return err
}

func (w writer) Dot() merge.Dot { return w.tx.message.Dot }

func (w writer) Time() hlc.Timestamp { return w.tx.message.Time }
