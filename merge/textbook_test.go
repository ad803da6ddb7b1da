package merge_test

import (
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A textbook is the optimised observed-remove store as the papers state it: a
// set of dotted writes and a set of dots seen, joined by
//
//	store = (s1 ∩ s2) ∪ {d ∈ s1 | d ∉ c2} ∪ {d ∈ s2 | d ∉ c1}
//	seen  = c1 ∪ c2
//
// It walks everything, and is what the joins of this package are held against.
type textbook struct {
	store map[merge.Dot]write
	seen  map[merge.Dot]bool
}

type write struct {
	key   string
	value int
}

func newTextbook() *textbook { return &textbook{map[merge.Dot]write{}, map[merge.Dot]bool{}} }

func (t *textbook) next(o merge.Origin) merge.Dot {
	last := uint64(0)
	for d := range t.seen {
		if d.Origin == o {
			last = max(last, d.Seq)
		}
	}
	return merge.Dot{Origin: o, Seq: last + 1}
}

// put writes, or removes if w is nil, and returns the delta.
func (t *textbook) put(o merge.Origin, key string, w *int) *textbook {
	d, delta := t.next(o), newTextbook()
	delta.seen[d] = true
	for old, w := range t.store {
		if w.key == key {
			delta.seen[old] = true
		}
	}
	if w != nil {
		delta.store[d] = write{key, *w}
	}
	t.merge(delta)
	return delta
}

func (t *textbook) merge(o *textbook) (changed bool) {
	store := map[merge.Dot]write{}
	for d, w := range t.store {
		if _, both := o.store[d]; both || !o.seen[d] {
			store[d] = w
		}
	}
	for d, w := range o.store {
		if !t.seen[d] {
			store[d] = w
		}
	}
	before := t.clone()
	t.store = store
	maps.Copy(t.seen, o.seen)
	return !t.equal(before)
}

func (t *textbook) equal(o *textbook) bool {
	return maps.Equal(t.store, o.store) && maps.Equal(t.seen, o.seen)
}

func (t *textbook) clone() *textbook { return &textbook{maps.Clone(t.store), maps.Clone(t.seen)} }

// differs says where m is not what the textbook has, or nothing.
func (t *textbook) differs(m *merge.DotMap[string, int]) string {
	got, keys := map[merge.Dot]write{}, map[string]bool{}
	for k, f := range m.All() {
		keys[k] = true
		if !slices.Equal(m.At(k).Dots(), f.Dots()) || f.Len() == 0 {
			return "All and At disagree, or a key without dots"
		}
		for e := range f.All() {
			got[e.Dot] = write{k, e.Value}
		}
	}
	seen := map[merge.Dot]bool{}
	for d := range m.Context().All() {
		seen[d] = true
	}
	switch {
	case !maps.Equal(got, t.store):
		return "the live writes differ"
	case !maps.Equal(seen, t.seen):
		return "the contexts differ"
	case m.Len() != len(keys):
		return "Len is not the number of keys"
	}
	return ""
}
