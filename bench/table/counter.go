package main

import (
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// counterRows measures counters against an entry of a Go map per origin. An
// increment shall take at most 10 ns where that takes 8, and a million of them
// at most 40 bytes.
func counterRows() {
	const n = 100_000
	plain := perOp(mapIncrements(n), n)
	row("PN-counter: increment / Go map increment", perOp(increments(n, me), n), plain, "ns")
	row("PN-counter: increment, 2 origins / Go map increment", perOp(increments(n, me, them), n), plain, "ns")
	row("PN-counter: increment, delta kept / Go map increment", perOp(incrementsKept(n), n), plain, "ns")
	row("PN-counter: bytes to sync 1 M increments / 40", counterSize(1_000_000), 40, "B")
}

// increments counts n times, by origins in turn, and ignores the deltas.
func increments(n int, origins ...merge.Origin) func(*testing.B) {
	return func(b *testing.B) {
		for b.Loop() {
			check(countUp(n, origins))
		}
	}
}

// countUp stands apart from the loop of the benchmark, which would keep the
// deltas alive.
//
//go:noinline
func countUp(n int, origins []merge.Origin) error {
	var c crdt.PNCounter
	for range n / len(origins) {
		for _, o := range origins {
			if _, err := c.Add(o, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// incrementsKept counts n times, as me, and keeps the deltas.
func incrementsKept(n int) func(*testing.B) {
	deltas := make([]*crdt.PNCounter, n)
	return func(b *testing.B) {
		for b.Loop() {
			var c crdt.PNCounter
			for i := range n {
				deltas[i], _ = c.Add(me, 1)
			}
		}
	}
}

func mapIncrements(n int) func(*testing.B) {
	return func(b *testing.B) {
		for b.Loop() {
			m := make(map[merge.Origin]int64)
			for range n {
				m[me]++
			}
		}
	}
}

// counterSize returns the bytes of the delta of the last of n increments, which
// is all that a replica needs to have them all.
func counterSize(n int) float64 {
	var c crdt.PNCounter
	var delta *crdt.PNCounter
	for range n {
		var err error
		delta, err = c.Add(me, 1)
		check(err)
	}
	b, err := delta.MarshalBinary()
	check(err)
	return float64(len(b))
}
