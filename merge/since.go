package merge

import "slices"

// AddSpan includes the changes of s and reports a change. A span that is empty or
// begins with 0 is not included.
func (c *Context) AddSpan(s Span) bool {
	return s.First != 0 && s.First <= s.Last && c.entry(&s.Origin).seqs.add(run{s.First, s.Last})
}

// Without returns the dots that have been seen and are not in known: the
// difference, in memory of its own.
func (c *Context) Without(known *Context) *Context {
	rest := &Context{}
	for _, e := range c.entries {
		if seqs := e.seqs.without(known.of(&e.origin)); len(seqs) > 0 {
			rest.entries = append(rest.entries, entry{e.origin, seqs})
		}
	}
	return rest
}

// without returns the numbers that are not in other.
func (rs runs) without(other runs) (rest runs) {
	for _, r := range rs {
		for len(other) > 0 && other[0].last < r.first {
			other = other[1:]
		}
		for _, o := range other {
			if o.first > r.last {
				break
			}
			if o.first > r.first {
				rest = append(rest, run{r.first, o.first - 1})
			}
			if r.first = o.last + 1; o.last >= r.last {
				break
			}
		}
		if r.first <= r.last && r.first != 0 {
			rest = append(rest, r)
		}
	}
	return rest
}

// Since returns a delta that takes a replica which has seen known to the join
// with the receiver: what was written that it has not seen, and everything that
// was removed, as the receiver does not remember by which change. It visits the
// whole receiver, and shares its values. known must tell what the replica lacks:
// it does if the replica merged each delta after those its author had seen.
func (m *DotMap[K, V]) Since(known *Context) *DotMap[K, V] {
	dots := slices.SortedFunc(m.Dots(), Dot.Compare)
	delta := &DotMap[K, V]{seen: *m.seen.Without(ContextOf(dots...))}
	delta.seen.Merge(m.seen.Without(known))
	for k, f := range m.All() {
		var fresh []Entry[V]
		for e := range f.All() {
			if !known.Contains(e.Dot) {
				fresh = append(fresh, e)
			}
		}
		if len(fresh) > 0 {
			delta.set(k, DotFun[V]{fresh})
		}
	}
	return delta
}
