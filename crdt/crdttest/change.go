package crdttest

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// maxChanges is how many changes a history can have: the bits of an idSet.
const maxChanges = 64

// idSet is a set of changes by number.
type idSet uint64

func (s idSet) has(id int) bool     { return s>>id&1 == 1 }
func (s idSet) covers(o idSet) bool { return o&^s == 0 }

// String lists the numbers.
func (s idSet) String() string {
	var names []string
	for id := range s.all() {
		names = append(names, fmt.Sprint("#", id))
	}
	return strings.Join(names, " ")
}

func (s idSet) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for rest := s; rest != 0; rest &= rest - 1 {
			if !yield(bits.TrailingZeros64(uint64(rest))) {
				return
			}
		}
	}
}

// A Change is one change of a history, in terms that every type can read as it
// likes: what a counter adds is N, what a set adds is Element.
type Change struct {
	ID      int           // its place in the history, from 0: causes come first
	Origin  merge.Origin  // of the replica that made it
	Verb    string        // one of the form's
	Element string        // "e0", "e1" or "e2"
	N       int64         // a small number, also 0 and below
	Time    hlc.Timestamp // after all that the author had seen; concurrent changes often have equal ones

	seen idSet
}

// Saw reports whether the author of c had seen o: o happened before c.
func (c Change) Saw(o Change) bool { return c.seen.has(o.ID) }

// Target returns the number of one of the changes that the author had seen, the
// same on every replica, and false if it had seen none. Types whose elements
// are unique name an element by the change that made it.
func (c Change) Target() (id int, ok bool) {
	seen := slices.Collect(c.seen.all())
	if len(seen) == 0 {
		return 0, false
	}
	return seen[int(c.Amount())%len(seen)], true
}

// Amount returns N without its sign, for what only grows.
func (c Change) Amount() int64 { return max(c.N, -c.N) }

// Recipient returns the origin of one of the replicas, for what has two parties.
// It may be the author.
func (c Change) Recipient() merge.Origin {
	return Origin((replica(c.Origin) + int(c.Element[len(c.Element)-1]-'0')) % Replicas)
}

// replica returns the number of the replica that has the origin.
func replica(o merge.Origin) int { return int(o[len(o)-1]) }

// String tells the change in a few words.
func (c Change) String() string {
	s := fmt.Sprintf("#%d = %s %s %d at time %d", c.ID, c.Verb, c.Element, c.N, c.Time)
	if c.seen != 0 {
		s += ", after " + c.seen.String()
	}
	return s
}

// Changes are changes of one history, in an order in which causes come first.
type Changes []Change

// A Spec is the definition of a type's value: it computes what a replica must
// read from the changes that the replica has seen and from nothing else. With
// each visible change all that its author had seen is visible too.
type Spec func(visible Changes) string

// With returns the changes that have one of the verbs.
func (c Changes) With(verbs ...string) Changes {
	return c.where(func(o Change) bool { return slices.Contains(verbs, o.Verb) })
}

// Without returns the changes that have none of the verbs.
func (c Changes) Without(verbs ...string) Changes {
	return c.where(func(o Change) bool { return !slices.Contains(verbs, o.Verb) })
}

// Of returns the changes of one element.
func (c Changes) Of(element string) Changes {
	return c.where(func(o Change) bool { return o.Element == element })
}

// By returns the changes of one origin.
func (c Changes) By(origin merge.Origin) Changes {
	return c.where(func(o Change) bool { return o.Origin == origin })
}

// UnseenBy returns those of the changes that none of the others has seen.
func (c Changes) UnseenBy(others Changes) Changes {
	return c.where(func(o Change) bool { return !others.HaveSeen(o) })
}

// HaveSeen reports whether one of the changes has seen o.
func (c Changes) HaveSeen(o Change) bool {
	return slices.ContainsFunc(c, func(by Change) bool { return by.Saw(o) })
}

// Sum returns the sum of their N.
func (c Changes) Sum() (total int64) {
	for _, o := range c {
		total += o.N
	}
	return total
}

// Last returns the change with the largest time, of equals that of the largest
// origin, and false if there is none.
func (c Changes) Last() (last Change, ok bool) {
	for _, o := range c {
		if !ok || o.Time > last.Time || o.Time == last.Time && o.Origin.Compare(last.Origin) > 0 {
			last, ok = o, true
		}
	}
	return last, ok
}

// Elements returns the elements that they name, ascending.
func (c Changes) Elements() []string { return c.distinct(func(o Change) string { return o.Element }) }

func (c Changes) distinct(name func(Change) string) []string {
	var names []string
	for _, o := range c {
		names = append(names, name(o))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c Changes) where(keep func(Change) bool) (some Changes) {
	for _, o := range c {
		if keep(o) {
			some = append(some, o)
		}
	}
	return some
}

// Sorted renders names in ascending order: what the specifications of sets
// return, and what a form's Read can return of an iterator.
func Sorted(names iter.Seq[string]) string { return strings.Join(slices.Sorted(names), " ") }

// SortedNumbers renders numbers in ascending order.
func SortedNumbers(numbers iter.Seq[int64]) string { return fmt.Sprint(slices.Sorted(numbers)) }
