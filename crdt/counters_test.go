package crdt_test

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// amount is how much an op of a counter that knows no sign is about.
func (o op) amount() uint64 { return uint64(max(o.n, -o.n)) }

// putCell is a change of one cell into v.
func putCell(t testing.TB, name merge.Origin, v encoding.BinaryAppender) []cellOp {
	payload, err := v.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return []cellOp{{string(name[:]), crdt.Op{Put: true, Payload: payload}}}
}

var gcounterForm = form[*crdt.GCounter]{
	verbs:  []string{"add"},
	bottom: func() *crdt.GCounter { return &crdt.GCounter{} },
	apply:  func(c *crdt.GCounter, o op) (*crdt.GCounter, error) { return c.Add(o.origin(), o.amount()) },
	read:   func(c *crdt.GCounter) string { return fmt.Sprint(c.Value()) },
	kind:   crdt.GCounterKind,
	write: func(c *cells, o op) []cellOp {
		at := o.origin()
		total, err := c.total(string(at[:])).Add(o.amount())
		if err != nil {
			c.t.Fatal(err)
		}
		if total == 0 {
			return nil
		}
		return putCell(c.t, at, &total)
	},
	show: func(c *cells) string {
		var all crdt.GCounter
		for name := range c.at {
			all.Join(merge.Origin([]byte(name)), c.total(name))
		}
		return fmt.Sprint(all.Value())
	},
	spec: func(ops []op) string {
		sum := uint64(0)
		for _, o := range ops {
			sum += o.amount()
		}
		return fmt.Sprint(sum)
	},
}

func (c *cells) total(name string) crdt.Total {
	total, err := crdt.DecodeTotal(c.at[name])
	if err != nil {
		c.t.Fatal(err)
	}
	return total
}

func TestGCounterOverflow(t *testing.T) {
	var a, b crdt.GCounter
	up(t, &a, originA, math.MaxInt64-1)
	before := a.Clone()
	for _, n := range []uint64{2, math.MaxInt64, math.MaxUint64} {
		if delta, err := a.Add(originA, n); !errors.Is(err, crdt.ErrOverflow) || delta != nil || !a.Equal(before) {
			t.Errorf("Add(%d) over 2^63-1 = %v, %v, want ErrOverflow and no change", n, delta, err)
		}
	}
	if delta, err := b.Add(originB, 1<<63); !errors.Is(err, crdt.ErrOverflow) || delta != nil || !b.Equal(&crdt.GCounter{}) {
		t.Errorf("a first Add of 2^63 = %v, %v, want ErrOverflow and no change", delta, err)
	}
	if _, err := crdt.Total(math.MaxUint64).Add(1); !errors.Is(err, crdt.ErrOverflow) {
		t.Errorf("Add to a total beyond 2^63-1 = %v, want ErrOverflow", err)
	}
	up(t, &a, originA, 1)
	up(t, &a, originB, math.MaxInt64)
	if got := a.Value(); got != math.MaxUint64-1 {
		t.Errorf("value %d, want 2^64-2", got)
	}
	up(t, &a, originC, 2)
	if got := a.Value(); got != math.MaxUint64 {
		t.Errorf("value %d, want it to stay at 2^64-1", got)
	}
}

func up(t testing.TB, c *crdt.GCounter, o merge.Origin, n uint64) *crdt.GCounter {
	t.Helper()
	delta, err := c.Add(o, n)
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

// Counting by nothing says nothing, and leaves no origin behind.
func TestCountersIgnoreZero(t *testing.T) {
	var p crdt.PNCounter
	var g crdt.GCounter
	var b crdt.BoundedCounter
	add(t, &p, originA, 0)
	up(t, &g, originA, 0)
	for _, f := range []func(merge.Origin, uint64) (*crdt.BoundedCounter, error){b.Inc, b.Dec} {
		if delta, err := f(originA, 0); err != nil || !delta.Equal(&crdt.BoundedCounter{}) {
			t.Errorf("counting a bounded counter by 0 = %v, %v", delta, err)
		}
	}
	up(t, &g, originB, 2)
	if delta := up(t, &g, originB, 0); !delta.Equal(&crdt.GCounter{}) {
		t.Errorf("adding 0 to 2 sends %d", delta.Value())
	}
	g = crdt.GCounter{}
	if !p.Equal(&crdt.PNCounter{}) || !g.Equal(&crdt.GCounter{}) || !b.Equal(&crdt.BoundedCounter{}) {
		t.Error("counting by 0 left something behind")
	}
}

// An ignored delta costs no memory.
func TestIgnoredDeltas(t *testing.T) {
	var p crdt.PNCounter
	var g crdt.GCounter
	add(t, &p, originB, 1)
	up(t, &g, originB, 1)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := p.Add(originA, 1); err != nil {
			t.Error(err)
		}
		if _, err := g.Add(originA, 1); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 || p.Value() != 102 || g.Value() != 102 {
		t.Errorf("%v allocations for two increments, values %d and %d, want 0 and 102", allocs, p.Value(), g.Value())
	}
}

// A million increments are a few bytes to send.
func TestMillionIncrements(t *testing.T) {
	var p crdt.PNCounter
	var last *crdt.PNCounter
	for range 1_000_000 {
		last = add(t, &p, originA, 1)
	}
	for _, c := range []*crdt.PNCounter{&p, last} {
		if n := len(mustMarshal(t, c)); n > 40 || c.Value() != 1_000_000 {
			t.Errorf("a counter of %d takes %d bytes, want at most 40", c.Value(), n)
		}
	}
}

// The account of another is refused at the door.
func TestCountersAreWrittenByTheirOrigin(t *testing.T) {
	total := crdt.Total(1)
	payload, _ := total.AppendBinary(nil)
	w := put(dot(1, 1), payload)
	w.Element = originB[:]
	for _, k := range []crdt.Kind{crdt.GCounterKind, crdt.BoundedKind} {
		if k == crdt.BoundedKind {
			w.Payload = append(payload, 0, 0)
		}
		if err := k.Check(w); !errors.Is(err, crdt.ErrWrite) {
			t.Errorf("%s: a write of A to the cell of B: %v, want ErrWrite", k.Name(), err)
		}
		own := w
		own.Element = originA[:]
		if err := k.Check(own); err != nil {
			t.Errorf("%s: a write of A to its cell: %v", k.Name(), err)
		}
	}
}

func TestCounterCellLaws(t *testing.T) {
	totals := []crdt.Total{0, 3, 7}
	if err := mergetest.Laws(&totals[0], &totals[1], &totals[2]); err != nil {
		t.Error(err)
	}
	var given merge.ByOrigin[crdt.Total, *crdt.Total]
	given.Raise(originB, 2)
	more := *given.Clone()
	more.Raise(originC, 1)
	accounts := []*crdt.Account{{Created: 5, Given: given}, {Created: 3, Spent: 1, Given: more}, {}}
	if err := mergetest.Laws(accounts[0], accounts[1], accounts[2]); err != nil {
		t.Error(err)
	}
}

// counterGoldens returns the lines of testdata/golden.txt about the counters
// that only their origins write.
func counterGoldens(t testing.TB) map[string]decodable {
	var g crdt.GCounter
	up(t, &g, originB, 300)
	up(t, &g, originA, 7)
	a, b, c := cents(t)
	a.inc(300)
	b.Merge(a.give(b, 20))
	b.dec(2)
	b.give(c, 3)
	return map[string]decodable{"gcounter two": &g, "bounded two accounts": &b.BoundedCounter}
}

// The origins are kept in order however they come.
func TestCountersOfManyOrigins(t *testing.T) {
	var a, b crdt.GCounter
	r := rand.New(rand.NewPCG(1, 1))
	for _, i := range r.Perm(100) {
		up(t, &a, origin(i), uint64(i+1))
	}
	for _, i := range r.Perm(100)[:50] {
		b.Merge(up(t, &a, origin(i), 1))
	}
	b.Merge(&a)
	if !b.Equal(&a) || b.Value() != 5050+50 {
		t.Errorf("value %d after merging 50 deltas and the state, want 5100", b.Value())
	}
}
