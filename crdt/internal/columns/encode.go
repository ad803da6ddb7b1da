package columns

import (
	"encoding/binary"
	"iter"
	"slices"
)

// An Encoding is a table on the way to its binary form (docs/format.md, orset),
// without the context. The table must not change meanwhile.
type Encoding struct {
	t      *Table
	order  []ranked // nil if the records are in order as they are
	ranks  []uint32
	front  []byte // what comes before the keys
	bodies int    // the length of the keys without their heads
	back   []byte // what comes behind them
}

// A stretch is least dots of keys with consecutive numbers, both ends inclusive.
type stretch struct {
	rank        uint32
	first, last uint64
}

// Encode prepares the binary form: the least dot of each key as runs of what has
// been seen, the shapes of the keys in that order, their bodies, and the further
// dots.
func (t *Table) Encode() *Encoding {
	e := &Encoding{t: t, ranks: t.ranks()}
	live, ok := t.inOrder(e.ranks)
	if !ok {
		e.order = t.order()
		live = stretches(e.order)
	}
	e.front = appendLive(e.front, &t.seen, live)
	e.appendShapes()
	e.appendFurther()
	return e
}

// Len returns the length of the binary form.
func (e *Encoding) Len() int { return len(e.front) + e.bodies + len(e.back) }

// AppendTo appends the binary form.
func (e *Encoding) AppendTo(dst []byte) []byte {
	dst = append(slices.Grow(dst, e.Len()), e.front...)
	for key := range e.keys() {
		dst = append(dst, key[textHead(key[0]):]...)
	}
	return append(dst, e.back...)
}

// stretches returns the stretches of an order.
func stretches(order []ranked) (live []stretch) {
	for _, o := range order {
		if n := len(live); n > 0 && live[n-1].rank == o.rank && live[n-1].last+1 == o.seq {
			live[n-1].last++
		} else {
			live = append(live, stretch{o.rank, o.seq, o.seq})
		}
	}
	return live
}

// appendShapes appends the shape of each key. One that equals the one before is
// followed by how many more of the same come.
func (e *Encoding) appendShapes() {
	last, n := ^uint64(0), 0
	flush := func() {
		if n > 0 {
			e.front = binary.AppendUvarint(e.front, last)
			e.bodies += n * int(last/2)
		}
		if n > 1 {
			e.front = binary.AppendUvarint(e.front, last)
			e.front = binary.AppendUvarint(e.front, uint64(n-2))
		}
	}
	for key := range e.keys() {
		if shape := shapeOf(key); shape != last {
			flush()
			last, n = shape, 0
		}
		n++
	}
	flush()
}

// keys yields the keys in their order.
func (e *Encoding) keys() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if e.order == nil {
			for _, record := range e.t.records.all() {
				if e.t.living(dotOf(record)) != 0 && !yield(keyOf(record)) {
					return
				}
			}
		}
		for i := range e.order {
			if !yield(e.t.records.key(e.order[i].at)) {
				return
			}
		}
	}
}

// shapeOf returns twice the length of a key, or if it is text, twice the number
// of its bytes without the head, and one.
func shapeOf(key []byte) uint64 {
	if n := textHead(key[0]); n > 0 {
		return uint64(len(key)-n)<<1 | 1
	}
	return uint64(len(key)) << 1
}

// appendFurther appends the dots that are not the least of their keys: how many,
// and of each the number of its key, less that of the one before, the rank of
// its origin and its sequence number.
func (e *Encoding) appendFurther() {
	e.back = binary.AppendUvarint(e.back, uint64(e.t.dots-e.t.live))
	last := 0
	for i, o := range e.order {
		if !e.t.records.dot(o.at).isList() {
			continue
		}
		for _, d := range e.t.Dots(o.at)[1:] {
			n, _ := e.t.number(&d.Origin)
			e.back = binary.AppendUvarint(e.back, uint64(i-last))
			e.back = binary.AppendUvarint(e.back, uint64(e.ranks[n]))
			e.back = binary.AppendUvarint(e.back, d.Seq)
			last = i
		}
	}
}
