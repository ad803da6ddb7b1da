package merge

// A Lattice is a join-semilattice with in-place join. The zero value of a
// lattice type is its bottom: merging it changes nothing. L is the type that
// has the methods, so that a generic type says [L Lattice[L]].
type Lattice[L any] interface {
	// Merge replaces the receiver by its least upper bound with from and
	// reports whether the receiver changed. It does not modify or retain from.
	Merge(from L) (changed bool)
	// Equal reports whether both are the same element.
	Equal(L) bool
	// Clone returns an equal value that shares no mutable memory.
	Clone() L
}

// A Chain is a lattice whose elements are totally ordered.
type Chain[L any] interface {
	Lattice[L]
	// Compare returns -1, 0 or +1 as the receiver is below, equal to or above.
	Compare(L) int
}

// Ptr is the constraint "*T is a lattice": with it a generic type can hold a T
// by value, so that its own zero value is ready to use.
type Ptr[T any] interface {
	*T
	Lattice[*T]
}

// ChainPtr is the constraint "*T is a chain".
type ChainPtr[T any] interface {
	*T
	Chain[*T]
}
