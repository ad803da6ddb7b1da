package property_test

import (
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var lwwRegister = crdttest.Form[*crdt.LWWRegister[int64]]{
	Verbs: []string{"set"},
	New:   func() *crdt.LWWRegister[int64] { return &crdt.LWWRegister[int64]{} },
	Apply: func(r *crdt.LWWRegister[int64], c crdttest.Change) (*crdt.LWWRegister[int64], error) {
		return r.Set(crdt.Stamp{Time: c.Time, Origin: c.Origin}, c.N)
	},
	Read: func(r *crdt.LWWRegister[int64]) string {
		v, ok := r.Get()
		return orNothing(v, ok)
	},
	Spec:   crdttest.LWWRegisterSpec,
	Decode: unmarshal[crdt.LWWRegister[int64]],
}

func orNothing(v int64, ok bool) string {
	if !ok {
		return crdttest.Nothing
	}
	return fmt.Sprint(v)
}

var lwwRef = object.NewLWWRegister[int64](crdttest.Key)

var lwwKind = crdttest.KindForm{
	Kind:  crdt.LWWKind,
	Apply: func(tx object.Tx, c crdttest.Change) error { return lwwRef.Set(tx, c.N) },
	Read: func(s object.Space) (string, error) {
		v, ok, err := lwwRef.Get(s)
		return orNothing(v, ok), err
	},
}

var mvRegister = crdttest.Form[*crdt.MVRegister[int64]]{
	Verbs: []string{"set", "set", "clear"},
	New:   func() *crdt.MVRegister[int64] { return &crdt.MVRegister[int64]{} },
	Apply: func(r *crdt.MVRegister[int64], c crdttest.Change) (*crdt.MVRegister[int64], error) {
		if c.Verb == "set" {
			return r.Set(c.Origin, c.N)
		}
		return r.Clear(c.Origin), nil
	},
	Read:   func(r *crdt.MVRegister[int64]) string { return crdttest.SortedNumbers(r.Values()) },
	Spec:   crdttest.MVRegisterSpec,
	Decode: unmarshal[crdt.MVRegister[int64]],
}

var mvRef = object.NewMVRegister[int64](crdttest.Key)

var mvKind = crdttest.KindForm{
	Kind: crdt.MVKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "set" {
			return mvRef.Set(tx, c.N)
		}
		return mvRef.Clear(tx)
	},
	Read: func(s object.Space) (string, error) {
		values, err := mvRef.Values(s)
		return crdttest.SortedNumbers(slices.Values(values)), err
	},
}
