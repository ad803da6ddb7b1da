package merge

import (
	"iter"
	"maps"
)

// A DotMap keeps one [DotFun] per key under a single causal context. It is the
// representation of the causal types of package crdt. Every change of it takes
// a dot of its own, removals included, so among replicas that merge each delta
// after those its author had seen, the context alone decides the state: two of
// them with equal contexts are equal.
//
// Merged in another order, deltas end in the same state once all are there. In
// between, a replica that merged a change and not the one it superseded has the
// dots of both in its context, but may still hold what the missing one removed.
// Until then a comparison of contexts does not tell that it lacks something.
//
// The zero value is empty. A DotMap used as a delta is the same type with a
// small context. Values are shared, never copied: treat them as immutable.
type DotMap[K comparable, V any] struct {
	cells map[K]DotFun[V] // no empty DotFun
	keys  map[Dot]K       // the key that holds each live dot
	seen  Context
}

// Put writes v at key k as origin o, superseding what the receiver holds there,
// and returns the delta.
func (m *DotMap[K, V]) Put(o Origin, k K, v V) *DotMap[K, V] {
	dot := m.seen.Next(o)
	delta := m.supersede(dot, k)
	delta.set(k, DotFunOf(Entry[V]{dot, v}))
	m.Merge(delta)
	return delta
}

// Drop removes what the receiver holds at key k, as origin o, and returns the
// delta.
func (m *DotMap[K, V]) Drop(o Origin, k K) *DotMap[K, V] {
	delta := m.supersede(m.seen.Next(o), k)
	m.Merge(delta)
	return delta
}

// supersede returns the delta of a change that removes what k holds.
func (m *DotMap[K, V]) supersede(dot Dot, k K) *DotMap[K, V] {
	delta := &DotMap[K, V]{}
	delta.seen.Add(dot)
	for _, old := range m.cells[k].entries {
		delta.seen.Add(old.Dot)
	}
	return delta
}

// At returns what k holds. The result must not be modified.
func (m *DotMap[K, V]) At(k K) DotFun[V] { return m.cells[k] }

// All yields the keys that hold something, in no particular order.
func (m *DotMap[K, V]) All() iter.Seq2[K, DotFun[V]] {
	return func(yield func(K, DotFun[V]) bool) {
		for k, f := range m.cells {
			if !yield(k, f) {
				return
			}
		}
	}
}

// Len returns the number of keys that hold something.
func (m *DotMap[K, V]) Len() int { return len(m.cells) }

// Context returns what has been seen. It must not be modified.
func (m *DotMap[K, V]) Context() *Context { return &m.seen }

// Merge joins from into the receiver. It visits the keys that from stores and
// those whose dots from has seen, and no others.
func (m *DotMap[K, V]) Merge(from *DotMap[K, V]) (changed bool) {
	changed = m.mergeRemovals(from)
	for k := range from.cells {
		changed = m.joinAt(k, from) || changed
	}
	return m.seen.Merge(&from.seen) || changed
}

// mergeRemovals joins the keys that hold a dot which from has seen and dropped.
// It enumerates the smaller of from's context and the receiver's live dots.
func (m *DotMap[K, V]) mergeRemovals(from *DotMap[K, V]) (changed bool) {
	if from.seen.Count() > uint64(len(m.keys)) {
		for d, k := range m.keys {
			if from.seen.Contains(d) && !from.holds(d) {
				changed = m.joinAt(k, from) || changed
			}
		}
		return changed
	}
	for d := range from.seen.All() {
		if k, live := m.keys[d]; live && !from.holds(d) {
			changed = m.joinAt(k, from) || changed
		}
	}
	return changed
}

func (m *DotMap[K, V]) holds(d Dot) bool {
	_, ok := m.keys[d]
	return ok
}

func (m *DotMap[K, V]) joinAt(k K, from *DotMap[K, V]) bool {
	joined, changed := JoinDotFuns(m.cells[k], &m.seen, from.cells[k], &from.seen)
	if changed {
		m.set(k, joined)
	}
	return changed
}

// set replaces what k holds and keeps the index of dots in step.
func (m *DotMap[K, V]) set(k K, f DotFun[V]) {
	if m.cells == nil {
		m.cells, m.keys = make(map[K]DotFun[V]), make(map[Dot]K)
	}
	for _, e := range m.cells[k].entries {
		delete(m.keys, e.Dot)
	}
	for _, e := range f.entries {
		m.keys[e.Dot] = k
	}
	if f.Len() == 0 {
		delete(m.cells, k)
		return
	}
	m.cells[k] = f
}

// Equal reports whether both have seen the same changes and hold the same dots.
func (m *DotMap[K, V]) Equal(o *DotMap[K, V]) bool {
	if len(m.keys) != len(o.keys) || !m.seen.Equal(&o.seen) {
		return false
	}
	for d, k := range m.keys {
		if other, ok := o.keys[d]; !ok || other != k {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares the values.
func (m *DotMap[K, V]) Clone() *DotMap[K, V] {
	return &DotMap[K, V]{maps.Clone(m.cells), maps.Clone(m.keys), *m.seen.Clone()}
}

// Restore returns the DotMap with the given cells and context, as a decoder
// needs it. It reports false if the parts do not belong together: a dot that
// stands at two keys or has not been seen, or a key that holds nothing. It
// keeps its arguments.
func Restore[K comparable, V any](cells map[K]DotFun[V], seen *Context) (*DotMap[K, V], bool) {
	dots := 0
	for _, f := range cells {
		dots += f.Len()
	}
	m := &DotMap[K, V]{cells: make(map[K]DotFun[V], len(cells)), keys: make(map[Dot]K, dots), seen: *seen}
	for k, f := range cells {
		if f.Len() == 0 {
			return nil, false
		}
		for _, e := range f.entries {
			if m.holds(e.Dot) || !seen.Contains(e.Dot) {
				return nil, false
			}
			m.keys[e.Dot] = k
		}
		m.cells[k] = f
	}
	return m, true
}
