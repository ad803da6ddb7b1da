package merge

import (
	"iter"
	"slices"
)

// A DotFun maps the live dots of one cell to what each of them wrote. It is the
// smallest dot store: an entry leaves it when a change that has seen its dot
// supersedes it, and nothing stays behind. A dot names one change, so two
// DotFuns that hold the same dot hold the same value under it.
//
// The zero value is empty. Values are shared, never copied: treat them as
// immutable.
type DotFun[V any] struct {
	entries []Entry[V] // ascending by dot
}

// An Entry is a live dot and what it wrote.
type Entry[V any] struct {
	Dot   Dot
	Value V
}

// DotFunOf returns the DotFun of the entries, which it sorts and keeps. Each
// dot may occur once.
func DotFunOf[V any](entries ...Entry[V]) DotFun[V] {
	slices.SortFunc(entries, func(a, b Entry[V]) int { return a.Dot.Compare(b.Dot) })
	return DotFun[V]{entries}
}

// Len returns the number of live dots.
func (f DotFun[V]) Len() int { return len(f.entries) }

// All yields the entries in ascending order of dots.
func (f DotFun[V]) All() iter.Seq[Entry[V]] { return slices.Values(f.entries) }

// Dots returns the live dots, ascending, in a slice of the caller's own.
func (f DotFun[V]) Dots() []Dot {
	dots := make([]Dot, len(f.entries))
	for i, e := range f.entries {
		dots[i] = e.Dot
	}
	return dots
}

// Contains reports whether d is live.
func (f DotFun[V]) Contains(d Dot) bool {
	_, ok := slices.BinarySearchFunc(f.entries, d, compareEntry[V])
	return ok
}

func compareEntry[V any](e Entry[V], d Dot) int { return e.Dot.Compare(d) }

// JoinDotFuns returns the join of two DotFuns, each read under the context that
// says what its side has seen. An entry stays if both sides have it, or if one
// has it and the other has not seen its dot. Neither argument is modified; the
// result may share a's memory when it equals a.
//
// This is the one join of every causal type, of those in memory and of the
// cells that a node keeps on disk.
func JoinDotFuns[V any](a DotFun[V], seenByA Dots, b DotFun[V], seenByB Dots) (joined DotFun[V], changed bool) {
	if slices.EqualFunc(a.entries, b.entries, sameDot) {
		return a, false
	}
	var out []Entry[V] // most cells hold one dot, so it rarely grows
	i, j := 0, 0
	for i < len(a.entries) || j < len(b.entries) {
		switch order := compareHeads(a.entries[i:], b.entries[j:]); {
		case order == 0:
			out = append(out, a.entries[i])
			i, j = i+1, j+1
		case order < 0:
			if seenByB.Contains(a.entries[i].Dot) {
				changed = true
			} else {
				out = append(out, a.entries[i])
			}
			i++
		default:
			if !seenByA.Contains(b.entries[j].Dot) {
				out = append(out, b.entries[j])
				changed = true
			}
			j++
		}
	}
	if !changed {
		return a, false
	}
	return DotFun[V]{out}, true
}

func sameDot[V any](a, b Entry[V]) bool { return a.Dot == b.Dot }

// compareHeads orders the first entries of two lists; an empty list is last.
func compareHeads[V any](a, b []Entry[V]) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return a[0].Dot.Compare(b[0].Dot)
}

// A DotSet is a small set of dots, ascending and without repetition.
type DotSet []Dot

// DotSetOf returns the set of the dots, which it sorts and keeps.
func DotSetOf(dots ...Dot) DotSet {
	slices.SortFunc(dots, Dot.Compare)
	return slices.Compact(dots)
}

// Contains reports whether d is in the set.
func (s DotSet) Contains(d Dot) bool {
	if len(s) == 1 {
		return s[0] == d
	}
	_, ok := slices.BinarySearchFunc(s, d, Dot.Compare)
	return ok
}
