package crdt_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

var boundedForm = form[*crdt.BoundedCounter]{
	verbs:  []string{"inc", "inc", "dec", "give"},
	bottom: func() *crdt.BoundedCounter { return &crdt.BoundedCounter{} },
	apply: func(c *crdt.BoundedCounter, o op) (*crdt.BoundedCounter, error) {
		delta, err := pay(c, o)
		if errors.Is(err, crdt.ErrRights) {
			return &crdt.BoundedCounter{}, nil
		}
		return delta, err
	},
	read: func(c *crdt.BoundedCounter) string { return fmt.Sprint(c.Value()) },
	kind: crdt.BoundedKind,
	write: func(c *cells, o op) []cellOp {
		b, before := c.bounded(), c.bounded()
		if _, err := pay(b, o); err != nil || b.Equal(before) {
			return nil
		}
		account := b.Account(o.origin())
		return putCell(c.t, o.origin(), &account)
	},
	show: func(c *cells) string { return fmt.Sprint(c.bounded().Value()) },
	// What was counted up, less what was counted down with enough rights.
	spec: func(ops []op) string {
		value, paid := uint64(0), paidFor(ops)
		for _, o := range ops {
			switch {
			case o.verb == "inc":
				value += o.amount()
			case o.verb == "dec" && paid[o.id]:
				value -= o.amount()
			}
		}
		return fmt.Sprint(value)
	},
}

// pay applies an op of a bounded counter.
func pay(c *crdt.BoundedCounter, o op) (*crdt.BoundedCounter, error) {
	switch o.verb {
	case "inc":
		return c.Inc(o.origin(), o.amount())
	case "dec":
		return c.Dec(o.origin(), o.amount())
	}
	return c.Transfer(o.origin(), origin(o.element+1), o.amount())
}

// paidFor tells the ops whose author had the rights for them, given that every
// op stands behind those that it has seen.
func paidFor(ops []op) map[int]bool {
	paid := map[int]bool{}
	for _, o := range ops {
		rights := int64(0)
		for _, p := range o.sees.of(ops) {
			n := int64(p.amount())
			switch {
			case !paid[p.id]:
			case p.verb == "inc" && p.replica == o.replica:
				rights += n
			case p.verb == "dec" && p.replica == o.replica:
				rights -= n
			case p.verb == "give" && p.element == o.replica && p.replica != o.replica:
				rights += n
			case p.verb == "give" && p.element != o.replica && p.replica == o.replica:
				rights -= n
			}
		}
		paid[o.id] = o.verb == "inc" || rights >= int64(o.amount())
	}
	return paid
}

func (c *cells) bounded() *crdt.BoundedCounter {
	b := &crdt.BoundedCounter{}
	for name, cell := range c.at {
		account, err := crdt.DecodeAccount(cell)
		if err != nil {
			c.t.Fatal(err)
		}
		b.Join(merge.Origin([]byte(name)), account)
	}
	return b
}

// cent is a replica of a bounded counter.
type cent struct {
	t testing.TB
	crdt.BoundedCounter
	origin merge.Origin
}

func cents(t testing.TB) (a, b, c *cent) {
	return &cent{t: t, origin: originA}, &cent{t: t, origin: originB}, &cent{t: t, origin: originC}
}

func (c *cent) inc(n uint64) *crdt.BoundedCounter {
	c.t.Helper()
	return c.must(c.Inc(c.origin, n))
}

func (c *cent) dec(n uint64) *crdt.BoundedCounter {
	c.t.Helper()
	return c.must(c.Dec(c.origin, n))
}

func (c *cent) give(to *cent, n uint64) *crdt.BoundedCounter {
	c.t.Helper()
	return c.must(c.Transfer(c.origin, to.origin, n))
}

func (c *cent) must(delta *crdt.BoundedCounter, err error) *crdt.BoundedCounter {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return delta
}

// refuses fails unless the delta is refused for want of rights.
func (c *cent) refuses(have, want uint64) func(*crdt.BoundedCounter, error) {
	before := c.BoundedCounter.Clone()
	return func(delta *crdt.BoundedCounter, err error) {
		c.t.Helper()
		e, ok := errors.AsType[*crdt.RightsError](err)
		if !ok || !errors.Is(err, crdt.ErrRights) || *e != (crdt.RightsError{Origin: c.origin, Have: have, Want: want}) {
			c.t.Errorf("error %v, want a *RightsError of %d for %d", err, have, want)
		}
		if delta != nil || !c.Equal(before) {
			c.t.Error("a refused change left something behind")
		}
	}
}

func TestBoundedSpendsOnlyOwn(t *testing.T) {
	a, b, _ := cents(t)
	b.Merge(a.inc(10))
	if b.Value() != 10 || b.Rights(originA) != 10 || b.Rights(originB) != 0 {
		t.Fatalf("value %d, rights %d and %d, want 10, 10 and 0", b.Value(), b.Rights(originA), b.Rights(originB))
	}
	b.refuses(0, 1)(b.Dec(originB, 1))
	b.refuses(0, 1)(b.Transfer(originB, originA, 1))
	b.inc(3)
	b.refuses(3, 4)(b.Dec(originB, 4))
	b.dec(3)
	b.refuses(0, 1)(b.Dec(originB, 1))
	a.Merge(&b.BoundedCounter)
	if a.dec(10); a.Value() != 0 {
		t.Errorf("value %d after everything was spent, want 0", a.Value())
	}
}

func TestBoundedTransfer(t *testing.T) {
	a, b, c := cents(t)
	a.inc(10)
	gift := a.give(b, 6)
	b.Merge(gift)
	b.Merge(gift) // again: given once
	if a.Rights(originA) != 4 || b.Rights(originB) != 6 || b.Value() != 10 {
		t.Fatalf("rights %d and %d of %d, want 4 and 6 of 10", a.Rights(originA), b.Rights(originB), b.Value())
	}
	a.refuses(4, 5)(a.Dec(originA, 5))
	b.dec(1)
	c.Merge(b.give(c, 5))
	b.refuses(0, 1)(b.Dec(originB, 1))
	c.dec(2)
	a.Merge(&c.BoundedCounter)
	want := map[merge.Origin]uint64{originA: 4, originC: 3}
	if got := maps.Collect(a.Holders()); !maps.Equal(got, want) || a.Value() != 7 {
		t.Errorf("holders %v of %d, want %v of 7", got, a.Value(), want)
	}
	for o, n := range a.Holders() {
		if o != originA || n != 4 {
			t.Errorf("the first holder is %v with %d", o, n)
		}
		break
	}
	before := a.BoundedCounter.Clone()
	if a.give(a, 4); !a.Equal(before) {
		t.Error("a transfer to oneself changed something")
	}
	a.give(c, 2)
	a.give(c, 2)
	if a.Rights(originA) != 0 || a.Rights(originC) != 7 {
		t.Errorf("rights %d and %d after two gifts, want 0 and 7", a.Rights(originA), a.Rights(originC))
	}
}

func TestBoundedOverflow(t *testing.T) {
	a, b, c := cents(t)
	a.inc(math.MaxInt64)
	if delta, err := a.Inc(originA, 1); !errors.Is(err, crdt.ErrOverflow) || delta != nil {
		t.Errorf("Inc over 2^63-1 = %v, %v, want ErrOverflow", delta, err)
	}
	b.Merge(a.give(b, math.MaxInt64))
	b.inc(math.MaxInt64)
	c.inc(2)
	b.Merge(c.give(b, 2))
	if b.Rights(originB) != math.MaxUint64 || b.Value() != math.MaxUint64 {
		t.Errorf("rights %d of %d, want all of 2^64-1", b.Rights(originB), b.Value())
	}
	b.dec(math.MaxInt64)
	before := b.BoundedCounter.Clone()
	if delta, err := b.Dec(originB, 1); !errors.Is(err, crdt.ErrOverflow) || delta != nil || !b.Equal(before) {
		t.Errorf("Dec over 2^63-1 = %v, %v, want ErrOverflow and no change", delta, err)
	}
	a.Merge(b.give(a, math.MaxInt64))
	b.Merge(a.give(b, 0))
	if _, err := b.Transfer(originB, originA, 1); !errors.Is(err, crdt.ErrOverflow) {
		t.Errorf("Transfer over 2^63-1 = %v, want ErrOverflow", err)
	}
}

// exact returns what was created less what was spent, of which a counter below
// its bound would show nothing.
func exact(c *crdt.BoundedCounter) (value int64) {
	for i := range 5 {
		a := c.Account(origin(i))
		value += int64(a.Created) - int64(a.Spent)
	}
	return value
}

// The bound holds on every replica, whatever of the others has reached it, in
// whatever order and however often.
func TestBoundedNeverBelow(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		replicas := make([]crdt.BoundedCounter, 5)
		var deltas []*crdt.BoundedCounter
		for range 60 {
			i := r.IntN(len(replicas))
			switch at := &replicas[i]; r.IntN(5) {
			case 0, 1:
				if len(deltas) > 0 {
					at.Merge(deltas[r.IntN(len(deltas))])
				}
			case 2:
				at.Merge(&replicas[r.IntN(len(replicas))])
			default:
				o := op{replica: i - 1, verb: []string{"inc", "dec", "give"}[r.IntN(3)], element: r.IntN(5) - 1, n: 1 + r.Int64N(5)}
				if delta, err := pay(at, o); err == nil {
					deltas = append(deltas, delta)
				} else if !errors.Is(err, crdt.ErrRights) {
					t.Fatal(err)
				}
			}
			if got := exact(&replicas[i]); got < 0 || uint64(got) != replicas[i].Value() {
				t.Fatalf("seed %d: value %d, read as %d", seed, got, replicas[i].Value())
			}
		}
		for range 20 {
			var partial crdt.BoundedCounter
			for _, k := range r.Perm(len(deltas))[:r.IntN(len(deltas)+1)] {
				partial.Merge(deltas[k])
				if got := exact(&partial); got < 0 {
					t.Fatalf("seed %d: value %d of some of the deltas", seed, got)
				}
			}
		}
		all := mergeAll(&replicas[0], &replicas[1], &replicas[2], &replicas[3], &replicas[4])
		rights := uint64(0)
		for _, n := range all.Holders() {
			rights += n
		}
		if rights != all.Value() {
			t.Fatalf("seed %d: rights of %d, value %d", seed, rights, all.Value())
		}
	}
}

// Two replicas that share an origin can spend its rights twice. The value stays
// at the bound.
func TestBoundedSharedOriginSpendsTwice(t *testing.T) {
	a, b, c := cents(t)
	grant := a.inc(5)
	a.give(b, 5)
	twin := &cent{t: t, origin: originA}
	twin.Merge(grant)
	twin.dec(5) // of what a gave away
	b.Merge(&a.BoundedCounter)
	b.dec(5)
	c.Merge(&b.BoundedCounter)
	c.Merge(&twin.BoundedCounter)
	if c.Value() != 0 || exact(&c.BoundedCounter) != -5 || c.Rights(originA) != 0 {
		t.Errorf("value %d, want it to stay at 0 where 10 of 5 are spent", c.Value())
	}
	if b := mustMarshal(t, &c.BoundedCounter); new(crdt.BoundedCounter).UnmarshalBinary(b) != nil {
		t.Error("a state that a liar left cannot be read again")
	}
}
