package recon

import (
	"bytes"
	"encoding/binary"

	"github.com/joinery-crdt/joinery/internal/varint"
)

// A Range is the keys from From to before End. A nil End is beyond all keys.
type Range struct{ From, End []byte }

// maxBound is the largest number of bytes of a bound, so that no few bytes
// stand for very many.
const maxBound = 4096

// AppendRanges appends the byte form of ranges, which ascend and do not
// overlap. Ranges that touch share a bound, and a bound names only what
// it has not in common with the one before it:
//
//	group*
//	group = uvarint 2n + 1 if the last range has no end, n bounds, n >= 1
//	bound = uvarint bytes in common, string rest
//
// A group of n bounds is n-1 ranges, or n if the last has no end.
func AppendRanges(dst []byte, ranges []Range) []byte {
	var last []byte
	for len(ranges) > 0 {
		n := touching(ranges)
		group := ranges[:n]
		ranges = ranges[n:]
		header := uint64(n+1) << 1
		if group[n-1].End == nil {
			header = uint64(n)<<1 | 1
		}
		dst = binary.AppendUvarint(dst, header)
		dst = appendBound(dst, last, group[0].From)
		last = group[0].From
		for _, r := range group {
			if r.End != nil {
				dst = appendBound(dst, last, r.End)
				last = r.End
			}
		}
	}
	return dst
}

// touching returns how many of the first ranges have nothing between them.
func touching(ranges []Range) int {
	n := 1
	for n < len(ranges) && bytes.Equal(ranges[n-1].End, ranges[n].From) {
		n++
	}
	return n
}

func appendBound(dst, last, bound []byte) []byte {
	n := common(last, bound)
	dst = binary.AppendUvarint(dst, uint64(n))
	return varint.AppendBytes(dst, bound[n:])
}

// common returns the number of bytes with which both begin.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// WalkRanges reads what AppendRanges writes and nothing else: it calls fn for
// each range, whose bytes are valid until fn returns. It stops at the first
// error, its own being a [*varint.FormatError].
func WalkRanges(b []byte, fn func(Range) error) error {
	w := rangeWalk{r: varint.NewReader("recon: ranges", b), fn: fn}
	for w.r.Len() > 0 && w.r.Err() == nil {
		if err := w.group(); err != nil {
			return err
		}
	}
	return w.r.Done()
}

type rangeWalk struct {
	r     *varint.Reader
	fn    func(Range) error
	begun bool
	open  bool // a range without end was read
	last  []byte
	spare []byte // what the next bound is made in
}

func (w *rangeWalk) group() error {
	header := w.r.Uvarint()
	n, open := header>>1, header&1 == 1
	if n < 1 || n == 1 && !open || w.open {
		w.r.Fail("a group without ranges, or one after the end")
	}
	w.bound()
	for i := uint64(1); i < n && w.r.Err() == nil; i++ {
		w.bound()
		if w.r.Err() != nil {
			break
		}
		if err := w.fn(Range{w.spare, w.last}); err != nil {
			return err
		}
	}
	w.open = open
	if open && w.r.Err() == nil {
		return w.fn(Range{w.last, nil})
	}
	return nil
}

// bound reads the next bound into last; the one before it is in spare.
func (w *rangeWalk) bound() {
	n := w.r.Uvarint()
	rest := w.r.Bytes()
	switch {
	case w.r.Err() != nil:
		return
	case n > uint64(len(w.last)) || n+uint64(len(rest)) > maxBound:
		w.r.Fail("a bound that is too long")
		return
	}
	next := append(append(w.spare[:0], w.last[:n]...), rest...)
	if w.begun && bytes.Compare(next, w.last) <= 0 || uint64(common(next, w.last)) != n {
		w.r.Fail("bounds out of order, or not as short as they can be")
		return
	}
	w.begun = true
	w.last, w.spare = next, w.last
	if w.spare == nil {
		w.spare = []byte{}
	}
}
