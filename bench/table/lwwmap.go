package main

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
)

type fields = crdt.LWWMap[string, int]

// sinkFields keeps results from being optimised away.
var sinkFields *fields

// overwrites is how often each field of a map is written.
const overwrites = 10

// An overwriting is the writes of a map: the keys, and the order in which they
// are written in each round.
type overwriting struct {
	keys   []string
	orders [overwrites][]int
}

func newOverwriting(n int, shuffled bool) *overwriting {
	w := &overwriting{}
	r := rand.New(rand.NewPCG(2, 2))
	for i := range n {
		w.keys = append(w.keys, fmt.Sprintf("key-%06d", i))
	}
	for round := range w.orders {
		w.orders[round] = r.Perm(n)
		for i := range n {
			if !shuffled {
				w.orders[round][i] = i
			}
		}
	}
	return w
}

// stampOf returns the stamp of a writer's i-th write, of which it makes 100 in a
// millisecond.
func stampOf(i int) crdt.Stamp {
	return crdt.Stamp{Time: hlc.New(int64(1_790_000_000_000+i/100), uint16(i%100)), Origin: me}
}

func (w *overwriting) goMap() {
	m := make(map[string]int)
	at := 0
	for _, order := range w.orders {
		for _, i := range order {
			at++
			m[w.keys[i]] = at
		}
	}
}

// ours writes the same into a map of ours, of which it drops the deltas.
func (w *overwriting) ours() *fields {
	m := &fields{}
	at := 0
	for _, order := range w.orders {
		for _, i := range order {
			at++
			_, err := m.Set(stampOf(at), w.keys[i], at)
			check(err)
		}
	}
	return m
}

// kept is ours with deltas that live on.
func (w *overwriting) kept() {
	m := &fields{}
	at := 0
	for _, order := range w.orders {
		for _, i := range order {
			at++
			delta, err := m.Set(stampOf(at), w.keys[i], at)
			check(err)
			sinkFields = delta
		}
	}
}

func (w *overwriting) each(f func()) func() float64 {
	return func() float64 { return spent(f) / float64(overwrites*len(w.keys)) }
}

// bytes returns the encoded size per key.
func (w *overwriting) bytes() float64 {
	b, err := w.ours().MarshalBinary()
	check(err)
	return float64(len(b)) / float64(len(w.keys))
}

// mergingFields returns a figure of the time of merging one field into a map of
// n, where the fields are all over it.
func mergingFields(n int) func() float64 {
	m, author := &fields{}, &fields{}
	for i := range n {
		_, err := m.Set(stampOf(i+1), key(i), i)
		check(err)
	}
	r, at := rand.New(rand.NewPCG(3, 3)), n
	return func() float64 {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		deltas := make([]*fields, 1000)
		for i := range deltas {
			var err error
			at++
			deltas[i], err = author.Set(stampOf(at), key(r.IntN(n)), at)
			check(err)
		}
		return spent(func() {
			for _, d := range deltas {
				m.Merge(d)
			}
		}) / float64(len(deltas))
	}
}

// replacing is mergingFields for a Go map: what the caches cost alone.
func replacing(n int) func() float64 {
	m := make(map[string]int, n)
	for i := range n {
		m[key(i)] = i
	}
	r := rand.New(rand.NewPCG(3, 3))
	return func() float64 {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		names := make([]string, 1000)
		for i := range names {
			names[i] = key(r.IntN(n))
		}
		return spent(func() {
			for i, k := range names {
				m[k] = i
			}
		}) / float64(len(names))
	}
}

// lwwmapGoals measures a map of n keys of which each is written ten times.
func lwwmapGoals(n int) {
	goalHead()
	for _, shuffled := range []bool{false, true} {
		w, order := newOverwriting(n, shuffled), "in order"
		if shuffled {
			order = "shuffled"
		}
		t := interleaved(w.each(w.goMap), w.each(func() { sinkFields = w.ours() }), w.each(w.kept))
		goal(21, "LWW map: set, "+order+", its delta dropped / a Go map", t[1], t[0], 1.2, "ns")
		goal(21, "LWW map: set, "+order+", its delta kept / a Go map", t[2], t[0], 1.2, "ns")
		goal(21, "LWW map: encoded, "+order+", for a key of 10 bytes / 27", w.bytes(), 27, 1, "B")
	}
	t := interleaved(mergingFields(1_000_000), mergingFields(1000), replacing(1_000_000), replacing(1000))
	goal(4, "LWW map: merge one field, at 1 M / at 1 k", t[0], t[1], 2, "ns")
	goal(4, "(of a Go map, replace one value, at 1 M / at 1 k)", t[2], t[3], 2, "ns")
}
