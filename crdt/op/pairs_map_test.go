package op_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
)

type (
	mapOfSets     = crdt.ORMap[string, crdt.ORSet[int64], *crdt.ORSet[int64]]
	mapOfCounters = crdt.ORMap[string, crdt.PNCounter, *crdt.PNCounter]
	mapOfMaps     = crdt.ORMap[string, mapOfCounters, *mapOfCounters]
)

var mapRef = object.NewORMap[string]("o")

// readFields renders the fields of a map, ascending.
func readFields[V any](all iter.Seq2[string, V], render func(V) string) string {
	lines := []string{}
	for field, v := range all {
		lines = append(lines, field+"="+render(v))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// showFields does so for the other form.
func showFields(fields iter.Seq2[string, error], render func(field string) (string, error)) (string, error) {
	lines := []string{}
	for field, err := range fields {
		if err != nil {
			return "", err
		}
		text, err := render(field)
		if err != nil {
			return "", err
		}
		lines = append(lines, field+"="+text)
	}
	slices.Sort(lines)
	return strings.Join(lines, " "), nil
}

func setIn(field string) object.ORSet[int64] { return object.At(mapRef, field, object.NewORSet[int64]) }

var setMaps = pair[*mapOfSets]{
	bottom: func() *mapOfSets { return &mapOfSets{} },
	apply: func(v *mapOfSets, a act) (*mapOfSets, error) {
		if a.verb == 0 {
			return v.Remove(a.stamp.Origin, a.element), nil
		}
		return v.Apply(a.element, func(s *crdt.ORSet[int64]) (*crdt.ORSet[int64], error) {
			if a.verb == 1 {
				return s.Remove(a.stamp.Origin, a.n), nil
			}
			return s.Add(a.stamp.Origin, a.n), nil
		})
	},
	write: func(tx object.Tx, a act) error {
		switch a.verb {
		case 0:
			return mapRef.Remove(tx, a.element)
		case 1:
			return setIn(a.element).Remove(tx, a.n)
		}
		return setIn(a.element).Add(tx, a.n)
	},
	read: func(v *mapOfSets) string {
		return readFields(v.All(), func(s *crdt.ORSet[int64]) string { return fmt.Sprint(slices.Sorted(s.All())) })
	},
	show: func(s object.Space) (string, error) {
		return showFields(mapRef.Keys(s), func(field string) (string, error) {
			list := []int64{}
			for n, err := range setIn(field).All(s) {
				if err != nil {
					return "", err
				}
				list = append(list, n)
			}
			slices.Sort(list)
			return fmt.Sprint(list), nil
		})
	},
}

func counterIn(m object.ORMap[string], field string) object.PNCounter {
	return object.At(m, field, object.NewPNCounter)
}

func readCounters(v *mapOfCounters) string {
	return readFields(v.All(), func(c *crdt.PNCounter) string { return fmt.Sprint(c.Value()) })
}

func showCounters(s object.Space, m object.ORMap[string]) (string, error) {
	return showFields(m.Keys(s), func(field string) (string, error) {
		n, err := counterIn(m, field).Value(s)
		return fmt.Sprint(n), err
	})
}

func applyCounters(v *mapOfCounters, a act) (*mapOfCounters, error) {
	if a.verb == 0 {
		return v.Remove(a.stamp.Origin, a.element), nil
	}
	return v.Apply(a.element, func(c *crdt.PNCounter) (*crdt.PNCounter, error) { return c.Add(a.stamp.Origin, a.n) })
}

func writeCounters(tx object.Tx, m object.ORMap[string], a act) error {
	if a.verb == 0 {
		return m.Remove(tx, a.element)
	}
	return counterIn(m, a.element).Add(tx, a.n)
}

var counterMaps = pair[*mapOfCounters]{
	bottom: func() *mapOfCounters { return &mapOfCounters{} },
	apply:  applyCounters,
	write:  func(tx object.Tx, a act) error { return writeCounters(tx, mapRef, a) },
	read:   readCounters,
	show:   func(s object.Space) (string, error) { return showCounters(s, mapRef) },
}

// inner names the map in which an act happens, of those in the map.
func inner(a act) string { return fmt.Sprint("m", a.n&1) }

func mapIn(field string) object.ORMap[string] {
	return object.At(mapRef, field, object.NewORMap[string])
}

var nestedMaps = pair[*mapOfMaps]{
	bottom: func() *mapOfMaps { return &mapOfMaps{} },
	apply: func(v *mapOfMaps, a act) (*mapOfMaps, error) {
		if a.verb == 1 {
			return v.Remove(a.stamp.Origin, inner(a)), nil
		}
		return v.Apply(inner(a), func(m *mapOfCounters) (*mapOfCounters, error) { return applyCounters(m, a) })
	},
	write: func(tx object.Tx, a act) error {
		if a.verb == 1 {
			return mapRef.Remove(tx, inner(a))
		}
		return writeCounters(tx, mapIn(inner(a)), a)
	},
	read: func(v *mapOfMaps) string { return readFields(v.All(), readCounters) },
	show: func(s object.Space) (string, error) {
		return showFields(mapRef.Keys(s), func(field string) (string, error) { return showCounters(s, mapIn(field)) })
	},
}
