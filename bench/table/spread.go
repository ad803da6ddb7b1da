package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A replica is a set, its author elsewhere, and keys that both have.
type replica struct {
	to, author *set
	keys       []string
}

func newReplica(keys []string) *replica {
	to := &set{}
	for _, k := range keys {
		to.Add(me, k)
	}
	return &replica{to, to.Clone(), keys}
}

// spread compares merging one change into a set of n with merging one into one
// of n/1,000 sets of 1,000, each change into another: the same elements in
// memory, the same misses of its caches.
func (w *workload) spread() {
	one := []*replica{newReplica(w.scattered)}
	var many []*replica
	for keys := range slices.Chunk(w.scattered, 1000) {
		many = append(many, newReplica(keys))
	}
	next := 20 * w.n
	for _, c := range []struct {
		name   string
		change func(s *set, k string) *set
	}{
		{"new element", func(s *set, _ string) *set { next++; return s.Add(them, key(next)) }},
		{"further add", func(s *set, k string) *set { return s.Add(them, k) }},
		{"remove", func(s *set, k string) *set { return s.Remove(them, k) }},
	} {
		t := interleaved(
			func() float64 { return mergeEach(one, c.change) },
			func() float64 { return mergeEach(many, c.change) },
		)
		goal(4, "merge one "+c.name+", into a set of 1 M / into 1,000 of 1 k", t[0], t[1], 2, "ns")
	}
}

// mergeEach returns the time of merging a change, each into the next replica.
func mergeEach(rs []*replica, change func(*set, string) *set) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size, times = 1000, 20
	r := rand.New(rand.NewPCG(2, uint64(len(rs))))
	total := 0.0
	for range times {
		deltas := make([]*set, size)
		for i := range deltas {
			at := rs[i%len(rs)]
			deltas[i] = change(at.author, at.keys[r.IntN(len(at.keys))])
		}
		total += spent(func() {
			for i, d := range deltas {
				rs[i%len(rs)].to.Merge(d)
			}
		})
	}
	return total / size / times
}

// stressGoals measures goals 3 to 5 where they are harder: ten times the
// elements, many origins, changes with gaps. There they hold within 1.5.
func stressGoals(n int) {
	goalHead()
	newWorkload(10*n).stress(fmt.Sprintf("%d M elements", 10*n/1_000_000), 1, 0)
	newWorkload(n).stress("1,000 origins", 1000, 0)
	newWorkload(n).stress("10 % gaps", 1, 10)
}

// stress merges adds of that many origins, of which so many in a hundred are
// missing, and then the removal of each.
func (w *workload) stress(where string, origins, missing int) {
	adds := make([]*set, 0, w.n)
	full := &set{}
	for i, k := range w.keys {
		o := origin(i % origins)
		d := full.Add(o, k)
		if i%100 >= missing {
			adds = append(adds, d)
		}
	}
	received := &set{}
	for _, d := range adds {
		received.Merge(d)
	}
	author := received.Clone()
	removes := make([]*set, 0, len(adds))
	for _, k := range w.scattered {
		if author.Has(k) {
			removes = append(removes, author.Remove(them, k))
		}
	}
	author = nil
	t := interleaved(
		w.each(func() { w.goMap(0) }),
		w.merging(&set{}, adds),
		w.merging(received, removes),
	)
	goal(3, "merge an add / insert into a Go map, "+where, t[1], t[0], 1.5*0.7, "ns")
	goal(3, "merge a remove / insert into a Go map, "+where, t[2], t[0], 1.5*0.2, "ns")
	bytes := heap(func() any {
		s := &crdt.ORSet[string]{}
		for _, d := range adds {
			s.Merge(d)
		}
		return s
	})
	runtime.KeepAlive([]any{full, received})
	goal(5, "heap of an element / 52 bytes, "+where, bytes/float64(len(adds)), 52, 1.5, "B")
}

func origin(i int) (o merge.Origin) {
	o[0], o[1], o[2] = 1, byte(i>>8), byte(i)
	return o
}
