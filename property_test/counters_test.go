package property_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var pnCounter = crdttest.Form[*crdt.PNCounter]{
	Verbs: []string{"add", "add", "reset"},
	New:   func() *crdt.PNCounter { return &crdt.PNCounter{} },
	Apply: func(v *crdt.PNCounter, c crdttest.Change) (*crdt.PNCounter, error) {
		if c.Verb == "add" {
			return v.Add(c.Origin, c.N)
		}
		return v.Reset(), nil
	},
	Read:   func(v *crdt.PNCounter) string { return fmt.Sprint(v.Value()) },
	Spec:   crdttest.PNCounterSpec,
	Decode: unmarshal[crdt.PNCounter],
}

var pnCounterRef = object.NewPNCounter(crdttest.Key)

var pnCounterKind = crdttest.KindForm{
	Kind: crdt.PNCounterKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "add" {
			return pnCounterRef.Add(tx, c.N)
		}
		return pnCounterRef.Reset(tx)
	},
	Read: func(s object.Space) (string, error) {
		n, err := pnCounterRef.Value(s)
		return fmt.Sprint(n), err
	},
}
