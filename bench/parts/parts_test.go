package parts_test

import (
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/bench/parts"
)

// BenchmarkPart is goal 11: a thousand scattered removals that are in no log any
// more, told by names and by keys. Its figures are bytes, questions and records;
// the time is that of building the stores as well.
func BenchmarkPart(b *testing.B) {
	for _, cells := range []int{10_000, 100_000, 1_000_000} {
		for name, c := range map[string]parts.Case{
			"log":   {PerAdd: 1},
			"stubs": {PerAdd: 1, Truncated: true},
			"many":  {PerAdd: 500},
			"keys":  {PerAdd: 1, Nameless: true},
		} {
			c.Cells, c.Removals = cells, 1000
			b.Run(fmt.Sprintf("%s/%d", name, cells), func(b *testing.B) {
				for b.Loop() {
					cost, err := parts.Measure(b.Context(), c)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(cost.Control()), "control-B")
					b.ReportMetric(float64(cost.Questions), "questions")
					b.ReportMetric(float64(cost.Records), "records")
				}
			})
		}
	}
}

// TestPart: a goal that a benchmark would only print.
func TestPart(t *testing.T) {
	cost, err := parts.Measure(t.Context(), parts.Case{Cells: 20_000, PerAdd: 1, Removals: 1000})
	if err != nil || cost.Control() > 12_000 || cost.Questions != 1 {
		t.Errorf("Measure = %+v, %v; want at most 12,000 bytes and one question", cost, err)
	}
}
