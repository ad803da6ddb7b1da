package crdttest

import (
	"bytes"
	"encoding"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// A Form tells the kit how to use a stand-alone replicated type. Its functions
// keep no state of their own: the same arguments give the same results.
type Form[V merge.Lattice[V]] struct {
	// Verbs is what a change can do. A verb that is listed twice is drawn twice
	// as often.
	Verbs []string
	// New returns an empty value.
	New func() V
	// Apply makes the change and returns its delta. An error refuses the
	// change, and then the value must be as it was.
	Apply func(v V, c Change) (delta V, err error)
	// Read renders the value in the way of Spec.
	Read func(v V) string
	// Spec is the definition of the value. Without it only what does not need
	// one is checked.
	Spec Spec
	// Decode reads the bytes of a value, which the type writes with
	// AppendBinary or MarshalBinary. Without it the type has no bytes.
	Decode func(b []byte) (V, error)
}

// A Clause is one of the things that must hold of a type.
type Clause string

// The clauses, in the order in which Check looks at them.
const (
	// Specified: at every replica that has the causes of what it has seen, the
	// value is what the specification says; merging a delta is running the
	// mutator, which gives the same result each time and shares no memory
	// between value and delta; Merge reports a change if there was one; a
	// refused change changes nothing; a value survives its bytes; and replicas
	// that have seen everything are equal to the byte.
	Specified Clause = "specification"
	// Lawful: the states and deltas of a history keep [mergetest.Laws].
	Lawful Clause = "laws"
	// Unordered: up to six deltas of a history keep [mergetest.Orders], and up
	// to six mutators [mergetest.Deltas].
	Unordered Clause = "deltas"
	// Encoded: a state and a delta of a history keep [mergetest.Codec].
	Encoded Clause = "codec"
)

// Clauses returns all clauses.
func Clauses() []Clause { return []Clause{Specified, Lawful, Unordered, Encoded} }

// Run plays a program and returns what breaks the clause, or nil. The error is
// about this program only; [Check] looks for a program that breaks one.
func (f Form[V]) Run(c Clause, p Program) error { return f.run(c, p, nil) }

func (f Form[V]) run(c Clause, p Program, log *[]string) (err error) {
	defer recovered(&err)
	states := newStates(f)
	h := newHistory(f.Verbs, f.Spec, log, states)
	if err := h.play(p); err != nil {
		return err
	}
	switch c {
	case Specified:
		return h.heal()
	case Lawful:
		return states.lawful(h)
	case Unordered:
		return states.unordered(h, p)
	case Encoded:
		return states.encoded(h)
	}
	return fmt.Errorf("crdttest: no clause is called %q", c)
}

// recovered makes an error of a panic, which is one more way to be wrong.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v", r)
	}
}

// states is the subject of a Form: one value per replica.
type states[V merge.Lattice[V]] struct {
	form   Form[V]
	values []V
}

func newStates[V merge.Lattice[V]](f Form[V]) *states[V] {
	s := &states[V]{form: f}
	for range Replicas + 1 {
		s.values = append(s.values, f.New())
	}
	return s
}

// change makes a change, and makes it again on a copy, whose delta it spoils.
func (s *states[V]) change(at int, c Change) (any, error) {
	value := s.values[at]
	before, again, merged := value.Clone(), value.Clone(), value.Clone()
	delta, err := s.form.Apply(value, c)
	if err != nil {
		if !value.Equal(before) {
			return nil, fmt.Errorf("a refused change (%w) leads from %s to %s", err, s.form.Read(before), s.form.Read(value))
		}
		return nil, &refusal{err}
	}
	if merged.Merge(delta); !merged.Equal(value) || !bytes.Equal(s.bytes(merged), s.bytes(value)) {
		return nil, fmt.Errorf("merging the delta gives %s, the mutator %s", s.form.Read(merged), s.form.Read(value))
	}
	spoilt, err := s.form.Apply(again, c)
	if err != nil || !again.Equal(value) {
		return nil, fmt.Errorf("the same change gives %s, and once more %s, error %v", s.form.Read(value), s.form.Read(again), err)
	}
	for _, other := range s.values {
		spoilt.Merge(other)
	}
	if !again.Equal(value) {
		return nil, fmt.Errorf("what is merged into the delta of a change shows in the value: %s", s.form.Read(again))
	}
	return delta, nil
}

func (s *states[V]) receive(at int, parts []part) error {
	for _, p := range parts {
		before := s.values[at].Clone()
		changed := s.values[at].Merge(p.payload.(V))
		if changed == before.Equal(s.values[at]) {
			return fmt.Errorf("a Merge reports a change: %t, but leads from %s to %s", changed, s.form.Read(before), s.form.Read(s.values[at]))
		}
	}
	return nil
}

func (s *states[V]) all(of int) []part { return []part{{payload: s.values[of]}} }

func (s *states[V]) group(a, b []part) []part {
	both := a[0].payload.(V).Clone()
	both.Merge(b[0].payload.(V))
	return []part{{payload: both}}
}

func (s *states[V]) reload(at int) error {
	if s.form.Decode == nil {
		return nil
	}
	again, err := s.form.Decode(s.bytes(s.values[at]))
	if err != nil {
		return fmt.Errorf("a state does not decode: %w", err)
	}
	if !again.Equal(s.values[at]) {
		return fmt.Errorf("a state of %s decodes to %s", s.form.Read(s.values[at]), s.form.Read(again))
	}
	s.values[at] = again
	return nil
}

func (s *states[V]) read(at int) (string, error) { return s.form.Read(s.values[at]), nil }

func (s *states[V]) compare(a, b int) error {
	left, right := s.values[a], s.values[b]
	if x, y := s.bytes(left), s.bytes(right); !left.Equal(right) || !bytes.Equal(x, y) {
		return fmt.Errorf("two replicas that have seen everything differ: %s and %s, bytes %x and %x", s.form.Read(left), s.form.Read(right), x, y)
	}
	return nil
}

func (s *states[V]) causal() (silent idSet, waits bool) { return 0, false }

// bytes returns the encoding of v, nil if its type has none.
func (s *states[V]) bytes(v V) []byte {
	if s.form.Decode == nil {
		return nil
	}
	var b []byte
	var err error
	switch v := any(v).(type) {
	case encoding.BinaryAppender:
		b, err = v.AppendBinary(nil)
	case encoding.BinaryMarshaler:
		b, err = v.MarshalBinary()
	}
	if err != nil {
		return []byte("error: " + err.Error())
	}
	return b
}

// deltas returns the last n messages, the latest first.
func (s *states[V]) deltas(h *history, n int) (deltas []V) {
	for i := range min(n, len(h.messages)) {
		m, _ := h.sent(i)
		deltas = append(deltas, m.parts[0][0].payload.(V))
	}
	return deltas
}

func (s *states[V]) lawful(h *history) error {
	if err := mergetest.Laws(s.values[0], s.values[1], s.values[2]); err != nil {
		return err
	}
	if deltas := s.deltas(h, len(h.messages)); len(deltas) > 0 {
		return mergetest.Laws(s.values[0], deltas[0], deltas[len(deltas)-1])
	}
	return nil
}

// unordered takes as many deltas as the length of the program says, so that
// every number comes up and the largest is rare.
func (s *states[V]) unordered(h *history, p Program) error {
	n := len(p) % (mergetest.MaxDeltas + 1)
	for _, v := range []V{s.values[0], s.form.New()} {
		if err := mergetest.Orders(v, s.deltas(h, n)...); err != nil {
			return err
		}
	}
	return mergetest.Deltas(s.values[0], s.mutators(h, p, n)...)
}

// mutators returns up to n of the program's changes, as the first replica would
// make them. One that refuses returns an empty delta.
func (s *states[V]) mutators(h *history, p Program, n int) (mutators []func(V) V) {
	seen := h.visible(0)
	for _, step := range p {
		if step.Do%actions != Local || len(mutators) == n || len(seen) == maxChanges {
			continue
		}
		step.At = 0
		c := step.change(len(h.changes)+len(mutators), s.form.Verbs, seen)
		if c.ID >= maxChanges {
			break
		}
		seen = append(seen, c)
		mutators = append(mutators, func(v V) V {
			if delta, err := s.form.Apply(v, c); err == nil {
				return delta
			}
			return s.form.New()
		})
	}
	return mutators
}

func (s *states[V]) encoded(h *history) error {
	if s.form.Decode == nil {
		return nil
	}
	for _, v := range append(s.deltas(h, 1), s.values[0]) {
		if err := mergetest.Codec(v, s.form.Decode); err != nil {
			return err
		}
	}
	return nil
}
