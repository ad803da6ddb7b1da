package recon

import "math/bits"

// A Decoder finds the difference of two sets out of their symbols, which it
// takes in order and in portions of any size.
//
// It spends O(log n) time for each item it finds and finds at most one item a
// symbol, whatever the symbols are.
type Decoder struct {
	coder
	symbols []symbol // theirs less ours, less what is found
	left    int      // symbols that are not zero
	due     map[int][]found
	seen    map[uint64]struct{}
	dirty   []uint64 // a bit for each position to look at
	ours    []uint64
	theirs  []uint64
	err     error
}

// found is an item that is found, on its way over the symbols to come.
type found struct {
	walk
	item  uint64
	check uint32
	ours  bool
}

// NewDecoder returns a decoder that has seen no symbols.
func NewDecoder(key Key, w Width) *Decoder {
	return &Decoder{coder: newCoder(key, w), due: make(map[int][]found), seen: make(map[uint64]struct{})}
}

// Add takes the peer's symbols from position Len on, in the form of
// [Sketch.Append], and compares them with those of ours, which must be made with
// the same key and width. It retains neither. The error is [ErrSymbols], after
// which the decoder is as it was, or [ErrInconsistent], after which it is of no
// more use.
func (d *Decoder) Add(ours *Sketch, theirs []byte) error {
	size := d.width.SymbolSize()
	n := len(theirs) / size
	if len(theirs)%size != 0 || len(d.symbols)+n > ours.Len() {
		return ErrSymbols
	}
	for i := range n {
		s := d.width.symbol(theirs[i*size:])
		mine := ours.symbols[len(d.symbols)]
		s.sub(mine.sum, mine.check)
		d.push(s)
	}
	d.peel()
	return d.err
}

// Len returns the number of symbols taken.
func (d *Decoder) Len() int { return len(d.symbols) }

// Done reports whether the whole difference is found.
func (d *Decoder) Done() bool { return d.err == nil && d.left == 0 && len(d.symbols) > 0 }

// Ours returns the items found so far that are ours alone, in no particular order.
// The slice belongs to the decoder.
func (d *Decoder) Ours() []uint64 { return d.ours }

// Theirs returns the items found so far that are the peer's alone.
func (d *Decoder) Theirs() []uint64 { return d.theirs }

// push appends a symbol, less the items found earlier that lie in it.
func (d *Decoder) push(s symbol) {
	at := len(d.symbols)
	for _, f := range d.due[at] {
		f.takeOff(&s)
		f.next()
		d.schedule(f)
	}
	delete(d.due, at)
	d.symbols = append(d.symbols, d.trim(s))
	if d.symbols[at] != (symbol{}) {
		d.left++
		d.mark(at)
	}
}

func (d *Decoder) mark(at int) {
	for len(d.dirty) <= at/64 {
		d.dirty = append(d.dirty, 0)
	}
	d.dirty[at/64] |= 1 << (at % 64)
}

func (d *Decoder) schedule(f found) {
	if f.at < farOff {
		d.due[f.at] = append(d.due[f.at], f)
	}
}

func (f *found) takeOff(s *symbol) {
	if f.ours {
		s.add(f.item, f.check)
	} else {
		s.sub(f.item, f.check)
	}
}

func (d *Decoder) trim(s symbol) symbol {
	return symbol{s.sum & d.width.sumMask(), s.check & checkMask}
}

// peel looks for symbols of a single item and takes it off all others, until
// there are none. It begins at the end, where symbols have few items: those with
// many are looked at seldom, which is cheaper, and each look is a chance to err.
func (d *Decoder) peel() {
	for more := true; more && d.err == nil; {
		more = false
		for i := len(d.dirty) - 1; i >= 0; i-- {
			for d.dirty[i] != 0 && d.err == nil {
				bit := bits.Len64(d.dirty[i]) - 1
				d.dirty[i] &^= 1 << bit
				if f, ok := d.single(64*i + bit); ok {
					d.take(f)
					more = true
				}
			}
		}
	}
}

// single returns the item that is alone in a symbol.
func (d *Decoder) single(at int) (f found, ok bool) {
	s := d.symbols[at]
	if s == (symbol{}) {
		return f, false
	}
	if f, ok := d.candidate(at, s, false); ok {
		return f, true
	}
	return d.candidate(at, d.trim(symbol{-s.sum, -s.check}), true)
}

func (d *Decoder) candidate(at int, s symbol, ours bool) (f found, ok bool) {
	hash := d.sip.hash(s.sum)
	if d.check(hash) != s.check || !lies(hash, at) {
		return f, false
	}
	return found{newWalk(hash), s.sum, s.check, ours}, true
}

// take notes an item and takes it off all symbols. An item that was found
// before is in no set twice: the symbols lie.
func (d *Decoder) take(f found) {
	if _, twice := d.seen[f.item]; twice {
		d.err = ErrInconsistent
		return
	}
	d.seen[f.item] = struct{}{}
	if f.ours {
		d.ours = append(d.ours, f.item)
	} else {
		d.theirs = append(d.theirs, f.item)
	}
	for f.at < len(d.symbols) {
		d.takeOffAt(f)
		f.next()
	}
	d.schedule(f)
}

func (d *Decoder) takeOffAt(f found) {
	before := d.symbols[f.at]
	after := before
	f.takeOff(&after)
	after = d.trim(after)
	d.symbols[f.at] = after
	zero := symbol{}
	switch {
	case before == zero:
		d.left++
	case after == zero:
		d.left--
	}
	if after != zero {
		d.mark(f.at)
	}
}
