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
// It keeps the runs of consecutive sequence numbers of each origin, 32 bytes a
// run, so that a context without gaps costs 32 bytes an origin. Adding to a run
// takes time logarithmic in the number of runs; a new run moves those behind it.
type Context struct {
	runs []run // ascending, and no two of them touch
}

// run is the sequence numbers first..last of an origin, both inclusive.
type run struct {
	origin      Origin
	first, last uint64
}

// endsBefore reports whether r lies before o's number seq. It is the inner loop
// of every search, hence the two words in place of bytes.Compare.
func (r *run) endsBefore(o *Origin, seq uint64) bool {
	if a, b := binary.BigEndian.Uint64(r.origin[:8]), binary.BigEndian.Uint64(o[:8]); a != b {
		return a < b
	}
	if a, b := binary.BigEndian.Uint64(r.origin[8:]), binary.BigEndian.Uint64(o[8:]); a != b {
		return a < b
	}
	return r.last < seq
}

// touches reports whether s, which ends no earlier than just before r, overlaps
// r or stands next to it.
func (r *run) touches(s *run) bool { return r.origin == s.origin && r.first-1 <= s.last }

// contains reports whether all of s is in r.
func (r *run) contains(s *run) bool {
	return r.origin == s.origin && r.first <= s.first && s.last <= r.last
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
func (c *Context) Contains(d Dot) bool {
	i := c.endingAt(&d.Origin, d.Seq)
	return i < len(c.runs) && c.runs[i].origin == d.Origin && c.runs[i].first <= d.Seq
}

// Add includes d and reports a change. A dot with Seq 0 names nothing and is
// never included.
func (c *Context) Add(d Dot) bool {
	return d.Seq != 0 && c.addRun(run{d.Origin, d.Seq, d.Seq})
}

// Last returns the largest sequence number seen of o, 0 when there is none.
func (c *Context) Last(o Origin) uint64 {
	i := c.endingAt(&o, math.MaxUint64)
	if i < len(c.runs) && c.runs[i].origin == o {
		return c.runs[i].last
	}
	if i > 0 && c.runs[i-1].origin == o {
		return c.runs[i-1].last
	}
	return 0
}

// Next returns the dot of o's next change: one above the last seen. Only the
// replica whose origin is o may use it.
func (c *Context) Next(o Origin) Dot { return Dot{o, c.Last(o) + 1} }

// Count returns the number of dots, or the largest uint64 if there are more.
func (c *Context) Count() (n uint64) {
	for _, r := range c.runs {
		size := r.last - r.first + 1
		if n+size < n {
			return math.MaxUint64
		}
		n += size
	}
	return n
}

// Vector returns the contiguous part: what has been seen without gaps.
func (c *Context) Vector() *VersionVector {
	v := &VersionVector{}
	for _, r := range c.runs {
		if r.first == 1 {
			v.Raise(Dot{r.origin, r.last})
		}
	}
	return v
}

// All yields every dot, ascending.
func (c *Context) All() iter.Seq[Dot] {
	return func(yield func(Dot) bool) {
		for _, r := range c.runs {
			for seq := r.first; ; seq++ {
				if !yield(Dot{r.origin, seq}) {
					return
				}
				if seq == r.last {
					break
				}
			}
		}
	}
}

// Merge joins from into the receiver: the union.
func (c *Context) Merge(from *Context) (changed bool) {
	if n := len(from.runs); n > 8 && n > len(c.runs)/16 {
		return c.unite(from.runs)
	}
	for _, r := range from.runs {
		changed = c.addRun(r) || changed
	}
	return changed
}

// Equal reports whether both contain the same dots.
func (c *Context) Equal(o *Context) bool { return slices.Equal(c.runs, o.runs) }

// Clone returns a copy.
func (c *Context) Clone() *Context { return &Context{slices.Clone(c.runs)} }

// endingAt returns the index of the first run that ends at o's number seq or
// behind it.
func (c *Context) endingAt(o *Origin, seq uint64) int {
	low, end := 0, len(c.runs)
	for low < end {
		if mid := int(uint(low+end) / 2); c.runs[mid].endsBefore(o, seq) {
			low = mid + 1
		} else {
			end = mid
		}
	}
	return low
}

// addRun includes r and reports a change.
func (c *Context) addRun(r run) bool {
	i := c.endingAt(&r.origin, r.first-1) // first run that touches r or lies behind it
	if i < len(c.runs) && c.runs[i].contains(&r) {
		return false
	}
	j := i
	for ; j < len(c.runs) && c.runs[j].touches(&r); j++ {
		r.first, r.last = min(r.first, c.runs[j].first), max(r.last, c.runs[j].last)
	}
	c.runs = slices.Replace(c.runs, i, j, r)
	return true
}

// unite includes many runs, which ascend, and reports a change.
func (c *Context) unite(more []run) bool {
	if c.containsAll(more) {
		return false
	}
	mine := c.runs
	c.runs = make([]run, 0, len(mine)+len(more))
	for _, r := range more {
		for ; len(mine) > 0 && mine[0].endsBefore(&r.origin, r.last); mine = mine[1:] {
			c.push(mine[0])
		}
		c.push(r)
	}
	for _, r := range mine {
		c.push(r)
	}
	return true
}

// containsAll reports whether the runs, which ascend, are in c.
func (c *Context) containsAll(runs []run) bool {
	i := 0
	for n := range runs {
		for i < len(c.runs) && c.runs[i].endsBefore(&runs[n].origin, runs[n].last) {
			i++
		}
		if i == len(c.runs) || !c.runs[i].contains(&runs[n]) {
			return false
		}
	}
	return true
}

// push includes r, which ends no earlier than any other run.
func (c *Context) push(r run) {
	n := len(c.runs)
	for ; n > 0 && r.touches(&c.runs[n-1]); n-- {
		r.first = min(r.first, c.runs[n-1].first)
	}
	c.runs = append(c.runs[:n], r)
}

// byOrigin yields the runs of each origin.
func (c *Context) byOrigin() iter.Seq[[]run] {
	return func(yield func([]run) bool) {
		for runs := c.runs; len(runs) > 0; {
			n := 1
			for n < len(runs) && runs[n].origin == runs[0].origin {
				n++
			}
			if !yield(runs[:n]) {
				return
			}
			runs = runs[n:]
		}
	}
}

// Origins returns the origins of which something has been seen, ascending, in a
// slice of the caller's own.
func (c *Context) Origins() (origins []Origin) {
	for runs := range c.byOrigin() {
		origins = append(origins, runs[0].origin)
	}
	return origins
}

// AppendBinary appends the canonical form: the number of origins, then per
// origin, ascending, its 16 bytes, the number of its runs, and per run the
// count of numbers missing before it and its length less one.
func (c *Context) AppendBinary(dst []byte) ([]byte, error) {
	origins := uint64(0)
	for range c.byOrigin() {
		origins++
	}
	dst = binary.AppendUvarint(dst, origins)
	for runs := range c.byOrigin() {
		dst = append(dst, runs[0].origin[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(runs)))
		end := uint64(1)
		for _, r := range runs {
			dst = binary.AppendUvarint(dst, r.first-end)
			dst = binary.AppendUvarint(dst, r.last-r.first)
			end = r.last + 1
		}
	}
	return dst, nil
}

// ReadContext takes a context off r in the form AppendBinary writes.
func ReadContext(r *varint.Reader) *Context {
	n := r.Count(19)
	c := &Context{runs: make([]run, 0, n)}
	for i := range n {
		o := readOrigin(r)
		if i > 0 && r.Err() == nil && o.Compare(c.runs[len(c.runs)-1].origin) <= 0 {
			r.Fail("origins out of order")
		}
		c.readRuns(o, r)
		if r.Err() != nil {
			return &Context{}
		}
	}
	return c
}

// readRuns takes the runs of one origin off r.
func (c *Context) readRuns(o Origin, r *varint.Reader) {
	n := r.Count(2)
	if n == 0 {
		r.Fail("origin without runs")
	}
	c.runs = slices.Grow(c.runs, n)
	end := uint64(1)
	for i := range n {
		gap, more := r.Uvarint(), r.Uvarint()
		first := end + gap
		if i > 0 && gap == 0 {
			r.Fail("runs that touch")
		}
		if gap > MaxSeq || more > MaxSeq || first+more > MaxSeq {
			r.Fail("sequence number beyond MaxSeq")
		}
		if r.Err() != nil {
			return
		}
		c.runs, end = append(c.runs, run{o, first, first + more}), first+more+1
	}
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
