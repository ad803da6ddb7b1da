package main

import (
	"encoding/binary"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// Figures that the goals name.
const (
	yjs200Ops    = 1588    // bytes of a difference of 200 operations
	syncBytes    = 3700    // to exchange 100 adds each
	idleBytes    = 40      // to find that there is nothing to exchange
	gossipBytes  = 1.68e6  // 16 replicas, 10,000 operations, everybody with everybody
	syncTime     = 1e6     // ns
	idleTime     = 20e3    // ns
	gossipTime   = 90e6    // ns
	sharedWord   = 16      // bytes of a key that two replicas share
	gossipers    = 16      // replicas
	gossipChange = 10_000  // changes of all of them
	shared       = 1000000 // keys that two replicas share
)

// exchangeGoals measures how two replicas, or many, bring each other up to date
// by contexts and differences.
func exchangeGoals() {
	goalHead()
	onTheWire()
	twoReplicas()
	fullMerge()
	gossip()
}

// A wire counts what replicas send each other.
type wire struct{ messages, bytes int }

func (w *wire) send(b []byte) []byte {
	w.messages++
	w.bytes += len(b)
	return b
}

func decoded(b []byte) *set {
	s := &set{}
	check(s.UnmarshalBinary(b))
	return s
}

// sync makes a and b equal in three messages: what a has seen; what a lacks, and
// what b has seen; what b lacks. Two are enough if nothing is missing, and the
// second is empty.
func (w *wire) sync(a, b *set) {
	request, err := a.Context().AppendBinary(nil)
	check(err)
	request = w.send(request)
	theirs, err := merge.DecodeContext(request)
	check(err)
	if theirs.Equal(b.Context()) {
		w.send(nil)
		return
	}
	diff := encoded(b.Since(theirs))
	answer := binary.AppendUvarint(nil, uint64(len(diff)))
	answer, err = b.Context().AppendBinary(append(answer, diff...))
	check(err)
	answer = w.send(answer)
	n, head := binary.Uvarint(answer)
	known, err := merge.DecodeContext(answer[head+int(n):])
	check(err)
	back := w.send(encoded(a.Since(known)))
	a.Merge(decoded(answer[head : head+int(n)]))
	b.Merge(decoded(back))
}

// onTheWire is goal 9.
func onTheWire() {
	const base, ops = 100_000, 1000
	a := &set{}
	for i := range base {
		a.Add(me, key(i))
	}
	then := a.Context().Clone()
	payload := 0
	for i := range ops {
		a.Add(them, key(base+i))
		payload += len(key(base + i))
	}
	added := float64(len(encoded(a.Since(then)))-payload) / ops
	goal(9, "bytes an add beyond its payload, of 1,000 / 2", added, 2, 1, "B")

	then = a.Context().Clone()
	for i := range ops {
		a.Remove(them, key(i*base/ops+i%7))
	}
	goal(9, "bytes a remove, of 1,000 among 100 k / 4", float64(len(encoded(a.Since(then))))/ops, 4, 1, "B")

	then = a.Context().Clone()
	for i := range 100 {
		a.Add(them, fmt.Sprintf("w-%03d", i))
		a.Remove(them, key(50+i*base/100))
	}
	goal(9, "100 adds of 5 bytes and 100 removes / Yjs, 200 operations", float64(len(encoded(a.Since(then)))), yjs200Ops, 0.6, "B")
}

// twoReplicas is goal 18.
func twoReplicas() {
	word := func(i int) string { return fmt.Sprintf("%0*d", sharedWord, i) }
	first := &set{}
	for i := range shared {
		first.Add(me, word(i))
	}
	var idle, busy wire
	timed := interleaved(func() float64 {
		a, b := first.Clone(), first.Clone()
		idle = wire{}
		return spent(func() { idle.sync(a, b) })
	}, func() float64 {
		a, b := first.Clone(), first.Clone()
		for i := range 100 {
			a.Add(me, word(shared+i))
			b.Add(them, word(2*shared+i))
		}
		busy = wire{}
		t := spent(func() { busy.sync(a, b) })
		if !a.Equal(b) || a.Len() != shared+200 {
			panic("not in sync")
		}
		return t
	})
	goal(18, "1 M shared, nothing to sync: CPU / 20 us", timed[0]/1e3, idleTime/1e3, 1, "us")
	goal(18, "the same: bytes / 40", float64(idle.bytes), idleBytes, 1, "B")
	goal(18, "1 M shared, each adds 100: CPU / 1 ms", timed[1]/1e3, syncTime/1e3, 1, "us")
	goal(18, "the same: bytes / 3,700", float64(busy.bytes), syncBytes, 1, "B")
	goal(18, "the same: messages / 3", float64(busy.messages), 3, 1, "")
}

// fullMerge is goal 19.
func fullMerge() {
	const half = 500_000
	a, b := &set{}, &set{}
	for i := range half {
		a.Add(me, key(i))
		b.Add(them, key(half+i))
	}
	wireForm := encoded(b)
	timed := interleaved(func() float64 {
		c := a.Clone()
		return spent(func() { c.Merge(decoded(wireForm)) }) / half
	}, func() float64 {
		m := make(map[string]uint64)
		for i := range half {
			m[key(i)] = uint64(i)
		}
		more := keysFrom(half, half)
		return spent(func() {
			for i, k := range more {
				m[k] = uint64(i)
			}
		}) / half
	})
	goal(19, "merge 500 k + 500 k from bytes, an element / Go map insert", timed[0], timed[1], 1, "ns")
}

func keysFrom(first, n int) []string {
	k := make([]string, n)
	for i := range k {
		k[i] = key(first + i)
	}
	return k
}

// gossip is goal 22: three of four changes add.
func gossip() {
	var w wire
	took := interleaved(func() float64 {
		replicas := make([]*set, gossipers)
		for i := range replicas {
			replicas[i] = &set{}
			for n := range gossipChange / gossipers {
				if o := (merge.Origin{0: 9, 15: byte(i)}); n%4 == 3 {
					replicas[i].Remove(o, fmt.Sprintf("key-%04d", (n-2)*7%1000))
				} else {
					replicas[i].Add(o, fmt.Sprintf("key-%04d", n*7%1000+i))
				}
			}
		}
		w = wire{}
		return spent(func() {
			for !allEqual(replicas) {
				for i, a := range replicas {
					for _, b := range replicas[i+1:] {
						w.sync(a, b)
					}
				}
			}
		})
	})
	goal(22, "16 replicas, 10 k changes, gossip to equality: bytes / 1.68 MB", float64(w.bytes)/1e3, gossipBytes/1e3, 1, "kB")
	goal(22, "the same: CPU / 90 ms", took[0]/1e6, gossipTime/1e6, 1, "ms")
}

func allEqual(replicas []*set) bool {
	for _, r := range replicas[1:] {
		if !r.Equal(replicas[0]) {
			return false
		}
	}
	return true
}
