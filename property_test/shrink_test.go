package property_test

import (
	"testing"

	"github.com/leanovate/gopter"

	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// Every generator must shrink: in finitely many steps, to a value that shrinks
// no further, and to the same kind of value.
func TestGeneratorsShrink(t *testing.T) {
	for name, g := range map[string]gopter.Gen{
		"dot": dot(), "dots": dots(), "vector": vector(), "context": context(), "wide context": wideContext(),
		"max": genHighest(), "min": genLowest(), "pair": genPair(), "lex": genLex(), "chain": genChain(),
		"map": genMapping(), "nested map": genNested(), "program": programs(),
	} {
		t.Run(name, func(t *testing.T) {
			shrinks := false
			for seed := range int64(20) {
				p := gopter.DefaultGenParameters().CloneWithSeed(seed).WithSize(12)
				shrinks = shrinksToTheEnd(t, g(p)) || shrinks
			}
			if !shrinks {
				t.Error("no value of 20 shrinks")
			}
		})
	}
}

// shrinksToTheEnd follows the first shrink of each value, and reports whether
// there was one.
func shrinksToTheEnd(t *testing.T, r *gopter.GenResult) (shrinks bool) {
	t.Helper()
	v, ok := r.Retrieve()
	if !ok {
		t.Fatal("no value")
	}
	for range 1000 {
		less, ok := r.Shrinker(v)()
		if !ok {
			return shrinks
		}
		if mergetest.Show(less) == mergetest.Show(v) {
			less, ok = another(r.Shrinker(v), v)
			if !ok {
				return shrinks
			}
		}
		v, shrinks = less, true
	}
	t.Fatalf("%s still shrinks after 1000 steps", mergetest.Show(v))
	return false
}

// another returns the first shrunk value that differs from v: two sources may
// build one value.
func another(s gopter.Shrink, v any) (any, bool) {
	for less, ok := s(); ok; less, ok = s() {
		if mergetest.Show(less) != mergetest.Show(v) {
			return less, true
		}
	}
	return nil, false
}
