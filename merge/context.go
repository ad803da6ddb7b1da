package merge

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
)

// A Context is a causal context: any set of dots, gaps included. It says which
// changes a value has seen, so that a dot it contains but does not store is
// known to be removed. The zero value has seen nothing.
//
// Per origin, ascending, it keeps the runs of consecutive sequence numbers: 56
// bytes for an origin without gaps, and 16 for each gap. To look a dot up or to
// add one is a binary search for the origin and one for the run. An origin seen
// for the first time moves the entries of those behind it.
type Context struct {
	entries []entry
}

// entry is what has been seen of one origin, which is something.
type entry struct {
	origin Origin
	seqs   runs
}

// ContextOf returns the context of exactly the dots given.
func ContextOf(dots ...Dot) *Context {
	c := &Context{}
	for _, d := range dots {
		c.Add(d)
	}
	return c
}

// Contains reports whether d has been seen.
func (c *Context) Contains(d Dot) bool { return c.of(&d.Origin).contains(d.Seq) }

// Add includes d and reports a change. A dot with Seq 0 names nothing and is
// never included.
func (c *Context) Add(d Dot) bool {
	return d.Seq != 0 && c.entry(&d.Origin).seqs.add(run{d.Seq, d.Seq})
}

// Last returns the largest sequence number seen of o, 0 when there is none.
func (c *Context) Last(o Origin) uint64 {
	if seqs := c.of(&o); len(seqs) > 0 {
		return seqs[len(seqs)-1].last
	}
	return 0
}

// Next returns the dot of o's next change: one above the last seen. Only the
// replica whose origin is o may use it.
func (c *Context) Next(o Origin) Dot { return Dot{o, c.Last(o) + 1} }

// Take includes Next(o) and returns it, with one search for o in place of two.
func (c *Context) Take(o Origin) Dot {
	seqs := &c.entry(&o).seqs
	next := uint64(1)
	if n := len(*seqs); n > 0 {
		next = (*seqs)[n-1].last + 1
	}
	if next != 0 {
		seqs.add(run{next, next})
	}
	return Dot{o, next}
}

// Count returns the number of dots, or the largest uint64 if there are more.
func (c *Context) Count() (n uint64) {
	for _, e := range c.entries {
		for _, r := range e.seqs {
			size := r.last - r.first + 1
			if n+size < n {
				return math.MaxUint64
			}
			n += size
		}
	}
	return n
}

// Vector returns the contiguous part: what has been seen without gaps.
func (c *Context) Vector() *VersionVector {
	v := &VersionVector{}
	for _, e := range c.entries {
		if e.seqs[0].first == 1 {
			v.Raise(Dot{e.origin, e.seqs[0].last})
		}
	}
	return v
}

// Origins returns the origins of which something has been seen, ascending, in a
// slice of the caller's own.
func (c *Context) Origins() []Origin {
	origins := make([]Origin, len(c.entries))
	for i, e := range c.entries {
		origins[i] = e.origin
	}
	return origins
}

// All yields every dot, ascending.
func (c *Context) All() iter.Seq[Dot] {
	return func(yield func(Dot) bool) {
		for _, e := range c.entries {
			for _, r := range e.seqs {
				for seq := r.first; ; seq++ {
					if !yield(Dot{e.origin, seq}) {
						return
					}
					if seq == r.last {
						break
					}
				}
			}
		}
	}
}

// A Span is the changes first to last of one origin, both inclusive.
type Span struct {
	Origin      Origin
	First, Last uint64
}

// Spans yields the longest runs of consecutive changes, ascending.
func (c *Context) Spans() iter.Seq[Span] {
	return func(yield func(Span) bool) {
		for _, e := range c.entries {
			for _, r := range e.seqs {
				if !yield(Span{e.origin, r.first, r.last}) {
					return
				}
			}
		}
	}
}

// Merge joins from into the receiver: the union.
func (c *Context) Merge(from *Context) (changed bool) {
	if n := len(from.entries); n > 8 && n > len(c.entries)/16 {
		return c.mergeMany(from.entries)
	}
	for _, e := range from.entries {
		changed = c.entry(&e.origin).seqs.merge(e.seqs) || changed
	}
	return changed
}

// mergeMany is Merge for many origins: it walks both lists once.
func (c *Context) mergeMany(more []entry) (changed bool) {
	i, known := 0, len(c.entries)
	for _, e := range more {
		for i < known && c.entries[i].origin.before(&e.origin) {
			i++
		}
		if i < known && c.entries[i].origin == e.origin {
			changed = c.entries[i].seqs.merge(e.seqs) || changed
		} else {
			c.entries = append(c.entries, entry{e.origin, slices.Clone(e.seqs)})
		}
	}
	if len(c.entries) == known {
		return changed
	}
	slices.SortFunc(c.entries, func(a, b entry) int { return a.origin.Compare(b.origin) })
	return true
}

// Equal reports whether both contain the same dots.
func (c *Context) Equal(o *Context) bool {
	return slices.EqualFunc(c.entries, o.entries, func(a, b entry) bool {
		return a.origin == b.origin && slices.Equal(a.seqs, b.seqs)
	})
}

// Clone returns a copy.
func (c *Context) Clone() *Context {
	var all runs // of every origin, so that a copy is two allocations
	for _, e := range c.entries {
		all = append(all, e.seqs...)
	}
	entries := slices.Clone(c.entries)
	for i, e := range entries {
		n := len(e.seqs)
		entries[i].seqs, all = all[:n:n], all[n:]
	}
	return &Context{entries}
}

// search returns the index of the first origin that is o or behind it.
func (c *Context) search(o *Origin) int {
	low, end := 0, len(c.entries)
	for low < end {
		if mid := int(uint(low+end) / 2); c.entries[mid].origin.before(o) {
			low = mid + 1
		} else {
			end = mid
		}
	}
	return low
}

// of returns what has been seen of o.
func (c *Context) of(o *Origin) runs {
	if i := c.search(o); i < len(c.entries) && c.entries[i].origin == *o {
		return c.entries[i].seqs
	}
	return nil
}

// entry returns the entry of o, a new one if there is none.
func (c *Context) entry(o *Origin) *entry {
	i := c.search(o)
	if i == len(c.entries) || c.entries[i].origin != *o {
		c.entries = slices.Insert(c.entries, i, entry{origin: *o})
	}
	return &c.entries[i]
}

// AppendBinary appends the canonical form: the number of origins, then per
// origin, ascending, its 16 bytes, the number of its runs, and per run the
// count of numbers missing before it and its length less one.
func (c *Context) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(len(c.entries)))
	for _, e := range c.entries {
		dst = append(dst, e.origin[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(e.seqs)))
		end := uint64(1)
		for _, r := range e.seqs {
			dst = binary.AppendUvarint(dst, r.first-end)
			dst = binary.AppendUvarint(dst, r.last-r.first)
			end = r.last + 1
		}
	}
	return dst, nil
}

// ReadContext takes a context off r in the form AppendBinary writes.
func ReadContext(r *varint.Reader) *Context {
	entries := make([]entry, r.Count(19))
	for i := range entries {
		entries[i] = entry{readOrigin(r), readRuns(r)}
		if i > 0 && !entries[i-1].origin.before(&entries[i].origin) {
			r.Fail("origins out of order")
		}
		if r.Err() != nil {
			return &Context{}
		}
	}
	return &Context{entries}
}

func readRuns(r *varint.Reader) runs {
	seqs := make(runs, r.Count(2))
	if len(seqs) == 0 {
		r.Fail("origin without runs")
	}
	end := uint64(1)
	for i := range seqs {
		gap, more := r.Uvarint(), r.Uvarint()
		first := end + gap
		if i > 0 && gap == 0 {
			r.Fail("runs that touch")
		}
		if gap > MaxSeq || more > MaxSeq || first+more > MaxSeq {
			r.Fail("sequence number beyond MaxSeq")
		}
		if r.Err() != nil {
			return nil
		}
		seqs[i], end = run{first, first + more}, first+more+1
	}
	return seqs
}

// DecodeContext reads what AppendBinary writes; other bytes are a
// [*FormatError]. The result does not alias b.
func DecodeContext(b []byte) (*Context, error) {
	r := varint.NewReader("merge: context", b)
	c := ReadContext(r)
	if err := r.Done(); err != nil {
		return nil, err
	}
	return c, nil
}
