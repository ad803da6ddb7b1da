package property_test

import (
	"fmt"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/prop"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// The specifications must find planted bugs, and the generators shrink them to
// few steps.
func TestPlantedBugsAreFound(t *testing.T) {
	addWins, removeWins, twoPhase := orSet, rwSet, twoPSet
	addWins.define, removeWins.define, twoPhase.define = rwSet.define, twoPSet.define, orSet.define
	lastSent := lwwRegister
	lastSent.define = func(ops []op) string {
		if len(ops) == 0 {
			return "nothing"
		}
		return fmt.Sprint(ops[len(ops)-1].n)
	}
	t.Run("context read as a vector", func(t *testing.T) { found(t, vectorSets) })
	t.Run("remove of what was not seen", func(t *testing.T) { found(t, greedySets) })
	t.Run("delta without what it removes", func(t *testing.T) { found(t, leakySets) })
	t.Run("add wins where remove should", func(t *testing.T) { found(t, addWins) })
	t.Run("remove wins where it should for ever", func(t *testing.T) { found(t, removeWins) })
	t.Run("remove for ever where add should win", func(t *testing.T) { found(t, twoPhase) })
	t.Run("latest stamp where the last sent should win", func(t *testing.T) { found(t, lastSent) })
}

// found fails unless a counterexample of a few steps turns up. The seed is fixed:
// it is the search that is tested.
func found[V merge.Lattice[V]](t *testing.T, f form[V]) {
	t.Helper()
	const few = 6
	search := gopter.DefaultTestParametersWithSeed(1)
	search.MinSuccessfulTests, search.MaxSize = 5000, length
	result := prop.ForAll(func(p program) string { return text(verify(f, p)) }, programs()).Check(search)
	if result.Status != gopter.TestFailed {
		t.Fatalf("%v after %d programs", result.Status, result.Succeeded)
	}
	shrunk := result.Args[0].Arg.(program)
	t.Logf("program %d, shrunk to %v: %.200s", result.Succeeded, shrunk, result.Labels)
	if len(shrunk) > few {
		t.Errorf("the counterexample has %d steps, want at most %d: %v", len(shrunk), few, shrunk)
	}
}

// A brokenSet is an add-wins set whose deltas pass through a bug on arrival.
type brokenSet struct {
	m   dotMap
	bug func(into, from *dotMap) *dotMap
}

func (s *brokenSet) Merge(from *brokenSet) bool { return s.m.Merge(s.bug(&s.m, &from.m)) }
func (s *brokenSet) Equal(o *brokenSet) bool    { return s.m.Equal(&o.m) }
func (s *brokenSet) Clone() *brokenSet          { return &brokenSet{*s.m.Clone(), s.bug} }

// broken is orSet with a bug.
func broken(bug func(into, from *dotMap) *dotMap) form[*brokenSet] {
	return form[*brokenSet]{
		verbs:  addRemove,
		bottom: func() *brokenSet { return &brokenSet{bug: bug} },
		apply: func(s *brokenSet, o op) (*brokenSet, error) {
			if o.verb == "add" {
				return &brokenSet{*s.m.Put(o.origin, o.element, 0), bug}, nil
			}
			return &brokenSet{*s.m.Drop(o.origin, o.element), bug}, nil
		},
		read:   func(s *brokenSet) string { return sorted(keys(&s.m)) },
		define: orSet.define,
	}
}

func keys(m *dotMap) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m.All() {
			if !yield(k) {
				return
			}
		}
	}
}

// seeing returns from under another context.
func seeing(from *dotMap, seen *merge.Context) *dotMap {
	cells := map[string]merge.DotFun[int64]{}
	for k, f := range from.All() {
		cells[k] = f
	}
	m, ok := merge.Restore(cells, seen)
	if !ok {
		panic("property: a context without its own dots")
	}
	return m
}

// vectorSets read a context as the vector of its last numbers.
var vectorSets = broken(func(_, from *dotMap) *dotMap {
	heads := &merge.VersionVector{}
	for d := range from.Context().All() {
		heads.Raise(d)
	}
	return seeing(from, prefixes(heads))
})

// greedySets let a remove take away all that the receiver holds of the removed
// element, seen by the remover or not.
var greedySets = broken(func(into, from *dotMap) *dotMap {
	seen := from.Context().Clone()
	for _, cell := range into.All() {
		dots := cell.Dots()
		for _, d := range dots {
			if from.Context().Contains(d) && from.Len() == 0 {
				seen.Merge(merge.ContextOf(dots...))
			}
		}
	}
	return seeing(from, seen)
})

// leakySets forget what a delta removes.
var leakySets = broken(func(_, from *dotMap) *dotMap {
	live := &merge.Context{}
	for _, cell := range from.All() {
		live.Merge(merge.ContextOf(cell.Dots()...))
	}
	if live.Count() == 0 {
		return from
	}
	return seeing(from, live)
})

// Histories must reach what the specifications are about: concurrent changes,
// messages that overtake their causes, and refusals.
func TestHistoriesAreRich(t *testing.T) {
	var concurrent, overtaken, refused int
	for seed := range int64(200) {
		p, _ := programs()(gopter.DefaultGenParameters().CloneWithSeed(seed).WithSize(length)).Retrieve()
		h, err := play(twoPSet, p.(program))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range h.ops {
			for _, b := range h.ops[:a.id] {
				if a.element == b.element && !a.seen.has(b.id) {
					concurrent++
				}
			}
		}
		for _, r := range h.replicas {
			if !h.isClosed(r.visible) {
				overtaken++
			}
			s, _ := h.form.decode(h.bytes(r.value))
			if _, err := (*crdt.TwoPSet[string]).Add(s, "e0"); err != nil {
				refused++
			}
		}
	}
	if concurrent < 1000 || overtaken < 50 || refused < 50 {
		t.Errorf("concurrent pairs %d, replicas that lack a cause %d, refused adds %d: want 1000, 50, 50", concurrent, overtaken, refused)
	}
}
