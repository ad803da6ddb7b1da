package merge_test

import (
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
)

// randomContext returns some of the dots of three origins.
func randomContext(rng *rand.Rand) *merge.Context {
	c := &merge.Context{}
	for range rng.IntN(30) {
		c.Add(merge.Dot{Origin: merge.Origin{byte(rng.IntN(3))}, Seq: uint64(1 + rng.IntN(20))})
	}
	return c
}

func TestContextWithout(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for range 2000 {
		a, b := randomContext(rng), randomContext(rng)
		want := &merge.Context{}
		for d := range a.All() {
			if !b.Contains(d) {
				want.Add(d)
			}
		}
		before := a.Clone()
		if got := a.Without(b); !got.Equal(want) {
			t.Fatalf("%v without %v has %d dots, want %d", a, b, got.Count(), want.Count())
		}
		a.Without(b).Add(merge.Dot{Origin: merge.Origin{1}, Seq: 99})
		if !a.Equal(before) {
			t.Fatal("the difference shares memory with what it was made of")
		}
	}
}

func TestContextWithoutAtTheEnds(t *testing.T) {
	o := merge.Origin{1}
	top := merge.Dot{Origin: o, Seq: 1<<64 - 1}
	c := merge.ContextOf(merge.Dot{Origin: o, Seq: 1}, top)
	if got := c.Without(merge.ContextOf(top)); !got.Equal(merge.ContextOf(merge.Dot{Origin: o, Seq: 1})) {
		t.Errorf("without the last dot: %d dots", got.Count())
	}
	if got := c.Without(c); got.Count() != 0 {
		t.Errorf("without itself: %d dots", got.Count())
	}
}

// TestDotMapSince lets replicas of one history bring each other up to date by
// differences: they say the same as whole states.
func TestDotMapSince(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	for range 300 {
		replicas := make([]*merge.DotMap[int, int], 3)
		for i := range replicas {
			replicas[i] = &merge.DotMap[int, int]{}
		}
		for range 60 {
			i, j := rng.IntN(3), rng.IntN(3)
			a, b := replicas[i], replicas[j]
			switch rng.IntN(4) {
			case 0, 1:
				a.Put(merge.Origin{byte(i)}, rng.IntN(6), rng.Int())
			case 2:
				a.Drop(merge.Origin{byte(i)}, rng.IntN(6))
			default:
				want := b.Clone()
				want.Merge(a)
				b.Merge(a.Since(b.Context()))
				if !b.Equal(want) {
					t.Fatal("a difference says something else than the state")
				}
			}
		}
	}
}

func TestContextAddSpan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 0))
	for range 500 {
		got, want := &merge.Context{}, &merge.Context{}
		for range 8 {
			s := merge.Span{Origin: merge.Origin{byte(rng.IntN(2))}, First: rng.Uint64N(30), Last: rng.Uint64N(30)}
			changed := false
			for seq := s.First; s.First > 0 && seq <= s.Last; seq++ {
				changed = want.Add(merge.Dot{Origin: s.Origin, Seq: seq}) || changed
			}
			if got.AddSpan(s) != changed || !got.Equal(want) {
				t.Fatalf("after %+v: %v, want %v", s, got, want)
			}
		}
	}
}
