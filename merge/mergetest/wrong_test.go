package mergetest_test

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// The types of this file look like lattices and are not, each for one reason.

// average is commutative, idempotent and not associative.
type average struct{ v float64 }

func (a *average) Merge(from *average) bool {
	was := *a
	a.v = (a.v + from.v) / 2
	return *a != was
}
func (a *average) Equal(o *average) bool { return *a == *o }
func (a *average) Clone() *average       { c := *a; return &c }

// floatMax orders by >, for which NaN has no place.
type floatMax struct{ v float64 }

func (m *floatMax) Merge(from *floatMax) bool {
	if from.v > m.v {
		m.v = from.v
		return true
	}
	return false
}

func (m *floatMax) Equal(o *floatMax) bool {
	return math.Float64bits(m.v) == math.Float64bits(o.v)
}
func (m *floatMax) Clone() *floatMax { c := *m; return &c }

// floatMaxEq is floatMax with the == of floats, for which NaN is not itself.
type floatMaxEq struct{ floatMax }

func (m *floatMaxEq) Merge(from *floatMaxEq) bool { return m.floatMax.Merge(&from.floatMax) }
func (m *floatMaxEq) Equal(o *floatMaxEq) bool    { return m.v == o.v }
func (m *floatMaxEq) Clone() *floatMaxEq          { c := *m; return &c }

// lwwNoTie keeps the later write and, of two at the same time, its own.
type lwwNoTie struct {
	time  int
	value string
}

func (l *lwwNoTie) Merge(from *lwwNoTie) bool {
	if from.time <= l.time {
		return false
	}
	*l = *from
	return true
}
func (l *lwwNoTie) Equal(o *lwwNoTie) bool { return *l == *o }
func (l *lwwNoTie) Clone() *lwwNoTie       { c := *l; return &c }

// bits is a set of up to 64 things, and rightly a lattice.
type bits struct{ set uint64 }

func (b *bits) Merge(from *bits) bool {
	was := b.set
	b.set |= from.set
	return b.set != was
}
func (b *bits) Equal(o *bits) bool { return *b == *o }
func (b *bits) Clone() *bits       { c := *b; return &c }

// bitChain gives bits an order that answers 0 for sets of which neither contains
// the other.
type bitChain struct{ bits }

func (b *bitChain) Merge(from *bitChain) bool { return b.bits.Merge(&from.bits) }
func (b *bitChain) Equal(o *bitChain) bool    { return *b == *o }
func (b *bitChain) Clone() *bitChain          { c := *b; return &c }
func (b *bitChain) Compare(o *bitChain) int {
	switch {
	case b.set == o.set:
		return 0
	case b.set&o.set == b.set:
		return -1
	case b.set&o.set == o.set:
		return 1
	}
	return 0
}

// numberChain orders bits as numbers, which is total and not the order of Merge.
type numberChain struct{ bits }

func (b *numberChain) Merge(from *numberChain) bool { return b.bits.Merge(&from.bits) }
func (b *numberChain) Equal(o *numberChain) bool    { return *b == *o }
func (b *numberChain) Clone() *numberChain          { c := *b; return &c }
func (b *numberChain) Compare(o *numberChain) int {
	return merge.MaxOf(b.set).Compare(merge.MaxOf(o.set))
}

// lexOverSets is a lexicographic product whose first half is only partly
// ordered: on incomparable halves it merges both.
type lexOverSets struct {
	first  bits
	second merge.Max[int]
}

func (l *lexOverSets) Merge(from *lexOverSets) bool {
	switch both := l.first.set | from.first.set; {
	case l.first == from.first || both != l.first.set && both != from.first.set:
		first := l.first.Merge(&from.first)
		return l.second.Merge(&from.second) || first
	case both == l.first.set:
		return false
	}
	*l = *from
	return true
}

func (l *lexOverSets) Equal(o *lexOverSets) bool {
	return l.first.Equal(&o.first) && l.second.Equal(&o.second)
}
func (l *lexOverSets) Clone() *lexOverSets { c := *l; return &c }

// counts maps names to the largest number seen. Its flaws are switches, so
// that one type shows that it is the flaw which is found.
type counts struct {
	m    map[string]*merge.Max[int]
	flaw flaw
}

type flaw int

const (
	none     flaw = iota
	aliases       // keeps the values of the argument
	mutates       // merges both ways
	shallow       // clones the map and not the values
	adopts        // keeps the whole map of the argument when it is empty
	lies          // always reports a change
	denies        // never reports a change
	unsorted      // encodes in the order of the map
)

func countsOf(f flaw, m map[string]int) *counts {
	c := &counts{flaw: f}
	for k, v := range m {
		c.join(k, merge.MaxOf(v))
	}
	return c
}

func (c *counts) join(k string, v *merge.Max[int]) bool {
	if mine, ok := c.m[k]; ok {
		return mine.Merge(v)
	}
	if c.m == nil {
		c.m = make(map[string]*merge.Max[int])
	}
	if c.flaw != aliases {
		v = v.Clone()
	}
	c.m[k] = v
	return true
}

func (c *counts) Merge(from *counts) (changed bool) {
	if len(from.m) == 0 {
		return c.flaw == lies
	}
	c.flaw = from.flaw
	if c.flaw == adopts && len(c.m) == 0 {
		c.m = from.m
		return true
	}
	for k, v := range from.m {
		changed = c.join(k, v) || changed
	}
	if c.flaw == mutates {
		for k, v := range c.m {
			from.join(k, v)
		}
	}
	return (changed || c.flaw == lies) && c.flaw != denies
}

func (c *counts) Equal(o *counts) bool {
	return maps.EqualFunc(c.m, o.m, func(a, b *merge.Max[int]) bool { return a.Equal(b) })
}

func (c *counts) Clone() *counts {
	if c.flaw == shallow {
		return &counts{maps.Clone(c.m), c.flaw}
	}
	d := &counts{flaw: c.flaw}
	for k, v := range c.m {
		d.join(k, v.Clone())
	}
	return d
}

func (c *counts) AppendBinary(dst []byte) ([]byte, error) {
	keys := slices.Collect(maps.Keys(c.m))
	if c.flaw != unsorted {
		slices.Sort(keys)
	}
	for _, k := range keys {
		v, _ := c.m[k].Value()
		dst = append(append(dst, k...), 0)
		dst = binary.AppendVarint(dst, int64(v))
	}
	return dst, nil
}

// sum adds up: a bag, not a lattice.
type sum struct{ n int }

func (s *sum) Merge(from *sum) bool {
	s.n += from.n
	return from.n != 0
}
func (s *sum) Equal(o *sum) bool { return *s == *o }
func (s *sum) Clone() *sum       { c := *s; return &c }

// lowest is a minimum whose zero value, 0, is not its bottom.
type lowest struct{ n int }

func (l *lowest) Merge(from *lowest) bool {
	if from.n >= l.n {
		return false
	}
	l.n = from.n
	return true
}
func (l *lowest) Equal(o *lowest) bool { return *l == *o }
func (l *lowest) Clone() *lowest       { c := *l; return &c }

// toggle is the symmetric difference, which takes back what was merged before,
// except between equals.
type toggle struct{ set uint64 }

func (t *toggle) Merge(from *toggle) bool {
	if t.set == from.set {
		return false
	}
	t.set ^= from.set
	return from.set != 0
}
func (t *toggle) Equal(o *toggle) bool { return *t == *o }
func (t *toggle) Clone() *toggle       { c := *t; return &c }

// near calls numbers equal that differ by one, which is not transitive.
type near struct{ n int }

func (m *near) Merge(from *near) bool {
	if from.n <= m.n+1 {
		return false
	}
	m.n = from.n
	return true
}
func (m *near) Equal(o *near) bool { return max(m.n-o.n, o.n-m.n) <= 1 }
func (m *near) Clone() *near       { c := *m; return &c }

// subset is a set whose Equal is one-sided.
type subset struct{ bits }

func (b *subset) Merge(from *subset) bool { return b.bits.Merge(&from.bits) }
func (b *subset) Equal(o *subset) bool    { return b.set&o.set == b.set }
func (b *subset) Clone() *subset          { c := *b; return &c }

// forgetful is a set whose clones are empty.
type forgetful struct{ bits }

func (b *forgetful) Merge(from *forgetful) bool { return b.bits.Merge(&from.bits) }
func (b *forgetful) Equal(o *forgetful) bool    { return *b == *o }
func (b *forgetful) Clone() *forgetful          { return &forgetful{} }
