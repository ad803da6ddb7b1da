package merge_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// The scenarios of this file are published bugs of other systems. A, B and C are
// replicas; each writes as the origin of its name.
var originA, originB, originC = origin(1), origin(2), origin(3)

// wantKeys fails unless m holds exactly the keys.
func wantKeys(t *testing.T, m *dotMap, keys ...string) {
	t.Helper()
	got := map[string]bool{}
	for k, f := range m.All() {
		got[k] = true
		if f.Len() == 0 {
			t.Errorf("%q has an empty dot set", k)
		}
	}
	if sorted := slices.Sorted(maps.Keys(got)); !slices.Equal(sorted, keys) {
		t.Errorf("keys are %q, want %q", sorted, keys)
	}
}

// wantEqual fails unless all maps are equal.
func wantEqual(t *testing.T, maps ...*dotMap) {
	t.Helper()
	for _, m := range maps[1:] {
		if !m.Equal(maps[0]) {
			t.Errorf("%s\ndiffers from\n%s", mergetest.Show(m), mergetest.Show(maps[0]))
		}
	}
}

// mergeAll merges every map into every other.
func mergeAll(maps ...*dotMap) {
	for range 2 {
		for _, m := range maps {
			for _, from := range maps {
				m.Merge(from)
			}
		}
	}
}

// C gets A's third delta but not its second. A context that is only a vector
// would say that C has seen the second, and lose its element.
func TestHoleSwallowed(t *testing.T) {
	var a, c dotMap
	c.Merge(a.Put(originA, "one", 1))
	a.Put(originA, "two", 2)
	c.Merge(a.Put(originA, "three", 3))
	wantKeys(t, &c, "one", "three")
	if c.Context().Contains(merge.Dot{Origin: originA, Seq: 2}) {
		t.Error("C's context contains the change it has not seen")
	}
	a2 := a.Clone()
	a.Merge(&c)
	c.Merge(a2)
	wantKeys(t, &a, "one", "three", "two")
	wantEqual(t, &a, &c)
}

// A change that was superseded is skipped: C still holds what it removed, and
// merging a replica that has everything must remove it and say so, though the
// contexts are equal.
func TestSupersededChangeSkipped(t *testing.T) {
	var a, c dotMap
	c.Merge(a.Put(originA, "x", 1))
	a.Put(originA, "x", 2)
	c.Merge(a.Put(originA, "x", 3))
	if !c.Context().Equal(a.Context()) || c.At("x").Len() != 2 {
		t.Fatalf("C holds %d values of x under an equal context: %t, want 2, true", c.At("x").Len(), c.Context().Equal(a.Context()))
	}
	if !c.Merge(&a) {
		t.Error("a removal is merged and not reported")
	}
	wantEqual(t, &a, &c)
}

func TestPresentButRemoved(t *testing.T) {
	var a, b, c dotMap
	c.Merge(a.Put(originA, "z", 1))
	a.Drop(originA, "z")
	a.Merge(b.Put(originB, "z", 2))
	b.Drop(originB, "z")
	for _, from := range []*dotMap{&c, &b} {
		a.Merge(from)
	}
	wantKeys(t, &a)
	mergeAll(&a, &b, &c)
	wantKeys(t, &c)
	wantEqual(t, &a, &b, &c)
}

func TestNoDotsLeft(t *testing.T) {
	var a, b, c dotMap
	c.Merge(a.Put(originA, "z", 1))
	b.Put(originB, "z", 2)
	a.Drop(originA, "z")
	a.Merge(&b)
	b.Drop(originB, "z")
	b.Merge(&c)
	mergeAll(&a, &b, &c)
	wantKeys(t, &a)
	wantEqual(t, &a, &b, &c)
}

func TestIdenticalElementDifferentDots(t *testing.T) {
	var a, b dotMap
	da, db := a.Put(originA, "1", 0), b.Put(originB, "1", 0)
	a.Merge(db)
	b.Merge(da)
	wantKeys(t, &a, "1")
	if got, want := a.At("1").Dots(), []merge.Dot{{Origin: originA, Seq: 1}, {Origin: originB, Seq: 1}}; !slices.Equal(got, want) {
		t.Errorf("dots are %v, want %v", got, want)
	}
	wantEqual(t, &a, &b)
	a.Merge(b.Drop(originB, "1"))
	wantKeys(t, &a)
}

// C has seen A's first add, A adds again, C removes what it saw: present.
func TestRemoveOnlyObserved(t *testing.T) {
	var a, c dotMap
	c.Merge(a.Put(originA, "x", 1))
	again := a.Put(originA, "x", 2)
	remove := c.Drop(originC, "x")
	a.Merge(remove)
	c.Merge(again)
	wantKeys(t, &a, "x")
	if got, want := a.At("x").Dots(), []merge.Dot{{Origin: originA, Seq: 2}}; !slices.Equal(got, want) {
		t.Errorf("dots are %v, want %v", got, want)
	}
	wantEqual(t, &a, &c)
}

// A remove arrives before its add, on a replica that knows neither writer.
func TestDeferredRemove(t *testing.T) {
	var a, b, fresh dotMap
	add := a.Put(originA, "x", 1)
	b.Merge(add)
	remove := b.Drop(originB, "x")
	fresh.Merge(remove)
	wantKeys(t, &fresh)
	if !fresh.Context().Contains(merge.Dot{Origin: originA, Seq: 1}) {
		t.Error("the removal is not remembered")
	}
	if fresh.Merge(add) {
		t.Error("merging an add that was removed reports a change")
	}
	wantKeys(t, &fresh)
	wantEqual(t, &fresh, &b)
}

// The delta of a remove brings its own dot and those it removed, and says
// nothing of what else the remover had seen.
func TestRemoveDeltaPollutesVV(t *testing.T) {
	var a, b, fresh dotMap
	a.Merge(b.Put(originB, "keep", 1))
	a.Put(originA, "also", 2)
	a.Put(originA, "x", 3)
	fresh.Merge(a.Drop(originA, "x"))
	want := merge.ContextOf(merge.Dot{Origin: originA, Seq: 2}, merge.Dot{Origin: originA, Seq: 3})
	if !fresh.Context().Equal(want) {
		t.Errorf("context is %s, want %s", mergetest.Show(fresh.Context()), mergetest.Show(want))
	}
	fresh.Merge(&b)
	fresh.Merge(&a)
	wantKeys(t, &fresh, "also", "keep")
	wantEqual(t, &fresh, &a)
}

func TestPermuteDuplicate(t *testing.T) {
	var a, b dotMap
	deltas := []*dotMap{a.Put(originA, "x", 1), b.Put(originB, "x", 2)}
	b.Merge(&a)
	deltas = append(deltas, b.Put(originB, "x", 3), a.Drop(originA, "x"), a.Put(originA, "y", 4), b.Drop(originB, "y"))
	if err := mergetest.Orders(&dotMap{}, deltas...); err != nil {
		t.Error(err)
	}
	put := func(k string, v int) func(*dotMap) *dotMap {
		return func(m *dotMap) *dotMap { return m.Put(originC, k, v) }
	}
	drop := func(k string) func(*dotMap) *dotMap {
		return func(m *dotMap) *dotMap { return m.Drop(originC, k) }
	}
	if err := mergetest.Deltas(&a, put("x", 1), put("x", 2), drop("y"), drop("x"), put("y", 3), put("x", 4)); err != nil {
		t.Error(err)
	}
}

// Adding one element over and over leaves one dot and one run.
func TestReAddGrowth(t *testing.T) {
	const times = 100_000
	var a, follower dotMap
	for n := range times {
		follower.Merge(a.Put(originA, "x", n))
	}
	for _, m := range []*dotMap{&a, &follower} {
		if got, want := m.At("x").Dots(), []merge.Dot{{Origin: originA, Seq: times}}; !slices.Equal(got, want) {
			t.Errorf("%d dots are left, want one", len(got))
		}
		if b, _ := m.Context().AppendBinary(nil); len(b) > 32 {
			t.Errorf("the context takes %d bytes", len(b))
		}
	}
	wantEqual(t, &a, &follower)
}

// One delta may remove what several replicas put concurrently.
func TestDropRemovesAllConcurrent(t *testing.T) {
	var a, b, c dotMap
	a.Put(originA, "x", 1)
	b.Put(originB, "x", 2)
	c.Put(originC, "x", 3)
	c.Merge(&a)
	c.Merge(&b)
	remove := c.Drop(originC, "x")
	for _, m := range []*dotMap{&a, &b} {
		m.Merge(remove)
		wantKeys(t, m)
	}
	mergeAll(&a, &b, &c)
	wantKeys(t, &a)
	wantEqual(t, &a, &b, &c)
}
