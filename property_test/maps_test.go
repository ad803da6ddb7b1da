package property_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
)

// Types in the fields of maps. A change names the field by Element; what it does
// to the value in the field, it does to the element that N names.

func inField(c crdttest.Change) crdttest.Change {
	c.Element = fmt.Sprint("n", c.N)
	return c
}

// A part is a form of what lies in a map, or of a value that is taken for one.
type part[P any] struct {
	verbs  []string
	bottom func() P
	apply  func(P, crdttest.Change) (P, error)
	read   func(P) string
	spec   crdttest.Spec
}

func partOf[V merge.Lattice[V]](f crdttest.Form[V]) part[V] {
	return part[V]{f.Verbs, f.New, f.Apply, f.Read, f.Spec}
}

// dropOf returns the verb that removes a field of values with those verbs.
func dropOf(verbs []string) string {
	if slices.Contains(verbs, "drop") {
		return "drop outer"
	}
	return "drop"
}

// inMap is the form of a map whose fields hold values of the form f. A field
// that reads as an empty value counts as absent.
func inMap[V any, P crdt.Field[V]](f part[P]) crdttest.Form[*crdt.ORMap[string, V, P]] {
	type Map = crdt.ORMap[string, V, P]
	drop := dropOf(f.verbs)
	empty := f.read(f.bottom())
	m := crdttest.Form[*Map]{
		Verbs: slices.Concat(f.verbs, f.verbs, []string{drop}),
		New:   func() *Map { return &Map{} },
		Apply: func(m *Map, c crdttest.Change) (*Map, error) {
			if c.Verb == drop {
				return m.Remove(c.Origin, c.Element), nil
			}
			delta, err := m.Apply(c.Element, func(v P) (P, error) { return f.apply(v, inField(c)) })
			if err != nil {
				return nil, err
			}
			return delta, nil
		},
		Read: func(m *Map) string {
			var fields []string
			for k, v := range m.All() {
				if text := f.read(v); text != empty {
					fields = append(fields, crdttest.Field(k, text))
				}
			}
			return crdttest.Sorted(slices.Values(fields))
		},
		Decode: unmarshal[Map],
	}
	if f.spec != nil {
		m.Spec = crdttest.ORMapSpec(drop, crdttest.ByNumber(f.spec), empty)
	}
	return m
}

// embedded is the form of any lattice as it lies in the field of a map.
func embedded[L any, P crdt.Embedded[L]](f part[P]) crdttest.Form[*crdt.Nested[L, P]] {
	type Nested = crdt.Nested[L, P]
	return crdttest.Form[*Nested]{
		Verbs: f.verbs,
		New:   func() *Nested { return &Nested{} },
		Apply: func(n *Nested, c crdttest.Change) (*Nested, error) {
			delta, err := f.apply(n.Value(), c)
			if err != nil {
				return nil, err
			}
			return n.Join(c.Origin, delta), nil
		},
		Read:   func(n *Nested) string { return f.read(n.Value()) },
		Spec:   f.spec,
		Decode: unmarshal[Nested],
	}
}

// A fieldTx is a transaction in which the object of the kit is the field of a
// map.
type fieldTx struct {
	object.Tx
	field object.Ref
}

func (t fieldTx) Reader(string, string) object.Reader { return t.field.Reader(t.Tx) }
func (t fieldTx) Writer(string, string) object.Writer { return t.field.Writer(t.Tx) }

// A fieldSpace is fieldTx to be read.
type fieldSpace struct {
	object.Space
	field object.Ref
}

func (s fieldSpace) Reader(string, string) object.Reader { return s.field.Reader(s.Space) }

var mapRef = object.NewORMap[string](crdttest.Key)

// fieldRef refers to a field of the kit's map that holds an object of a kind.
func fieldRef(field string, k crdt.Kind) object.Ref {
	return object.At(mapRef, field, func(key string) object.Ref { return object.NewRef(key, k.Name()) })
}

// inMapCells is the form of a map whose fields hold objects of the form k.
func inMapCells(k crdttest.KindForm, drop string) crdttest.KindForm {
	return crdttest.KindForm{
		Kind: crdt.Builtin()["ormap"],
		Apply: func(tx object.Tx, c crdttest.Change) error {
			if c.Verb == drop {
				return mapRef.Remove(tx, c.Element)
			}
			return k.Apply(fieldTx{tx, fieldRef(c.Element, k.Kind)}, inField(c))
		},
		Read: func(s object.Space) (string, error) {
			empty, err := k.Read(op.NewReplica(op.Config{}))
			if err != nil {
				return "", err
			}
			keys, err := collect(mapRef.Keys(s))
			if err != nil {
				return "", err
			}
			var fields []string
			for _, key := range keys {
				text, err := k.Read(fieldSpace{s, fieldRef(key, k.Kind)})
				if err != nil {
					return "", err
				}
				if text != empty {
					fields = append(fields, crdttest.Field(key, text))
				}
			}
			return crdttest.Sorted(slices.Values(fields)), nil
		},
	}
}

// field returns the check of a type in the fields of a map, as values and as
// cells.
func field[V any, P crdt.Field[V]](f part[P], k crdttest.KindForm) func(crdttest.Program) error {
	values, cells := inMap(f), inMapCells(k, dropOf(f.verbs))
	return func(p crdttest.Program) error { return crdttest.RunTogether(values, cells, p) }
}

// wrapped is field of a lattice that has to be wrapped to lie in a map.
func wrapped[L any, P crdt.Embedded[L]](f part[P], k crdttest.KindForm) func(crdttest.Program) error {
	return field(partOf(embedded(f)), k)
}

// unspecified is a part of which no specification says what it is in a field:
// each of its writes repeats earlier ones, which survive with it when the field
// is removed at the same time. Values and cells must still agree.
func unspecified[P any](f part[P]) part[P] {
	f.spec = nil
	return f
}

// The maps that stand for all maps: of add-wins sets.
var (
	orMap     = inMap(partOf(orSet))
	orMapKind = inMapCells(orSetKind, "drop")
)

// mapsOf returns the checks of a map of counters: as a value by itself, and
// beside its operation form.
func mapsOf[V any, P crdt.Field[V]](f part[P], k crdttest.KindForm) mapChecks {
	values, cells := inMap(f), inMapCells(k, dropOf(f.verbs))
	cells.Host = byOperations(cells.Kind)
	return mapChecks{values.Run, func(p crdttest.Program) error { return crdttest.RunTogether(values, cells, p) }}
}

type mapChecks struct {
	state      func(crdttest.Clause, crdttest.Program) error
	operations func(crdttest.Program) error
}

// Other maps: of counters, and of maps of counters.
func TestMapsOfCounters(t *testing.T) {
	counters, counterCells := inMap(partOf(pnCounter)), inMapCells(pnCounterKind, "drop")
	for name, m := range map[string]mapChecks{
		"PNCounter":          mapsOf(partOf(pnCounter), pnCounterKind),
		"GCounter":           mapsOf(partOf(gcounter), gcounterKind),
		"BoundedCounter":     mapsOf(removable(partOf(bounded)), boundedKind),
		"PNSet":              mapsOf(partOf(pnSet), pnSetKind),
		"ORMap of PNCounter": mapsOf(partOf(counters), counterCells),
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range crdttest.Clauses() {
				t.Run(string(c), func(t *testing.T) { holds(t, sizeOf(c), with(m.state, c)) })
			}
			t.Run("operations", func(t *testing.T) { holds(t, length, m.operations) })
		})
	}
	deeper := field(partOf(counters), counterCells)
	t.Run("nested", func(t *testing.T) { holds(t, length, deeper) })
}
