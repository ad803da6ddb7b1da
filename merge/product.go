package merge

import (
	"iter"
	"maps"
)

// Pair is the product of two lattices: each half merges by itself.
type Pair[A, B any, PA Ptr[A], PB Ptr[B]] struct {
	First  A
	Second B
}

// Merge merges both halves.
func (p *Pair[A, B, PA, PB]) Merge(from *Pair[A, B, PA, PB]) bool {
	first := PA(&p.First).Merge(&from.First)
	second := PB(&p.Second).Merge(&from.Second)
	return first || second
}

// Equal reports whether both halves are equal.
func (p *Pair[A, B, PA, PB]) Equal(o *Pair[A, B, PA, PB]) bool {
	return PA(&p.First).Equal(&o.First) && PB(&p.Second).Equal(&o.Second)
}

// Clone copies both halves.
func (p *Pair[A, B, PA, PB]) Clone() *Pair[A, B, PA, PB] {
	return &Pair[A, B, PA, PB]{*PA(&p.First).Clone(), *PB(&p.Second).Clone()}
}

// Lex is the lexicographic product: the higher First wins whole, and Second
// merges only between equal Firsts. First must be a [Chain]; over a partial
// order the construction is not associative.
type Lex[A, B any, PA ChainPtr[A], PB Ptr[B]] struct {
	First  A
	Second B
}

// Merge keeps the side with the higher First, or merges Second on a tie.
func (l *Lex[A, B, PA, PB]) Merge(from *Lex[A, B, PA, PB]) bool {
	switch PA(&l.First).Compare(&from.First) {
	case 1:
		return false
	case 0:
		return PB(&l.Second).Merge(&from.Second)
	}
	*l = *from.Clone()
	return true
}

// Equal reports whether both halves are equal.
func (l *Lex[A, B, PA, PB]) Equal(o *Lex[A, B, PA, PB]) bool {
	return PA(&l.First).Equal(&o.First) && PB(&l.Second).Equal(&o.Second)
}

// Clone copies both halves.
func (l *Lex[A, B, PA, PB]) Clone() *Lex[A, B, PA, PB] {
	return &Lex[A, B, PA, PB]{*PA(&l.First).Clone(), *PB(&l.Second).Clone()}
}

// Map merges values key by key. An absent key is bottom, and a key whose value
// is bottom is kept absent, so that equal maps have equal keys.
type Map[K comparable, V any, P Ptr[V]] struct {
	entries map[K]P
}

// Get returns the value of k, which the caller must not modify, and whether it
// is there.
func (m *Map[K, V, P]) Get(k K) (P, bool) {
	v, ok := m.entries[k]
	return v, ok
}

// All yields the keys with their values, which the caller must not modify, in
// no particular order.
func (m *Map[K, V, P]) All() iter.Seq2[K, P] { return maps.All(m.entries) }

// Len returns the number of keys.
func (m *Map[K, V, P]) Len() int { return len(m.entries) }

// Join merges v into the value of k and reports a change. It does not retain v.
func (m *Map[K, V, P]) Join(k K, v P) bool {
	if mine, ok := m.entries[k]; ok {
		return mine.Merge(v)
	}
	var bottom V
	if v.Equal(&bottom) {
		return false
	}
	if m.entries == nil {
		m.entries = make(map[K]P)
	}
	m.entries[k] = v.Clone()
	return true
}

// Merge joins every entry of from.
func (m *Map[K, V, P]) Merge(from *Map[K, V, P]) (changed bool) {
	for k, v := range from.entries {
		changed = m.Join(k, v) || changed
	}
	return changed
}

// Equal reports whether both have the same keys with equal values.
func (m *Map[K, V, P]) Equal(o *Map[K, V, P]) bool {
	return maps.EqualFunc(m.entries, o.entries, func(a, b P) bool { return a.Equal(b) })
}

// Clone copies the map and its values.
func (m *Map[K, V, P]) Clone() *Map[K, V, P] {
	c := &Map[K, V, P]{}
	c.Merge(m)
	return c
}
