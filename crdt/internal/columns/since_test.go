package columns_test

import (
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/internal/columns"
	"github.com/joinery-crdt/joinery/merge"
)

// reload returns a table with what t holds and without its memories.
func reload(t *columns.Table) *columns.Table {
	again := columns.Of(t.Context().Clone())
	for at, key := range t.All() {
		k := columns.Raw(key)
		for _, d := range t.Dots(at) {
			again.Load(&k, d)
		}
	}
	again.Loaded()
	return again
}

// TestTableSince lets replicas that change, get changes of others after what
// their authors had seen, merge and are reloaded bring each other up to date by
// differences: these say the same as whole states.
func TestTableSince(t *testing.T) {
	runs := 12
	if raceDetector {
		runs = 3 // one of each size
	}
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 2))
		keys := []int{5, 60, 3000}[run%3]
		replicas := []*columns.Table{columns.New(), columns.New(), columns.New(), columns.New()}
		var sent []delta
		var causes []*merge.Context
		for step := range 4000 {
			i, j := r.IntN(len(replicas)), r.IntN(len(replicas))
			a, b, key := replicas[i], replicas[j], word(r.IntN(keys))
			k := columns.Text(key)
			switch what := r.IntN(100); {
			case what < 45:
				causes = append(causes, a.Context().Clone())
				sent = append(sent, delta{key: key, change: a.Put(origin(i), &k)})
			case what < 80:
				causes = append(causes, a.Context().Clone())
				sent = append(sent, delta{key: key, change: a.Drop(origin(i), &k)})
			case what < 90:
				for n := range sent {
					if causes[n].Without(a.Context()).Count() == 0 && !a.Context().Contains(sent[n].change.Dot) {
						k := columns.Text(sent[n].key)
						a.Apply(&k, &sent[n].change)
						break
					}
				}
			case what < 91:
				replicas[i] = reload(a)
			case what < 92:
				replicas[i] = a.Clone()
			case what < 93:
				a.Merge(b)
			default:
				want := b.Clone()
				want.Merge(a)
				diff := a.Since(b.Context())
				again := b.Clone()
				if again.Merge(diff.Since(b.Context())); !again.Equal(want) {
					t.Fatalf("run %d, step %d: the difference's difference says something else", run, step)
				}
				if b.Merge(diff); !b.Equal(want) {
					t.Fatalf("run %d, step %d: a difference says something else than the state", run, step)
				}
			}
		}
	}
}

// TestSinceIsSmall removes few of many keys: a replica that saw them all is told
// those, and one that knows everything is told nothing.
func TestSinceIsSmall(t *testing.T) {
	a := columns.New()
	for i := range 5000 {
		k := columns.Text(word(i))
		a.Put(origin(1), &k)
		if i%3 == 0 {
			a.Drop(origin(1), &k)
		}
	}
	b := a.Clone()
	var gone []merge.Dot
	for _, i := range []int{1000, 2000, 4000} {
		k := columns.Text(word(i))
		at, ok := a.Find(&k)
		if !ok {
			t.Fatalf("no %d", i)
		}
		gone = append(gone, a.Dots(at)...)
		gone = append(gone, a.Drop(origin(2), &k).Dot)
	}
	diff := a.Since(b.Context())
	if diff.Len() != 0 || !diff.Context().Equal(merge.ContextOf(gone...)) {
		t.Errorf("three removals are told as %d keys and %d dots", diff.Len(), diff.Context().Count())
	}
	if diff := a.Since(a.Context()); diff.Len() != 0 || diff.Context().Count() != 0 {
		t.Errorf("to itself: %d keys, %d dots", diff.Len(), diff.Context().Count())
	}
	if diff := a.Since(&merge.Context{}); !diff.Equal(a) {
		t.Error("to one that knows nothing: something else than the state")
	}
}

// TestSinceOfForgotten makes more removals than a table remembers, by itself and
// by merging others, while a replica is away.
func TestSinceOfForgotten(t *testing.T) {
	cases := map[string]int{"its own": 0, "merged one by one": 1, "merged many at a time": 50}
	if raceDetector {
		cases = map[string]int{"merged many at a time": 50}
	}
	for name, batch := range cases {
		a := columns.New()
		for i := range 12000 {
			k := columns.Text(word(i))
			a.Put(origin(0), &k)
		}
		b := a.Clone()
		for i := 0; i < 10000; i += max(1, batch) {
			by := a
			if batch > 0 {
				by = a.Clone()
			}
			for n := range max(1, batch) {
				k := columns.Text(word(i + n))
				by.Drop(origin(1), &k)
			}
			if batch == 1 { // one change more, so that it is not clear which it was
				k := columns.Text("more")
				by.Put(origin(1), &k)
				i += 30
			}
			a.Merge(by.Since(a.Context()))
		}
		if b.Merge(a.Since(b.Context())); !b.Equal(a) {
			t.Errorf("%s: the replica has %d keys, want %d", name, b.Len(), a.Len())
		}
	}
}

// TestSinceOfDeferredRemove tells a replica that has an element of a remove that
// came to a table before the element.
func TestSinceOfDeferredRemove(t *testing.T) {
	a, b, c := columns.New(), columns.New(), columns.New()
	k := columns.Text("x")
	added := b.Put(origin(1), &k)
	c.Apply(&k, &added)
	removed := c.Drop(origin(2), &k)
	a.Apply(&k, &removed)
	if b.Merge(a.Since(b.Context())); b.Len() != 0 {
		t.Error("the removed element stays")
	}
}
