package simnet_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/sync/simnet"
)

// BenchmarkRun runs one seed of 1,000 steps after the other.
func BenchmarkRun(b *testing.B) {
	steps, seed := 0, uint64(0)
	for b.Loop() {
		seed++
		r := simnet.Run(seed, simnet.Options{Steps: 1000})
		if r.Failure != nil {
			b.Fatalf("seed %d: %v", seed, r.Failure)
		}
		steps += r.Steps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
