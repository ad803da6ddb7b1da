package merge

import "cmp"

// Ordered is the types with a total order in which equal values are identical.
// Floating point is not among them: NaN has no place in an order, and 0 and -0
// are equal but not the same bytes.
type Ordered interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~string
}

// Max is the largest value seen. Its zero value has seen none.
type Max[T Ordered] struct {
	value T
	set   bool
}

// MaxOf returns a Max that has seen v.
func MaxOf[T Ordered](v T) *Max[T] { return &Max[T]{v, true} }

// Value returns the largest value seen and whether there was one.
func (m *Max[T]) Value() (v T, ok bool) { return m.value, m.set }

// Merge raises the receiver to from.
func (m *Max[T]) Merge(from *Max[T]) bool {
	if from.Compare(m) <= 0 {
		return false
	}
	*m = *from
	return true
}

// Equal reports whether both saw the same maximum.
func (m *Max[T]) Equal(o *Max[T]) bool { return *m == *o }

// Clone returns a copy.
func (m *Max[T]) Clone() *Max[T] { c := *m; return &c }

// Compare orders by value; having seen none is lowest.
func (m *Max[T]) Compare(o *Max[T]) int { return compareSet(m.set, o.set, m.value, o.value) }

// Min is the smallest value seen. Its zero value has seen none.
type Min[T Ordered] struct {
	value T
	set   bool
}

// MinOf returns a Min that has seen v.
func MinOf[T Ordered](v T) *Min[T] { return &Min[T]{v, true} }

// Value returns the smallest value seen and whether there was one.
func (m *Min[T]) Value() (v T, ok bool) { return m.value, m.set }

// Merge lowers the value of the receiver to from's.
func (m *Min[T]) Merge(from *Min[T]) bool {
	if from.Compare(m) <= 0 {
		return false
	}
	*m = *from
	return true
}

// Equal reports whether both saw the same minimum.
func (m *Min[T]) Equal(o *Min[T]) bool { return *m == *o }

// Clone returns a copy.
func (m *Min[T]) Clone() *Min[T] { c := *m; return &c }

// Compare orders by descending value, the lattice order of a minimum; having
// seen none is lowest.
func (m *Min[T]) Compare(o *Min[T]) int { return compareSet(m.set, o.set, o.value, m.value) }

func compareSet[T Ordered](aSet, bSet bool, a, b T) int {
	switch {
	case aSet && bSet:
		return cmp.Compare(a, b)
	case aSet:
		return 1
	case bSet:
		return -1
	}
	return 0
}
