package merge_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
)

// filled returns a map with n keys, put by A.
func filled(n int) *dotMap {
	m := &dotMap{}
	for i := range n {
		m.Put(originA, "key-"+strconv.Itoa(i), i)
	}
	return m
}

// benchmarkDeltas measures merging the deltas of a peer into maps of several
// sizes. Beside BenchmarkGoMap, the time must not grow with the size. make returns the i-th delta of the peer; the number of keys
// stays what it was over a pair of deltas.
func benchmarkDeltas(b *testing.B, make func(peer *dotMap, size, i int) *dotMap) {
	const batch = 1024
	for _, size := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			m := filled(size)
			peer := m.Clone()
			var deltas []*dotMap
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if len(deltas) == 0 {
					b.StopTimer()
					for range batch {
						deltas = append(deltas, make(peer, size, i))
						i++
					}
					b.StartTimer()
				}
				m.Merge(deltas[0])
				deltas = deltas[1:]
			}
		})
	}
}

// spread returns the number of a key far from those of its neighbours.
func spread(i, size int) string { return "key-" + strconv.Itoa(i*7919%size) }

func BenchmarkDotMapMergeOverwrite(b *testing.B) {
	benchmarkDeltas(b, func(peer *dotMap, size, i int) *dotMap { return peer.Put(originB, spread(i, size), i) })
}

func BenchmarkDotMapMergeAddRemove(b *testing.B) {
	benchmarkDeltas(b, func(peer *dotMap, _, i int) *dotMap {
		if key := "new-" + strconv.Itoa(i/2); i%2 == 0 {
			return peer.Put(originB, key, i)
		} else {
			return peer.Drop(originB, key)
		}
	})
}

func BenchmarkDotMapPut(b *testing.B) {
	for _, size := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			m := filled(size)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Put(originB, spread(i, size), i)
				i++
			}
		})
	}
}

// BenchmarkGoMap is the yardstick: overwriting in a plain map of each size.
func BenchmarkGoMap(b *testing.B) {
	for _, size := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			m := make(map[string]int)
			for i := range size {
				m["key-"+strconv.Itoa(i)] = i
			}
			keys := make([]string, 1<<16)
			for i := range keys {
				keys[i] = spread(i, size)
			}
			i := 0
			for b.Loop() {
				m[keys[i%len(keys)]] = i
				i++
			}
		})
	}
}

func BenchmarkDotMapClone(b *testing.B) {
	m := filled(10_000)
	b.ReportAllocs()
	for b.Loop() {
		m.Clone()
	}
}

func BenchmarkDotMapMergeState(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			m := filled(size)
			from := m.Clone()
			b.ReportAllocs()
			for b.Loop() {
				m.Merge(from)
			}
		})
	}
}

func BenchmarkContextAdd(b *testing.B) {
	for _, origins := range []int{1, 64, 10_000} {
		b.Run(fmt.Sprintf("origins=%d", origins), func(b *testing.B) {
			var c merge.Context
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c.Add(dotOf(i%origins, uint64(i/origins+1)))
				i++
			}
		})
	}
	b.Run("delta", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c merge.Context
			c.Add(dot(1, 7))
			c.Add(dot(1, 3))
		}
	})
	for _, gaps := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("gaps=%d", gaps), func(b *testing.B) {
			var c merge.Context
			for i := range gaps {
				c.Add(dot(1, uint64(3*i+1)))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c.Add(dot(1, uint64(3*(i*7919%gaps)+1)))
				i++
			}
		})
	}
}

// BenchmarkContextGap adds dots that leave a gap each, round robin over the
// origins, as deltas do when some are lost.
func BenchmarkContextGap(b *testing.B) {
	for _, gaps := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("gaps=%d", gaps), func(b *testing.B) {
			var c merge.Context
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i%gaps == 0 {
					c = merge.Context{}
				}
				c.Add(dotOf(i%10, uint64(2*(i/10%(gaps/10))+1)))
				i++
			}
		})
	}
}

func dotOf(o int, seq uint64) merge.Dot {
	return merge.Dot{Origin: merge.Origin{12: byte(o >> 16), 14: byte(o >> 8), 15: byte(o)}, Seq: seq}
}

func BenchmarkContextContains(b *testing.B) {
	for _, origins := range []int{1, 64, 10_000} {
		b.Run(fmt.Sprintf("origins=%d", origins), func(b *testing.B) {
			var c merge.Context
			for i := range origins {
				c.Add(dotOf(i, 1))
			}
			i := 0
			for b.Loop() {
				c.Contains(dotOf(i%origins, 1))
				i++
			}
		})
	}
}

func BenchmarkContextMerge(b *testing.B) {
	for _, origins := range []int{1, 64, 10_000} {
		b.Run(fmt.Sprintf("origins=%d", origins), func(b *testing.B) {
			var c merge.Context
			for i := range origins {
				c.Add(dotOf(i, 1))
			}
			from := c.Clone()
			b.ReportAllocs()
			for b.Loop() {
				c.Merge(from)
			}
		})
	}
}

func BenchmarkContextEncode(b *testing.B) {
	for _, origins := range []int{1, 64, 10_000} {
		b.Run(fmt.Sprintf("origins=%d", origins), func(b *testing.B) {
			var c merge.Context
			for i := range origins {
				c.Add(dotOf(i, 1))
			}
			buf, _ := c.AppendBinary(nil)
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = c.AppendBinary(buf[:0])
			}
			b.ReportMetric(float64(len(buf)), "B/context")
		})
	}
}

func BenchmarkJoinDotFuns(b *testing.B) {
	seen := merge.ContextOf(dot(1, 1), dot(1, 2), dot(1, 3), dot(2, 1))
	one := merge.ContextOf(dot(1, 1), dot(1, 2))
	tests := []struct {
		name  string
		a     merge.DotFun[string]
		seenA merge.Dots
		b     merge.DotFun[string]
		seenB merge.Dots
	}{
		{"add", fun(), &merge.Context{}, fun(dot(1, 1)), one},
		{"replace", fun(dot(1, 1)), merge.DotSetOf(dot(1, 1)), fun(dot(1, 2)), one},
		{"same", fun(dot(1, 2)), seen, fun(dot(1, 2)), seen},
		{"stale", fun(dot(1, 3), dot(2, 1)), seen, fun(dot(1, 2)), one},
	}
	for _, test := range tests {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				merge.JoinDotFuns(test.a, test.seenA, test.b, test.seenB)
			}
		})
	}
}
