package merge_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// triples returns the first error of check over all triples of the values.
func triples[L any](values []L, check func(a, b, c L) error) error {
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				if err := check(a, b, c); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func TestExtremesLaws(t *testing.T) {
	maxes := []*merge.Max[int]{{}, merge.MaxOf(-1), merge.MaxOf(0), merge.MaxOf(7)}
	mins := []*merge.Min[string]{{}, merge.MinOf(""), merge.MinOf("a"), merge.MinOf("b")}
	for name, err := range map[string]error{
		"Laws(Max)":  triples(maxes, mergetest.Laws[*merge.Max[int]]),
		"Chain(Max)": triples(maxes, mergetest.Chain[*merge.Max[int]]),
		"Laws(Min)":  triples(mins, mergetest.Laws[*merge.Min[string]]),
		"Chain(Min)": triples(mins, mergetest.Chain[*merge.Min[string]]),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMaxOfZeroIsNotBottom(t *testing.T) {
	var m merge.Max[int]
	if _, ok := m.Value(); ok {
		t.Error("the zero Max has a value")
	}
	if !m.Merge(merge.MaxOf(0)) {
		t.Error("merging 0 into the zero Max reports no change")
	}
	if v, ok := m.Value(); v != 0 || !ok {
		t.Errorf("Value() = %d, %t, want 0, true", v, ok)
	}
	m.Merge(merge.MaxOf(-5))
	if v, _ := m.Value(); v != 0 {
		t.Errorf("the maximum of 0 and -5 is %d", v)
	}
}

func TestMinTakesTheSmallest(t *testing.T) {
	m := merge.MinOf(3)
	for _, n := range []int{5, 2, 4} {
		m.Merge(merge.MinOf(n))
	}
	if v, ok := m.Value(); v != 2 || !ok {
		t.Errorf("Value() = %d, %t, want 2, true", v, ok)
	}
	if m.Merge(&merge.Min[int]{}) {
		t.Error("merging the zero Min reports a change")
	}
}
