package crdt_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// The maps of the tests.
type (
	setMap     = crdt.ORMap[string, orset, *orset]
	counterMap = crdt.ORMap[string, crdt.PNCounter, *crdt.PNCounter]
	nestedMap  = crdt.ORMap[string, setMap, *setMap]
	deepMap    = crdt.ORMap[string, counterMap, *counterMap]
	gsetField  = crdt.Nested[crdt.GSet[string], *crdt.GSet[string]]
	gsetMap    = crdt.ORMap[string, gsetField, *gsetField]
)

// addTo adds v to the set in field f.
func addTo(t testing.TB, m *setMap, o merge.Origin, f, v string) *setMap {
	t.Helper()
	delta, err := m.Apply(f, func(s *orset) (*orset, error) { return s.Add(o, v), nil })
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

// count adds n to the counter in field f.
func countIn(t testing.TB, m *counterMap, o merge.Origin, f string, n int64) *counterMap {
	t.Helper()
	delta, err := m.Apply(f, func(c *crdt.PNCounter) (*crdt.PNCounter, error) { return c.Add(o, n) })
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

func showSets(m *setMap) string {
	fields := map[string][]string{}
	for f, s := range m.All() {
		fields[f] = slices.Sorted(s.All())
	}
	return fmt.Sprint(fields)
}

func showCounts(m *counterMap) string {
	fields := map[string]int64{}
	for f, c := range m.All() {
		fields[f] = c.Value()
	}
	return fmt.Sprint(fields)
}

func wantSets(t *testing.T, m *setMap, want string) {
	t.Helper()
	if got := showSets(m); got != want {
		t.Errorf("the map has %s, want %s", got, want)
	}
}

// A removes a field while B adds to the set in it: what B added stays, and only
// that.
func TestResetRemove(t *testing.T) {
	var a, b setMap
	b.Merge(addTo(t, &a, originA, "f", "1"))
	removal := a.Remove(originA, "f")
	addition := addTo(t, &b, originB, "f", "2")
	wantSets(t, &a, "map[]")
	wantSets(t, &b, "map[f:[1 2]]")
	a.Merge(addition)
	b.Merge(removal)
	wantSets(t, &a, "map[f:[2]]")
	if !a.Equal(&b) {
		t.Error("the replicas differ")
	}
}

// A field that was removed takes what was added to it by one who had not seen
// the removal, and nothing of what was removed.
func TestTombstoneRemove(t *testing.T) {
	var a, b setMap
	b.Merge(addTo(t, &a, originA, "f", "0"))
	a.Remove(originA, "f")
	a.Merge(addTo(t, &b, originB, "f", "1"))
	a.Merge(addTo(t, &b, originB, "f", "2"))
	b.Merge(&a)
	a.Merge(&b)
	wantSets(t, &a, "map[f:[1 2]]")
	wantSets(t, &b, "map[f:[1 2]]")
}

// A counter that was removed does not come back with a stale replica.
func TestCounterResetReAdd(t *testing.T) {
	var a, stale counterMap
	stale.Merge(countIn(t, &a, originA, "f", 5))
	a.Remove(originA, "f")
	if a.Has("f") || a.Len() != 0 {
		t.Error("the field is there after its removal")
	}
	countIn(t, &a, originA, "f", 1)
	a.Merge(&stale)
	stale.Merge(&a)
	for _, m := range []*counterMap{&a, &stale} {
		if got := showCounts(m); got != "map[f:1]" {
			t.Errorf("the map has %s, want the 1 that was counted after the removal", got)
		}
	}
}

func TestMapFields(t *testing.T) {
	var m setMap
	addTo(t, &m, originA, "f", "x")
	addTo(t, &m, originA, "g", "y")
	if !m.Has("f") || m.Has("h") || m.Len() != 2 || fmt.Sprint(slices.Sorted(m.Keys())) != "[f g]" {
		t.Errorf("Has, Len or Keys is wrong of %s", showSets(&m))
	}
	if s, ok := m.Get("f"); !ok || !s.Has("x") || s.Len() != 1 || !s.Context().Equal(m.Context()) {
		t.Error("Get does not return the set under the map's context")
	}
	if s, ok := m.Get("h"); ok || s != nil {
		t.Error("Get returns a field that is not there")
	}
	if _, err := m.Apply("f", func(s *orset) (*orset, error) { return s.Remove(originA, "x"), nil }); err != nil {
		t.Fatal(err)
	}
	if m.Has("f") || m.Len() != 1 {
		t.Error("a field is there after its last element was removed")
	}
}

// Dots of all fields come from one context.
func TestMapSharesItsContext(t *testing.T) {
	var m nestedMap
	for i, at := range [][2]string{{"f", "x"}, {"g", "x"}, {"f", "y"}} {
		delta, err := m.Apply(at[0], func(inner *setMap) (*setMap, error) {
			return addTo(t, inner, originA, at[1], fmt.Sprint(i)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := delta.Context(), merge.ContextOf(dotA(uint64(i+1))); !got.Equal(want) {
			t.Errorf("change %d has the context %v, want %v", i, got, want)
		}
	}
	if got := m.Context().Last(originA); got != 3 {
		t.Errorf("the map has seen %d changes, want 3", got)
	}
	inner, _ := m.Get("f")
	set, _ := inner.Get("x")
	if got := set.Dots("0"); len(got) != 1 || got[0] != dotA(1) || !set.Context().Contains(dotA(3)) {
		t.Errorf("the set two maps deep has %v", got)
	}
}

func dotA(seq uint64) merge.Dot { return merge.Dot{Origin: originA, Seq: seq} }

// A function that fails leaves the map as it was, and one that fails half-way
// returns the delta of the first half.
func TestApplyFails(t *testing.T) {
	var m, copied setMap
	copied.Merge(addTo(t, &m, originA, "f", "x"))
	wrong := errors.New("wrong")
	delta, err := m.Apply("g", func(*orset) (*orset, error) { return nil, wrong })
	if !errors.Is(err, wrong) || delta != nil || !m.Equal(&copied) || m.Has("g") {
		t.Errorf("Apply = %v, %v, want the error and no change", delta, err)
	}
	delta, err = m.Apply("f", func(s *orset) (*orset, error) { return s.Add(originA, "y"), wrong })
	if copied.Merge(delta); !errors.Is(err, wrong) || !m.Equal(&copied) || showSets(&copied) != "map[f:[x y]]" {
		t.Errorf("Apply = %v, want the error and the delta of half the change", err)
	}
	if delta, err = m.Apply("g", func(*orset) (*orset, error) { return nil, nil }); err != nil || !delta.Equal(&setMap{}) {
		t.Errorf("Apply of nothing = %v, %v, want an empty delta", delta, err)
	}
}

// Whoever returns the value, or a copy of it, in place of a delta would remove
// all other fields elsewhere.
func TestApplyRefusesTheValue(t *testing.T) {
	for name, mutate := range map[string]func(*orset) (*orset, error){
		"the value": func(s *orset) (*orset, error) { s.Add(originA, "y"); return s, nil },
		"a copy":    func(s *orset) (*orset, error) { s.Add(originA, "y"); return s.Clone(), nil },
	} {
		var m setMap
		addTo(t, &m, originB, "other", "x")
		addTo(t, &m, originA, "f", "x")
		delta, err := m.Apply("f", mutate)
		if !errors.Is(err, crdt.ErrNotDelta) || delta != nil {
			t.Errorf("%s: Apply = %v, %v, want ErrNotDelta", name, delta, err)
		}
		var whole setMap
		whole.Merge(&m)
		wantSets(t, &whole, "map[f:[x y] other:[x]]")
		m.Remove(originA, "f")
		wantSets(t, &m, "map[other:[x]]")
	}
}

// The map can be used within Apply, and stays one map.
func TestApplyWithinApply(t *testing.T) {
	var m setMap
	addTo(t, &m, originA, "g", "gone")
	var inner []*setMap
	outer, err := m.Apply("f", func(s *orset) (*orset, error) {
		delta := s.Add(originA, "x")
		inner = append(inner, addTo(t, &m, originA, "f", "y"), addTo(t, &m, originA, "h", "z"), m.Remove(originA, "g"))
		delta.Merge(s.Add(originA, "w"))
		return delta, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSets(t, &m, "map[f:[w x y] h:[z]]")
	if got := m.Context().Last(originA); got != 6 {
		t.Errorf("%d changes have dots, want 6", got)
	}
	var copied setMap
	for _, delta := range append(inner, outer) {
		copied.Merge(delta)
	}
	wantSets(t, &copied, "map[f:[w x y] h:[z]]")
}

// A removal takes a dot of its own, also of a field that is not there.
func TestMapRemovalHasDot(t *testing.T) {
	var m setMap
	if delta := m.Remove(originA, "f"); !delta.Context().Equal(merge.ContextOf(dotA(1))) || delta.Len() != 0 {
		t.Errorf("the removal of nothing is %v", delta)
	}
	var c counterMap
	countIn(t, &c, originA, "f", 5)
	if delta := c.Remove(originA, "f"); !delta.Context().Equal(merge.ContextOf(dotA(1))) || delta.Has("f") {
		t.Errorf("the removal of a counter is %v", delta)
	}
}

// A delta is visited, and the rest of the map is not: its cost is seen in what
// is looked at.
func TestMapForgetsRemovedFields(t *testing.T) {
	var m nestedMap
	empty := mustMarshal(t, &nestedMap{})
	for i := range 100 {
		f := fmt.Sprint(i)
		if _, err := m.Apply(f, func(inner *setMap) (*setMap, error) { return addTo(t, inner, originA, f, f), nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		m.Remove(originA, fmt.Sprint(i))
	}
	if got := len(mustMarshal(t, &m)); got > len(empty)+25 {
		t.Errorf("an empty map takes %d bytes, a new one %d", got, len(empty))
	}
}

func TestNestedLattice(t *testing.T) {
	var a, b gsetField
	set := a.Value()
	b.Merge(a.Join(originA, set.Add("x")))
	reset := a.Reset(originA)
	set = b.Value()
	later := b.Join(originB, set.Add("y"))
	a.Merge(later)
	b.Merge(reset)
	if !a.Equal(&b) || show(a.Value().All()) != "[y]" || a.Len() != 1 {
		t.Errorf("has %s and %s, want y", show(a.Value().All()), show(b.Value().All()))
	}
	if delta := a.Join(originA, &crdt.GSet[string]{}); delta.Len() != 0 || a.Len() != 1 || delta.Context().Count() != 1 {
		t.Error("a bottom delta is kept, or takes no dot")
	}
}

// A write supersedes the deltas that its own dominates: of a register, one is
// left.
func TestNestedChain(t *testing.T) {
	type field = crdt.Nested[crdt.LWWRegister[int], *crdt.LWWRegister[int]]
	var a, b field
	for i := range 100 {
		value := a.Value()
		delta, err := value.Set(crdt.Stamp{Time: hlcTime(uint64(i + 1)), Origin: originA}, i)
		if err != nil {
			t.Fatal(err)
		}
		b.Merge(a.Join(originA, delta))
	}
	if v, ok := a.Value().Get(); a.Len() != 1 || !ok || v != 99 || !a.Equal(&b) {
		t.Errorf("%d deltas are left of a register, its value is %d", a.Len(), v)
	}
}

func TestMapClone(t *testing.T) {
	var m nestedMap
	add := func(m *nestedMap, v string) {
		if _, err := m.Apply("f", func(inner *setMap) (*setMap, error) { return addTo(t, inner, originA, "g", v), nil }); err != nil {
			t.Fatal(err)
		}
	}
	add(&m, "x")
	before := mustMarshal(t, &m)
	c := m.Clone()
	add(c, "y")
	c.Remove(originA, "f")
	if got := mustMarshal(t, &m); string(got) != string(before) || m.Equal(c) || !m.Equal(m.Clone()) {
		t.Error("a change of the copy changes the map")
	}
	if keys := maps.Collect(m.All()); len(keys) != 1 {
		t.Errorf("the map has %d fields, want 1", len(keys))
	}
}
