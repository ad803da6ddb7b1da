package merge_test

import (
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

type byOrigin = merge.ByOrigin[maxInt, *maxInt]

// valuesOf returns the values given at the origins 1, 2, ..., without the
// negative ones.
func valuesOf(values ...int) *byOrigin {
	b := &byOrigin{}
	for i, v := range values {
		if v >= 0 {
			b.Join(origin(i+1), merge.MaxOf(v))
		}
	}
	return b
}

func TestByOriginLaws(t *testing.T) {
	wide := valuesOf()
	for i := range 20 {
		wide.Raise(origin(i), *merge.MaxOf(3))
	}
	values := []*byOrigin{valuesOf(), valuesOf(1), valuesOf(-1, 2), valuesOf(2, 1), valuesOf(0, -1, 3), wide}
	if err := triples(values, mergetest.Laws[*byOrigin]); err != nil {
		t.Error(err)
	}
}

// A ByOrigin says the same as a Map, whatever is done to both.
func TestByOriginIsAMap(t *testing.T) {
	r := random(t)
	for range 200 {
		var b, delta byOrigin
		var m merge.Map[merge.Origin, maxInt, *maxInt]
		for range r.IntN(60) {
			o, v := origin(r.IntN(30)), merge.MaxOf(r.IntN(100))
			switch r.IntN(4) {
			case 0:
				delta.Join(o, v)
				continue
			case 1:
				if got, want := b.Merge(&delta), joinAll(&m, &delta); got != want {
					t.Fatalf("Merge reports %t, want %t", got, want)
				}
				delta = byOrigin{}
				continue
			case 2:
				if own := b.Own(o); own != nil {
					own.Merge(v)
				} else {
					b.Raise(o, *v)
				}
				m.Join(o, v)
				continue
			}
			if got, want := b.Join(o, v), m.Join(o, v); got != want {
				t.Fatalf("Join reports %t, want %t", got, want)
			}
		}
		sameAsMap(t, &b, &m)
	}
}

func joinAll(m *merge.Map[merge.Origin, maxInt, *maxInt], delta *byOrigin) (changed bool) {
	for o, v := range delta.All() {
		changed = m.Join(o, v) || changed
	}
	return changed
}

func sameAsMap(t *testing.T, b *byOrigin, m *merge.Map[merge.Origin, maxInt, *maxInt]) {
	t.Helper()
	var origins []merge.Origin
	for o, v := range b.All() {
		origins = append(origins, o)
		if want, ok := m.Get(o); !ok || !v.Equal(want) {
			t.Fatalf("%v is %s, want %s", o, mergetest.Show(v), mergetest.Show(want))
		}
		if got, ok := b.Get(o); !ok || got != v {
			t.Fatalf("Get(%v) = %s, %t", o, mergetest.Show(got), ok)
		}
	}
	if len(origins) != m.Len() || b.Len() != m.Len() || !slices.IsSortedFunc(origins, merge.Origin.Compare) {
		t.Fatalf("%d origins, Len %d, want %d in order", len(origins), b.Len(), m.Len())
	}
	if _, ok := b.Get(origin(40)); ok || b.Own(origin(40)) != nil {
		t.Fatal("an origin without a value has one")
	}
}

func TestByOriginKeepsBottomAbsent(t *testing.T) {
	var b byOrigin
	if b.Join(origin(1), &maxInt{}) || b.Len() != 0 || !b.Equal(&byOrigin{}) {
		t.Errorf("joining bottom leaves %d origins", b.Len())
	}
}

func TestByOriginEqual(t *testing.T) {
	values := []*byOrigin{valuesOf(), valuesOf(1), valuesOf(2), valuesOf(-1, 1), valuesOf(1, 1), valuesOf(1, 1, 1)}
	for i, a := range values {
		for j, b := range values {
			if a.Equal(b) != (i == j) {
				t.Errorf("Equal of %s and %s is %t", mergetest.Show(a), mergetest.Show(b), i != j)
			}
		}
	}
}

func TestByOriginFirst(t *testing.T) {
	var b byOrigin
	b.First(origin(2), *merge.MaxOf(5))
	b.Raise(origin(1), *merge.MaxOf(4))
	if !b.Equal(valuesOf(4, 5)) {
		t.Errorf("has %s", mergetest.Show(&b))
	}
	for range b.All() {
		break
	}
}
