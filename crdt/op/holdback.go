package op

import (
	"cmp"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// An early message waits for another one.
type early[M any] struct {
	header  Header
	message M
}

// holdBack is the messages that came before what they depend on.
type holdBack[M any] struct {
	messages map[merge.Dot]early[M]
	sizes    map[merge.Dot]int
	blocked  map[merge.Dot][]merge.Dot // missing dot -> messages that wait for it
	size     int
	maxCount int
	maxSize  int
}

const (
	defaultMaxHeld     = 4096
	defaultMaxHeldSize = 16 << 20
)

func newHoldBack[M any](maxCount, maxSize int) holdBack[M] {
	return holdBack[M]{
		messages: make(map[merge.Dot]early[M]), sizes: make(map[merge.Dot]int),
		blocked:  make(map[merge.Dot][]merge.Dot),
		maxCount: cmp.Or(maxCount, defaultMaxHeld), maxSize: cmp.Or(maxSize, defaultMaxHeldSize),
	}
}

// add lets a message wait and reports whether it does: there was room, or it
// waits already.
func (b *holdBack[M]) add(e early[M], missing merge.Dot, size int) bool {
	if _, ok := b.messages[e.header.Dot]; ok {
		return true
	}
	if len(b.messages) >= b.maxCount || size > b.maxSize-b.size {
		return false
	}
	b.messages[e.header.Dot], b.sizes[e.header.Dot] = e, size
	b.size += size
	b.blocked[missing] = append(b.blocked[missing], e.header.Dot)
	return true
}

// take removes and returns the messages that wait for a dot.
func (b *holdBack[M]) take(dot merge.Dot) (freed []early[M]) {
	for _, d := range b.blocked[dot] {
		freed = append(freed, b.messages[d])
		b.size -= b.sizes[d]
		delete(b.messages, d)
		delete(b.sizes, d)
	}
	delete(b.blocked, dot)
	return freed
}

// A Gap is messages of one origin that follow each other. Both ends are in it.
type Gap struct {
	Origin      merge.Origin
	First, Last uint64
}

// Held returns the number of messages that wait.
func (d *Delivery[M]) Held() int { return len(d.held.messages) }

// Missing returns the messages that have to be asked for, by origin and
// ascending: those that others wait for, and those that were refused because
// there was no room or Deliver failed. Asking until nothing is missing brings
// everything, however small the room. Of refused messages, 4,096 origins are
// noted at most; the errors told of all.
func (d *Delivery[M]) Missing() []Gap {
	last := make(map[merge.Origin]uint64) // by origin, the last message heard of
	hear := func(dot merge.Dot) { last[dot.Origin] = max(last[dot.Origin], dot.Seq) }
	here := make(map[merge.Origin][]uint64) // by origin, the messages that wait
	for dot, e := range d.held.messages {
		here[dot.Origin] = append(here[dot.Origin], dot.Seq)
		hear(dot)
		for _, dep := range e.header.Deps {
			hear(dep)
		}
	}
	for o, seq := range d.missed {
		hear(merge.Dot{Origin: o, Seq: seq})
	}
	var gaps []Gap
	for o, seq := range last {
		slices.Sort(here[o])
		gaps = appendGaps(gaps, o, d.seen.Get(o), here[o], seq)
	}
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(a.Origin.Compare(b.Origin), cmp.Compare(a.First, b.First))
	})
	return gaps
}

// appendGaps appends what is missing of an origin between seen, exclusive, and
// last, given the ascending numbers of what waits.
func appendGaps(gaps []Gap, o merge.Origin, seen uint64, here []uint64, last uint64) []Gap {
	next := seen + 1
	for _, seq := range here {
		if seq > next {
			gaps = append(gaps, Gap{o, next, seq - 1})
		}
		next = max(next, seq+1)
	}
	if next <= last {
		gaps = append(gaps, Gap{o, next, last})
	}
	return gaps
}
