package columns

import (
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A packed is a dot of one table in 64 bits: the number of its origin and its
// sequence number. 0 is none. Two origin numbers are kept for what does not fit:
// a dot that stands in wide, and a list of dots that stands in rows.
type packed uint64

const (
	seqBits    = 40
	seqMask    = 1<<seqBits - 1
	listOrigin = 1<<24 - 2
	wideOrigin = 1<<24 - 1
)

func pack(origin uint32, seq uint64) packed { return packed(origin)<<seqBits | packed(seq) }

func (p packed) origin() uint32 { return uint32(p >> seqBits) }
func (p packed) seq() uint64    { return uint64(p & seqMask) }
func (p packed) isList() bool   { return p.origin() == listOrigin }

// A row is one of several dots of a record.
type row struct {
	dot  packed
	next uint32 // index of the next row plus one, or 0
}

// lists are the dots of keys that have several.
type lists struct {
	rows []row
	free uint32 // first unused row plus one, or 0
}

// push returns a list that begins with p and goes on with the list next.
func (l *lists) push(p packed, next uint32) uint32 {
	if l.free == 0 {
		l.rows = append(l.rows, row{p, next})
		return uint32(len(l.rows))
	}
	at := l.free
	l.free = l.rows[at-1].next
	l.rows[at-1] = row{p, next}
	return at
}

// remove returns the list without p, which is in it.
func (l *lists) remove(list uint32, p packed) uint32 {
	link, r := &list, &l.rows[list-1]
	for r.dot != p {
		link = &r.next
		r = &l.rows[*link-1]
	}
	at := *link
	*link = r.next
	l.rows[at-1] = row{0, l.free}
	l.free = at
	return list
}

// wides are the dots that do not fit into a packed.
type wides struct {
	dots   []merge.Dot
	number map[merge.Dot]uint64
	free   []uint64
}

func (w *wides) add(d merge.Dot) uint64 {
	if n, ok := w.number[d]; ok {
		return n
	}
	n := uint64(len(w.dots))
	if last := len(w.free) - 1; last >= 0 {
		n, w.free = w.free[last], w.free[:last]
		w.dots[n] = d
	} else {
		w.dots = append(w.dots, d)
	}
	if w.number == nil {
		w.number = make(map[merge.Dot]uint64)
	}
	w.number[d] = n
	return n
}

func (w *wides) remove(n uint64) {
	delete(w.number, w.dots[n])
	w.free = append(w.free, n)
}

// fewOrigins is up to how many origins a look at each beats a map.
const fewOrigins = 16

// number returns the number of an origin.
func (t *Table) number(o *merge.Origin) (uint32, bool) {
	if int(t.last) < len(t.origins) && t.origins[t.last].id == *o {
		return t.last, true
	}
	if len(t.origins) > fewOrigins {
		n, ok := t.numbers[*o]
		return n, ok
	}
	for i := range t.origins {
		if t.origins[i].id == *o {
			return uint32(i), true
		}
	}
	return 0, false
}

// intern returns the number of an origin, a new one if it has none.
func (t *Table) intern(o *merge.Origin) uint32 {
	n, ok := t.number(o)
	if !ok {
		n = uint32(len(t.origins))
		t.origins = append(t.origins, source{id: *o})
		t.enter(n)
	}
	t.last = n
	return n
}

// enter puts the origin with the last number into the map, if there is to be one.
func (t *Table) enter(n uint32) {
	switch {
	case n < fewOrigins:
	case n == fewOrigins:
		t.numbers = make(map[merge.Origin]uint32)
		for i := range t.origins {
			t.numbers[t.origins[i].id] = uint32(i)
		}
	default:
		t.numbers[t.origins[n].id] = n
	}
}

// pack returns the packed form of a dot that is about to be stored.
func (t *Table) pack(d merge.Dot) packed {
	if n := t.intern(&d.Origin); n < listOrigin && d.Seq <= seqMask {
		return pack(n, d.Seq)
	}
	return pack(wideOrigin, t.wide.add(d))
}

// packed returns the packed form of a dot, if it can be stored.
func (t *Table) packed(d merge.Dot) (packed, bool) {
	if len(t.wide.number) > 0 {
		if n, ok := t.wide.number[d]; ok {
			return pack(wideOrigin, n), true
		}
	}
	n, ok := t.number(&d.Origin)
	return pack(n, d.Seq), ok && d.Seq != 0 && d.Seq <= seqMask && n < listOrigin
}

// dot returns what p packs.
func (t *Table) dot(p packed) merge.Dot {
	if p.origin() == wideOrigin {
		return t.wide.dots[p.seq()]
	}
	return merge.Dot{Origin: t.origins[p.origin()].id, Seq: p.seq()}
}

// dotAt returns the dot of a record, 0 if it has none, or the list of its dots.
func (t *Table) dotAt(at uint32) packed { return t.living(t.records.dot(at)) }

// living returns what stands in a record in place of its dot, or 0 if that is a
// dot that the record has no more.
func (t *Table) living(p packed) packed {
	if p != 0 && !p.isList() && !t.lives(p) {
		return 0
	}
	return p
}

// dotsOf yields the dots of a record, in no particular order.
func (t *Table) dotsOf(at uint32) iter.Seq[packed] {
	return func(yield func(packed) bool) {
		p := t.dotAt(at)
		if !p.isList() {
			if p != 0 {
				yield(p)
			}
			return
		}
		for list := uint32(p.seq()); list != 0; {
			r := t.lists.rows[list-1]
			if list = r.next; !yield(r.dot) {
				return
			}
		}
	}
}

// has reports whether p is a dot of the record.
func (t *Table) has(at uint32, p packed) bool {
	d := t.dotAt(at)
	if !d.isList() {
		return d == p
	}
	for list := uint32(d.seq()); list != 0; {
		r := &t.lists.rows[list-1]
		if r.dot == p {
			return true
		}
		list = r.next
	}
	return false
}

// Dots returns the dots of a record, ascending, in a slice of the caller's own.
func (t *Table) Dots(at uint32) []merge.Dot {
	var dots []merge.Dot
	for p := range t.dotsOf(at) {
		dots = append(dots, t.dot(p))
	}
	slices.SortFunc(dots, merge.Dot.Compare)
	return dots
}

// attach makes p, which is in no record, a dot of the record.
func (t *Table) attach(at uint32, p packed) {
	d := t.dotAt(at)
	switch {
	case d == 0:
		t.records.setDot(at, p)
		t.live++
	case d.isList():
		t.records.setDot(at, pack(listOrigin, uint64(t.lists.push(p, uint32(d.seq())))))
	default:
		t.records.setDot(at, pack(listOrigin, uint64(t.lists.push(p, t.lists.push(d, 0)))))
		t.share(d, true)
	}
	t.dots++
	t.settle(p, at, d != 0)
}

// take takes p off its record, if it is live. A record without a dot keeps what
// was its last: to look at its page is cheaper than to look at the record.
func (t *Table) take(p packed) (live bool) {
	if p.origin() < listOrigin {
		s := &t.origins[p.origin()]
		if g := s.page(p.seq()); g != nil && g.several>>(p.seq()%pageSize)&1 == 0 {
			if !g.lives(p.seq()) {
				return false
			}
			t.live--
			t.dots--
			t.unsettle(p)
			return true
		}
	}
	at, live := t.locate(p)
	if live {
		t.detach(at, p)
	}
	return live
}

// detach takes the dot p off the record that has it.
func (t *Table) detach(at uint32, p packed) {
	if d := t.records.dot(at); !d.isList() {
		if p.origin() == wideOrigin {
			t.records.setDot(at, 0)
		}
		t.live--
	} else {
		list := t.lists.remove(uint32(d.seq()), p)
		if r := t.lists.rows[list-1]; r.next == 0 {
			t.lists.remove(list, r.dot)
			t.records.setDot(at, r.dot)
			t.share(r.dot, false)
		} else {
			t.records.setDot(at, pack(listOrigin, uint64(list)))
		}
	}
	t.dots--
	t.unsettle(p)
}
