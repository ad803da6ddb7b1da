package crdt_test

import (
	"bytes"
	"encoding"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// An op is one change of a random history, in terms that every type and its
// specification understand.
type op struct {
	id      int
	replica int
	verb    string
	element int
	n       int64
	time    hlc.Timestamp
	sees    ids
}

func (o op) origin() merge.Origin { return origin(o.replica + 1) }

func (o op) name() string { return fmt.Sprint("e", o.element) }

// ids is a set of at most 64 ops.
type ids uint64

func (s ids) has(id int) bool   { return s>>id&1 == 1 }
func (s ids) with(id int) ids   { return s | 1<<id }
func (s ids) covers(o ids) bool { return o&^s == 0 }
func (s ids) String() string    { return fmt.Sprintf("%b", uint64(s)) }
func (s ids) of(ops []op) (v []op) {
	for _, o := range ops {
		if s.has(o.id) {
			v = append(v, o)
		}
	}
	return v
}

// A value is what the tests need of a stand-alone type.
type value[V any] interface {
	merge.Lattice[V]
	encoding.BinaryMarshaler
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// A form is one type three times: stand-alone, as cells, and as a naive
// evaluation of its definition over happened-before. All three render a value
// as text.
type form[V value[V]] struct {
	verbs  []string
	bottom func() V
	apply  func(V, op) (V, error) // stand-alone: change and return the delta
	read   func(V) string
	kind   crdt.Kind
	write  func(*cells, op) []cellOp // as cells: what an author writes
	show   func(*cells) string
	spec   func([]op) string // over the visible ops
}

// cells is an object as a node keeps it.
type cells struct {
	t    testing.TB
	kind crdt.Kind
	at   map[string][]byte
	seen merge.VersionVector
}

type cellOp struct {
	cell string
	op   crdt.Op
}

// apply joins one change, which may write several cells.
func (c *cells) apply(d merge.Dot, at hlc.Timestamp, ops []cellOp) {
	for _, o := range ops {
		w := crdt.Write{Dot: d, Time: at, Element: []byte(o.cell), Op: o.op}
		if err := c.kind.Check(w); err != nil {
			c.t.Fatalf("Check of an own write: %v", err)
		}
		cell, err := c.kind.Join(c.at[o.cell], &c.seen, w)
		if err != nil {
			c.t.Fatalf("Join of an own write: %v", err)
		}
		if c.at[o.cell] = cell; cell == nil {
			delete(c.at, o.cell)
		}
	}
	c.seen.Raise(d)
}

// change is an op as it travels.
type change[V any] struct {
	op
	dot   merge.Dot
	delta V
	ops   []cellOp
}

type replica[V any] struct {
	value   V
	cells   *cells
	visible ids
}

// history is a random run of several replicas.
type history[V value[V]] struct {
	t        testing.TB
	form     form[V]
	r        *rand.Rand
	replicas []*replica[V]
	changes  []change[V]
	ops      []op // of the changes
}

func newHistory[V value[V]](t testing.TB, f form[V], seed uint64, replicas int) *history[V] {
	h := &history[V]{t: t, form: f, r: rand.New(rand.NewPCG(seed, 1))}
	for range replicas {
		h.replicas = append(h.replicas, h.fresh())
	}
	return h
}

func (h *history[V]) fresh() *replica[V] {
	return &replica[V]{value: h.form.bottom(), cells: &cells{t: h.t, kind: h.form.kind, at: map[string][]byte{}}}
}

// local makes a random change at replica i.
func (h *history[V]) local(i int) {
	at := h.replicas[i]
	o := op{
		id: len(h.changes), replica: i, element: h.r.IntN(3), n: h.r.Int64N(9) - 4, sees: at.visible,
		verb: h.form.verbs[h.r.IntN(len(h.form.verbs))], time: 1,
	}
	seq := uint64(1)
	for _, c := range h.changes {
		if at.visible.has(c.id) {
			o.time = max(o.time, c.time+1)
		}
		if c.replica == i {
			seq++
		}
	}
	c := change[V]{op: o, dot: merge.Dot{Origin: o.origin(), Seq: seq}, ops: h.form.write(at.cells, o)}
	before := at.value.Clone()
	var err error
	if c.delta, err = h.form.apply(at.value, o); err != nil {
		h.t.Fatalf("%+v: %v", o, err)
	}
	before.Merge(c.delta)
	if !before.Equal(at.value) {
		h.t.Fatalf("%+v: merging the delta gives %s, the mutator %s", o, h.form.read(before), h.form.read(at.value))
	}
	at.cells.apply(c.dot, c.time, c.ops)
	at.visible = at.visible.with(o.id)
	h.changes, h.ops = append(h.changes, c), append(h.ops, o)
}

// ready returns the changes that replica at lacks and whose causes it has.
func (h *history[V]) ready(at *replica[V], among ids) (ready []int) {
	for _, c := range h.changes {
		if among.has(c.id) && !at.visible.has(c.id) && at.visible.covers(c.sees) {
			ready = append(ready, c.id)
		}
	}
	return ready
}

// deliver brings to replica at, one by one and in a random causal order, up to
// n changes of among.
func (h *history[V]) deliver(at *replica[V], among ids, n int, withDelta bool) {
	for range n {
		ready := h.ready(at, among)
		if len(ready) == 0 {
			return
		}
		c := h.changes[ready[h.r.IntN(len(ready))]]
		if withDelta {
			at.value.Merge(c.delta)
		}
		at.cells.apply(c.dot, c.time, c.ops)
		at.visible = at.visible.with(c.id)
	}
}

// step lets replica i change something, or learn of changes in one of two ways.
func (h *history[V]) step(i int) {
	at, from := h.replicas[i], h.replicas[h.r.IntN(len(h.replicas))]
	switch p := h.r.IntN(10); {
	case p < 5:
		h.local(i)
	case p < 7:
		at.value.Merge(from.value)
		h.deliver(at, from.visible, len(h.changes), false)
	default:
		h.deliver(at, ^ids(0), 1+h.r.IntN(3), true)
	}
	h.check(at)
}

// check compares the forms at a replica.
func (h *history[V]) check(at *replica[V]) {
	want := h.form.spec(at.visible.of(h.ops))
	if got := h.form.read(at.value); got != want {
		h.t.Fatalf("stand-alone %s has %s, its definition says %s\nvisible %v of %+v", h.form.kind.Name(), got, want, at.visible, h.ops)
	}
	if got := h.form.show(at.cells); got != want {
		h.t.Fatalf("cells of %s have %s, the definition says %s\nvisible %v of %+v", h.form.kind.Name(), got, want, at.visible, h.ops)
	}
}

// finish brings everything everywhere and demands equal bytes, also of a fresh
// replica that gets the deltas in random order, some of them twice.
func (h *history[V]) finish() {
	last := h.fresh()
	for _, i := range append(h.r.Perm(len(h.changes)), h.r.Perm(len(h.changes))[:len(h.changes)/2]...) {
		last.value.Merge(h.changes[i].delta)
	}
	h.deliver(last, ^ids(0), len(h.changes), false)
	h.check(last)
	want := mustMarshal(h.t, last.value)
	for _, at := range h.replicas {
		for _, from := range h.replicas {
			at.value.Merge(from.value)
		}
		h.deliver(at, ^ids(0), len(h.changes), false)
		h.check(at)
		if got := mustMarshal(h.t, at.value); !bytes.Equal(got, want) {
			h.t.Fatalf("%s: %x and %x after the same changes", h.form.kind.Name(), got, want)
		}
		for name, cell := range last.cells.at {
			if !bytes.Equal(at.cells.at[name], cell) {
				h.t.Fatalf("%s: cell %x is %x and %x after the same changes", h.form.kind.Name(), name, at.cells.at[name], cell)
			}
		}
	}
}

// play runs a history of at most 60 changes.
func (h *history[V]) play() {
	for range 100 {
		if len(h.changes) == 60 {
			break
		}
		h.step(h.r.IntN(len(h.replicas)))
	}
}

func mustMarshal(t testing.TB, v encoding.BinaryMarshaler) []byte {
	t.Helper()
	b, err := v.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// playAll judges many histories of one type.
func playAll[V value[V]](t *testing.T, f form[V]) {
	for seed := range uint64(histories) {
		h := newHistory(t, f, seed, 2+int(seed%4))
		h.play()
		h.finish()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

const histories = 100

func TestAgainstSpecification(t *testing.T) {
	t.Run("GSet", func(t *testing.T) { playAll(t, gsetForm) })
	t.Run("TwoPSet", func(t *testing.T) { playAll(t, twoPSetForm) })
	t.Run("ORSet", func(t *testing.T) { playAll(t, orsetForm) })
	t.Run("RWSet", func(t *testing.T) { playAll(t, rwsetForm) })
	t.Run("PNCounter", func(t *testing.T) { playAll(t, counterForm) })
	t.Run("GCounter", func(t *testing.T) { playAll(t, gcounterForm) })
	t.Run("BoundedCounter", func(t *testing.T) { playAll(t, boundedForm) })
	t.Run("EWFlag", func(t *testing.T) { playAll(t, ewFlagForm) })
	t.Run("DWFlag", func(t *testing.T) { playAll(t, dwFlagForm) })
	t.Run("LWWRegister", func(t *testing.T) { playAll(t, lwwForm) })
	t.Run("MVRegister", func(t *testing.T) { playAll(t, mvForm) })
	t.Run("USet", func(t *testing.T) { playAll(t, usetForm) })
	t.Run("LWWSet", func(t *testing.T) { playAll(t, lwwSetForm) })
	t.Run("RemoveBiasedLWWSet", func(t *testing.T) { playAll(t, removeBiasedForm) })
	t.Run("PNSet", func(t *testing.T) { playAll(t, pnsetForm) })
	t.Run("LWWMap", func(t *testing.T) { playAll(t, lwwMapForm) })
}
