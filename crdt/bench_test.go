package crdt_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

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
// work is the same; what the size adds are cache misses and garbage collection,
// as it does to the plain maps of BenchmarkMapUpdate.
//
//   - same: one element is added and removed in turn, in memory that is warm.
//   - scattered: elements all over the set are added again.
//   - received: as scattered, from bytes as they arrive.
func BenchmarkMergeDelta(b *testing.B) {
	for _, n := range sizes {
		s := filled(n)
		remote := s.Clone()
		b.Run(fmt.Sprintf("same/%d", n), func(b *testing.B) {
			inBatches(b, func() (work []func()) {
				for range batch / 2 {
					add, remove := remote.Add(originB, "x"), remote.Remove(originB, "x")
					work = append(work, func() { s.Merge(add) }, func() { s.Merge(remove) })
				}
				return work
			})
		})
		r := rand.New(rand.NewPCG(1, 1))
		b.Run(fmt.Sprintf("scattered/%d", n), func(b *testing.B) {
			inBatches(b, func() (work []func()) {
				for range batch {
					delta := remote.Add(originB, label(r.IntN(n)))
					work = append(work, func() { s.Merge(delta) })
				}
				return work
			})
		})
		b.Run(fmt.Sprintf("received/%d", n), func(b *testing.B) {
			inBatches(b, func() (work []func()) {
				for range batch {
					encoded := mustMarshal(b, remote.Add(originB, label(r.IntN(n))))
					work = append(work, func() { receive(b, s, encoded) })
				}
				return work
			})
		})
	}
}

func receive(b *testing.B, s *crdt.ORSet[string], encoded []byte) {
	var delta crdt.ORSet[string]
	if err := delta.UnmarshalBinary(encoded); err != nil {
		b.Fatal(err)
	}
	s.Merge(&delta)
}

const batch = 512

// inBatches measures the work that prepare returns, again and again. The metric
// min-ns/op is the mean of the fastest batch: what the work takes when nothing
// else has the machine.
func inBatches(b *testing.B, prepare func() []func()) {
	var work []func()
	fastest, start := time.Duration(math.MaxInt64), time.Time{}
	runtime.GC()
	for b.Loop() {
		if len(work) == 0 {
			b.StopTimer()
			if !start.IsZero() {
				fastest = min(fastest, time.Since(start))
			}
			work = prepare()
			start = time.Now()
			b.StartTimer()
		}
		work[0]()
		work = work[1:]
	}
	b.ReportMetric(float64(fastest)/batch, "min-ns/op")
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
			inBatches(b, func() (work []func()) {
				for range batch {
					name := labels[r.IntN(n)]
					work = append(work, func() {
						delete(byNumber, byName[name])
						byName[name], byNumber[next] = next, name
						next++
					})
				}
				return work
			})
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

// BenchmarkPNCounterAdd counts where the delta is ignored and where it is kept.
func BenchmarkPNCounterAdd(b *testing.B) {
	b.Run("ignored", func(b *testing.B) {
		var c crdt.PNCounter
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Add(originA, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("kept", func(b *testing.B) {
		var c crdt.PNCounter
		b.ReportAllocs()
		for b.Loop() {
			add(b, &c, originA, 1)
		}
	})
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
