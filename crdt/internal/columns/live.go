package columns

import (
	"encoding/binary"
	"math/bits"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A pair is dots of one origin in the order in which they were seen: some that
// are not the least of a key, then some that are.
type pair struct{ skipped, taken uint64 }

// spansOf returns the spans of each origin that has been seen.
func spansOf(seen *merge.Context) (origins [][]merge.Span) {
	for s := range seen.Spans() {
		n := len(origins)
		if n == 0 || origins[n-1][0].Origin != s.Origin {
			origins = append(origins, nil)
			n++
		}
		origins[n-1] = append(origins[n-1], s)
	}
	return origins
}

// appendLive appends for each origin seen which of its dots are in live.
func appendLive(dst []byte, seen *merge.Context, live []stretch) []byte {
	for rank, spans := range spansOf(seen) {
		n := 0
		for n < len(live) && live[n].rank == uint32(rank) {
			n++
		}
		dst = appendPairs(dst, pairsOf(spans, live[:n]))
		live = live[n:]
	}
	return dst
}

// pairsOf returns where the stretches are in the spans, which contain them.
func pairsOf(spans []merge.Span, live []stretch) (pairs []pair) {
	before, end := uint64(0), uint64(0) // dots before the span, and up to the last pair
	for _, s := range live {
		for s.first > spans[0].Last {
			before += spans[0].Last - spans[0].First + 1
			spans = spans[1:]
		}
		at, n := before+s.first-spans[0].First, s.last-s.first+1
		if at == end && len(pairs) > 0 {
			pairs[len(pairs)-1].taken += n
		} else {
			pairs = append(pairs, pair{at - end, n})
		}
		end = at + n
	}
	return pairs
}

// appendPairs appends the pairs of one origin: twice their number and the pairs,
// or if it is shorter, twice the length of a bitmap of what they take, and one,
// and the bitmap.
func appendPairs(dst []byte, pairs []pair) []byte {
	if n, shorter := bitmapLen(pairs); shorter {
		return appendBitmap(binary.AppendUvarint(dst, uint64(n)<<1|1), n, pairs)
	}
	dst = binary.AppendUvarint(dst, uint64(len(pairs))<<1)
	for _, p := range pairs {
		dst = binary.AppendUvarint(dst, p.skipped)
		dst = binary.AppendUvarint(dst, p.taken)
	}
	return dst
}

// bitmapLen returns the length of a bitmap of the pairs, and whether it makes
// for a shorter form.
func bitmapLen(pairs []pair) (n int, shorter bool) {
	end, size := uint64(0), uvarintLen(uint64(len(pairs))<<1)
	for _, p := range pairs {
		end += p.skipped + p.taken
		size += uvarintLen(p.skipped) + uvarintLen(p.taken)
	}
	length := (end + 7) / 8
	return int(length), length < uint64(size) && uvarintLen(length<<1|1)+int(length) < size
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendBitmap(dst []byte, n int, pairs []pair) []byte {
	at := uint64(0)
	dst = append(dst, make([]byte, n)...)
	bitmap := dst[len(dst)-n:]
	for _, p := range pairs {
		at += p.skipped
		for range p.taken {
			bitmap[at/8] |= 1 << (at % 8)
			at++
		}
	}
	return dst
}

// readPairs reads what appendPairs appends for an origin that has seen dots.
func readPairs(r *varint.Reader, seen uint64) (pairs []pair) {
	head := r.Uvarint()
	if head&1 == 1 {
		pairs = bitmapPairs(r, head>>1)
	} else {
		pairs = listPairs(r, head>>1)
	}
	if _, shorter := bitmapLen(pairs); shorter != (head&1 == 1) {
		r.Fail("live dots not in their shortest form")
	}
	end := uint64(0)
	for _, p := range pairs {
		if p.skipped > seen-end || p.taken > seen-end-p.skipped {
			r.Fail("more live dots than seen")
			break
		}
		end += p.skipped + p.taken
	}
	if r.Err() != nil {
		return nil
	}
	return pairs
}

func listPairs(r *varint.Reader, n uint64) []pair {
	if n > uint64(r.Len()/2) {
		r.Fail("count beyond the input")
		return nil
	}
	pairs := make([]pair, n)
	for i := range pairs {
		pairs[i] = pair{r.Uvarint(), r.Uvarint()}
		if pairs[i].taken == 0 || i > 0 && pairs[i].skipped == 0 {
			r.Fail("an empty run of dots")
		}
		if r.Err() != nil {
			return nil
		}
	}
	return pairs
}

func bitmapPairs(r *varint.Reader, n uint64) (pairs []pair) {
	if n > uint64(r.Len()) {
		r.Fail("length beyond the input")
		return nil
	}
	bitmap := r.Fixed(int(n))
	if len(bitmap) == 0 || bitmap[len(bitmap)-1] == 0 {
		r.Fail("a bitmap that ends without a dot")
		return nil
	}
	next := pair{}
	pairs = make([]pair, 0, runsOf(bitmap))
	for _, b := range bitmap {
		for i := range 8 {
			switch {
			case b>>i&1 == 1:
				next.taken++
			case next.taken > 0:
				pairs, next = append(pairs, next), pair{skipped: 1}
			default:
				next.skipped++
			}
		}
	}
	if next.taken > 0 {
		pairs = append(pairs, next)
	}
	return pairs
}

// runsOf returns the number of runs of ones.
func runsOf(bitmap []byte) (n int) {
	before := byte(0)
	for _, b := range bitmap {
		n += bits.OnesCount8(b &^ (b<<1 | before))
		before = b >> 7
	}
	return n
}

// stretchesOf returns the dots that the pairs take from the spans of one origin.
func stretchesOf(rank uint32, spans []merge.Span, pairs []pair) (live []stretch) {
	before, at := uint64(0), uint64(0)
	live = make([]stretch, 0, len(pairs)) // or more, if a pair lies across a gap
	for _, p := range pairs {
		at += p.skipped
		for taken := p.taken; taken > 0; {
			size := spans[0].Last - spans[0].First + 1
			if at-before >= size {
				before += size
				spans = spans[1:]
				continue
			}
			first := spans[0].First + at - before
			n := min(taken, size-(at-before))
			live = append(live, stretch{rank, first, first + n - 1})
			at, taken = at+n, taken-n
		}
	}
	return live
}
