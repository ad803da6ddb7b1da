package columns_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/internal/columns"
	"github.com/joinery-crdt/joinery/merge"
)

type dotMap = merge.DotMap[string, struct{}]

// A twin is a table and the map that it must agree with.
type twin struct {
	got  *columns.Table
	want *dotMap
}

func newTwin() twin { return twin{columns.New(), &dotMap{}} }

func (t twin) clone() twin { return twin{t.got.Clone(), t.want.Clone()} }

// A delta is a change in both forms.
type delta struct {
	key    string
	change columns.Change
	want   *dotMap
}

func (t twin) put(o merge.Origin, key string) delta {
	k := columns.Text(key)
	return delta{key, t.got.Put(o, &k), t.want.Put(o, key, struct{}{})}
}

func (t twin) drop(o merge.Origin, key string) delta {
	k := columns.Text(key)
	return delta{key, t.got.Drop(o, &k), t.want.Drop(o, key)}
}

func (t twin) apply(d delta) string {
	k := columns.Text(d.key)
	if changed, want := t.got.Apply(&k, &d.change), t.want.Merge(d.want); changed != want {
		return fmt.Sprintf("Apply(%+v) = %t", d.change, changed)
	}
	return ""
}

func (t twin) merge(from twin) string {
	if changed, want := t.got.Merge(from.got), t.want.Merge(from.want); changed != want {
		return fmt.Sprintf("Merge = %t", changed)
	}
	return ""
}

// differs says how the table differs from the map, if it does.
func (t twin) differs() string {
	if t.got.Len() != t.want.Len() {
		return fmt.Sprintf("%d keys, want %d", t.got.Len(), t.want.Len())
	}
	if !t.got.Context().Equal(t.want.Context()) {
		return "another context"
	}
	n := 0
	for at, key := range t.got.All() {
		n++
		k := columns.TextOf(key)
		if got, want := t.got.Dots(at), t.want.At(k).Dots(); !slices.Equal(got, want) {
			return fmt.Sprintf("the dots of %q are %v, want %v", k, got, want)
		}
		probe := columns.Text(k)
		if where, ok := t.got.Find(&probe); !ok || where != at {
			return fmt.Sprintf("%q is not found", k)
		}
	}
	if n != t.want.Len() {
		return fmt.Sprintf("All yields %d keys of %d", n, t.want.Len())
	}
	return ""
}

// forge returns a state that need not come from any history: any dots at any
// keys, dots that others have elsewhere among them.
func forge(r *rand.Rand, origins, keys int) twin {
	seen, cells, taken := &merge.Context{}, map[string]merge.DotFun[struct{}]{}, map[merge.Dot]bool{}
	scale := []uint64{20, 400, 1 << 20, 1 << 39, 1 << 41, merge.MaxSeq}[r.IntN(6)]
	anyDot := func() merge.Dot { return merge.Dot{Origin: origin(r.IntN(origins)), Seq: 1 + r.Uint64N(scale)} }
	for range r.IntN(30) {
		var entries []merge.Entry[struct{}]
		for range 1 + r.IntN(3) {
			if d := anyDot(); !taken[d] {
				taken[d] = true
				seen.Add(d)
				entries = append(entries, merge.Entry[struct{}]{Dot: d})
			}
		}
		if key := word(r.IntN(keys)); len(entries) > 0 && cells[key].Len() == 0 {
			cells[key] = merge.DotFunOf(entries...)
		}
	}
	for range r.IntN(30) {
		seen.Add(anyDot())
	}
	t := columns.Of(seen.Clone())
	for key, f := range cells {
		for d := range f.All() {
			k := columns.Text(key)
			t.Load(&k, d.Dot)
		}
	}
	want, ok := merge.Restore(cells, seen)
	if !ok {
		panic("a forged state that does not fit together")
	}
	return twin{t, want}
}

func origin(n int) merge.Origin { return merge.Origin{0: byte(n * 7), 14: byte(n >> 8), 15: byte(n)} }

// word returns the n-th key, of which some are long.
func word(n int) string {
	if n%17 == 0 {
		return fmt.Sprintf("%0*d", 20+n%40*n%2000, n)
	}
	return fmt.Sprint("key-", n)
}

// world are replicas and the deltas between them.
type world struct {
	r        *rand.Rand
	origins  int
	keys     int
	replicas []twin
	deltas   []delta
}

func newWorld(r *rand.Rand, origins, keys int) *world {
	return &world{r, origins, keys, []twin{newTwin(), newTwin(), newTwin()}, nil}
}

// step changes a replica and returns it and what went wrong, if anything.
func (w *world) step() (twin, string) {
	i := w.r.IntN(len(w.replicas))
	t, key := w.replicas[i], word(w.r.IntN(w.keys))
	o := origin(i + w.r.IntN(w.origins)/len(w.replicas)*len(w.replicas))
	switch what := w.r.IntN(100); {
	case what < 35:
		w.deltas = append(w.deltas, t.put(o, key))
	case what < 55:
		w.deltas = append(w.deltas, t.drop(o, key))
	case what < 90 && len(w.deltas) > 0:
		return t, t.apply(w.deltas[w.r.IntN(len(w.deltas))])
	case what < 93:
		return t, t.merge(w.replicas[w.r.IntN(len(w.replicas))].clone())
	case what < 94:
		return t, t.merge(forge(w.r, w.origins, w.keys))
	case what < 96:
		w.replicas[i] = t.clone()
	}
	return t, ""
}

func TestTableAgainstMap(t *testing.T) {
	for run := range 18 {
		r := rand.New(rand.NewPCG(uint64(run), 1))
		w := newWorld(r, []int{3, 20, 200}[run%3], []int{5, 60, 1000}[run/3%3])
		for step := range 1000 {
			changed, problem := w.step()
			if problem == "" && (step%16 == 0 || step%4 == 0 && w.keys < 100) {
				problem = cmp.Or(changed.differs(), changed.miscoded())
			}
			if problem != "" {
				t.Fatalf("run %d, step %d: %s", run, step, problem)
			}
		}
		for _, x := range w.replicas {
			for _, y := range w.replicas {
				if got, want := x.got.Equal(y.got), x.want.Equal(y.want); got != want {
					t.Fatalf("run %d: Equal = %t, want %t", run, got, want)
				}
			}
			if !x.got.Equal(x.got.Clone()) {
				t.Fatalf("run %d: a clone differs", run)
			}
		}
	}
}

// More keys than are kept together, in copies that go on alone.
func TestTableOfManyKeys(t *testing.T) {
	a := newTwin()
	for i := range 30_000 {
		a.put(origin(i%3), word(i))
		if i%7 == 0 {
			a.drop(origin(2), word(i/2))
		}
		if i%5_000 == 4_999 {
			b := a.clone()
			b.put(origin(5), "b")
			if problem := b.differs(); problem != "" {
				t.Fatalf("a clone at %d: %s", i, problem)
			}
			a = a.clone()
		}
	}
	if problem := cmp.Or(a.differs(), a.miscoded()); problem != "" {
		t.Error(problem)
	}
}

// Re-adding and removing for a long time, with a key that stays.
func TestTableStaysSmall(t *testing.T) {
	w := newTwin()
	w.put(origin(1), "stays")
	for i := range 50_000 {
		o := origin(i % 2)
		w.put(o, word(i%100))
		if i%3 == 0 {
			w.drop(o, word(i%70))
		}
		if i%5 == 0 {
			w.put(o, word(i))
			w.drop(o, word(i))
		}
	}
	if problem := w.differs(); problem != "" {
		t.Error(problem)
	}
}
