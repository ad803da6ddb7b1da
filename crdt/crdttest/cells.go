package crdttest

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A wrongKind is the error of a kind that breaks its contract.
type wrongKind struct{ error }

// cells is the kit's own Host: one object, joined by the contract of a kind.
type cells struct {
	kind   crdt.Kind
	origin merge.Origin
	states map[string][]byte
	seen   merge.VersionVector
	held   []*cellChange // what lacks a cause
}

// A cellChange is a change as it travels between cells.
type cellChange struct {
	dot    merge.Dot
	causes *merge.VersionVector
	writes []crdt.Write
}

func newCells(o merge.Origin, k crdt.Kind) *cells {
	return &cells{kind: k, origin: o, states: map[string][]byte{}}
}

// Reader returns the object if the key and the kind are those of the kit.
func (c *cells) Reader(key, kind string) object.Reader {
	if key != Key || kind != c.kind.Name() {
		return reader{}
	}
	return reader(c.states)
}

// Do runs the change and applies what it wrote.
func (c *cells) Do(at hlc.Timestamp, change func(object.Tx) error) (any, error) {
	dot := merge.Dot{Origin: c.origin, Seq: c.seen.Get(c.origin) + 1}
	tx := &cellTx{cells: c, dot: dot, time: at, ops: map[string]crdt.Op{}, after: maps.Clone(c.states)}
	if err := change(tx); err != nil || tx.err != nil {
		if tx.err != nil {
			err = tx.err
		}
		return nil, err
	}
	if len(tx.ops) == 0 {
		return nil, nil
	}
	m := &cellChange{dot: dot, causes: c.seen.Clone()}
	for _, element := range slices.Sorted(maps.Keys(tx.ops)) {
		m.writes = append(m.writes, tx.write(element, tx.ops[element]))
	}
	if err := c.apply(m); err != nil {
		return nil, &wrongKind{err}
	}
	return m, nil
}

// Receive applies the message, and what waited for it, or holds it back.
func (c *cells) Receive(message any) error {
	c.held = append(c.held, message.(*cellChange))
	for i := 0; i < len(c.held); i++ {
		m := c.held[i]
		if !c.seen.Contains(m.dot) {
			if !c.seen.Covers(m.causes) {
				continue
			}
			if err := c.apply(m); err != nil {
				return err
			}
		}
		c.held = slices.Delete(c.held, i, i+1)
		i = -1
	}
	return nil
}

func (c *cells) apply(m *cellChange) error {
	for _, w := range m.writes {
		if err := c.kind.Check(w); err != nil {
			return fmt.Errorf("the Check of the kind refuses an own write: %w", err)
		}
		state, err := join(c.kind, c.states[string(w.Element)], &c.seen, w)
		if err != nil {
			return err
		}
		if c.states[string(w.Element)] = state; state == nil {
			delete(c.states, string(w.Element))
		}
	}
	c.seen.Raise(m.dot)
	return nil
}

// join is Join, held to leaving its arguments alone.
func join(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	was, payload := bytes.Clone(cell), bytes.Clone(w.Payload)
	state, err := k.Join(cell, seen, w)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the Join of the kind refuses an own write: %w", err)
	case !bytes.Equal(was, cell) || !bytes.Equal(payload, w.Payload):
		return nil, fmt.Errorf("the Join of the kind modifies its arguments: cell %x, payload %x", was, payload)
	case state != nil && len(state) == 0 && cell == nil && !w.Put:
		return nil, fmt.Errorf("the Join of the kind makes an empty cell out of nothing, it should be nil")
	}
	return slices.Clip(state), nil
}

// reader reads the cells of an object.
type reader map[string][]byte

func (r reader) Cell(element string) ([]byte, error) { return r[element], nil }

func (r reader) Cells(prefix string) iter.Seq2[object.Cell, error] {
	return func(yield func(object.Cell, error) bool) {
		for _, e := range slices.Sorted(maps.Keys(r)) {
			if strings.HasPrefix(e, prefix) && !yield(object.Cell{Element: e, State: r[e]}, nil) {
				return
			}
		}
	}
}

// A cellTx is a transaction over cells, and the writer of their object.
type cellTx struct {
	*cells
	dot   merge.Dot
	time  hlc.Timestamp
	ops   map[string]crdt.Op
	after map[string][]byte
	err   error
}

func (t *cellTx) Reader(key, kind string) object.Reader {
	if key != Key || kind != t.kind.Name() {
		return reader{}
	}
	return reader(t.after)
}

func (t *cellTx) Writer(key, kind string) object.Writer {
	if key != Key || kind != t.kind.Name() {
		_ = t.Fail(fmt.Errorf("crdttest: a write to the %s %q, want the %s %q", kind, key, t.kind.Name(), Key))
	}
	return cellWriter{reader(t.after), t}
}

// Fail makes the transaction fail with the first error.
func (t *cellTx) Fail(err error) error {
	if t.err == nil {
		t.err = err
	}
	return t.err
}

func (t *cellTx) write(element string, op crdt.Op) crdt.Write {
	return crdt.Write{Dot: t.dot, Time: t.time, Element: []byte(element), Op: op}
}

type cellWriter struct {
	reader
	tx *cellTx
}

func (w cellWriter) Before(element string) ([]byte, error) { return w.tx.states[element], nil }
func (w cellWriter) Fail(err error) error                  { return w.tx.Fail(err) }
func (w cellWriter) Dot() merge.Dot                        { return w.tx.dot }
func (w cellWriter) Time() hlc.Timestamp                   { return w.tx.time }

// Write joins the op into the state before the transaction.
func (w cellWriter) Write(element string, op crdt.Op) error {
	before := w.tx.states[element]
	if !op.Put && len(op.Seen) == 0 {
		delete(w.tx.ops, element)
		w.set(element, before)
		return nil
	}
	write := w.tx.write(element, op)
	if err := w.tx.kind.Check(write); err != nil {
		return w.tx.Fail(err)
	}
	state, err := join(w.tx.kind, before, &w.tx.seen, write)
	if err != nil {
		return w.tx.Fail(&wrongKind{err})
	}
	w.tx.ops[element] = op
	w.set(element, state)
	return nil
}

func (w cellWriter) set(element string, state []byte) {
	if w.tx.after[element] = state; state == nil {
		delete(w.tx.after, element)
	}
}
