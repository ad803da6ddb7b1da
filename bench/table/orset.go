package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
)

type set = crdt.ORSet[string]

// sink keeps results from being optimised away.
var sink *set

// orsetGoals measures a large add-wins set: elements of 21 bytes, in no order.
func orsetGoals(n int) {
	goalHead()
	w := newWorkload(n)
	w.changes()
	w.sizes()
	w.spread()
	w.memory()
	w.snapshots()
}

// A workload is n keys, the same in another order, and a set of them.
type workload struct {
	n               int
	keys, scattered []string
	full            *set
}

func newWorkload(n int) *workload {
	w := &workload{n: n, keys: make([]string, n)}
	r := rand.New(rand.NewPCG(1, 1))
	for i, j := range r.Perm(n) {
		w.keys[i] = key(j)
	}
	w.scattered = append(w.scattered, w.keys...)
	r.Shuffle(n, func(i, j int) { w.scattered[i], w.scattered[j] = w.scattered[j], w.scattered[i] })
	w.full = w.add()
	return w
}

func (w *workload) add() *set {
	s := &set{}
	for _, k := range w.keys {
		s.Add(me, k)
	}
	return s
}

// goMap returns a map of the keys that has room for size to begin with.
func (w *workload) goMap(size int) map[string]uint64 {
	m := make(map[string]uint64, size)
	for i, k := range w.keys {
		m[k] = uint64(i)
	}
	return m
}

// each returns a figure of a time per key.
func (w *workload) each(f func()) func() float64 {
	return func() float64 { return spent(f) / float64(w.n) }
}

// merging returns a figure of the time of merging each delta into a copy of s.
func (w *workload) merging(s *set, deltas []*set) func() float64 {
	return func() float64 {
		c := s.Clone()
		return w.each(func() {
			for _, d := range deltas {
				c.Merge(d)
			}
		})()
	}
}

func (w *workload) changes() {
	author := w.full.Clone()
	adds, removes := make([]*set, w.n), make([]*set, w.n)
	for i, k := range w.scattered {
		removes[i] = author.Remove(them, k)
	}
	author = &set{}
	for i, k := range w.keys {
		adds[i] = author.Add(them, k)
	}
	m := w.goMap(w.n)
	t := interleaved(
		w.each(func() { w.goMap(0) }),
		w.each(func() {
			s := &set{}
			for _, k := range w.keys {
				sink = s.Add(me, k)
			}
		}),
		w.each(func() { w.add() }),
		w.merging(&set{}, adds),
		w.merging(w.full, removes),
		w.each(func() {
			for _, k := range w.scattered {
				if _, ok := m[k]; !ok {
					panic(k)
				}
			}
		}),
		w.each(func() {
			for _, k := range w.scattered {
				if !w.full.Has(k) {
					panic(k)
				}
			}
		}),
	)
	goal(1, "add, its delta kept / insert into a growing Go map", t[1], t[0], 0.75, "ns")
	goal(1, "add, its delta dropped / insert into a growing Go map", t[2], t[0], 0.75, "ns")
	goal(2, "look an element up / in a Go map", t[6], t[5], 1.2, "ns")
	goal(3, "merge an add / insert into a growing Go map", t[3], t[0], 0.7, "ns")
	goal(3, "merge a remove / insert into a growing Go map", t[4], t[0], 0.2, "ns")
}

// sizes compares merging one change into sets of n and of 1,000.
func (w *workload) sizes() {
	small := &workload{n: 1000, keys: w.keys[:1000], scattered: w.keys[:1000]}
	small.full = small.add()
	large := w.full.Clone()
	of := func(s func() *set, keys []string, change func(*set, string) *set, as form) func() float64 {
		return func() float64 { return batches(s, keys, change, as) }
	}
	cold := func() *set { return large }
	warm := func() *set {
		s := small.full.Clone()
		for _, k := range small.keys {
			s.Has(k)
		}
		return s
	}
	next := w.n
	fresh := func(s *set, _ string) *set { next++; return s.Add(them, key(next)) }
	again := func(s *set, k string) *set { return s.Add(them, k) }
	remove := func(s *set, k string) *set { return s.Remove(them, k) }
	t := interleaved(
		of(cold, w.scattered, fresh, asBytes), of(warm, small.keys, fresh, asBytes),
		of(cold, w.scattered, again, asBytes), of(warm, small.keys, again, asBytes),
		of(cold, w.scattered, remove, asBytes), of(warm, small.keys, remove, asBytes),
		of(cold, w.scattered, fresh, asIs), of(warm, small.keys, fresh, asIs),
		of(cold, w.scattered, again, asIs), of(warm, small.keys, again, asIs),
		of(cold, w.scattered, remove, asIs), of(warm, small.keys, remove, asIs),
		w.insertions(), small.insertions(),
	)
	goal(4, "merge one new element as received, at 1 M / at 1 k", t[0], t[1], 2, "ns")
	goal(4, "merge a further add as received, at 1 M / at 1 k", t[2], t[3], 2, "ns")
	goal(4, "merge one remove as received, at 1 M / at 1 k", t[4], t[5], 2, "ns")
	goal(4, "merge one new element in memory, at 1 M / at 1 k", t[6], t[7], 2, "ns")
	goal(4, "merge a further add in memory, at 1 M / at 1 k", t[8], t[9], 2, "ns")
	goal(4, "merge one remove in memory, at 1 M / at 1 k", t[10], t[11], 2, "ns")
	goal(4, "for comparison: insert into a Go map, at 1 M / at 1 k", t[12], t[13], 2, "ns")
}

// A form is how a replica gets a delta.
type form int

const (
	asIs    form = iota // the value that the mutator returned
	asBytes             // its encoding, to be read first
)

// insertions returns a figure of the time of inserting a key into a Go map of n,
// which the memory caches have forgotten if it is large.
func (w *workload) insertions() func() float64 {
	next := 10 * w.n
	return func() float64 {
		m := w.goMap(0)
		total := 0.0
		const size, times = 500, 40
		for range times {
			fresh := keysFrom(next, size)
			next += size
			if w.n > 5000 {
				sink = w.full.Clone()
			} else {
				m = w.goMap(0)
			}
			total += spent(func() {
				for i, k := range fresh {
					m[k] = uint64(i)
				}
			})
		}
		return total / size / times
	}
}

// batches returns the time of merging one delta into what s returns, which its
// author has at the time.
func batches(s func() *set, keys []string, change func(*set, string) *set, as form) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size, times = 500, 40
	total, next := 0.0, 0
	author := s().Clone()
	for range times {
		to := s()
		if to.Len() < 5000 {
			author = to.Clone()
		}
		deltas, received := make([]*set, size), make([][]byte, size)
		for i := range deltas {
			deltas[i] = change(author, keys[next%len(keys)])
			received[i] = encoded(deltas[i])
			next++
		}
		total += spent(func() {
			for i, d := range deltas {
				if as == asBytes {
					d = decoded(received[i])
				}
				to.Merge(d)
			}
		})
	}
	return total / size / times
}

func (w *workload) memory() {
	ours := heap(func() any { return w.add() }) / float64(w.n)
	theirs := heap(func() any { return w.copied() }) / float64(w.n)
	goal(5, "heap of an element / 52 bytes", ours, 52, 1, "B")
	goal(5, "heap of an element / of a Go map with its keys", ours, theirs, 1, "B")
	empty := &workload{n: w.n}
	*w, *empty = *empty, *w
	rest := interleaved(func() float64 { return collecting(empty) })[0]
	s := empty.add()
	set := interleaved(func() float64 { return collecting(s) })[0] - rest
	s = nil
	m := empty.copied()
	goMap := interleaved(func() float64 { return collecting(m) })[0] - rest
	goal(6, "collection of garbage beside a set / beside a Go map", set/1e7, goMap/1e7, 0.1, "ms")
	*w, *empty = *empty, *w
}

// copied returns a Go map with keys of its own.
func (w *workload) copied() map[string]uint64 {
	m := make(map[string]uint64)
	for i, k := range w.keys {
		m[strings.Clone(k)] = uint64(i)
	}
	return m
}

func (w *workload) snapshots() {
	for _, removed := range []float64{0, 0.1, 0.5, 0.9} {
		s := w.full.Clone()
		for _, k := range w.scattered[:int(removed*float64(w.n))] {
			s.Remove(them, k)
		}
		goal(7, fmt.Sprintf("snapshot, %.0f %% removed / keys and entropy", 100*removed), float64(len(encoded(s))), w.least(removed), 1.03, "B")
	}
	b := encoded(w.full)
	buffer := make([]byte, len(b)+1024)
	t := interleaved(
		func() float64 {
			return spent(func() {
				for range 20 {
					copy(buffer, b)
				}
			}) / 20
		},
		func() float64 {
			return spent(func() {
				for range 5 {
					_, err := w.full.AppendBinary(buffer[:0])
					check(err)
				}
			}) / 5
		},
		w.each(func() { check((&set{}).UnmarshalBinary(b)) }),
		w.each(func() { w.goMap(w.n) }),
		w.each(func() { w.goMap(0) }),
	)
	goal(8, "encode into a buffer / copy the bytes", t[1]/1e6, t[0]/1e6, 1/0.15, "ms")
	goal(8, "open from bytes / build a Go map of known size", t[2], t[3], 0.8, "ns")
	goal(20, "open from bytes / build a growing Go map", t[2], t[4], 0.8, "ns")
}

// least returns the bytes of the keys that are left, and of the entropy of which
// they are.
func (w *workload) least(removed float64) float64 {
	entropy := 0.0
	for _, p := range []float64{removed, 1 - removed} {
		if p > 0 {
			entropy -= p * math.Log2(p)
		}
	}
	return float64(w.n) * ((1-removed)*float64(len(w.keys[0])) + entropy/8)
}

func encoded(s *set) []byte {
	b, err := s.MarshalBinary()
	check(err)
	return b
}
