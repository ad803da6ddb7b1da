package columns

import (
	"slices"
	"unicode/utf8"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// Read reads what an [Encoding] appends, to the end of r. The context, which it
// keeps, is what stood before. check is asked about every key, which it must not
// keep; it must refuse what is not canonical CBOR or too long. If it is nil, the
// keys must be text. The error is a [*merge.FormatError] or from check. The
// result does not alias the input.
func Read(r *varint.Reader, seen *merge.Context, check func(key []byte) error) (*Table, error) {
	t := Of(seen)
	l := loader{t: t, r: r, check: check}
	live, n := l.readLive()
	shapes, size := *r, 0 // to be read again with the bodies
	readShapes(r, n, func(shape uint64, n int) bool {
		size += int(shape/2) * n
		return size <= r.Len()
	})
	l.bodies = r.Fixed(size)
	if r.Err() != nil {
		return nil, r.Err()
	}
	l.entries = make([]uint64, 0, n)
	readShapes(&shapes, n, l.load)
	l.enter()
	l.attach(live)
	l.readFurther()
	if l.err != nil {
		return nil, l.err
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	t.Loaded()
	return t, nil
}

// A loader fills a table.
type loader struct {
	t       *Table
	r       *varint.Reader
	check   func(key []byte) error
	bodies  []byte   // of the keys still to come
	entries []uint64 // of the index, for the keys that were
	err     error    // of check
}

// at returns the record of a key.
func (l *loader) at(i int) uint32 {
	_, at := split(l.entries[i])
	return at
}

// enter makes the index.
func (l *loader) enter() {
	if l.r.Err() != nil || l.err != nil {
		return
	}
	records := &l.t.records
	if !l.t.index.fill(l.entries, func(a, b uint32) bool { return string(records.key(a)) == string(records.key(b)) }) {
		l.r.Fail("a key twice")
	}
}

// readLive reads the least dots of the keys and their number, which is at most
// one more than there are bytes left: only one key can have an empty body.
func (l *loader) readLive() (live []stretch, n int) {
	total := uint64(0)
	for rank, spans := range spansOf(&l.t.seen) {
		l.t.intern(&spans[0].Origin)
		seen := uint64(0)
		for _, s := range spans {
			seen += s.Last - s.First + 1
		}
		pairs := readPairs(l.r, seen)
		for _, p := range pairs {
			if total += p.taken; total > uint64(l.r.Len())+1 {
				l.r.Fail("more keys than input")
				return nil, 0
			}
		}
		if more := stretchesOf(uint32(rank), spans, pairs); live == nil {
			live = more
		} else {
			live = append(live, more...)
		}
	}
	return live, int(total)
}

// readShapes reads the shapes of n keys: as appendShapes appends them, each with
// the number of keys in a row, of which the first is told on its own. It stops
// when yield returns false.
func readShapes(r *varint.Reader, n int, yield func(shape uint64, n int) bool) {
	last, ended := ^uint64(0), false
	for n > 0 {
		shape, alike := r.Uvarint(), 1
		switch {
		case shape != last:
			last, ended = shape, false
		case ended:
			r.Fail("shapes not in their shortest form")
		default:
			more := r.Uvarint()
			if more >= uint64(n) {
				r.Fail("more shapes than keys")
			}
			alike, ended = 1+int(more), true
		}
		if shape == 0 || shape/2 > MaxKey {
			r.Fail("a key of an impossible length")
		}
		if r.Err() != nil || !yield(shape, alike) {
			return
		}
		n -= alike
	}
}

// load gives the next n keys records. It returns false at the first that cannot
// have one.
func (l *loader) load(shape uint64, n int) bool {
	var k Key
	if shape&1 == 1 {
		k.setHead(majorText, shape/2)
	}
	for range n {
		k.raw, l.bodies = l.bodies[:shape/2:shape/2], l.bodies[shape/2:]
		if !l.insert(&k) {
			return false
		}
	}
	return true
}

func (l *loader) insert(k *Key) bool {
	at := l.t.records.add(k)
	l.entries = append(l.entries, entryOf(k.tag(l.t.seed), at))
	if l.check == nil {
		if k.n == 0 || k.size() > MaxKey || !utf8.Valid(k.raw) {
			l.r.Fail("a key that is not text")
		}
		return l.r.Err() == nil
	}
	if k.n == 0 && k.raw[0]>>5 == majorText {
		l.r.Fail("text in the shape of something else")
		return false
	}
	l.err = l.check(l.t.records.key(at))
	return l.err == nil
}

// attach makes the least dots those of the keys.
func (l *loader) attach(live []stretch) {
	if l.r.Err() != nil || l.err != nil {
		return
	}
	l.reserve(live)
	i := 0
	for _, s := range live {
		o := l.t.origins[s.rank].id
		for seq := s.first; seq <= s.last; seq++ {
			l.t.attach(l.at(i), l.t.pack(merge.Dot{Origin: o, Seq: seq}))
			i++
		}
	}
}

// reserve makes room for the pages of the stretches, which ascend, unless an
// origin would use too few of them: a window that grew with them would be copied
// again and again.
func (l *loader) reserve(live []stretch) {
	for len(live) > 0 {
		s, first := &l.t.origins[live[0].rank], live[0].first>>pageBits
		rank, next, used := live[0].rank, first, 0
		for ; len(live) > 0 && live[0].rank == rank; live = live[1:] {
			from, to := max(next, live[0].first>>pageBits), live[0].last>>pageBits+1
			used += int(to - min(from, to))
			next = to
		}
		if span := next - first; span <= uint64(window(used)) {
			s.pages = slices.Grow(s.pages, int(span))
		}
	}
}

// readFurther reads what appendFurther appends.
func (l *loader) readFurther() {
	n := l.r.Count(3)
	l.t.lists.rows = slices.Grow(l.t.lists.rows, rowsOf(*l.r, n))
	at, last := uint64(0), merge.Dot{}
	for range n {
		gap, rank, seq := l.r.Uvarint(), l.r.Uvarint(), l.r.Uvarint()
		if l.err != nil || gap >= uint64(len(l.entries))-at || rank >= uint64(len(l.t.origins)) {
			l.r.Fail("a dot of a key or an origin that is not there")
		}
		if l.r.Err() != nil {
			return
		}
		if at += gap; gap > 0 || last.Seq == 0 {
			last = l.t.dot(l.t.records.dot(l.at(int(at))))
		}
		d := merge.Dot{Origin: l.t.origins[rank].id, Seq: seq}
		if d.Compare(last) <= 0 || !l.t.seen.Contains(d) || l.t.holds(d) {
			l.r.Fail("a dot that is unseen, in two places or out of order")
			return
		}
		l.t.attach(l.at(int(at)), l.t.pack(d))
		last = d
	}
}

// rowsOf returns how many rows n further dots take: one each, and one for the
// least dot of each key.
func rowsOf(r varint.Reader, n int) int {
	rows := n
	for i := range n {
		if gap := r.Uvarint(); gap > 0 || i == 0 {
			rows++
		}
		r.Uvarint()
		r.Uvarint()
	}
	return rows
}
