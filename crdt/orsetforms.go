package crdt

import (
	"iter"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/joinery-crdt/joinery/crdt/internal/columns"
	"github.com/joinery-crdt/joinery/merge"
)

// fewElements is how many elements an ORSet has before it is kept in columns.
const fewElements = 32

// A single is the delta of one change that superseded at most one dot.
type single[T comparable] struct {
	element  T
	dot, old merge.Dot // Seq 0 if there is none
	put      bool
}

// small returns what is not in columns as a map, which must not be modified.
func (s *ORSet[T]) small() *merge.DotMap[T, struct{}] {
	switch {
	case s.few != nil:
		return s.few
	case s.one.dot.Seq == 0:
		return &merge.DotMap[T, struct{}]{}
	}
	return s.one.spread()
}

// spread returns the delta of a single that superseded more dots.
func (o *single[T]) spread(more ...merge.Dot) *merge.DotMap[T, struct{}] {
	cells := make(map[T]merge.DotFun[struct{}], 1)
	if o.put {
		cells[o.element] = merge.DotFunOf(merge.Entry[struct{}]{Dot: o.dot})
	}
	few, _ := merge.Restore(cells, merge.ContextOf(slices.Concat(more, []merge.Dot{o.dot, o.old})...))
	return few
}

// open prepares the set to be changed: a single becomes a map.
func (s *ORSet[T]) open() {
	if s.many == nil && s.few == nil {
		s.few, s.one = s.small(), single[T]{}
	}
}

// change adds or removes v and makes the empty set delta the delta.
func (s *ORSet[T]) change(delta *ORSet[T], origin merge.Origin, v T, put bool) {
	if s.many != nil {
		k, ok := keyOf(&v)
		if ok {
			s.changeLarge(delta, origin, v, &k, put)
			return
		}
		s.reduce()
	}
	s.open()
	if put {
		delta.few = s.few.Put(origin, v, struct{}{})
		s.enlarge()
	} else {
		delta.few = s.few.Drop(origin, v)
	}
}

func (s *ORSet[T]) changeLarge(delta *ORSet[T], origin merge.Origin, v T, k *columns.Key, put bool) {
	var c columns.Change
	if put {
		c = s.many.Put(origin, k)
	} else {
		c = s.many.Drop(origin, k)
	}
	one := single[T]{v, c.Dot, c.Old, put}
	if len(c.More) == 0 {
		delta.one = one
		return
	}
	delta.few = one.spread(c.More...)
}

// mergeSmall joins a set that is not in columns into one that is.
func (s *ORSet[T]) mergeSmall(from *ORSet[T]) bool {
	if from.few == nil && from.one.dot.Seq != 0 {
		c := columns.Change{Dot: from.one.dot, Old: from.one.old, Put: from.one.put}
		if !c.Put { // the dots alone tell what is removed
			return s.many.Apply(nil, &c)
		}
		if k, ok := keyOf(&from.one.element); ok {
			return s.many.Apply(&k, &c)
		}
	}
	few := from.small()
	if t, err := tableOf(few); err == nil {
		return s.many.Merge(t)
	}
	s.reduce()
	return s.few.Merge(few)
}

// mergeLarge joins a set in columns into one that is not.
func (s *ORSet[T]) mergeLarge(from *ORSet[T]) bool {
	t, err := tableOf(s.few)
	if err != nil {
		return s.few.Merge(fewOf[T](from.many))
	}
	s.few, s.many = nil, t
	return t.Merge(from.many)
}

// enlarge moves a map that has become large into columns, if it can.
func (s *ORSet[T]) enlarge() {
	if s.many != nil || s.odd || s.few.Len() <= fewElements {
		return
	}
	t, err := tableOf(s.few)
	if err != nil {
		s.odd = true
		return
	}
	s.few, s.many = nil, t
}

// table returns the set in columns, which must not be modified.
func (s *ORSet[T]) table() (*columns.Table, error) {
	if s.many != nil {
		return s.many, nil
	}
	return tableOf(s.small())
}

// set makes the set what is in t, which it keeps.
func (s *ORSet[T]) set(t *columns.Table) {
	*s = ORSet[T]{many: t}
	if t.Len() <= fewElements {
		*s = ORSet[T]{few: fewOf[T](t)}
	}
}

// reduce moves the set into a map, because of an element without an encoding.
func (s *ORSet[T]) reduce() { s.few, s.many, s.odd = fewOf[T](s.many), nil, true }

// isExact reports whether no value of a type that has no encoding equals one that
// has.
func isExact(t reflect.Type) bool {
	switch k := t.Kind(); {
	case k == reflect.Array:
		return isExact(t.Elem())
	case k == reflect.Struct:
		return all(t.NumField(), func(i int) bool { return isExact(t.Field(i).Type) })
	default:
		return k >= reflect.Bool && k <= reflect.Uintptr || k == reflect.String
	}
}

// keyOf returns the encoding of an element, if it has one.
func keyOf[T comparable](v *T) (columns.Key, bool) {
	switch v := any(v).(type) {
	case *string:
		return columns.Text(*v), len(*v) <= MaxElement-3 && utf8.ValidString(*v)
	case *int:
		return columns.Int(int64(*v)), true
	case *int64:
		return columns.Int(*v), true
	case *uint64:
		return columns.Uint(*v), true
	}
	b, err := encodeKey(*v)
	return columns.Raw(b), err == nil
}

// elementOf returns the element whose encoding is b.
func elementOf[T comparable](b []byte) (v T) {
	ok := false
	switch v := any(&v).(type) {
	case *string:
		*v, ok = columns.TextOf(b), true
	case *int:
		n, fits := columns.IntOf(b)
		*v, ok = int(n), fits
	case *int64:
		*v, ok = columns.IntOf(b)
	case *uint64:
		*v, ok = columns.UintOf(b)
	}
	if !ok {
		return must(DecodeValue[T](b))
	}
	return v
}

// tableOf returns the columns of a map. The error is a [*ValueError] about an
// element that has no encoding.
func tableOf[T comparable](few *merge.DotMap[T, struct{}]) (*columns.Table, error) {
	type cell struct {
		element T
		dots    []merge.Dot
	}
	cells := make([]cell, 0, few.Len())
	for v, f := range few.All() {
		cells = append(cells, cell{v, f.Dots()})
	}
	slices.SortFunc(cells, func(a, b cell) int { return a.dots[0].Compare(b.dots[0]) })
	t := columns.Of(few.Context().Clone())
	for _, c := range cells {
		b, err := encodeKey(c.element)
		if err != nil {
			return nil, err
		}
		k := columns.Raw(b)
		for _, d := range c.dots {
			t.Load(&k, d)
		}
	}
	t.Loaded()
	return t, nil
}

// fewOf returns the map of columns.
func fewOf[T comparable](t *columns.Table) *merge.DotMap[T, struct{}] {
	cells := make(map[T]merge.DotFun[struct{}], t.Len())
	for at, key := range t.All() {
		dots := t.Dots(at)
		entries := make([]merge.Entry[struct{}], len(dots))
		for i, d := range dots {
			entries[i].Dot = d
		}
		cells[elementOf[T](key)] = merge.DotFunOf(entries...)
	}
	few, _ := merge.Restore(cells, t.Context().Clone())
	return few
}

// find returns the slot of v in columns.
func (s *ORSet[T]) find(v T) (at uint32, ok bool) {
	k, ok := keyOf(&v)
	if !ok {
		return s.findOdd(v)
	}
	return s.many.Find(&k)
}

// findOdd is find for an element that has no encoding: -0 equals 0, which has
// one.
func (s *ORSet[T]) findOdd(v T) (at uint32, ok bool) {
	if isExact(reflect.TypeFor[T]()) {
		return 0, false
	}
	_ = map[T]struct{}{}[v] // panics as a Go map does
	for at, key := range s.many.All() {
		if elementOf[T](key) == v {
			return at, true
		}
	}
	return 0, false
}

// elements yields the elements at the time of the call.
func (s *ORSet[T]) elements() iter.Seq[T] {
	if s.many == nil {
		return keys(s.small().All())
	}
	return func(yield func(T) bool) {
		for _, key := range s.many.All() {
			if !yield(elementOf[T](key)) {
				return
			}
		}
	}
}

// moved returns a function that reports whether the elements that elements
// yields may have been removed since.
func (s *ORSet[T]) moved() func() bool {
	few, many, version := s.few, s.many, uint64(0)
	if many != nil {
		version = many.Version()
	}
	return func() bool { return s.few != few || s.many != many || many != nil && many.Version() != version }
}
