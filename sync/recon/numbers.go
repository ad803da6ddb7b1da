package recon

import (
	"encoding/binary"
	"math/bits"

	"github.com/joinery-crdt/joinery/internal/varint"
)

// AppendNumbers appends the byte form of numbers below 2^width, ascending, none
// twice, in about the bits that it takes to tell one such set from another:
//
//	uvarint width, uvarint count, bits from the lowest of each byte on
//
// The bits are a Rice code of what each number is above the one before it, less
// one, of the first what it is: the quotient by 2^k as so many ones and a zero,
// then the low k bits, lowest first, where k is the width less the bits of
// count, at least 0. What is left of the last byte is zeros.
func AppendNumbers(dst []byte, width int, numbers []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(width))
	dst = binary.AppendUvarint(dst, uint64(len(numbers)))
	w, k := bitWriter{dst: dst}, riceBits(width, len(numbers))
	next := uint64(0)
	for _, n := range numbers {
		gap := n - next
		for range gap >> k {
			w.put(1)
		}
		w.put(0)
		for i := range k {
			w.put(gap >> i & 1)
		}
		next = n + 1
	}
	return w.dst
}

func riceBits(width, count int) int { return max(0, width-bits.Len(uint(count))) }

// ReadNumbers reads the form of AppendNumbers and nothing else. It returns at
// most limit numbers. The error is a [*varint.FormatError].
func ReadNumbers(b []byte, limit int) (width int, numbers []uint64, err error) {
	r := varint.NewReader("recon: numbers", b)
	wide, count := r.Uvarint(), r.Uvarint()
	if wide > 63 || count > uint64(limit) || count > uint64(8*r.Len()) {
		r.Fail("too wide, or too many")
	}
	in := bitReader{b: r.Fixed(r.Len())}
	if err := r.Done(); err != nil {
		return 0, nil, err
	}
	k, next := riceBits(int(wide), int(count)), uint64(0)
	for range count {
		quotient := uint64(0)
		for in.take() == 1 {
			quotient++
		}
		gap := quotient << k
		for i := range k {
			gap |= in.take() << i
		}
		n := next + gap
		if in.ended || quotient > 1<<wide>>k || n>>wide > 0 {
			r.Fail("a number that is too large, or cut off")
			return 0, nil, r.Done()
		}
		numbers, next = append(numbers, n), n+1
	}
	if !in.spent() {
		r.Fail("bits that follow")
	}
	return int(wide), numbers, r.Done()
}

// bitWriter appends bits to bytes, from the lowest on.
type bitWriter struct {
	dst  []byte
	used int // of the last byte
}

func (w *bitWriter) put(bit uint64) {
	if w.used == 0 {
		w.dst = append(w.dst, 0)
	}
	w.dst[len(w.dst)-1] |= byte(bit) << w.used
	w.used = (w.used + 1) % 8
}

// bitReader reads what a bitWriter wrote.
type bitReader struct {
	b     []byte
	at    int // bits
	ended bool
}

// take returns the next bit, and 0 when there is none.
func (r *bitReader) take() uint64 {
	if r.at == 8*len(r.b) {
		r.ended = true
		return 0
	}
	bit := r.b[r.at/8] >> (r.at % 8) & 1
	r.at++
	return uint64(bit)
}

// spent reports whether nothing follows but zeros of the last byte.
func (r *bitReader) spent() bool {
	return (r.at+7)/8 == len(r.b) && (r.at%8 == 0 || r.b[len(r.b)-1]>>(r.at%8) == 0)
}
