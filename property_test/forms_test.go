package property_test

import (
	"encoding"
	"fmt"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/merge"
)

// How the kit uses the types: each as a value and as cells, through the typed
// reference to an object.

// elementNames is every element there is, on its own and in the field of a map.
var elementNames = []string{"e0", "e1", "e2", "n-4", "n-3", "n-2", "n-1", "n0", "n1", "n2", "n3", "n5"}

// unmarshal returns a decoder of a type that has UnmarshalBinary.
func unmarshal[T any, P interface {
	*T
	encoding.BinaryUnmarshaler
}](b []byte,
) (P, error) {
	v := P(new(T))
	return v, v.UnmarshalBinary(b)
}

// A set of strings, as a value.
type set interface {
	All() iter.Seq[string]
	Has(string) bool
	Len() int
}

// A refSet is a set of strings, as an object.
type refSet interface {
	All(object.Space) iter.Seq2[string, error]
	Has(object.Space, string) (bool, error)
	Len(object.Space) (int, error)
}

// readSet renders a set, and more than its elements if it contradicts itself.
func readSet[S set](s S) string {
	var has []string
	for _, name := range elementNames {
		if s.Has(name) {
			has = append(has, name)
		}
	}
	all := crdttest.Sorted(s.All())
	if other := crdttest.Sorted(slices.Values(has)); other != all || s.Len() != len(has) {
		return fmt.Sprintf("All %q, Has %q, Len %d", all, other, s.Len())
	}
	return all
}

// readRefSet is readSet of an object.
func readRefSet(r refSet) func(object.Space) (string, error) {
	return func(s object.Space) (string, error) {
		all, err := collect(r.All(s))
		if err != nil {
			return "", err
		}
		n, err := r.Len(s)
		if err != nil {
			return "", err
		}
		for _, e := range all {
			if has, err := r.Has(s, e); err != nil || !has {
				return fmt.Sprintf("All %q without %q", all, e), err
			}
		}
		if n != len(all) {
			return fmt.Sprintf("All %q, Len %d", all, n), nil
		}
		return crdttest.Sorted(slices.Values(all)), nil
	}
}

func collect[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

var addRemove = []string{"add", "remove"}

type dotMap = merge.DotMap[string, int64]

// A DotMap holds, under each key, what was put there and not superseded.
var dotMaps = crdttest.Form[*dotMap]{
	Verbs: []string{"put", "put", "drop"},
	New:   func() *dotMap { return &dotMap{} },
	Apply: func(m *dotMap, c crdttest.Change) (*dotMap, error) {
		if c.Verb == "put" {
			return m.Put(c.Origin, c.Element, c.N), nil
		}
		return m.Drop(c.Origin, c.Element), nil
	},
	Read: func(m *dotMap) string {
		var fields []string
		for key, cell := range m.All() {
			fields = append(fields, crdttest.Field(key, crdttest.SortedNumbers(numbers(cell))))
		}
		return crdttest.Sorted(slices.Values(fields))
	},
	Spec: func(visible crdttest.Changes) string {
		var fields []string
		for _, key := range visible.Elements() {
			of := visible.Of(key)
			if live := of.With("put").UnseenBy(of); len(live) > 0 {
				fields = append(fields, crdttest.Field(key, crdttest.SortedNumbers(func(yield func(int64) bool) {
					for _, c := range live {
						if !yield(c.N) {
							return
						}
					}
				})))
			}
		}
		return crdttest.Sorted(slices.Values(fields))
	},
}

func numbers(cell merge.DotFun[int64]) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for e := range cell.All() {
			if !yield(e.Value) {
				return
			}
		}
	}
}
