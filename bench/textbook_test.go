package bench_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/bench"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// TestBaselineIsTheSameSet holds the baseline to the set it is compared with.
func TestBaselineIsTheSameSet(t *testing.T) {
	textbook := []*bench.TextbookORSet{bench.NewTextbookORSet(), bench.NewTextbookORSet()}
	ours := make([]crdt.ORSet[string], 2)
	for i, v := range []string{"a", "b", "a", "c", "d", "b"} {
		r := i % 2
		textbook[r].Add(string(rune('A'+r)), v)
		ours[r].Add(merge.Origin{byte(r)}, v)
		if i == 3 {
			textbook[0].Merge(textbook[1])
			ours[0].Merge(&ours[1])
		}
	}
	textbook[0].Merge(textbook[1])
	ours[0].Merge(&ours[1])
	got, want := slices.Sorted(ours[0].All()), slices.Sorted(maps.Keys(textbook[0].Elements))
	if !slices.Equal(got, want) {
		t.Errorf("the set holds %q, the baseline %q", got, want)
	}
}
