package merge_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

type dotMap = merge.DotMap[string, int]

// A twin is a DotMap and the textbook store that it must agree with.
type twin struct {
	got  *dotMap
	want *textbook
}

func newTwin() twin { return twin{&dotMap{}, newTextbook()} }

func (t twin) clone() twin { return twin{t.got.Clone(), t.want.clone()} }

// put writes n at key, or removes the key if n is negative, and returns the
// delta.
func (t twin) put(o merge.Origin, key string, n int) twin {
	if n < 0 {
		return twin{t.got.Drop(o, key), t.want.put(o, key, nil)}
	}
	return twin{t.got.Put(o, key, n), t.want.put(o, key, &n)}
}

// merge joins o into t and says what went wrong, if anything.
func (t twin) merge(o twin) string {
	changed, want := t.got.Merge(o.got), t.want.merge(o.want)
	if changed != want {
		return "Merge reports " + strconv.FormatBool(changed)
	}
	return t.differs()
}

func (t twin) differs() string { return t.want.differs(t.got) }

// A world is a few replicas and every delta that was ever made, to be delivered
// to anyone, late, often or never.
type world struct {
	choose   func(n int) int // from 0 to n-1
	replicas []twin
	deltas   []twin
}

func newWorld(replicas int, choose func(int) int) *world {
	w := &world{choose: choose}
	for range replicas {
		w.replicas = append(w.replicas, newTwin())
	}
	return w
}

// step does one thing to one replica and says what went wrong, if anything.
func (w *world) step() string {
	i := w.choose(len(w.replicas))
	r := w.replicas[i]
	key := string(rune('a' + w.choose(12))) // few keys at first, then more than are searched one by one
	switch what := w.choose(10); {
	case what < 3:
		return w.made(r, r.put(origin(i), key, len(w.deltas)))
	case what < 4:
		return w.made(r, r.put(origin(i), key, -1))
	case what < 7 && len(w.deltas) > 0:
		return r.merge(w.deltas[w.choose(len(w.deltas))])
	case what < 8 && len(w.deltas) > 0:
		return w.group()
	case what < 9:
		return r.merge(w.replicas[w.choose(len(w.replicas))])
	}
	w.replicas[i] = r.clone()
	return w.replicas[i].differs()
}

func (w *world) made(r, delta twin) string {
	w.deltas = append(w.deltas, delta)
	if diff := delta.differs(); diff != "" {
		return "in the delta " + diff
	}
	return r.differs()
}

// group merges two deltas into one that may be delivered in their place.
func (w *world) group() string {
	g := w.deltas[w.choose(len(w.deltas))].clone()
	diff := g.merge(w.deltas[w.choose(len(w.deltas))])
	w.deltas = append(w.deltas, g)
	return diff
}

// heal merges everything into everyone, and says what went wrong, if anything.
func (w *world) heal() string {
	for _, r := range w.replicas {
		for _, d := range append(w.deltas, w.replicas...) {
			if diff := r.merge(d); diff != "" {
				return diff
			}
		}
	}
	for _, r := range w.replicas {
		if !r.got.Equal(w.replicas[0].got) {
			return "healed replicas differ"
		}
	}
	return w.unchanged()
}

// unchanged says whether a delta is not what it was when it was made.
func (w *world) unchanged() string {
	for _, d := range w.deltas {
		if diff := d.differs(); diff != "" {
			return "merging has changed a delta: " + diff
		}
	}
	return ""
}

func TestDotMapAgainstTextbook(t *testing.T) {
	r := random(t)
	for run := range 150 {
		w := newWorld(2+run%3, r.IntN)
		for step := range 80 {
			if diff := w.step(); diff != "" {
				t.Fatalf("run %d, step %d: %s", run, step, diff)
			}
		}
		if diff := w.heal(); diff != "" {
			t.Fatalf("run %d: %s", run, diff)
		}
	}
}

func FuzzDotMapAgainstTextbook(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 4, 0})
	r := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		program := make([]byte, 200)
		for i := range program {
			program[i] = byte(r.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		program = program[:min(len(program), 400)]
		w := newWorld(3, func(n int) (c int) {
			if len(program) > 0 {
				c, program = int(program[0])%n, program[1:]
			}
			return c
		})
		for len(program) > 0 {
			if diff := w.step(); diff != "" {
				t.Fatal(diff)
			}
		}
		if diff := w.heal(); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Laws hold of maps that share a history, and of their deltas.
func TestDotMapLaws(t *testing.T) {
	r := random(t)
	for range 2 {
		w := newWorld(3, r.IntN)
		for range 30 {
			w.step()
		}
		values := []*dotMap{w.replicas[0].got, w.replicas[1].got, w.replicas[2].got}
		for _, d := range w.deltas[:min(2, len(w.deltas))] {
			values = append(values, d.got)
		}
		if err := triples(values, mergetest.Laws[*dotMap]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDotMapZeroValue(t *testing.T) {
	var m dotMap
	if m.Len() != 0 || m.At("a").Len() != 0 || m.Context().Count() != 0 || !m.Equal(&dotMap{}) {
		t.Error("the zero DotMap is not empty")
	}
	if m.Merge(&dotMap{}) || m.Merge(&m) {
		t.Error("merging nothing reports a change")
	}
	for range m.All() {
		t.Error("All yields a key")
	}
}

func TestDotMapAllStops(t *testing.T) {
	var m dotMap
	m.Put(origin(1), "a", 1)
	m.Put(origin(1), "b", 2)
	for range m.All() {
		break
	}
}

func TestRestore(t *testing.T) {
	a1, b1 := dot(1, 1), dot(2, 1)
	cell := func(dots ...merge.Dot) merge.DotFun[string] { return fun(dots...) }
	tests := []struct {
		name  string
		cells map[string]merge.DotFun[string]
		seen  *merge.Context
		ok    bool
	}{
		{"nothing", nil, &merge.Context{}, true},
		{"two keys", map[string]merge.DotFun[string]{"x": cell(a1), "y": cell(b1)}, merge.ContextOf(a1, b1), true},
		{"a dot at two keys", map[string]merge.DotFun[string]{"x": cell(a1), "y": cell(a1)}, merge.ContextOf(a1), false},
		{"a dot twice at one key", map[string]merge.DotFun[string]{"x": cell(a1, a1)}, merge.ContextOf(a1), false},
		{"a dot not seen", map[string]merge.DotFun[string]{"x": cell(a1)}, merge.ContextOf(b1), false},
		{"a dot that names nothing", map[string]merge.DotFun[string]{"x": cell(dot(1, 0))}, merge.ContextOf(a1), false},
		{"a key that holds nothing", map[string]merge.DotFun[string]{"x": cell()}, merge.ContextOf(a1), false},
	}
	for _, test := range tests {
		m, ok := merge.Restore(test.cells, test.seen)
		if ok != test.ok {
			t.Errorf("Restore of %s = %t, want %t", test.name, ok, test.ok)
		}
		if ok && m.Len() != len(test.cells) {
			t.Errorf("Restore of %s has %d keys, want %d", test.name, m.Len(), len(test.cells))
		}
	}
}

func TestEqualComparesKeys(t *testing.T) {
	seen := merge.ContextOf(dot(1, 1))
	x, _ := merge.Restore(map[string]merge.DotFun[string]{"x": fun(dot(1, 1))}, seen)
	y, _ := merge.Restore(map[string]merge.DotFun[string]{"y": fun(dot(1, 1))}, seen)
	if x.Equal(y) {
		t.Error("maps that hold a dot at different keys are equal")
	}
}

func TestRestoredMergesOn(t *testing.T) {
	var m dotMap
	m.Put(origin(1), "x", 1)
	m.Put(origin(2), "y", 2)
	cells := map[string]merge.DotFun[int]{}
	for k, f := range m.All() {
		cells[k] = f
	}
	restored, ok := merge.Restore(cells, m.Context().Clone())
	if !ok || !restored.Equal(&m) {
		t.Fatalf("Restore = %s, %t", mergetest.Show(restored), ok)
	}
	restored.Merge(m.Drop(origin(1), "x"))
	if restored.Len() != 1 || !restored.Equal(&m) {
		t.Error("a restored map does not follow the removal of what it was restored with")
	}
}

// What another program encodes need not have taken a dot for its removals. Such
// values still merge as a lattice, and a removal is still reported.
func TestChangedWithoutDotOfItsOwn(t *testing.T) {
	a1 := dot(1, 1)
	holds, _ := merge.Restore(map[string]merge.DotFun[string]{"x": fun(a1)}, merge.ContextOf(a1))
	removed, _ := merge.Restore(map[string]merge.DotFun[string]{}, merge.ContextOf(a1))
	if err := mergetest.Laws(holds, removed, &merge.DotMap[string, string]{}); err != nil {
		t.Error(err)
	}
	if !holds.Merge(removed) || holds.Len() != 0 {
		t.Error("a removal without a dot is not merged or not reported")
	}
}
