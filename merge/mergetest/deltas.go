package mergetest

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// MaxDeltas is the largest number of deltas that Orders permutes: 6! = 720
// orders.
const MaxDeltas = 6

// ErrTooMany says that more than [MaxDeltas] deltas were given.
var ErrTooMany = errors.New("mergetest: too many deltas to permute, give at most 6 at a time")

// Deltas runs the mutators one after the other on a clone of s. Each changes the
// value it is given and returns the delta of the change. Deltas returns a
// [*LawError] unless merging a delta into the value before gives the value after
// (Delta), later changes leave earlier deltas alone (Aliasing), and the deltas
// pass [Orders] over s.
func Deltas[L merge.Lattice[L]](s L, mutators ...func(L) L) error {
	deltas, shown := make([]L, len(mutators)), make([]string, len(mutators))
	after := s.Clone()
	for i, mutate := range mutators {
		before := after.Clone()
		deltas[i] = mutate(after)
		shown[i] = Show(deltas[i])
		if got := join(before, deltas[i]); !same(got, after) {
			return breach[L](Delta, "s", before, "delta", deltas[i], "s ⊔ delta", got, "s after the mutator", after)
		}
	}
	for i, d := range deltas {
		if Show(d) != shown[i] {
			return breach[L](Aliasing, "delta", verbatim(shown[i]), "delta after later mutators", d)
		}
	}
	return Orders(s, deltas...)
}

// Orders returns a [*LawError] unless merging the deltas into s gives one value,
// with one encoding if it has any, in every order, with every delta repeated
// between all later ones, and with the deltas merged with each other first. It
// returns [ErrTooMany] for more than [MaxDeltas] deltas. It does not modify its
// arguments.
func Orders[L merge.Lattice[L]](s L, deltas ...L) error {
	if len(deltas) > MaxDeltas {
		return ErrTooMany
	}
	want := join(append([]L{s}, deltas...)...)
	for order := range Permutations(len(deltas)) {
		if got := repeating(s, deltas, order); !same(got, want) {
			return disorder(s, deltas, order, "every delta repeated", got, want)
		}
		group := zero[L]()
		for _, i := range order {
			group.Merge(deltas[i])
		}
		if got := join(s, group); !same(got, want) {
			return disorder(s, deltas, order, "the deltas merged first", got, want)
		}
	}
	return nil
}

// repeating merges the deltas into a clone of s in the order given, and after
// each of them all that went before.
func repeating[L merge.Lattice[L]](s L, deltas []L, order []int) L {
	got := s.Clone()
	for n := range order {
		got.Merge(deltas[order[n]])
		for _, i := range order[:n] {
			got.Merge(deltas[i])
		}
	}
	return got
}

func disorder[L merge.Lattice[L]](s L, deltas []L, order []int, how string, got, want L) error {
	terms := []any{"s", s}
	for i, d := range deltas {
		terms = append(terms, fmt.Sprintf("delta %d", i), d)
	}
	return breach[L](Order, append(terms,
		"merged in order", want,
		fmt.Sprintf("in order %v, %s", order, how), got)...)
}

// same reports whether two values are equal and, if they have bytes, equal in
// those.
func same[L merge.Lattice[L]](a, b L) bool { return a.Equal(b) && sameBytes(a, b) == nil }

// Permutations yields the orders of n things, in a slice that it reuses.
func Permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		order := make([]int, 0, n)
		permute(&order, n, yield)
	}
}

// permute extends order in every way to n things, and reports whether yield
// wants more.
func permute(order *[]int, n int, yield func([]int) bool) bool {
	if len(*order) == n {
		return yield(*order)
	}
	for i := range n {
		if slices.Contains(*order, i) {
			continue
		}
		*order = append(*order, i)
		if !permute(order, n, yield) {
			return false
		}
		*order = (*order)[:len(*order)-1]
	}
	return true
}
