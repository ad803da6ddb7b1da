package columns

import (
	"iter"
	"math/bits"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A source is an origin and the records of its dots: a window of pages of
// consecutive sequence numbers. Dots outside of it are in the table's far.
type source struct {
	id      merge.Origin
	first   uint64 // number of the first page
	pages   []page
	inUse   int // pages with a dot
	far     int // dots in far
	strayed int // dots that went there since the window was last cut
}

const (
	pageBits = 6
	pageSize = 1 << pageBits
)

// A page says which records the live dots of pageSize sequence numbers are in.
type page struct {
	each         *[pageSize]uint32 // nil while records ascend evenly
	start, apart uint32            // then where that of the first number would be, and how far apart they are
	set          uint64            // the numbers that are live, a bit each
	several      uint64            // those of them whose record has other dots too
}

// lives reports whether a number is live.
func (g *page) lives(seq uint64) bool { return g.set>>(seq%pageSize)&1 == 1 }

// drop makes a number dead.
func (g *page) drop(seq uint64) {
	bit := uint64(1) << (seq % pageSize)
	g.set &^= bit
	g.several &^= bit
	if g.set == 0 {
		*g = page{}
	}
}

// share notes whether the record of a number has other dots too.
func (g *page) share(seq uint64, several bool) {
	bit := uint64(1) << (seq % pageSize)
	if g.several &^= bit; several {
		g.several |= bit
	}
}

// record returns the record of a number, if it is live.
func (g *page) record(seq uint64) (at uint32, ok bool) {
	i := uint32(seq % pageSize)
	if !g.lives(seq) {
		return 0, false
	}
	if g.each != nil {
		return g.each[i], true
	}
	return g.start + i*g.apart, true
}

// put makes a number live, in a record.
func (g *page) put(seq uint64, at uint32) {
	i := uint32(seq % pageSize)
	if g.each == nil && !g.even(i, at) {
		g.each = new([pageSize]uint32)
		for j := range g.each {
			g.each[j] = g.start + uint32(j)*g.apart
		}
	}
	if g.each != nil {
		g.each[i] = at
	}
	g.set |= 1 << i
}

// even reports whether number i fits in without a list of all.
func (g *page) even(i, at uint32) bool {
	switch bits.OnesCount64(g.set) {
	case 0:
		g.start, g.apart = at, 0
	case 1:
		j := uint32(bits.TrailingZeros64(g.set))
		before := int32(g.start + j*g.apart)
		if (int32(at)-before)%(int32(i)-int32(j)) != 0 {
			return false
		}
		g.apart = uint32((int32(at) - before) / (int32(i) - int32(j)))
		g.start = at - i*g.apart
	}
	return g.start+i*g.apart == at
}

// page returns the page of a sequence number, nil if the window has none.
func (s *source) page(seq uint64) *page {
	if i := seq>>pageBits - s.first; i < uint64(len(s.pages)) {
		return &s.pages[i]
	}
	return nil
}

// settle notes that the dot p is in the record, which has several or only it.
func (t *Table) settle(p packed, at uint32, several bool) {
	if p.origin() < listOrigin {
		s := &t.origins[p.origin()]
		if g := s.page(p.seq()); g != nil || t.reach(s, p.seq()>>pageBits) {
			if g = s.page(p.seq()); g.set == 0 {
				s.inUse++
			}
			g.put(p.seq(), at)
			g.share(p.seq(), several)
			return
		}
		s.far++
		s.strayed++
	}
	t.stray(p, at)
}

// stray notes the record of a dot that no window has.
func (t *Table) stray(p packed, at uint32) {
	if t.far == nil {
		t.far = make(map[packed]uint32)
	}
	t.far[p] = at
}

// unsettle forgets where p was.
func (t *Table) unsettle(p packed) {
	if p.origin() == wideOrigin {
		t.wide.remove(p.seq())
	} else {
		s := &t.origins[p.origin()]
		if g := s.page(p.seq()); g != nil {
			if g.drop(p.seq()); g.set == 0 {
				s.inUse--
			}
			return
		}
		s.far--
	}
	delete(t.far, p)
}

// lives reports whether p, which stands in a record, is a dot of it still.
func (t *Table) lives(p packed) bool {
	if p.origin() == wideOrigin {
		return true // or its record would have forgotten it
	}
	if g := t.origins[p.origin()].page(p.seq()); g != nil {
		return g.lives(p.seq())
	}
	_, ok := t.far[p]
	return ok
}

// share notes whether the record of p has other dots too.
func (t *Table) share(p packed, several bool) {
	if p.origin() < listOrigin {
		if g := t.origins[p.origin()].page(p.seq()); g != nil {
			g.share(p.seq(), several)
		}
	}
}

// locate returns the record of p, if it is live.
func (t *Table) locate(p packed) (at uint32, ok bool) {
	if p.origin() < listOrigin {
		if g := t.origins[p.origin()].page(p.seq()); g != nil {
			return g.record(p.seq())
		}
	}
	at, ok = t.far[p]
	return at, ok
}

// window returns how many pages a window may have that uses so many of them.
func window(inUse int) int { return 2*inUse + spare }

const spare = 16

// reach extends the window of s to the page with the given number, unless too
// few of its pages would be used. Old pages that are hardly used leave it.
func (t *Table) reach(s *source, number uint64) bool {
	if s.strayed > pageSize*(s.inUse+1) { // the numbers have moved elsewhere
		t.evict(s, len(s.pages))
	}
	for window(s.inUse) < len(s.pages) {
		t.evict(s, (len(s.pages)+1)/2)
	}
	if len(s.pages) == 0 {
		s.first = number
	}
	if number < s.first || number-s.first >= uint64(window(s.inUse)) {
		return false
	}
	for uint64(len(s.pages)) <= number-s.first {
		s.pages = append(s.pages, page{})
		if s.far > 0 {
			t.gather(s, s.first+uint64(len(s.pages)-1))
		}
	}
	return true
}

// evict takes the first n pages out of the window, and unused ones behind them.
func (t *Table) evict(s *source, n int) {
	for i := range s.pages[:n] {
		t.empty(s, uint64(i))
	}
	for n < len(s.pages) && s.pages[n].set == 0 {
		n++
	}
	s.first += uint64(n)
	s.pages = slices.Clone(s.pages[n:])
	s.strayed = 0
}

// empty moves the dots of a page to far.
func (t *Table) empty(s *source, i uint64) {
	g := &s.pages[i]
	if g.set == 0 {
		return
	}
	for p := range t.numbersOf(s, s.first+i) {
		if at, live := g.record(p.seq()); live {
			t.stray(p, at)
			s.far++
		}
	}
	s.inUse--
}

// gather moves the dots of a page that is new in the window there from far.
func (t *Table) gather(s *source, number uint64) {
	g := &s.pages[number-s.first]
	for p := range t.numbersOf(s, number) {
		if at, ok := t.far[p]; ok {
			delete(t.far, p)
			g.put(p.seq(), at)
			g.share(p.seq(), t.records.dot(at).isList())
			s.far--
		}
	}
	if g.set != 0 {
		s.inUse++
	}
}

// numbersOf yields the dots that the page with the given number is for.
func (t *Table) numbersOf(s *source, number uint64) iter.Seq[packed] {
	return func(yield func(packed) bool) {
		origin, _ := t.number(&s.id)
		for i := range uint64(pageSize) {
			if !yield(pack(origin, number<<pageBits+i)) {
				return
			}
		}
	}
}

func (s *source) clone() source {
	c := *s
	c.pages = slices.Clone(s.pages)
	for i, g := range c.pages {
		if g.each != nil {
			each := *g.each
			c.pages[i].each = &each
		}
	}
	return c
}
