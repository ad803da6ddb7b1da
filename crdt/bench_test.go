package crdt_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
)

var sizes = []int{1_000, 1_000_000}

// label returns the i-th element, of 21 bytes.
func label(i int) string { return fmt.Sprintf("element-%013d", i) }

func filled(n int) *crdt.ORSet[string] {
	s := &crdt.ORSet[string]{}
	for i := range n {
		s.Add(originA, label(i))
	}
	return s
}

// BenchmarkMergeDelta merges deltas of one element into sets of two sizes. The
// work is the same; what the size adds are cache misses, as it does to the
// plain map that BenchmarkMapUpdate measures.
//
//   - same: one element is added and removed in turn, from memory that is warm.
//   - scattered: elements all over the set are added again.
//   - decoded: as scattered, from bytes as they arrive.
func BenchmarkMergeDelta(b *testing.B) {
	for _, n := range sizes {
		s := filled(n)
		remote := s.Clone()
		b.Run(fmt.Sprintf("same/%d", n), func(b *testing.B) {
			for b.Loop() {
				s.Merge(remote.Add(originB, "x"))
				s.Merge(remote.Remove(originB, "x"))
			}
		})
		b.Run(fmt.Sprintf("scattered/%d", n), func(b *testing.B) {
			deltas, at := scattered(b, remote, n), 0
			for b.Loop() {
				if at == len(deltas) {
					b.StopTimer()
					deltas, at = scattered(b, remote, n), 0
					b.StartTimer()
				}
				s.Merge(deltas[at])
				at++
			}
		})
		b.Run(fmt.Sprintf("decoded/%d", n), func(b *testing.B) {
			var bytes [][]byte
			at := 0
			for b.Loop() {
				if at == len(bytes) {
					b.StopTimer()
					bytes, at = bytes[:0], 0
					for _, d := range scattered(b, remote, n) {
						bytes = append(bytes, mustMarshal(b, d))
					}
					b.StartTimer()
				}
				var delta crdt.ORSet[string]
				if err := delta.UnmarshalBinary(bytes[at]); err != nil {
					b.Fatal(err)
				}
				s.Merge(&delta)
				at++
			}
		})
	}
}

// scattered returns deltas that add elements of a set of n again.
func scattered(b *testing.B, remote *crdt.ORSet[string], n int) []*crdt.ORSet[string] {
	b.Helper()
	r := rand.New(rand.NewPCG(uint64(n), remote.Context().Last(originB)))
	deltas := make([]*crdt.ORSet[string], 2048)
	for i := range deltas {
		deltas[i] = remote.Add(originB, label(r.IntN(n)))
	}
	return deltas
}

// BenchmarkMapUpdate is the yardstick of BenchmarkMergeDelta/scattered: two
// plain maps, one by element and one by number, of which an update writes one
// entry of the first and replaces one of the second.
func BenchmarkMapUpdate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			byName, byNumber, labels := make(map[string]int, n), make(map[int]string, n), make([]string, n)
			for i := range n {
				labels[i] = label(i)
				byName[labels[i]], byNumber[i] = i, labels[i]
			}
			r, next := rand.New(rand.NewPCG(1, 1)), n
			for b.Loop() {
				name := labels[r.IntN(n)]
				delete(byNumber, byName[name])
				byName[name], byNumber[next] = next, name
				next++
			}
		})
	}
}

func BenchmarkORSetAdd(b *testing.B) {
	var s crdt.ORSet[string]
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		s.Add(originA, label(i%1_000_000))
		i++
	}
}

func BenchmarkORSetMarshal(b *testing.B) {
	s := filled(100_000)
	n := 0
	for b.Loop() {
		n = len(mustMarshal(b, s))
	}
	b.ReportMetric(float64(n)/100_000, "bytes/element")
}

func BenchmarkORSetUnmarshal(b *testing.B) {
	encoded := mustMarshal(b, filled(100_000))
	b.SetBytes(int64(len(encoded)))
	for b.Loop() {
		var s crdt.ORSet[string]
		if err := s.UnmarshalBinary(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPNCounterAdd(b *testing.B) {
	var c crdt.PNCounter
	b.ReportAllocs()
	for b.Loop() {
		add(b, &c, originA, 1)
	}
}

func BenchmarkLWWRegisterSet(b *testing.B) {
	var r crdt.LWWRegister[string]
	at := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		at++
		write(b, &r, hlcTime(at), originA, "value")
	}
}
