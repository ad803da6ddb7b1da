package sync

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/sync/recon"
)

// progress is how far a comparison has come.
type progress struct {
	phase        auditPhase
	symbols, end int
	round        uint64
}

func (c *comparison) progress() progress {
	p := progress{phase: c.phase, end: c.end, round: c.round}
	if c.dec != nil {
		p.symbols = c.dec.Len()
	}
	return p
}

// begin takes the answer to an Audit: sums of a few ranges and a few symbols.
// Differences in few of the ranges are searched, others decoded. When the peer
// could choose between the two, it has chosen to search.
func (c *comparison) begin(body []byte) {
	r := varint.NewReader("sync: cells that differ", body)
	var key recon.Key
	copy(key[:], r.Fixed(len(key)))
	ranges, sums := r.Bytes(), r.Bytes()
	symbols := r.Fixed(r.Len())
	if r.Done() != nil || c.first != nil && key != c.key {
		return
	}
	if c.first == nil {
		c.key, c.keyed = key, c.scan.index.Under(key)
	}
	c.search = recon.NewSearch(c.keyed)
	differ, of, err := c.search.Begin(ranges, sums)
	c.sketch = recon.NewSketch(c.key, recon.Bits64, 0)
	c.sketch.Extend(firstSymbols, c.keyed.Items())
	c.dec = recon.NewDecoder(c.key, recon.Bits64)
	broken := c.dec.Add(c.sketch, symbols)
	switch {
	case c.dec.Done():
		c.foundItems()
	case err == nil && (4*differ <= of || c.first != nil) || broken != nil || c.scan.Len() == 0:
		c.searchOn()
	default:
		c.phase, c.end = phaseSymbols, askSymbols
	}
}

func (c *comparison) askSymbols(space string) Frame {
	c.sketch.Extend(c.end, c.keyed.Items())
	return &Compare{space, CompareAskSymbols, appendUvarints(nil, uint64(c.dec.Len()), uint64(c.end))}
}

// takeSymbols takes symbols if they are the next ones.
func (c *comparison) takeSymbols(body []byte) {
	r := varint.NewReader("sync: symbols", body)
	from := r.Uvarint()
	symbols := r.Fixed(r.Len())
	if r.Done() == nil && from == uint64(c.dec.Len()) {
		c.addSymbols(symbols)
	}
}

// addSymbols decodes further symbols. When there are as many as were asked for,
// more are, until that no longer pays; then ranges are compared instead.
func (c *comparison) addSymbols(symbols []byte) {
	err := c.dec.Add(c.sketch, symbols)
	switch {
	case c.dec.Done():
		c.foundItems()
	case err != nil || len(symbols) == 0:
		c.searchOn()
	case c.dec.Len() >= c.end && c.end >= c.worthwhile():
		c.searchOn()
	case c.dec.Len() >= c.end:
		c.end = min(max(2*c.end, askSymbols), maxSymbols)
	}
}

// worthwhile returns how many symbols to decode at most: about as many as there
// are cells.
func (c *comparison) worthwhile() int { return min(maxSymbols, max(askSymbols, c.scan.Len()/2)) }

// searchOn asks the next question about ranges. When there is none, or it has
// cost too much, what is not ruled out is what differs.
func (c *comparison) searchOn() {
	c.phase = phaseSums
	c.round++
	if c.result.Control > maxSums+c.dec.Len()*recon.Bits64.SymbolSize() || c.search.Ask() == nil {
		c.phase = phaseMend
		c.wanted = append([]byte{wantRanges}, recon.AppendRanges(nil, c.fewRanges())...)
	}
}

func (c *comparison) askSums(space string) Frame {
	return &Compare{space, CompareAskSums, append(binary.AppendUvarint(nil, c.round), c.search.Ask()...)}
}

func (c *comparison) takeSums(body []byte) {
	r := varint.NewReader("sync: sums", body)
	round := r.Uvarint()
	sums := r.Fixed(r.Len())
	if r.Done() == nil && round == c.round && c.search.Take(sums) == nil {
		c.searchOn()
	}
}

// fewRanges returns the ranges that were found, as far as they hold no more of
// our cells than one comparison looks at.
func (c *comparison) fewRanges() []recon.Range {
	ranges, room := c.search.Found(), maxMend
	for i, g := range ranges {
		from, end := recon.Positions(c.keyed, g)
		if end-from > room {
			ranges[i].End = c.keyed.Key(from + room)
			return ranges[:i+1]
		}
		room -= end - from
	}
	return ranges
}

// What a Repair wants, in its first byte.
const (
	wantRanges = 1 // ranges follow
	wantItems  = 2 // uvarint n, then the first n bits of each item, ascending: each a uvarint, what it is above the one before
	wantFew    = 3 // the same as numbers of recon, which take fewer bytes
)

// foundItems goes on to the cells whose items the sketch has shown. Of the
// peer's items it names as many bits as tell nearly all of them from others.
func (c *comparison) foundItems() {
	c.phase = phaseMend
	if len(c.dec.Theirs()) == 0 {
		return
	}
	n := min(63, bits.Len(uint(c.scan.Len()+len(c.dec.Theirs())))+4)
	var short []uint64
	for _, item := range c.dec.Theirs() {
		short = append(short, item>>(64-n))
	}
	slices.Sort(short)
	short = slices.Compact(short)
	short = short[:min(len(short), maxMend)]
	if c.streams {
		c.wanted = recon.AppendNumbers([]byte{wantFew}, n, short)
		return
	}
	c.wanted = appendUvarints([]byte{wantItems}, uint64(n))
	last := uint64(0)
	for _, item := range short {
		c.wanted = binary.AppendUvarint(c.wanted, item-last)
		last = item
	}
}

// keys returns the stored keys of the cells on this side that differ.
func (c *comparison) keys() (keys [][]byte) {
	var at []int
	if len(c.wanted) > 0 && c.wanted[0] == wantRanges {
		at = wantedBy(c.keyed, c.wanted)
	} else {
		ours := make(map[uint64]struct{})
		for _, item := range c.dec.Ours() {
			ours[item] = struct{}{}
		}
		at = c.keyed.Positions(func(item uint64) bool { _, ok := ours[item]; return ok })
	}
	for _, i := range at[:min(len(at), maxMend)] {
		keys = append(keys, bytes.Clone(c.keyed.Key(i)))
	}
	return keys
}

// wantedBy returns the positions that a peer wants, as far as what it says can
// be understood.
func wantedBy(set *recon.Keyed, wanted []byte) (at []int) {
	r := varint.NewReader("sync: wanted cells", wanted)
	switch r.Byte() {
	case wantRanges:
		_ = recon.WalkRanges(r.Fixed(r.Len()), func(g recon.Range) error {
			from, end := recon.Positions(set, g)
			for i := from; i < end && len(at) < maxMend; i++ {
				at = append(at, i)
			}
			return nil
		})
	case wantItems:
		n := r.Uvarint()
		if n == 0 || n > 64 {
			return nil
		}
		short, last := make(map[uint64]struct{}), uint64(0)
		for r.Len() > 0 && r.Err() == nil {
			last += r.Uvarint()
			short[last] = struct{}{}
		}
		at = positions(set, int(n), short)
	case wantFew:
		n, items, _ := recon.ReadNumbers(r.Fixed(r.Len()), maxMend)
		short := make(map[uint64]struct{}, len(items))
		for _, item := range items {
			short[item] = struct{}{}
		}
		at = positions(set, n, short)
	}
	return at[:min(len(at), maxMend)]
}

// positions returns where the items are of which the first n bits are given.
func positions(set *recon.Keyed, n int, first map[uint64]struct{}) []int {
	return set.Positions(func(item uint64) bool { _, ok := first[item>>(64-n)]; return ok })
}

func appendUvarints(dst []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}
