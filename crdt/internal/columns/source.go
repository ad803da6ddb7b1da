package columns

import (
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A source is an origin and the slots of its dots: a window of pages of
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

// A page says which slots the dots of pageSize sequence numbers are in. What it
// says of others means nothing: the slot itself has to be asked.
type page struct {
	each  *[pageSize]uint32 // nil while slots ascend as sequence numbers do
	start uint32            // then the slot of the first number
	dots  uint32
}

func (g *page) slot(seq uint64) uint32 {
	if g.each != nil {
		return g.each[seq%pageSize]
	}
	return g.start + uint32(seq%pageSize)
}

func (g *page) set(seq uint64, slot uint32) {
	i := uint32(seq % pageSize)
	switch {
	case g.each != nil:
		g.each[i] = slot
	case g.dots == 0:
		g.start = slot - i
	case g.start+i != slot:
		g.each = new([pageSize]uint32)
		for j := range g.each {
			g.each[j] = g.start + uint32(j)
		}
		g.each[i] = slot
	}
	g.dots++
}

// page returns the page of a sequence number, nil if the window has none.
func (s *source) page(seq uint64) *page {
	if i := seq>>pageBits - s.first; i < uint64(len(s.pages)) {
		return &s.pages[i]
	}
	return nil
}

// settle notes that the dot p is in the slot.
func (t *Table) settle(p packed, at uint32) {
	if p.origin() < listOrigin {
		s := &t.origins[p.origin()]
		if g := s.page(p.seq()); g != nil || t.reach(s, p.seq()>>pageBits) {
			if g = s.page(p.seq()); g.dots == 0 {
				s.inUse++
			}
			g.set(p.seq(), at)
			return
		}
		s.far++
		s.strayed++
	}
	t.stray(p, at)
}

// stray notes the slot of a dot that no window has.
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
			if g.dots--; g.dots == 0 {
				*g = page{}
				s.inUse--
			}
			return
		}
		s.far--
	}
	delete(t.far, p)
}

// locate returns the slot of p, if it is live.
func (t *Table) locate(p packed) (at uint32, ok bool) {
	if p.origin() < listOrigin {
		if g := t.origins[p.origin()].page(p.seq()); g != nil {
			at = g.slot(p.seq())
			return at, g.dots != 0 && uint64(at) < uint64(t.slots.len()) && t.has(at, p)
		}
	}
	at, ok = t.far[p]
	return at, ok
}

// spare is how many pages a window may have beyond twice what it uses.
const spare = 16

// reach extends the window of s to the page with the given number, unless too
// few of its pages would be used. Old pages that are hardly used leave it.
func (t *Table) reach(s *source, number uint64) bool {
	if s.strayed > pageSize*(s.inUse+1) { // the numbers have moved elsewhere
		t.evict(s, len(s.pages))
	}
	for 2*s.inUse+spare < len(s.pages) {
		t.evict(s, (len(s.pages)+1)/2)
	}
	if len(s.pages) == 0 {
		s.first = number
	}
	if number < s.first || number-s.first >= uint64(2*s.inUse+spare) {
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
	for n < len(s.pages) && s.pages[n].dots == 0 {
		n++
	}
	s.first += uint64(n)
	s.pages = slices.Clone(s.pages[n:])
	s.strayed = 0
}

// empty moves the dots of a page to far.
func (t *Table) empty(s *source, i uint64) {
	g := s.pages[i]
	if g.dots == 0 {
		return
	}
	for p := range t.numbersOf(s, s.first+i) {
		if at := g.slot(p.seq()); uint64(at) < uint64(t.slots.len()) && t.has(at, p) {
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
			g.set(p.seq(), at)
			s.far--
		}
	}
	if g.dots > 0 {
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
