package recon

import (
	"fmt"
	"iter"
	"slices"
)

// A Sketch is the first symbols of a set. It is linear: items come and go in
// any order in O(log Len), and the sketch depends on which there are, not on
// how they came.
type Sketch struct {
	coder
	symbols []symbol
}

// NewSketch returns the sketch of the empty set with n symbols.
func NewSketch(key Key, w Width, n int) *Sketch {
	return &Sketch{newCoder(key, w), make([]symbol, n)}
}

// Width returns the size of the items.
func (s *Sketch) Width() Width { return s.width }

// Len returns the number of symbols.
func (s *Sketch) Len() int { return len(s.symbols) }

// Add puts an item in, which must not be there: an item is in a set once.
func (s *Sketch) Add(item uint64) {
	hash := s.sip.hash(item)
	check := s.check(hash)
	for w := newWalk(hash); w.at < len(s.symbols); w.next() {
		s.symbols[w.at].add(item, check)
	}
}

// Remove takes an item out, which must be there.
func (s *Sketch) Remove(item uint64) {
	hash := s.sip.hash(item)
	check := s.check(hash)
	for w := newWalk(hash); w.at < len(s.symbols); w.next() {
		s.symbols[w.at].sub(item, check)
	}
}

// Extend makes the sketch at least n symbols long. items is the whole set, and
// is read once if there is anything to do.
func (s *Sketch) Extend(n int, items iter.Seq[uint64]) {
	have := len(s.symbols)
	if n <= have {
		return
	}
	s.symbols = append(s.symbols, make([]symbol, n-have)...)
	for item := range items {
		hash := s.sip.hash(item)
		check := s.check(hash)
		for w := newWalk(hash); w.at < n; w.next() {
			if w.at >= have {
				s.symbols[w.at].add(item, check)
			}
		}
	}
}

// Clone returns a copy that shares no memory.
func (s *Sketch) Clone() *Sketch { return &Sketch{s.coder, slices.Clone(s.symbols)} }

// Subtract makes the sketch that of the items it has and o has not, less those
// that o has and it has not: what is in both is gone. Both must be made with
// the same key and width, and o must be at least as long.
func (s *Sketch) Subtract(o *Sketch) {
	for i := range s.symbols {
		s.symbols[i].sub(o.symbols[i].sum, o.symbols[i].check)
	}
}

// Append appends the byte form of the symbols from position from to before end:
// SymbolSize bytes each, and nothing else.
func (s *Sketch) Append(dst []byte, from, end int) []byte {
	dst = slices.Grow(dst, (end-from)*s.width.SymbolSize())
	for _, sym := range s.symbols[from:end] {
		dst = s.width.appendSymbol(dst, sym)
	}
	return dst
}

// String says how large the sketch is.
func (s *Sketch) String() string {
	return fmt.Sprintf("sketch of %d symbols for items of %d bits", len(s.symbols), 8*s.width)
}
