package property_test

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// The types and their definitions. A definition knows nothing but the changes
// and which of them each author had seen.

// sawAny reports whether one of the changes has seen one of the others.
func sawAny(by, of []op) bool {
	return slices.ContainsFunc(by, func(b op) bool {
		return slices.ContainsFunc(of, func(o op) bool { return b.seen.has(o.id) })
	})
}

// only returns the changes with one of the verbs.
func only(ops []op, verbs ...string) (some []op) {
	for _, o := range ops {
		if slices.Contains(verbs, o.verb) {
			some = append(some, o)
		}
	}
	return some
}

// unseen returns those of the changes that none of the others has seen.
func unseen(ops, by []op) (some []op) {
	for _, o := range ops {
		if !sawAny(by, []op{o}) {
			some = append(some, o)
		}
	}
	return some
}

// elements renders the elements of which present holds, given the changes of
// the element.
func elements(ops []op, present func(of []op) bool) string {
	by := map[string][]op{}
	for _, o := range ops {
		by[o.element] = append(by[o.element], o)
	}
	var names []string
	for name, of := range by {
		if present(of) {
			names = append(names, name)
		}
	}
	return sorted(slices.Values(names))
}

func sorted(names iter.Seq[string]) string { return strings.Join(slices.Sorted(names), " ") }

// readSet renders a set, and more than its elements if it contradicts itself.
func readSet(s interface {
	All() iter.Seq[string]
	Has(string) bool
	Len() int
},
) string {
	var has []string
	for _, name := range []string{"e0", "e1", "e2"} {
		if s.Has(name) {
			has = append(has, name)
		}
	}
	all := sorted(s.All())
	if other := sorted(slices.Values(has)); other != all || s.Len() != len(has) {
		return fmt.Sprintf("All %q, Has %q, Len %d", all, other, s.Len())
	}
	return all
}

// unmarshal returns a decoder of a type that has UnmarshalBinary.
func unmarshal[T any, P interface {
	*T
	encoding.BinaryUnmarshaler
}](b []byte,
) (P, error) {
	v := P(new(T))
	return v, v.UnmarshalBinary(b)
}

var (
	addRemove = []string{"add", "remove"}
	errNoVerb = errors.New("no such verb")
)

var gset = form[*crdt.GSet[string]]{
	verbs:  []string{"add"},
	bottom: func() *crdt.GSet[string] { return &crdt.GSet[string]{} },
	apply:  func(s *crdt.GSet[string], o op) (*crdt.GSet[string], error) { return s.Add(o.element), nil },
	read:   func(s *crdt.GSet[string]) string { return readSet(s) },
	define: func(ops []op) string { return elements(ops, func([]op) bool { return true }) },
	decode: unmarshal[crdt.GSet[string]],
}

var twoPSet = form[*crdt.TwoPSet[string]]{
	verbs:  addRemove,
	bottom: func() *crdt.TwoPSet[string] { return &crdt.TwoPSet[string]{} },
	apply: func(s *crdt.TwoPSet[string], o op) (*crdt.TwoPSet[string], error) {
		if o.verb == "add" {
			return s.Add(o.element)
		}
		return s.Remove(o.element), nil
	},
	read: func(s *crdt.TwoPSet[string]) string { return readSet(s) },
	// Added, and no remove has seen any add of it.
	define: func(ops []op) string {
		return elements(ops, func(of []op) bool {
			adds := only(of, "add")
			return len(adds) > 0 && !sawAny(only(of, "remove"), adds)
		})
	},
	decode: unmarshal[crdt.TwoPSet[string]],
}

var orSet = form[*crdt.ORSet[string]]{
	verbs:  addRemove,
	bottom: func() *crdt.ORSet[string] { return &crdt.ORSet[string]{} },
	apply: func(s *crdt.ORSet[string], o op) (*crdt.ORSet[string], error) {
		if o.verb == "add" {
			return s.Add(o.origin, o.element), nil
		}
		return s.Remove(o.origin, o.element), nil
	},
	read: func(s *crdt.ORSet[string]) string { return readSet(s) },
	// Some add has been seen by no remove.
	define: func(ops []op) string {
		return elements(ops, func(of []op) bool { return len(unseen(only(of, "add"), only(of, "remove"))) > 0 })
	},
	decode: unmarshal[crdt.ORSet[string]],
}

var rwSet = form[*crdt.RWSet[string]]{
	verbs:  addRemove,
	bottom: func() *crdt.RWSet[string] { return &crdt.RWSet[string]{} },
	apply: func(s *crdt.RWSet[string], o op) (*crdt.RWSet[string], error) {
		if o.verb == "add" {
			return s.Add(o.origin, o.element), nil
		}
		return s.Remove(o.origin, o.element), nil
	},
	read: func(s *crdt.RWSet[string]) string { return readSet(s) },
	// Added, and every remove has been seen by some add.
	define: func(ops []op) string {
		return elements(ops, func(of []op) bool {
			adds := only(of, "add")
			return len(adds) > 0 && len(unseen(only(of, "remove"), adds)) == 0
		})
	},
	decode: unmarshal[crdt.RWSet[string]],
}

var pnCounter = form[*crdt.PNCounter]{
	verbs:  []string{"add", "add", "reset"},
	bottom: func() *crdt.PNCounter { return &crdt.PNCounter{} },
	apply: func(c *crdt.PNCounter, o op) (*crdt.PNCounter, error) {
		if o.verb == "add" {
			return c.Add(o.origin, o.n)
		}
		return c.Reset(), nil
	},
	read: func(c *crdt.PNCounter) string { return fmt.Sprint(c.Value()) },
	// The sum of what no reset has seen.
	define: func(ops []op) string {
		total := int64(0)
		for _, o := range unseen(only(ops, "add"), only(ops, "reset")) {
			total += o.n
		}
		return fmt.Sprint(total)
	},
	decode: unmarshal[crdt.PNCounter],
}

var lwwRegister = form[*crdt.LWWRegister[int64]]{
	verbs:  []string{"set"},
	bottom: func() *crdt.LWWRegister[int64] { return &crdt.LWWRegister[int64]{} },
	apply: func(r *crdt.LWWRegister[int64], o op) (*crdt.LWWRegister[int64], error) {
		return r.Set(crdt.Stamp{Time: hlc.New(o.time, 0), Origin: o.origin}, o.n)
	},
	read: func(r *crdt.LWWRegister[int64]) string {
		if v, ok := r.Get(); ok {
			return fmt.Sprint(v)
		}
		return "nothing"
	},
	// The write with the largest time, of equals that of the largest origin.
	define: func(ops []op) string {
		if len(ops) == 0 {
			return "nothing"
		}
		last := slices.MaxFunc(ops, func(a, b op) int {
			return cmp.Or(cmp.Compare(a.time, b.time), a.origin.Compare(b.origin))
		})
		return fmt.Sprint(last.n)
	},
	decode: unmarshal[crdt.LWWRegister[int64]],
}

var mvRegister = form[*crdt.MVRegister[int64]]{
	verbs:  []string{"set", "set", "clear"},
	bottom: func() *crdt.MVRegister[int64] { return &crdt.MVRegister[int64]{} },
	apply: func(r *crdt.MVRegister[int64], o op) (*crdt.MVRegister[int64], error) {
		if o.verb == "set" {
			return r.Set(o.origin, o.n)
		}
		return r.Clear(o.origin), nil
	},
	read: func(r *crdt.MVRegister[int64]) string { return sortedNumbers(slices.Collect(r.Values())) },
	// What was written and not seen by a later write or clear.
	define: func(ops []op) string {
		var values []int64
		for _, o := range unseen(only(ops, "set"), ops) {
			values = append(values, o.n)
		}
		return sortedNumbers(values)
	},
	decode: unmarshal[crdt.MVRegister[int64]],
}

func sortedNumbers(values []int64) string {
	slices.Sort(values)
	return fmt.Sprint(values)
}

type dotMap = merge.DotMap[string, int64]

// A DotMap holds, under each key, what was put there and not superseded.
var dotMaps = form[*dotMap]{
	verbs:  []string{"put", "put", "drop"},
	bottom: func() *dotMap { return &dotMap{} },
	apply: func(m *dotMap, o op) (*dotMap, error) {
		switch o.verb {
		case "put":
			return m.Put(o.origin, o.element, o.n), nil
		case "drop":
			return m.Drop(o.origin, o.element), nil
		}
		return nil, errNoVerb
	},
	read: func(m *dotMap) string {
		var lines []string
		for key, cell := range m.All() {
			var values []int64
			for e := range cell.All() {
				values = append(values, e.Value)
			}
			lines = append(lines, key+sortedNumbers(values))
		}
		return sorted(slices.Values(lines))
	},
	define: func(ops []op) string {
		by := map[string][]op{}
		for _, o := range ops {
			by[o.element] = append(by[o.element], o)
		}
		var lines []string
		for key, of := range by {
			var values []int64
			for _, o := range unseen(only(of, "put"), of) {
				values = append(values, o.n)
			}
			if len(values) > 0 {
				lines = append(lines, key+sortedNumbers(values))
			}
		}
		return sorted(slices.Values(lines))
	},
}
