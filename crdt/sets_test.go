package crdt_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// The origins of the replicas A, B and C of the named scenarios.
var originA, originB, originC = origin(1), origin(2), origin(3)

type orset = crdt.ORSet[string]

func mergeAll[V merge.Lattice[V]](values ...V) V {
	all := values[0].Clone()
	for _, v := range values[1:] {
		all.Merge(v)
	}
	return all
}

func TestPresentButRemoved(t *testing.T) {
	var a, b, c orset
	add := a.Add(originA, "z")
	c.Merge(add)
	a.Remove(originA, "z")
	a.Merge(b.Add(originB, "z"))
	b.Remove(originB, "z")
	for _, order := range [][]*orset{{&a, &b, &c}, {&a, &c, &b}, {&c, &b, &a}, {&b, &c, &a}} {
		if all := mergeAll(order...); all.Has("z") || all.Len() != 0 {
			t.Errorf("z is present after both of its adds were removed: %v", all.Dots("z"))
		}
	}
}

func TestNoDotsLeft(t *testing.T) {
	var a, b, c orset
	c.Merge(a.Add(originA, "z"))
	b.Add(originB, "z")
	a.Remove(originA, "z")
	a.Merge(&b)
	b.Remove(originB, "z")
	b.Merge(&c)
	all := mergeAll(&a, &b, &c)
	if all.Has("z") || all.Len() != 0 || len(all.Dots("z")) != 0 || len(slices.Collect(all.All())) != 0 {
		t.Errorf("z is left with the dots %v", all.Dots("z"))
	}
}

func TestIdenticalElementDifferentDots(t *testing.T) {
	var a, b orset
	a.Add(originA, "1")
	b.Add(originB, "1")
	a.Merge(&b)
	if got, want := a.Dots("1"), []merge.Dot{dot(1, 1), dot(2, 1)}; !slices.Equal(got, want) {
		t.Errorf("dots are %v, want %v", got, want)
	}
	if !a.Has("1") || a.Len() != 1 {
		t.Errorf("has %v, len %d; want the element once", a.Has("1"), a.Len())
	}
}

func TestRemoveOnlyObserved(t *testing.T) {
	var a, c orset
	c.Merge(a.Add(originA, "x"))
	a.Add(originA, "x")
	a.Merge(c.Remove(originC, "x"))
	if !a.Has("x") {
		t.Error("a remove took an add that it had not seen")
	}
	c.Merge(&a)
	if !c.Has("x") || !c.Equal(&a) {
		t.Error("the remover does not get the concurrent add")
	}
}

func TestDeferredRemove(t *testing.T) {
	var a, b, fresh orset
	add := a.Add(originA, "x")
	b.Merge(add)
	remove := b.Remove(originB, "x") // of B nothing more is ever heard
	fresh.Merge(remove)
	if fresh.Has("x") || fresh.Len() != 0 {
		t.Error("a remove brought its element")
	}
	fresh.Merge(add)
	if fresh.Has("x") {
		t.Error("the element is back although its remove came first")
	}
	if !fresh.Context().Equal(merge.ContextOf(dot(1, 1), dot(2, 1))) || fresh.Context().Vector().Len() != 2 {
		t.Error("something of the remove is still waiting")
	}
	if !fresh.Equal(mergeAll(&a, &b)) {
		t.Error("not equal to a replica that got both in order")
	}
}

func TestHoleSwallowed(t *testing.T) {
	var a, c orset
	d1, d2, d3 := a.Add(originA, "1"), a.Add(originA, "2"), a.Add(originA, "3")
	c.Merge(d1)
	c.Merge(d3)
	if c.Context().Contains(dot(1, 2)) || c.Has("2") {
		t.Fatal("C claims to have seen the change that it missed")
	}
	c.Merge(&a)
	if got := show(c.All()); got != "[1 2 3]" {
		t.Errorf("C has %s after the join, want [1 2 3]", got)
	}
	var late orset
	for _, d := range []*orset{d3, d1, d2} {
		late.Merge(d)
	}
	if !late.Equal(&a) {
		t.Error("deltas out of order lose an element")
	}
}

func TestRemoveDeltaPollutesVV(t *testing.T) {
	var a, b, c, fresh orset
	foreign := c.Add(originC, "c")
	b.Merge(foreign)
	b.Merge(a.Add(originA, "a1"))
	second := a.Add(originA, "a2")
	b.Merge(second)
	fresh.Merge(b.Remove(originB, "a2"))
	if want := merge.ContextOf(dot(1, 2), dot(2, 1)); !fresh.Context().Equal(want) {
		t.Errorf("a remove brought more than itself and what it removes: %d dots", fresh.Context().Count())
	}
	fresh.Merge(foreign)
	fresh.Merge(&a)
	if got := show(fresh.All()); got != "[a1 c]" {
		t.Errorf("has %s, want [a1 c]", got)
	}
}

func TestPermuteDuplicate(t *testing.T) {
	var a, b orset
	deltas := []*orset{a.Add(originA, "x"), a.Add(originA, "y")}
	b.Merge(deltas[0])
	deltas = append(deltas, b.Remove(originB, "x"), b.Add(originB, "y"), a.Add(originA, "x"), a.Remove(originA, "y"))
	a.Merge(&b)
	want := mustMarshal(t, &a)
	for range 2 {
		permute(deltas, len(deltas), func() {
			var s orset
			for i, d := range deltas {
				s.Merge(d)
				s.Merge(deltas[i/2])
			}
			if got := mustMarshal(t, &s); string(got) != string(want) {
				t.Fatalf("an order of the deltas gives %x, want %x", got, want)
			}
		})
		deltas = append(deltas[1:], deltas[0])
	}
}

// permute calls f with every order of the first n of s.
func permute[T any](s []T, n int, f func()) {
	if n == 1 {
		f()
		return
	}
	for i := range n {
		s[i], s[n-1] = s[n-1], s[i]
		permute(s, n-1, f)
		s[i], s[n-1] = s[n-1], s[i]
	}
}

func TestTwoPhaseReAdd(t *testing.T) {
	var a, b crdt.TwoPSet[string]
	if _, err := a.Add("x"); err != nil {
		t.Fatal(err)
	}
	b.Merge(&a)
	a.Remove("x")
	before := a.Clone()
	if delta, err := a.Add("x"); !errors.Is(err, crdt.ErrRemoved) || delta != nil || !a.Equal(before) {
		t.Errorf("adding again = %v, %v, want ErrRemoved and no change", delta, err)
	}
	again, err := b.Add("x") // B has not seen the remove
	if err != nil {
		t.Fatal(err)
	}
	a.Merge(again)
	b.Merge(&a)
	if a.Has("x") || b.Has("x") || !a.Equal(&b) {
		t.Error("an element came back after it was removed")
	}
}

func TestTwoPhaseRemoveOfAbsent(t *testing.T) {
	var s crdt.TwoPSet[string]
	if delta := s.Remove("x"); !delta.Equal(&crdt.TwoPSet[string]{}) || !s.Equal(delta) {
		t.Error("removing what is absent changed something")
	}
	if _, err := s.Add("x"); err != nil || !s.Has("x") {
		t.Errorf("x cannot be added after a remove that saw no add: %v", err)
	}
}

func TestRemoveWins(t *testing.T) {
	var a, b crdt.RWSet[string]
	a.Add(originA, "x")
	remove := b.Remove(originB, "x") // concurrent, and B never had x
	a.Merge(remove)
	if a.Has("x") || a.Len() != 0 || show(a.All()) != "[]" {
		t.Error("a concurrent add won over a remove")
	}
	b.Merge(a.Add(originA, "x")) // has seen the remove
	if !b.Has("x") || b.Len() != 1 || show(b.All()) != "[x]" {
		t.Error("an add that has seen the remove does not bring x back")
	}
}

func TestPutPutDelete(t *testing.T) {
	var a, b crdt.MVRegister[string]
	set(t, &a, originA, "1")
	set(t, &a, originA, "2")
	concurrent := set(t, &b, originB, "3")
	a.Clear(originA)
	a.Merge(concurrent)
	b.Merge(&a)
	for _, r := range []*crdt.MVRegister[string]{&a, &b} {
		if got := slices.Collect(r.Values()); !slices.Equal(got, []string{"3"}) {
			t.Errorf("has %q, want the concurrent write alone", got)
		}
	}
}

func TestLostRemoveIsRepaired(t *testing.T) {
	var a, b orset
	b.Merge(a.Add(originA, "x"))
	a.Remove(originA, "x") // its delta is lost
	b.Merge(a.Add(originA, "y"))
	if b.Context().Contains(dot(1, 2)) || !b.Has("x") {
		t.Fatal("B believes to have seen the lost remove")
	}
	b.Merge(&a)
	if b.Has("x") || !b.Equal(&a) {
		t.Error("the lost remove was not repaired")
	}
}

func TestReAddGrowth(t *testing.T) {
	var s, other orset
	for range 1_000_000 {
		s.Add(originA, "x")
	}
	if got, want := s.Dots("x"), []merge.Dot{dot(1, 1_000_000)}; !slices.Equal(got, want) {
		t.Errorf("dots are %v, want %v", got, want)
	}
	other.Add(originB, "x")
	s.Merge(&other)
	s.Add(originA, "x")
	if n := len(s.Dots("x")); n != 1 {
		t.Errorf("%d dots after an add that saw them all, want 1", n)
	}
	if b := mustMarshal(t, &s); len(b) > 90 {
		t.Errorf("a set of one element takes %d bytes", len(b))
	}
}

// Sharing an origin between two replicas loses data, and nothing can tell.
func TestSharedOriginLosesData(t *testing.T) {
	var a, b orset
	a.Add(originA, "x")
	b.Add(originA, "y")
	a.Merge(&b)
	if a.Has("y") {
		t.Error("two changes under one dot were both kept; the docs say that they are not")
	}
}

func TestEmptySets(t *testing.T) {
	var g crdt.GSet[string]
	var p crdt.TwoPSet[string]
	var o orset
	var w crdt.RWSet[string]
	for _, s := range []interface {
		Has(string) bool
		Len() int
	}{&g, &p, &o, &w} {
		if s.Has("x") || s.Len() != 0 {
			t.Errorf("the zero %T is not empty", s)
		}
	}
	if g.Merge(&crdt.GSet[string]{}) || p.Merge(&crdt.TwoPSet[string]{}) || o.Merge(&orset{}) || w.Merge(&crdt.RWSet[string]{}) {
		t.Error("merging nothing into nothing changed something")
	}
}

func TestIterationStops(t *testing.T) {
	var g crdt.GSet[string]
	var p crdt.TwoPSet[string]
	var o orset
	var w crdt.RWSet[string]
	for i := range 10 {
		v := fmt.Sprint(i)
		g.Add(v)
		o.Add(originA, v)
		w.Add(originA, v)
		if _, err := p.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, all := range []func(func(string) bool){g.All(), p.All(), o.All(), w.All()} {
		n := 0
		for range all {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("the loop ran %d times, want 3", n)
		}
	}
}
