package merge_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// fun returns a DotFun in which each dot wrote a value of its own.
func fun(dots ...merge.Dot) merge.DotFun[string] {
	var entries []merge.Entry[string]
	for _, d := range dots {
		entries = append(entries, merge.Entry[string]{Dot: d, Value: d.String()})
	}
	return merge.DotFunOf(entries...)
}

func TestDotFunIsSorted(t *testing.T) {
	f := fun(dot(2, 1), dot(1, 5), dot(1, 2))
	want := []merge.Dot{dot(1, 2), dot(1, 5), dot(2, 1)}
	if !slices.Equal(f.Dots(), want) || f.Len() != 3 {
		t.Errorf("Dots, Len = %v, %d, want %v", f.Dots(), f.Len(), want)
	}
	for e := range f.All() {
		if e.Value != e.Dot.String() {
			t.Errorf("%v holds %q", e.Dot, e.Value)
		}
	}
	if !f.Contains(dot(1, 5)) || f.Contains(dot(1, 3)) || (merge.DotFun[string]{}).Contains(dot(1, 1)) {
		t.Error("Contains is wrong")
	}
	f.Dots()[0] = dot(9, 9)
	if !slices.Equal(f.Dots(), want) {
		t.Error("Dots returns memory of the DotFun")
	}
}

func TestJoinDotFuns(t *testing.T) {
	a1, a2, b1 := dot(1, 1), dot(1, 2), dot(2, 1)
	tests := []struct {
		name       string
		a          merge.DotFun[string]
		seenA      []merge.Dot
		b          merge.DotFun[string]
		seenB      []merge.Dot
		want       []merge.Dot
		wantChange bool
	}{
		{"nothing", fun(), nil, fun(), nil, nil, false},
		{"both have it", fun(a1), []merge.Dot{a1}, fun(a1), []merge.Dot{a1}, []merge.Dot{a1}, false},
		{"theirs is new", fun(a1), []merge.Dot{a1}, fun(b1), []merge.Dot{b1}, []merge.Dot{a1, b1}, true},
		{"theirs is new and replaces mine", fun(a1), []merge.Dot{a1}, fun(a2), []merge.Dot{a1, a2}, []merge.Dot{a2}, true},
		{"they removed it", fun(a1), []merge.Dot{a1}, fun(), []merge.Dot{a1}, nil, true},
		{"I removed it", fun(), []merge.Dot{a1}, fun(a1), []merge.Dot{a1}, nil, false},
		{"they have not seen mine", fun(a1, a2), []merge.Dot{a1, a2}, fun(), []merge.Dot{b1}, []merge.Dot{a1, a2}, false},
		{"one is added, one removed", fun(a1, a2), []merge.Dot{a1, a2}, fun(a1, b1), []merge.Dot{a1, a2, b1}, []merge.Dot{a1, b1}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, changed := merge.JoinDotFuns(test.a, merge.ContextOf(test.seenA...), test.b, merge.ContextOf(test.seenB...))
			if !slices.Equal(got.Dots(), test.want) || changed != test.wantChange {
				t.Errorf("got %v, %t, want %v, %t", got.Dots(), changed, test.want, test.wantChange)
			}
		})
	}
}

// side is one argument of a join: some live dots, and more that were seen.
type side struct {
	store textbook
	fun   merge.DotFun[string]
	seen  *merge.Context
}

func randomSide(r *rand.Rand) side {
	s := side{store: *newTextbook(), seen: &merge.Context{}}
	var live []merge.Dot
	for o := range 2 {
		for seq := uint64(1); seq <= 4; seq++ {
			d, fate := dot(o, seq), r.IntN(3)
			if fate > 0 {
				s.seen.Add(d)
				s.store.seen[d] = true
			}
			if fate > 1 {
				live = append(live, d)
				s.store.store[d] = write{key: d.String()}
			}
		}
	}
	r.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	s.fun = fun(live...)
	return s
}

func TestJoinDotFunsAgainstTextbook(t *testing.T) {
	r := random(t)
	for range 4000 {
		a, b := randomSide(r), randomSide(r)
		before := mergetest.Show([]any{a, b})
		got, changed := merge.JoinDotFuns(a.fun, a.seen, b.fun, b.seen)
		if after := mergetest.Show([]any{a, b}); after != before {
			t.Fatalf("the arguments are now %s, were %s", after, before)
		}
		live := len(a.store.store)
		a.store.merge(&b.store)
		if changed == (got.Len() == live && sameDots(got, a.fun)) {
			t.Fatalf("reports %t for %v ⊔ %v = %v", changed, a.fun, b.fun, got)
		}
		if got.Len() != len(a.store.store) || !slices.IsSortedFunc(got.Dots(), merge.Dot.Compare) {
			t.Fatalf("%v ⊔ %v = %v, want %v", a.fun, b.fun, got, a.store.store)
		}
		for e := range got.All() {
			if w, ok := a.store.store[e.Dot]; !ok || w.key != e.Value {
				t.Fatalf("%v ⊔ %v = %v, want %v", a.fun, b.fun, got, a.store.store)
			}
		}
	}
}

func sameDots(a, b merge.DotFun[string]) bool { return slices.Equal(a.Dots(), b.Dots()) }
