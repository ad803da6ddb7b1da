package op

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Limits on names, in bytes; neither may be empty.
const (
	MaxKey  = 1 << 10 // of an object
	MaxKind = 64
)

// A Message is one transaction of one origin: the operation. Once made it must
// not be modified, since replicas keep parts of it.
type Message struct {
	Dot  merge.Dot
	Time hlc.Timestamp
	// Deps is the tips of other origins that the author had seen, ascending: with
	// what they depend on, all it had seen.
	Deps []merge.Dot
	// Ops is what it does, at most one for each cell, ascending by cell.
	Ops []CellOp
}

// A Cell names one cell of a replica.
type Cell struct {
	Key     string // of the object
	Kind    string // of the object; two kinds under one key are two objects
	Element string // which part of the object, empty for the only one
}

// Compare orders by key, kind and element.
func (c Cell) Compare(o Cell) int {
	return cmp.Or(strings.Compare(c.Key, o.Key), strings.Compare(c.Kind, o.Kind), strings.Compare(c.Element, o.Element))
}

// check returns an error unless the names can be those of a cell.
func (c Cell) check() error {
	for _, name := range []struct {
		what, text string
		limit      int
	}{{"key", c.Key, MaxKey}, {"kind", c.Kind, MaxKind}} {
		switch {
		case name.text == "" || len(name.text) > name.limit:
			return fmt.Errorf("the %s of an object has %d bytes, it takes 1 to %d", name.what, len(name.text), name.limit)
		case !utf8.ValidString(name.text):
			return fmt.Errorf("the %s of an object is not UTF-8", name.what)
		}
	}
	return nil
}

// A CellOp is what a message does to one cell.
type CellOp struct {
	Cell
	crdt.Op
}

// write returns what op does, as its kind joins it. An empty payload is the same
// before and after it has been encoded.
func (m *Message) write(op *CellOp) crdt.Write {
	w := crdt.Write{Dot: m.Dot, Time: m.Time, Element: []byte(op.Element), Op: op.Op}
	if w.Put && w.Payload == nil {
		w.Payload = []byte{}
	}
	return w
}

// Equal reports whether both are the same message, to the byte.
func (m *Message) Equal(o *Message) bool {
	return m.Dot == o.Dot && m.Time == o.Time && slices.Equal(m.Deps, o.Deps) &&
		slices.EqualFunc(m.Ops, o.Ops, func(a, b CellOp) bool {
			return a.Cell == b.Cell && a.Put == b.Put && slices.Equal(a.Seen, b.Seen) && bytes.Equal(a.Payload, b.Payload)
		})
}

// Header returns what the delivery of the message depends on: its Deps, and what
// its ops supersede. From a correct author the first imply the second; from
// another, an op that came before what it supersedes would have another effect
// than one that came behind.
func (m *Message) Header() Header {
	deps := slices.Clip(m.Deps)
	for i := range m.Ops {
		for _, d := range m.Ops[i].Seen {
			if d.Origin != m.Dot.Origin {
				deps = append(deps, d)
			}
		}
	}
	return Header{m.Dot, deps}
}

// check returns a [*MessageError] unless the message has a canonical form.
func (m *Message) check() error {
	if err := (Header{m.Dot, m.Deps}).check(); err != nil {
		return err
	}
	for i, d := range m.Deps {
		if d.Origin == m.Dot.Origin || i > 0 && d.Origin.Compare(m.Deps[i-1].Origin) <= 0 {
			return m.malformed("dependencies out of order, or on itself", nil)
		}
	}
	if len(m.Ops) == 0 {
		return m.malformed("it does nothing", nil)
	}
	for i := range m.Ops {
		if i > 0 && m.Ops[i].Cell.Compare(m.Ops[i-1].Cell) <= 0 {
			return m.malformed("cells out of order, or twice", nil)
		}
		if err := m.Ops[i].check(m.Dot); err != nil {
			return m.malformed("an op that cannot be", err)
		}
	}
	return nil
}

func (m *Message) malformed(problem string, err error) error {
	return &MessageError{m.Dot, problem, err}
}

var (
	errSeen    = errors.New("what it supersedes is out of order or range")
	errPayload = errors.New("a payload that it does not put")
)

// check returns an error unless op can be part of a message with the dot.
func (op *CellOp) check(dot merge.Dot) error {
	for i, d := range op.Seen {
		switch {
		case d.Seq == 0 || d.Seq > merge.MaxSeq, i > 0 && d.Compare(op.Seen[i-1]) <= 0,
			d.Origin == dot.Origin && d.Seq >= dot.Seq:
			return errSeen
		}
	}
	if !op.Put && len(op.Payload) > 0 {
		return errPayload
	}
	return op.Cell.check()
}
