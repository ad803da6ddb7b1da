package merge

import (
	"iter"
	"maps"
	"slices"
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
	few   []held[K, V]    // what the keys hold, while they are few
	cells map[K]DotFun[V] // the same once they are not; no empty DotFun
	keys  map[Dot]K       // with cells: the key that holds each live dot
	seen  Context
}

// held is a key and what it holds, which is something.
type held[K comparable, V any] struct {
	key K
	fun DotFun[V]
}

// maxFew is how many keys are searched one by one. Most deltas, registers and
// fields of maps have no more, and need no index.
const maxFew = 8

// Put writes v at key k as origin o, superseding what the receiver holds there,
// and returns the delta.
func (m *DotMap[K, V]) Put(o Origin, k K, v V) *DotMap[K, V] {
	return m.PutOver(o, k, v, func(V) bool { return true })
}

// PutOver writes v at key k as origin o, superseding those values that the
// receiver holds there of which old reports true, and returns the delta.
func (m *DotMap[K, V]) PutOver(o Origin, k K, v V, old func(V) bool) *DotMap[K, V] {
	dot := m.seen.Next(o)
	delta := m.supersede(dot, k, old)
	delta.set(k, DotFunOf(Entry[V]{dot, v}))
	m.Merge(delta)
	return delta
}

// Drop removes what the receiver holds at key k, as origin o, and returns the
// delta.
func (m *DotMap[K, V]) Drop(o Origin, k K) *DotMap[K, V] {
	return m.DropOld(o, k, func(V) bool { return true })
}

// DropOld removes those values that the receiver holds at key k of which old
// reports true, as origin o, and returns the delta.
func (m *DotMap[K, V]) DropOld(o Origin, k K, old func(V) bool) *DotMap[K, V] {
	delta := m.supersede(m.seen.Next(o), k, old)
	m.Merge(delta)
	return delta
}

// supersede returns the delta of a change that removes of what k holds the
// values of which old reports true.
func (m *DotMap[K, V]) supersede(dot Dot, k K, old func(V) bool) *DotMap[K, V] {
	delta := &DotMap[K, V]{}
	delta.seen.Add(dot)
	for _, e := range m.At(k).entries {
		if old(e.Value) {
			delta.seen.Add(e.Dot)
		}
	}
	return delta
}

// At returns what k holds. The result must not be modified.
func (m *DotMap[K, V]) At(k K) DotFun[V] {
	if m.cells != nil {
		return m.cells[k]
	}
	if i := m.index(k); i >= 0 {
		return m.few[i].fun
	}
	return DotFun[V]{}
}

// index returns where k stands among the few, -1 if it holds nothing.
func (m *DotMap[K, V]) index(k K) int {
	for i := range m.few {
		if m.few[i].key == k {
			return i
		}
	}
	return -1
}

// All yields the keys that hold something, in no particular order. The receiver
// may change meanwhile, as a Go map may.
func (m *DotMap[K, V]) All() iter.Seq2[K, DotFun[V]] {
	return func(yield func(K, DotFun[V]) bool) {
		few, cells := m.few, m.cells
		for i, h := range few {
			if i < len(m.few) && &m.few[i] == &few[i] || m.At(h.key).Len() > 0 {
				if !yield(h.key, h.fun) {
					return
				}
			}
		}
		for k, f := range cells {
			if !yield(k, f) {
				return
			}
		}
	}
}

// Dots yields the live dots, in no particular order.
func (m *DotMap[K, V]) Dots() iter.Seq[Dot] {
	return func(yield func(Dot) bool) {
		for _, f := range m.All() {
			for _, e := range f.entries {
				if !yield(e.Dot) {
					return
				}
			}
		}
	}
}

// Len returns the number of keys that hold something.
func (m *DotMap[K, V]) Len() int { return len(m.few) + len(m.cells) }

// Context returns what has been seen. It must not be modified.
func (m *DotMap[K, V]) Context() *Context { return &m.seen }

// Merge joins from into the receiver. It visits the keys that from stores and
// those whose dots from has seen, and no others.
func (m *DotMap[K, V]) Merge(from *DotMap[K, V]) (changed bool) {
	changed = m.mergeRemovals(from)
	changed = m.joinCells(&m.seen, from, &from.seen) || changed
	return m.seen.Merge(&from.seen) || changed
}

// mergeRemovals joins the keys that hold a dot which from has seen and dropped.
// It enumerates the smaller of from's context and the receiver's live dots.
func (m *DotMap[K, V]) mergeRemovals(from *DotMap[K, V]) (changed bool) {
	if from.seen.Count() <= uint64(m.live()) {
		for d := range from.seen.All() {
			changed = m.joinDropped(d, &m.seen, from, &from.seen) || changed
		}
		return changed
	}
	for d := range m.Dots() {
		if from.seen.Contains(d) {
			changed = m.joinDropped(d, &m.seen, from, &from.seen) || changed
		}
	}
	return changed
}

// live returns the number of live dots.
func (m *DotMap[K, V]) live() int {
	n := len(m.keys)
	for _, h := range m.few {
		n += h.fun.Len()
	}
	return n
}

// joinDropped joins the key that holds d, unless from holds d too. The context
// of from contains d.
func (m *DotMap[K, V]) joinDropped(d Dot, seen Dots, from *DotMap[K, V], fromSeen Dots) bool {
	k, live := m.holder(d)
	return live && !from.Holds(d) && m.joinAt(k, seen, from, fromSeen)
}

// joinCells joins the keys that hold something in from.
func (m *DotMap[K, V]) joinCells(seen Dots, from *DotMap[K, V], fromSeen Dots) (changed bool) {
	for k := range from.All() {
		changed = m.joinAt(k, seen, from, fromSeen) || changed
	}
	return changed
}

// JoinStore is Merge for a DotMap that stands inside a larger value, whose one
// context is kept outside: seen is that of the receiver's holder and fromSeen
// that of from's, and neither changes. dropped names the dots that the receiver
// holds and that fromSeen contains while from does not hold them.
func (m *DotMap[K, V]) JoinStore(seen Dots, from *DotMap[K, V], fromSeen Dots, dropped []Dot) (changed bool) {
	for _, d := range dropped {
		changed = m.joinDropped(d, seen, from, fromSeen) || changed
	}
	return m.joinCells(seen, from, fromSeen) || changed
}

// Holds reports whether d is live.
func (m *DotMap[K, V]) Holds(d Dot) bool {
	_, ok := m.holder(d)
	return ok
}

// holder returns the key that holds d.
func (m *DotMap[K, V]) holder(d Dot) (k K, live bool) {
	for i := range m.few {
		if m.few[i].fun.Contains(d) {
			return m.few[i].key, true
		}
	}
	k, live = m.keys[d]
	return k, live
}

func (m *DotMap[K, V]) joinAt(k K, seen Dots, from *DotMap[K, V], fromSeen Dots) bool {
	joined, changed := JoinDotFuns(m.At(k), seen, from.At(k), fromSeen)
	if changed {
		m.set(k, joined)
	}
	return changed
}

// set replaces what k holds and keeps the index of dots in step.
func (m *DotMap[K, V]) set(k K, f DotFun[V]) {
	if m.cells == nil && !m.setFew(k, f) {
		m.spread()
	}
	if m.cells == nil {
		return
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

// setFew is set among the few. It reports false if there is no room for k.
func (m *DotMap[K, V]) setFew(k K, f DotFun[V]) bool {
	i := m.index(k)
	switch {
	case i >= 0 && f.Len() > 0:
		m.few[i].fun = f
	case i >= 0:
		m.few = slices.Concat(m.few[:i], m.few[i+1:]) // All may be at it
	case f.Len() > 0 && len(m.few) == maxFew:
		return false
	case f.Len() > 0:
		m.few = append(m.few, held[K, V]{k, f})
	}
	return true
}

// spread makes maps of the few.
func (m *DotMap[K, V]) spread() {
	few := m.few
	m.few, m.cells, m.keys = nil, make(map[K]DotFun[V]), make(map[Dot]K)
	for _, h := range few {
		m.set(h.key, h.fun)
	}
}

// Equal reports whether both have seen the same changes and hold the same dots.
func (m *DotMap[K, V]) Equal(o *DotMap[K, V]) bool {
	if m.Len() != o.Len() || !m.seen.Equal(&o.seen) {
		return false
	}
	for k, f := range m.All() {
		if !slices.EqualFunc(f.entries, o.At(k).entries, sameDot) {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares the values.
func (m *DotMap[K, V]) Clone() *DotMap[K, V] {
	return &DotMap[K, V]{slices.Clone(m.few), maps.Clone(m.cells), maps.Clone(m.keys), *m.seen.Clone()}
}

// Restore returns the DotMap with the given cells and context, as a decoder
// needs it. It reports false if the parts do not belong together: a dot that
// stands at two keys or has not been seen, or a key that holds nothing. It
// keeps its arguments.
func Restore[K comparable, V any](cells map[K]DotFun[V], seen *Context) (*DotMap[K, V], bool) {
	m, ok := RestoreStore(len(cells), maps.All(cells), seen)
	if ok {
		m.seen = *seen
	}
	return m, ok
}

// RestoreStore is Restore for a DotMap whose context is kept outside: that of
// the result is empty. The cells are n, and a key that comes twice is one of the
// things that do not belong together.
func RestoreStore[K comparable, V any](n int, cells iter.Seq2[K, DotFun[V]], seen Dots) (*DotMap[K, V], bool) {
	m := &DotMap[K, V]{}
	if n > maxFew {
		m.cells, m.keys = make(map[K]DotFun[V], n), make(map[Dot]K, n)
	} else {
		m.few = make([]held[K, V], 0, n)
	}
	for k, f := range cells {
		if f.Len() == 0 || m.At(k).Len() > 0 {
			return nil, false
		}
		for i, e := range f.entries {
			if i > 0 && e.Dot == f.entries[i-1].Dot || m.Holds(e.Dot) || !seen.Contains(e.Dot) {
				return nil, false
			}
		}
		m.set(k, f)
	}
	return m, true
}
