package crdt_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// manyElements is more than an ORSet keeps as a map.
const manyElements = 100

func large() *orset {
	var s orset
	for i := range manyElements {
		s.Add(originA, fmt.Sprint(i))
	}
	return &s
}

// An element without an encoding brings a large set back to what a Go map does,
// whichever way it comes.
func TestLargeSetWithOddElement(t *testing.T) {
	var foreign orset
	foreign.Add(originB, "\xff")
	added, merged, reversed := large(), large(), foreign.Clone()
	added.Add(originA, "\xff")
	merged.Merge(&foreign)
	reversed.Merge(large())
	for name, s := range map[string]*orset{"added": added, "merged": merged, "reversed": reversed} {
		if s.Len() != manyElements+1 || !s.Has("\xff") || !s.Has("7") {
			t.Errorf("%s: %d elements, want %d with \\xff", name, s.Len(), manyElements+1)
		}
		s.Add(originA, "more")
		s.Remove(originA, "\xff")
		if s.Has("\xff") || s.Len() != manyElements+1 {
			t.Errorf("%s: \\xff cannot be removed", name)
		}
		mustMarshal(t, s)
	}
}

// What == and the encoding tell apart in different ways stays in a map.
func TestLargeSetOfFloats(t *testing.T) {
	var s crdt.ORSet[float64]
	for i := range manyElements {
		s.Add(originA, float64(i))
	}
	if !s.Has(math.Copysign(0, -1)) {
		t.Error("-0 is not in a set that has 0")
	}
	s.Add(originA, math.NaN())
	if s.Len() != manyElements || s.Has(math.NaN()) {
		t.Error("NaN was found")
	}
}

func TestLargeSetTypes(t *testing.T) {
	type pair struct {
		Name string
		N    [1]int16
	}
	type label string
	holdsMany(t, func(i int) int { return i - 50 })
	holdsMany(t, func(i int) int64 { return math.MinInt64 + int64(i) })
	holdsMany(t, func(i int) uint64 { return math.MaxUint64 - uint64(i) })
	holdsMany(t, func(i int) int8 { return int8(i) })
	holdsMany(t, func(i int) label { return label(fmt.Sprint(i)) })
	holdsMany(t, func(i int) pair { return pair{fmt.Sprint(i), [1]int16{int16(i)}} })
	holdsMany(t, func(i int) string { return fmt.Sprintf("%0*d", 1+i*i%4000, i) })
	holdsMany(t, origin)
}

func holdsMany[T comparable](t *testing.T, element func(i int) T) {
	t.Helper()
	var s, back crdt.ORSet[T]
	for i := range manyElements {
		s.Add(originA, element(i))
	}
	s.Remove(originB, element(1))
	if err := back.UnmarshalBinary(mustMarshal(t, &s)); err != nil || !back.Equal(&s) || !s.Equal(&back) {
		t.Errorf("a set of %T comes back otherwise: %v", element(0), err)
	}
	for _, s := range []*crdt.ORSet[T]{&s, back.Clone()} {
		n := 0
		for v := range s.All() {
			n++
			if !s.Has(v) {
				t.Errorf("%v is not found", v)
			}
		}
		if n != manyElements-1 || s.Len() != n || s.Has(element(1)) || !s.Has(element(2)) {
			t.Errorf("%d elements of %T, want %d", n, element(0), manyElements-1)
		}
	}
}

// What is removed in a loop over the elements does not come later in the loop,
// in any form and when the form changes on the way.
func TestRemoveInLoop(t *testing.T) {
	for _, n := range []int{5, 20, manyElements, 10_000} {
		var s orset
		for i := range n {
			s.Add(originA, fmt.Sprint(i))
		}
		gone, extra := map[string]bool{}, 0
		for v := range s.All() {
			if gone[v] {
				t.Fatalf("%q of %d comes after it was removed", v, n)
			}
			for i := range 5 {
				if other := fmt.Sprint((len(gone)*7 + i) % n); !gone[other] {
					gone[other] = true
					s.Remove(originA, other)
				}
			}
			if extra < 500 {
				extra++
				s.Add(originA, fmt.Sprint("new", extra))
			}
		}
	}
}

// A delta of any form merges as what it says.
func TestDeltaForms(t *testing.T) {
	a, b := large(), large()
	b.Add(originB, "7")
	a.Add(originA, "7")
	a.Merge(b)
	b.Merge(a)
	if n := len(a.Dots("7")); n != 2 {
		t.Fatalf("%d dots, want 2", n)
	}
	for name, delta := range map[string]*orset{"add": a.Clone().Add(originC, "7"), "remove": a.Clone().Remove(originC, "7")} {
		if got, want := delta.Context(), merge.ContextOf(dot(1, manyElements+1), dot(2, 1), dot(3, 1)); !got.Equal(want) {
			t.Errorf("%s has seen %d dots, want 3", name, got.Count())
		}
		if got, want := delta.Has("7"), name == "add"; got != want || delta.Len() != len(delta.Dots("7")) {
			t.Errorf("%s: Has = %t, want %t", name, got, want)
		}
		c := b.Clone()
		c.Merge(delta)
		if got, want := c.Has("7"), name == "add"; got != want {
			t.Errorf("after %s: Has = %t, want %t", name, got, want)
		}
	}
}

// Nothing is allocated to add what is already in memory, to look it up and to
// join what another replica did.
func TestLargeSetAllocations(t *testing.T) {
	s := large()
	remote := s.Clone()
	var deltas []*orset
	for i := range 2_000 {
		deltas = append(deltas, remote.Add(originB, fmt.Sprint(i%manyElements)), remote.Remove(originB, fmt.Sprint(i%manyElements)))
	}
	for _, d := range deltas[:2_000] {
		s.Merge(d)
	}
	next := 2_000
	for name, f := range map[string]func(){
		"Merge":  func() { s.Merge(deltas[next]); next++ },
		"Has":    func() { s.Has("55") },
		"Add":    func() { remote.Add(originB, "55") },
		"Remove": func() { remote.Remove(originB, "55") },
	} {
		if n := testing.AllocsPerRun(1_000, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}
