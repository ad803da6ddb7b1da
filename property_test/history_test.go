package property_test

import (
	"bytes"
	"encoding"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// maxOps is how many changes a history can have: the bits of ids.
const maxOps = 64

// ids is a set of changes by number.
type ids uint64

func (s ids) has(id int) bool { return s>>id&1 == 1 }

// An op is one change, in terms that each type and its definition understand.
type op struct {
	id      int
	origin  merge.Origin
	verb    string
	element string
	n       int64
	time    int64
	seen    ids // the changes that its author had seen
}

// A form is a replicated type and the definition of its value.
type form[V merge.Lattice[V]] struct {
	verbs  []string
	bottom func() V
	apply  func(V, op) (delta V, err error) // with an error nothing changes
	read   func(V) string
	// define computes what read must give, from the visible changes alone.
	define func(visible []op) string
	// decode reads the bytes of a value. Without it the type has no bytes.
	decode func([]byte) (V, error)
}

// A message is a delta, or several in one, on its way.
type message[V any] struct {
	delta   V
	carries ids
}

type replica[V any] struct {
	value   V
	visible ids
}

// A history is a run of a program.
type history[V merge.Lattice[V]] struct {
	form     form[V]
	replicas []*replica[V]
	ops      []op
	messages []message[V]
}

// play runs the program, and returns what broke first.
func play[V merge.Lattice[V]](f form[V], p program) (*history[V], error) {
	h := &history[V]{form: f}
	for range replicas {
		h.replicas = append(h.replicas, &replica[V]{value: f.bottom()})
	}
	for i, s := range p {
		if err := h.step(s); err != nil {
			return h, fmt.Errorf("step %d (%v): %w", i, s, err)
		}
		if err := h.judge(h.replicas[s.at]); err != nil {
			return h, fmt.Errorf("after step %d (%v): %w", i, s, err)
		}
	}
	return h, nil
}

func (h *history[V]) step(s step) error {
	at := h.replicas[s.at]
	switch s.do {
	case local:
		return h.change(at, s)
	case deliver:
		if m, ok := h.sent(s.from); ok {
			return h.receive(at, m)
		}
	case pull:
		from := h.replicas[s.from%replicas]
		return h.receive(at, message[V]{from.value, from.visible})
	case group:
		return h.group(s.from, s.what)
	case reload:
		return h.reload(at)
	}
	return nil
}

// sent returns the message sent n before the last, modulo their number.
func (h *history[V]) sent(n int) (m message[V], ok bool) {
	if len(h.messages) == 0 {
		return m, false
	}
	return h.messages[len(h.messages)-1-n%len(h.messages)], true
}

// change makes a change at a replica that has seen the causes of all it has
// seen; what an author means who has not, no definition says.
func (h *history[V]) change(at *replica[V], s step) error {
	if len(h.ops) == maxOps || !h.isClosed(at.visible) {
		return nil
	}
	o := h.newOp(at, s)
	before := at.value.Clone()
	delta, err := h.form.apply(at.value, o)
	if err != nil {
		if !at.value.Equal(before) {
			return fmt.Errorf("a refused change (%w) changes the state", err)
		}
		return nil
	}
	if before.Merge(delta); !before.Equal(at.value) {
		return fmt.Errorf("merging the delta gives %s, the mutator %s", h.form.read(before), h.form.read(at.value))
	}
	at.visible |= 1 << o.id
	h.ops = append(h.ops, o)
	h.messages = append(h.messages, message[V]{delta, 1 << o.id})
	return nil
}

// newOp numbers a change; its time is after all that its author has seen, so
// that concurrent changes often have equal times.
func (h *history[V]) newOp(at *replica[V], s step) op {
	o := op{
		id: len(h.ops), origin: origin(s.at), seen: at.visible, time: 1,
		verb: h.form.verbs[s.what%len(h.form.verbs)], element: fmt.Sprint("e", s.n%3), n: int64(s.n) - 3,
	}
	for _, seen := range h.visibleTo(at) {
		o.time = max(o.time, seen.time+1)
	}
	return o
}

// receive merges a message, and checks the report of a change.
func (h *history[V]) receive(at *replica[V], m message[V]) error {
	before := at.value.Clone()
	changed := at.value.Merge(m.delta)
	if changed == before.Equal(at.value) {
		return fmt.Errorf("Merge reports a change: %t, but leads from %s to %s", changed, h.form.read(before), h.form.read(at.value))
	}
	at.visible |= m.carries
	return nil
}

func (h *history[V]) group(i, j int) error {
	a, ok := h.sent(i)
	if !ok {
		return nil
	}
	b, _ := h.sent(j)
	both := message[V]{a.delta.Clone(), a.carries | b.carries}
	both.delta.Merge(b.delta)
	h.messages = append(h.messages, both)
	return nil
}

func (h *history[V]) reload(at *replica[V]) error {
	if h.form.decode == nil {
		return nil
	}
	again, err := h.form.decode(h.bytes(at.value))
	if err != nil {
		return fmt.Errorf("a state does not decode: %w", err)
	}
	if !again.Equal(at.value) {
		return fmt.Errorf("a state of %s decodes to %s", h.form.read(at.value), h.form.read(again))
	}
	at.value = again
	return nil
}

// bytes returns the encoding of v, nil if its type has none.
func (h *history[V]) bytes(v V) []byte {
	if h.form.decode == nil {
		return nil
	}
	b, err := any(v).(encoding.BinaryAppender).AppendBinary(nil)
	if err != nil {
		panic(err) // all elements of these tests can be encoded
	}
	return b
}

// isClosed reports whether with each change all that its author saw is there.
func (h *history[V]) isClosed(visible ids) bool {
	for _, o := range h.ops {
		if visible.has(o.id) && o.seen&^visible != 0 {
			return false
		}
	}
	return true
}

func (h *history[V]) visibleTo(at *replica[V]) (visible []op) {
	for _, o := range h.ops {
		if at.visible.has(o.id) {
			visible = append(visible, o)
		}
	}
	return visible
}

// judge compares the value of a replica with its definition. While a cause is
// missing, the definition says nothing.
func (h *history[V]) judge(at *replica[V]) error {
	if !h.isClosed(at.visible) {
		return nil
	}
	visible := h.visibleTo(at)
	if got, want := h.form.read(at.value), h.form.define(visible); got != want {
		return fmt.Errorf("the value is %s, its definition says %s of %+v", got, want, visible)
	}
	return nil
}

// heal brings everything to all replicas: one learns from all messages but no
// state, in an order that no author saw, the others from each other. All must
// agree with the definition and to the byte.
func (h *history[V]) heal() error {
	last := &replica[V]{value: h.form.bottom()}
	for i := range h.messages {
		m, _ := h.sent(i)
		if err := h.receive(last, m); err != nil {
			return err
		}
	}
	if err := h.judge(last); err != nil {
		return fmt.Errorf("of all messages: %w", err)
	}
	for _, at := range h.replicas {
		for _, from := range append(h.replicas, last) {
			if err := h.receive(at, message[V]{from.value, from.visible}); err != nil {
				return err
			}
		}
		if err := h.judge(at); err != nil {
			return fmt.Errorf("of all states: %w", err)
		}
		if !at.value.Equal(last.value) || !bytes.Equal(h.bytes(at.value), h.bytes(last.value)) {
			return fmt.Errorf("two replicas that have seen everything differ: %s and %s, bytes %x and %x",
				h.form.read(at.value), h.form.read(last.value), h.bytes(at.value), h.bytes(last.value))
		}
	}
	return nil
}

// verify plays a program and heals the result.
func verify[V merge.Lattice[V]](f form[V], p program) error {
	h, err := play(f, p)
	if err != nil {
		return err
	}
	return h.heal()
}
