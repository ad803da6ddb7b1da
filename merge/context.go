package merge

import (
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
)

// A Context is a causal context: any set of dots, gaps included. It says which
// changes a value has seen, so that a dot it contains but does not store is
// known to be removed. The zero value has seen nothing.
//
// Per origin it keeps the runs of consecutive sequence numbers, so a context
// without gaps costs what a [VersionVector] costs.
type Context struct {
	runs map[Origin][]run
}

// run is the sequence numbers first..last, both inclusive. Runs of an origin
// ascend, and between two of them at least one number is missing.
type run struct{ first, last uint64 }

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
	runs := c.runs[d.Origin]
	i := firstEndingAt(runs, d.Seq)
	return i < len(runs) && runs[i].first <= d.Seq
}

// Add includes d and reports a change. A dot with Seq 0 names nothing and is
// never included.
func (c *Context) Add(d Dot) bool { return d.Seq != 0 && c.addRun(d.Origin, run{d.Seq, d.Seq}) }

// Last returns the largest sequence number seen of o, 0 when there is none.
func (c *Context) Last(o Origin) uint64 {
	if runs := c.runs[o]; len(runs) > 0 {
		return runs[len(runs)-1].last
	}
	return 0
}

// Next returns the dot of o's next change: one above the last seen. Only the
// replica whose origin is o may use it.
func (c *Context) Next(o Origin) Dot { return Dot{o, c.Last(o) + 1} }

// Origins returns the origins of which something has been seen, ascending, in a
// slice of the caller's own.
func (c *Context) Origins() []Origin {
	return slices.SortedFunc(maps.Keys(c.runs), Origin.Compare)
}

// Count returns the number of dots, or the largest uint64 if there are more.
func (c *Context) Count() (n uint64) {
	for _, runs := range c.runs {
		for _, r := range runs {
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
	for o, runs := range c.runs {
		if runs[0].first == 1 {
			v.Raise(Dot{o, runs[0].last})
		}
	}
	return v
}

// All yields every dot, in no particular order of origins.
func (c *Context) All() iter.Seq[Dot] {
	return func(yield func(Dot) bool) {
		for o, runs := range c.runs {
			for _, r := range runs {
				for seq := r.first; ; seq++ {
					if !yield(Dot{o, seq}) {
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

// Merge joins from into the receiver: the union.
func (c *Context) Merge(from *Context) (changed bool) {
	for o, runs := range from.runs {
		for _, r := range runs {
			changed = c.addRun(o, r) || changed
		}
	}
	return changed
}

// Equal reports whether both contain the same dots.
func (c *Context) Equal(o *Context) bool { return maps.EqualFunc(c.runs, o.runs, slices.Equal) }

// Clone returns a copy.
func (c *Context) Clone() *Context {
	m := maps.Clone(c.runs)
	for o, runs := range m {
		m[o] = slices.Clone(runs)
	}
	return &Context{m}
}

// addRun unites r with the runs of o and reports a change.
func (c *Context) addRun(o Origin, r run) bool {
	runs := c.runs[o]
	if n := len(runs); n > 0 && runs[n-1].last+1 == r.first {
		runs[n-1].last = r.last
		return true
	}
	i := firstEndingAt(runs, r.first-1) // first run that touches r or lies behind it
	if i < len(runs) && runs[i].first <= r.first && r.last <= runs[i].last {
		return false
	}
	j := i
	for ; j < len(runs) && runs[j].first-1 <= r.last; j++ {
		r.first, r.last = min(r.first, runs[j].first), max(r.last, runs[j].last)
	}
	if c.runs == nil {
		c.runs = make(map[Origin][]run)
	}
	c.runs[o] = slices.Replace(runs, i, j, r)
	return true
}

// firstEndingAt returns the index of the first run whose last is at least seq.
func firstEndingAt(runs []run, seq uint64) int {
	if len(runs) > 0 && seq <= runs[0].last {
		return 0
	}
	i, _ := slices.BinarySearchFunc(runs, seq, func(r run, seq uint64) int {
		if r.last < seq {
			return -1
		}
		return 1
	})
	return i
}

// AppendBinary appends the canonical form: the number of origins, then per
// origin, ascending, its 16 bytes, the number of its runs, and per run the
// count of numbers missing before it and its length less one.
func (c *Context) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(len(c.runs)))
	for _, o := range c.Origins() {
		dst = append(dst, o[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(c.runs[o])))
		end := uint64(1)
		for _, r := range c.runs[o] {
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
	c := &Context{runs: make(map[Origin][]run, n)}
	var prev Origin
	for i := range n {
		o := readOrigin(r)
		if i > 0 && o.Compare(prev) <= 0 {
			r.Fail("origins out of order")
		}
		c.runs[o], prev = readRuns(r), o
	}
	if r.Err() != nil {
		return &Context{}
	}
	return c
}

func readRuns(r *varint.Reader) []run {
	n := r.Count(2)
	if n == 0 {
		r.Fail("origin without runs")
		return nil
	}
	runs := make([]run, n)
	end := uint64(1)
	for i := range runs {
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
		runs[i], end = run{first, first + more}, first+more+1
	}
	return runs
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
