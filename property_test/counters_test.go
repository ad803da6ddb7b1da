package property_test

import (
	"fmt"
	"maps"
	"strings"

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

var gcounter = crdttest.Form[*crdt.GCounter]{
	Verbs: []string{"add"},
	New:   func() *crdt.GCounter { return &crdt.GCounter{} },
	Apply: func(v *crdt.GCounter, c crdttest.Change) (*crdt.GCounter, error) {
		return v.Add(c.Origin, uint64(c.Amount()))
	},
	Read:   func(v *crdt.GCounter) string { return fmt.Sprint(v.Value()) },
	Spec:   crdttest.GCounterSpec,
	Decode: unmarshal[crdt.GCounter],
}

var gcounterRef = object.NewGCounter(crdttest.Key)

var gcounterKind = crdttest.KindForm{
	Kind:  crdt.GCounterKind,
	Apply: func(tx object.Tx, c crdttest.Change) error { return gcounterRef.Add(tx, uint64(c.Amount())) },
	Read: func(s object.Space) (string, error) {
		n, err := gcounterRef.Value(s)
		return fmt.Sprint(n), err
	},
}

var bounded = crdttest.Form[*crdt.BoundedCounter]{
	Verbs: []string{"inc", "inc", "dec", "transfer"},
	New:   func() *crdt.BoundedCounter { return &crdt.BoundedCounter{} },
	Apply: func(v *crdt.BoundedCounter, c crdttest.Change) (*crdt.BoundedCounter, error) {
		switch n := uint64(c.Amount()); c.Verb {
		case "inc":
			return v.Inc(c.Origin, n)
		case "dec":
			return v.Dec(c.Origin, n)
		default:
			return v.Transfer(c.Origin, c.Recipient(), n)
		}
	},
	Read:   readBounded,
	Spec:   crdttest.BoundedCounterSpec,
	Decode: unmarshal[crdt.BoundedCounter],
}

// removable is the part of bounded in a map, of which removals leave debts.
func removable(f part[*crdt.BoundedCounter]) part[*crdt.BoundedCounter] {
	f.spec = crdttest.BoundedFieldSpec
	return f
}

// readBounded renders the value and the rights of the replicas, and more if
// what the counter says of rights contradicts itself.
func readBounded(v *crdt.BoundedCounter) string {
	var rights [crdttest.Replicas]uint64
	held := maps.Collect(v.Holders())
	for i := range rights {
		rights[i] = v.Rights(crdttest.Origin(i))
		if held[crdttest.Origin(i)] != rights[i] {
			return fmt.Sprintf("rights %v, holders %v", rights, held)
		}
	}
	return fmt.Sprintf("%d: %s", v.Value(), strings.Trim(fmt.Sprint(rights), "[]"))
}

var boundedRef = object.NewBoundedCounter(crdttest.Key)

var boundedKind = crdttest.KindForm{
	Kind: crdt.BoundedKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		switch n := uint64(c.Amount()); c.Verb {
		case "inc":
			return boundedRef.Inc(tx, n)
		case "dec":
			return boundedRef.Dec(tx, n)
		default:
			return boundedRef.Transfer(tx, c.Recipient(), n)
		}
	},
	Read: func(s object.Space) (string, error) {
		v, err := boundedRef.Read(s)
		if err != nil {
			return "", err
		}
		return readBounded(v), nil
	},
}
