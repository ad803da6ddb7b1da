package recon_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/sync/recon"
)

// sets returns two indexes of n items of which d differ, in a row or anywhere.
func sets(n, d int, inARow bool) (ours, theirs *recon.Keyed) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(d)))
	differ := make(map[int]bool, d)
	from := r.IntN(n - d + 1)
	for len(differ) < d {
		if inARow {
			differ[from+len(differ)] = true
		} else {
			differ[r.IntN(n)] = true
		}
	}
	a, b := &recon.Index{}, &recon.Index{}
	for i := range n {
		k := fmt.Appendf(nil, "tags\x00\x01orset\x00\x01%08d", i)
		p := recon.Print{r.Uint64(), r.Uint64()}
		a.Append(k, p)
		if !differ[i] { // a difference of a set of items is an item that one side lacks
			b.Append(k, p)
		}
	}
	return a.Under(key), b.Under(key)
}

// sketchBytes returns the bytes of symbols that comparing two sets takes.
func sketchBytes(t testing.TB, ours, theirs *recon.Keyed, d int) int {
	n := 40 + 2*d
	a, b := recon.NewSketch(key, recon.Bits64, 0), recon.NewSketch(key, recon.Bits64, 0)
	a.Extend(n, ours.Items())
	b.Extend(n, theirs.Items())
	got := decode(t, a, b, 1)
	if !got.Done() || len(got.Ours()) != d || len(got.Theirs()) != 0 {
		t.Fatalf("%d differences: done %v, found %d and %d", d, got.Done(), len(got.Ours()), len(got.Theirs()))
	}
	return got.Len() * recon.Bits64.SymbolSize()
}

// A sketch costs the same among a thousand items and among 64 thousand: not
// nearly, exactly, because symbols carry no counts. A search costs
// more the farther its differences are apart, and less when they are close.
func TestSketchIsFlat(t *testing.T) {
	for _, d := range []int{1, 10, 100} {
		for _, n := range []int{1000, 64_000} {
			ours, theirs := sets(n, d, false)
			got := sketchBytes(t, ours, theirs, d)
			if most := 12 * (2*d + 20); got > most {
				t.Errorf("%d differences among %d: %d bytes, want at most %d", d, n, got, most)
			}
		}
	}
}

// BenchmarkControl prints what comparing costs, in bytes, for n items of which d
// differ: by sketch, and by ranges for differences anywhere and in a row.
func BenchmarkControl(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		for _, d := range []int{1, 10, 100, 1000, 10_000} {
			if d*10 > n {
				continue
			}
			b.Run(fmt.Sprintf("n=%d/d=%d", n, d), func(b *testing.B) {
				ours, theirs := sets(n, d, false)
				mine, yours := sets(n, d, true)
				var sketch, apart, row, rounds int
				for b.Loop() {
					sketch = sketchBytes(b, ours, theirs, d)
					_, _, apart = search(b, ours, theirs)
					_, rounds, row = search(b, mine, yours)
				}
				b.ReportMetric(float64(sketch), "sketch-B")
				b.ReportMetric(float64(apart), "ranges-B")
				b.ReportMetric(float64(row), "row-B")
				b.ReportMetric(float64(rounds), "row-rounds")
			})
		}
	}
}
