package mergetest_test

import (
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// set returns a mutator that raises k to n and the delta that says so.
func set(k string, n int) func(*counts) *counts {
	return func(c *counts) *counts {
		c.join(k, merge.MaxOf(n))
		return countsOf(c.flaw, map[string]int{k: n})
	}
}

func TestDeltas(t *testing.T) {
	s := countsOf(none, map[string]int{"x": 2})
	mutators := []func(*counts) *counts{set("x", 1), set("x", 3), set("y", 1), set("x", 5), set("y", 1), set("z", 0)}
	if err := mergetest.Deltas(s, mutators...); err != nil {
		t.Error(err)
	}
	if want := countsOf(none, map[string]int{"x": 2}); !s.Equal(want) {
		t.Errorf("Deltas changed its argument to %s", mergetest.Show(s))
	}
	if err := mergetest.Deltas(s); err != nil {
		t.Errorf("Deltas without mutators = %v", err)
	}
}

func TestDeltasRejectIncompleteDelta(t *testing.T) {
	wantLaw(t, mergetest.Deltas(&counts{}, func(c *counts) *counts {
		c.join("x", merge.MaxOf(1))
		return &counts{}
	}), mergetest.Delta)
}

func TestDeltasRejectSharedDelta(t *testing.T) {
	whole := func(c *counts) *counts {
		c.join("x", merge.MaxOf(1))
		return c
	}
	wantLaw(t, mergetest.Deltas(&counts{}, whole, set("y", 1)), mergetest.Aliasing)
}

func TestOrdersRejectOrderDependence(t *testing.T) {
	wantLaw(t, mergetest.Orders(&lwwNoTie{}, &lwwNoTie{1, "a"}, &lwwNoTie{1, "b"}), mergetest.Order)
}

func TestOrdersRejectRepetitionDependence(t *testing.T) {
	wantLaw(t, mergetest.Orders(&sum{}, &sum{1}, &sum{2}), mergetest.Order)
}

func TestOrdersRejectGroupingDependence(t *testing.T) {
	wantLaw(t, mergetest.Orders(&average{}, &average{8}), mergetest.Order)
}

func TestOrdersRejectUnstableBytes(t *testing.T) {
	a := countsOf(unsorted, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1})
	b := countsOf(unsorted, map[string]int{"e": 1, "f": 1, "g": 1, "h": 1})
	wantLaw(t, mergetest.Orders(a, b, b.Clone(), a.Clone()), mergetest.Order)
}

func TestOrdersTooMany(t *testing.T) {
	deltas := make([]*bits, mergetest.MaxDeltas+1)
	if err := mergetest.Orders(&bits{}, deltas...); !errors.Is(err, mergetest.ErrTooMany) {
		t.Errorf("Orders of %d deltas = %v, want ErrTooMany", len(deltas), err)
	}
}
