package sync

import (
	"encoding/binary"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/sync/recon"
)

// A comparison that begins because the fingerprints say that cells differ need
// not ask whether they do. Its first question holds what shows the peer where,
// so that the answer can be the symbols themselves.

// expect makes the first question of a comparison one that says where our cells
// are, if the peer has said that it holds others. It draws the key, because this
// side decodes. One cell or none has no ranges: then it asks as always.
func (l *Link) expect(s *linkSpace) {
	c, f := s.audit.asking, s.peer
	c.streams = l.Both(FeatureStream)
	if !c.streams || f == nil || f.Unread > 0 || f.Applied != c.scan.Summary.Applied || f.Cells == c.scan.cells {
		return
	}
	key := l.drawKey(s)
	keyed := c.scan.index.Under(key)
	search := recon.NewSearch(keyed)
	ranges := search.Ask()
	if ranges == nil {
		return
	}
	sums, _ := recon.Answer(keyed, ranges) // they are our own
	digest := c.scan.digest()
	c.key, c.keyed, c.search = key, keyed, search
	c.first = append(varint.AppendBytes(append(digest[:], key[:]...), ranges), sums...)
}

// stepExpected takes the first question of a peer that expects a difference.
func (l *Link) stepExpected(s *linkSpace, f *Compare, r *Ready) {
	if l.Both(FeatureStream) && len(f.Body) > len(Digest{})+len(recon.Key{}) {
		l.audited(s, f.Body, r)
	}
}

// answerExpected answers it. If few of the peer's ranges differ, they are divided
// further. If many do, what differs is spread over all cells, and the first
// symbols of a stream say more; so they do of ranges that cannot be read.
func (v *serving) answerExpected(space string) Frame {
	q := varint.NewReader("sync: ranges expected to differ", v.asked[len(Digest{}):])
	var key recon.Key
	copy(key[:], q.Fixed(len(key)))
	ranges, sums := q.Bytes(), q.Fixed(q.Len())
	if v.keyed == nil {
		v.under(key)
	}
	search := recon.NewSearch(v.keyed)
	differ, of, err := search.Begin(ranges, sums)
	if err == nil && (4*differ <= of || v.scan.Len() == 0) {
		if f := v.differ(space, search.Narrow()); len(f.Body) <= maxSums {
			return f
		}
	}
	v.at, v.end = firstSymbols, v.unasked(differ, of)
	return &Compare{space, CompareStream, v.sketch.Append(binary.AppendUvarint(v.key[:], uint64(v.end)), 0, firstSymbols)}
}

// unasked returns how many symbols to stream before the peer has to ask for more,
// which bounds what is on its way when it no longer needs any. Ranges that are
// equal show that few cells differ: of 16 ranges one is left, as a rule, by 50
// cells and hardly ever by 150, which take 210 symbols.
func (v *serving) unasked(differ, of int) int {
	if differ < of {
		return fewSymbols
	}
	return min(askSymbols, max(fewSymbols, 4*v.scan.Len()))
}

// beginStream takes the first symbols of a stream. It returns how far the
// comparison had come before them.
func (c *comparison) beginStream(body []byte) (before progress) {
	before = c.progress()
	r := varint.NewReader("sync: stream of symbols", body)
	var key recon.Key
	copy(key[:], r.Fixed(len(key)))
	end := r.Uvarint()
	symbols := r.Fixed(r.Len())
	if r.Done() != nil || c.first == nil || key != c.key {
		return before
	}
	c.phase, c.end = phaseSymbols, int(min(end, uint64(c.worthwhile())))
	c.sketch = recon.NewSketch(c.key, recon.Bits64, 0)
	c.sketch.Extend(c.end, c.keyed.Items())
	c.dec = recon.NewDecoder(c.key, recon.Bits64)
	before = c.progress()
	c.addSymbols(symbols)
	return before
}
