package property_test

import (
	"testing"

	"github.com/leanovate/gopter/prop"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/merge"
)

// length is the number of steps of the longest programs.
const length = 60

// A replicated is a type that everything here is checked of, in all its forms.
type replicated struct {
	name  string // of the Go type
	kinds []string
	state func(crdttest.Clause, crdttest.Program) error
	cells func(crdttest.Clause, crdttest.Program) error
	// value and cells side by side, over the kit's hosts and over replicas in
	// operation form
	together, operations func(crdttest.Program) error
	// value and cells side by side, in the fields of a map
	nested func(crdttest.Program) error
}

// describe brings the descriptions of a type together: the value, the cells, and
// both in a map.
func describe[V merge.Lattice[V]](name string, f crdttest.Form[V], k crdttest.KindForm, nested func(crdttest.Program) error) replicated {
	k.Verbs, k.Spec = f.Verbs, f.Spec
	operations := k
	operations.Host = byOperations(k.Kind)
	return replicated{
		name: name, kinds: []string{k.Kind.Name()}, state: f.Run, cells: k.Run, nested: nested,
		together:   func(p crdttest.Program) error { return crdttest.RunTogether(f, k, p) },
		operations: func(p crdttest.Program) error { return crdttest.RunTogether(f, operations, p) },
	}
}

// types is every type of package crdt.
func types() []replicated {
	return []replicated{
		describe("PNCounter", pnCounter, pnCounterKind, field(partOf(pnCounter), pnCounterKind)),
		describe("GCounter", gcounter, gcounterKind, field(partOf(gcounter), gcounterKind)),
		describe("BoundedCounter", bounded, boundedKind, field(removable(partOf(bounded)), boundedKind)),
		describe("EWFlag", ewFlag, ewFlagKind, field(partOf(ewFlag), ewFlagKind)),
		describe("DWFlag", dwFlag, dwFlagKind, field(partOf(dwFlag), dwFlagKind)),
		describe("LWWRegister", lwwRegister, lwwKind, wrapped(partOf(lwwRegister), lwwKind)),
		describe("MVRegister", mvRegister, mvKind, field(partOf(mvRegister), mvKind)),
		describe("GSet", gset, gsetKind, wrapped(partOf(gset), gsetKind)),
		describe("TwoPSet", twoPSet, twoPSetKind, wrapped(unspecified(partOf(twoPSet)), twoPSetKind)),
		describe("USet", uset, usetKind, field(partOf(uset), usetKind)),
		describe("LWWSet", lwwSet, lwwSetKind, wrapped(partOf(lwwSet), lwwSetKind)),
		describe("RemoveBiasedLWWSet", removeBiased, removeBiasedKind, wrapped(partOf(removeBiased), removeBiasedKind)),
		describe("PNSet", pnSet, pnSetKind, field(partOf(pnSet), pnSetKind)),
		describe("ORSet", orSet, orSetKind, field(partOf(orSet), orSetKind)),
		describe("RWSet", rwSet, rwSetKind, field(partOf(rwSet), rwSetKind)),
		describe("ORMap", orMap, orMapKind, field(partOf(orMap), orMapKind)),
		describe("LWWMap", lwwMap, lwwMapKind, wrapped(partOf(lwwMap), lwwMapKind)),
	}
}

// State, delta and operation form of every type, against its specification.
func TestTypes(t *testing.T) {
	for _, typ := range types() {
		t.Run(typ.name, func(t *testing.T) {
			for _, c := range crdttest.Clauses() {
				t.Run(string(c), func(t *testing.T) { holds(t, sizeOf(c), with(typ.state, c)) })
			}
			for _, c := range crdttest.KindClauses() {
				t.Run("cells "+string(c), func(t *testing.T) { holds(t, sizeOf(c), with(typ.cells, c)) })
			}
			t.Run("together", func(t *testing.T) { holds(t, length, typ.together) })
			t.Run("operations", func(t *testing.T) { holds(t, length, typ.operations) })
			t.Run("nested", func(t *testing.T) { holds(t, length, typ.nested) })
		})
	}
}

func TestDotMap(t *testing.T) {
	for _, c := range crdttest.Clauses() {
		t.Run(string(c), func(t *testing.T) { holds(t, sizeOf(c), with(dotMaps.Run, c)) })
	}
}

// sizeOf returns how long the programs are that a clause is tried with.
func sizeOf(c crdttest.Clause) int {
	if c == crdttest.Specified {
		return length
	}
	return length / 2
}

func with(run func(crdttest.Clause, crdttest.Program) error, c crdttest.Clause) func(crdttest.Program) error {
	return func(p crdttest.Program) error { return run(c, p) }
}

// holds tries programs of up to size steps.
func holds(t *testing.T, size int, run func(crdttest.Program) error) {
	t.Helper()
	check(t, size, prop.ForAll(func(p crdttest.Program) string { return text(run(p)) }, programs()))
}
