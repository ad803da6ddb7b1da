package columns

import (
	"encoding/binary"
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
	var s shapes
	live, ok := t.inOrder(e.ranks, &s)
	if !ok {
		e.order = t.order()
		live, s = stretches(e.order), shapes{}
		for _, o := range e.order {
			s.add(t.records.key(o.at))
		}
	}
	e.front = append(appendLive(e.front, &t.seen, live), s.end()...)
	e.bodies = s.bodies
	e.appendFurther()
	return e
}

// Len returns the length of the binary form.
func (e *Encoding) Len() int { return len(e.front) + e.bodies + len(e.back) }

// AppendTo appends the binary form.
func (e *Encoding) AppendTo(dst []byte) []byte {
	dst = append(slices.Grow(dst, e.Len()), e.front...)
	if e.order == nil {
		dst = e.t.appendBodies(dst)
	}
	for i := range e.order {
		key := e.t.records.key(e.order[i].at)
		dst = append(dst, key[textHead(key[0]):]...)
	}
	return append(dst, e.back...)
}

// appendBodies appends the keys without their heads, in the order of the records.
func (t *Table) appendBodies(dst []byte) []byte {
	whole := t.records.n == t.live
	for _, chunk := range t.records.chunks {
		for len(chunk) > 0 {
			key := keyOf(chunk)
			if whole || t.living(dotOf(chunk)) != 0 {
				dst = append(dst, key[textHead(key[0]):]...)
			}
			chunk = chunk[span(len(key)):]
		}
	}
	return dst
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

// Shapes are the shapes of keys: each is told, and one that equals the one before
// is followed by how many more of the same come.
type shapes struct {
	told   []byte
	last   uint64
	alike  int // keys in a row that have it
	bodies int // the length of all keys without their heads
}

func (s *shapes) add(key []byte) {
	if shape := shapeOf(key); shape != s.last {
		s.flush()
		s.last, s.alike = shape, 0
	}
	s.alike++
}

func (s *shapes) flush() {
	if s.alike > 0 {
		s.told = binary.AppendUvarint(s.told, s.last)
		s.bodies += s.alike * int(s.last/2)
	}
	if s.alike > 1 {
		s.told = binary.AppendUvarint(s.told, s.last)
		s.told = binary.AppendUvarint(s.told, uint64(s.alike-2))
	}
	s.alike = 0
}

// end returns what was told.
func (s *shapes) end() []byte {
	s.flush()
	return s.told
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
