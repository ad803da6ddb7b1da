package property_test

import (
	"errors"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/prop"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/merge"
)

// few is how many steps the counterexample of a planted bug may have.
const few = 6

// planted fails unless the kit finds that the type is wrong if its changes are
// made by apply, in a program of few steps. The seed is fixed: it is the search
// that is tested.
func planted[V merge.Lattice[V]](bug string, f crdttest.Form[V], apply func(V, crdttest.Change) (V, error)) func(*testing.T) {
	return func(t *testing.T) {
		wrong := f
		wrong.Apply = apply
		err := crdttest.Check(wrong, crdttest.Options{Programs: 2000, Length: length})
		failure, ok := errors.AsType[*crdttest.Failure](err)
		if !ok {
			t.Fatalf("%s: the kit finds %v, want a *Failure", bug, err)
		}
		if len(failure.Program) > few {
			t.Errorf("%s: the counterexample has %d steps, want at most %d: %v", bug, len(failure.Program), few, failure)
		}
		t.Logf("%s: %.700v", bug, failure)
	}
}

// plants is at least one bug per type, of the kind that is easily made.
var plants = map[string][]func(*testing.T){
	"GSet": {
		planted("an element already there is not sent", gset, func(s *crdt.GSet[string], c crdttest.Change) (*crdt.GSet[string], error) {
			if s.Len() > 1 {
				return s.Clone(), nil
			}
			return s.Add(c.Element), nil
		}),
	},
	"TwoPSet": {
		planted("a removed element is added again", twoPSet, func(s *crdt.TwoPSet[string], c crdttest.Change) (*crdt.TwoPSet[string], error) {
			if c.Verb == "remove" {
				return s.Remove(c.Element), nil
			}
			if delta, err := s.Add(c.Element); err == nil {
				return delta, nil
			}
			*s = crdt.TwoPSet[string]{}
			return s.Add(c.Element)
		}),
	},
	"ORSet": {
		planted("an add of what is present does nothing", orSet, func(s *crdt.ORSet[string], c crdttest.Change) (*crdt.ORSet[string], error) {
			if c.Verb == "add" && s.Has(c.Element) {
				return &crdt.ORSet[string]{}, nil
			}
			return orSet.Apply(s, c)
		}),
		planted("a remove is not sent", orSet, func(s *crdt.ORSet[string], c crdttest.Change) (*crdt.ORSet[string], error) {
			if c.Verb == "remove" {
				s.Remove(c.Origin, c.Element)
				return &crdt.ORSet[string]{}, nil
			}
			return orSet.Apply(s, c)
		}),
	},
	"RWSet": {
		planted("a remove of what is absent does nothing", rwSet, func(s *crdt.RWSet[string], c crdttest.Change) (*crdt.RWSet[string], error) {
			if c.Verb == "remove" && !s.Has(c.Element) {
				return &crdt.RWSet[string]{}, nil
			}
			return rwSet.Apply(s, c)
		}),
	},
	"PNCounter": {
		planted("a reset subtracts the value", pnCounter, func(v *crdt.PNCounter, c crdttest.Change) (*crdt.PNCounter, error) {
			if c.Verb == "reset" {
				return v.Add(c.Origin, -v.Value())
			}
			return pnCounter.Apply(v, c)
		}),
	},
	"GCounter": {
		planted("what is added is sent, not the total", gcounter, func(v *crdt.GCounter, c crdttest.Change) (*crdt.GCounter, error) {
			if _, err := gcounter.Apply(v, c); err != nil {
				return nil, err
			}
			return new(crdt.GCounter).Add(c.Origin, uint64(c.Amount()))
		}),
	},
	"BoundedCounter": {
		planted("rights of others are spent", bounded, func(v *crdt.BoundedCounter, c crdttest.Change) (*crdt.BoundedCounter, error) {
			n := uint64(c.Amount())
			if c.Verb != "dec" || v.Rights(c.Origin) >= n || v.Value() < n {
				return bounded.Apply(v, c)
			}
			account, delta := v.Account(c.Origin), &crdt.BoundedCounter{}
			account.Spent += crdt.Total(n)
			delta.Join(c.Origin, account)
			v.Merge(delta)
			return delta, nil
		}),
	},
	"EWFlag": {
		planted("an enable of what is enabled does nothing", ewFlag, func(v *crdt.EWFlag, c crdttest.Change) (*crdt.EWFlag, error) {
			if c.Verb == "enable" && v.Enabled() {
				return &crdt.EWFlag{}, nil
			}
			return ewFlag.Apply(v, c)
		}),
	},
	"DWFlag": {
		planted("a disable of what is disabled does nothing", dwFlag, func(v *crdt.DWFlag, c crdttest.Change) (*crdt.DWFlag, error) {
			if c.Verb == "disable" && !v.Enabled() {
				return &crdt.DWFlag{}, nil
			}
			return dwFlag.Apply(v, c)
		}),
	},
	"LWWRegister": {
		planted("ties are not broken by origin", lwwRegister, func(r *crdt.LWWRegister[int64], c crdttest.Change) (*crdt.LWWRegister[int64], error) {
			return r.Set(crdt.Stamp{Time: c.Time}, c.N)
		}),
	},
	"USet": {
		planted("a remove is not sent", uset, func(s *crdt.USet[string], c crdttest.Change) (*crdt.USet[string], error) {
			if c.Verb == "remove" {
				return s.Clone(), nil
			}
			return uset.Apply(s, c)
		}),
	},
	"LWWSet": {
		planted("a remove is stamped too late", lwwSet, func(s *crdt.LWWSet[string], c crdttest.Change) (*crdt.LWWSet[string], error) {
			if c.Verb == "remove" {
				return s.Remove(c.Time+1, c.Element)
			}
			return s.Add(c.Time, c.Element)
		}),
	},
	"RemoveBiasedLWWSet": {
		planted("an add is stamped too late", removeBiased, func(s *crdt.RemoveBiasedLWWSet[string], c crdttest.Change) (*crdt.RemoveBiasedLWWSet[string], error) {
			if c.Verb == "add" {
				return s.Add(c.Time+1, c.Element)
			}
			return s.Remove(c.Time, c.Element)
		}),
	},
	"PNSet": {
		planted("a remove of what is absent does nothing", pnSet, func(s *crdt.PNSet[string], c crdttest.Change) (*crdt.PNSet[string], error) {
			if c.Verb == "remove" && !s.Has(c.Element) {
				return &crdt.PNSet[string]{}, nil
			}
			return pnSet.Apply(s, c)
		}),
	},
	"ORMap": {
		planted("a removal of a field is not sent", orMap, func(m *stringSets, c crdttest.Change) (*stringSets, error) {
			if c.Verb == "drop" {
				m.Remove(c.Origin, c.Element)
				return &stringSets{}, nil
			}
			return orMap.Apply(m, c)
		}),
		planted("a removal of a field removes the elements of its set", orMap, func(m *stringSets, c crdttest.Change) (*stringSets, error) {
			if c.Verb == "drop" && m.Has(c.Element) {
				return orMap.Apply(m, crdttest.Change{Origin: c.Origin, Verb: "remove", Element: c.Element})
			}
			return orMap.Apply(m, c)
		}),
	},
	"LWWMap": {
		planted("a delete of what is absent does nothing", lwwMap, func(m *crdt.LWWMap[string, int64], c crdttest.Change) (*crdt.LWWMap[string, int64], error) {
			if _, ok := m.Get(c.Element); c.Verb == "delete" && !ok {
				return &crdt.LWWMap[string, int64]{}, nil
			}
			return lwwMap.Apply(m, c)
		}),
	},
	"MVRegister": {
		planted("a clear does nothing", mvRegister, func(r *crdt.MVRegister[int64], c crdttest.Change) (*crdt.MVRegister[int64], error) {
			if c.Verb == "clear" {
				return &crdt.MVRegister[int64]{}, nil
			}
			return mvRegister.Apply(r, c)
		}),
	},
}

type stringSets = crdt.ORMap[string, crdt.ORSet[string], *crdt.ORSet[string]]

func TestPlantedBugsAreFound(t *testing.T) {
	for _, typ := range types() {
		t.Run(typ.name, func(t *testing.T) {
			if len(plants[typ.name]) == 0 {
				t.Error("no bug is planted")
			}
			for _, found := range plants[typ.name] {
				found(t)
			}
		})
	}
}

// Each policy has a specification of its own, which the others do not keep.
func TestPoliciesDiffer(t *testing.T) {
	differs(t, "add wins where remove should", orSet, crdttest.RWSetSpec)
	differs(t, "remove wins where it should for ever", rwSet, crdttest.TwoPSetSpec)
	differs(t, "remove for ever where add should win", twoPSet, crdttest.ORSetSpec)
	differs(t, "latest where what was sent last should win", lwwRegister, func(visible crdttest.Changes) string {
		if len(visible) == 0 {
			return crdttest.Nothing
		}
		return orNothing(visible[len(visible)-1].N, true)
	})
}

// differs fails unless programs of package gopter, too, find a counterexample
// and shrink it to few steps.
func differs[V merge.Lattice[V]](t *testing.T, what string, f crdttest.Form[V], spec crdttest.Spec) {
	t.Helper()
	f.Spec = spec
	search := gopter.DefaultTestParametersWithSeed(1)
	search.MinSuccessfulTests, search.MaxSize = 5000, length
	result := prop.ForAll(func(p crdttest.Program) string { return text(f.Run(crdttest.Specified, p)) }, programs()).Check(search)
	if result.Status != gopter.TestFailed {
		t.Fatalf("%s: %v after %d programs", what, result.Status, result.Succeeded)
	}
	if shrunk := result.Args[0].Arg.(crdttest.Program); len(shrunk) > few {
		t.Errorf("%s: the counterexample has %d steps, want at most %d: %v", what, len(shrunk), few, shrunk)
	}
}

// Histories must reach what the specifications are about: concurrent changes,
// messages that overtake their causes, and refusals.
func TestHistoriesAreRich(t *testing.T) {
	var concurrent, overtaken, refused int
	f := twoPSet
	f.Apply = func(s *crdt.TwoPSet[string], c crdttest.Change) (*crdt.TwoPSet[string], error) {
		delta, err := twoPSet.Apply(s, c)
		if err != nil {
			refused++
		}
		return delta, err
	}
	f.Spec = func(visible crdttest.Changes) string { // asked after each step, unless a cause is missing
		overtaken--
		for i, a := range visible {
			for _, b := range visible[:i] {
				if a.Element == b.Element && !a.Saw(b) {
					concurrent++
				}
			}
		}
		return crdttest.TwoPSetSpec(visible)
	}
	for seed := range int64(200) {
		p, _ := programs()(gopter.DefaultGenParameters().CloneWithSeed(seed).WithSize(length)).Retrieve()
		if err := f.Run(crdttest.Specified, p.(crdttest.Program)); err != nil {
			t.Fatal(err)
		}
		overtaken += len(p.(crdttest.Program)) + crdttest.Replicas + 1
	}
	if concurrent < 1000 || overtaken < 50 || refused < 50 {
		t.Errorf("concurrent pairs %d, times that a cause is missing %d, refused adds %d: want 1000, 50, 50", concurrent, overtaken, refused)
	}
}
