package merge

import (
	"iter"
	"slices"
)

// ByOrigin merges values origin by origin: a [Map] whose keys are origins, kept
// in their order. As there, an origin whose value is bottom is absent.
//
// A single value is kept in place, so that the delta of one origin needs no
// more memory than itself. The zero value is empty.
type ByOrigin[V any, P Ptr[V]] struct {
	one  [1]part[V] // the only part, while there is no other
	n    int        // how many of one are in use
	many []part[V]  // ascending by origin; empty, or all parts and n is 0
	hint int        // where the part that was owned last was
}

// part is the value of one origin.
type part[V any] struct {
	origin Origin
	value  V
}

func (b *ByOrigin[V, P]) parts() []part[V] {
	if len(b.many) > 0 {
		return b.many
	}
	return b.one[:b.n]
}

// Len returns the number of origins.
func (b *ByOrigin[V, P]) Len() int { return len(b.parts()) }

// Get returns the value of o and whether there is one. The caller must neither
// modify it nor keep it beyond the next change.
func (b *ByOrigin[V, P]) Get(o Origin) (P, bool) {
	parts := b.parts()
	i, ok := b.find(parts, &o)
	if !ok {
		return nil, false
	}
	return &parts[i].value, true
}

// find returns the index of o's part, or where it belongs.
func (b *ByOrigin[V, P]) find(parts []part[V], o *Origin) (int, bool) {
	low, end := 0, len(parts)
	for low < end {
		if mid := int(uint(low+end) / 2); parts[mid].origin.before(o) {
			low = mid + 1
		} else {
			end = mid
		}
	}
	return low, low < len(parts) && parts[low].origin == *o
}

// All yields the origins, ascending, with their values, which the caller must
// neither modify nor keep beyond the next change.
func (b *ByOrigin[V, P]) All() iter.Seq2[Origin, P] {
	return func(yield func(Origin, P) bool) {
		parts := b.parts()
		for i := range parts {
			if !yield(parts[i].origin, &parts[i].value) {
				return
			}
		}
	}
}

// Own returns the value of o for its owner to raise in place, nil if there is
// none. The caller must neither lower it nor keep it beyond the next change.
func (b *ByOrigin[V, P]) Own(o Origin) P {
	parts := b.parts()
	if b.hint < len(parts) && parts[b.hint].origin == o {
		return &parts[b.hint].value
	}
	i, ok := b.find(parts, &o)
	if !ok {
		return nil
	}
	b.hint = i
	return &parts[i].value
}

// First gives the receiver, which must be empty, the value v of o, which must
// not be bottom. It keeps v.
func (b *ByOrigin[V, P]) First(o Origin, v V) {
	b.n, b.one[0].origin, b.one[0].value = 1, o, v
}

// Raise replaces the value of o by v, which must be neither bottom nor below
// it. It keeps v.
func (b *ByOrigin[V, P]) Raise(o Origin, v V) {
	parts := b.parts()
	if i, ok := b.find(parts, &o); ok {
		parts[i].value = v
	} else {
		b.insert(i, part[V]{o, v})
	}
}

func (b *ByOrigin[V, P]) insert(i int, p part[V]) {
	switch {
	case len(b.many) > 0:
		b.many = slices.Insert(b.many, i, p)
	case b.n == 0:
		b.First(p.origin, p.value)
	default:
		b.many = slices.Insert([]part[V]{b.one[0]}, i, p)
		b.one, b.n = [1]part[V]{}, 0
	}
}

// Join merges v into the value of o and reports a change. It does not retain v.
func (b *ByOrigin[V, P]) Join(o Origin, v P) bool {
	parts := b.parts()
	i, ok := b.find(parts, &o)
	if ok {
		return P(&parts[i].value).Merge(v)
	}
	var bottom V
	if v.Equal(&bottom) {
		return false
	}
	b.insert(i, part[V]{o, *v.Clone()})
	return true
}

// Merge joins every value of from.
func (b *ByOrigin[V, P]) Merge(from *ByOrigin[V, P]) (changed bool) {
	more := from.parts()
	if n := len(more); n > 8 && n > b.Len()/16 {
		return b.mergeMany(more)
	}
	for i := range more {
		changed = b.Join(more[i].origin, &more[i].value) || changed
	}
	return changed
}

// mergeMany is Merge for many origins: it walks both lists once.
func (b *ByOrigin[V, P]) mergeMany(more []part[V]) (changed bool) {
	all, known := slices.Clone(b.parts()), b.Len()
	i := 0
	for j := range more {
		p := &more[j]
		for i < known && all[i].origin.before(&p.origin) {
			i++
		}
		if i < known && all[i].origin == p.origin {
			changed = P(&all[i].value).Merge(&p.value) || changed
		} else {
			all = append(all, part[V]{p.origin, *P(&p.value).Clone()})
		}
	}
	slices.SortFunc(all, func(a, b part[V]) int { return a.origin.Compare(b.origin) })
	changed = changed || len(all) > known
	*b = ByOrigin[V, P]{many: all}
	return changed
}

// Equal reports whether both have the same origins with equal values.
func (b *ByOrigin[V, P]) Equal(o *ByOrigin[V, P]) bool {
	mine, theirs := b.parts(), o.parts()
	for i := range mine {
		if i >= len(theirs) || mine[i].origin != theirs[i].origin || !P(&mine[i].value).Equal(&theirs[i].value) {
			return false
		}
	}
	return len(mine) == len(theirs)
}

// Clone copies the values.
func (b *ByOrigin[V, P]) Clone() *ByOrigin[V, P] {
	c := &ByOrigin[V, P]{n: b.n, hint: b.hint, many: make([]part[V], 0, len(b.many))}
	for i := range b.many {
		c.many = append(c.many, part[V]{b.many[i].origin, *P(&b.many[i].value).Clone()})
	}
	if b.n == 1 {
		c.one[0] = part[V]{b.one[0].origin, *P(&b.one[0].value).Clone()}
	}
	return c
}
