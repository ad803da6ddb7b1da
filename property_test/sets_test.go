package property_test

import (
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
)

// A refChanger is an object of elements that can be added and removed.
type refChanger interface {
	Add(object.Tx, string) error
	Remove(object.Tx, string) error
}

func changeSet(r refChanger) func(object.Tx, crdttest.Change) error {
	return func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "add" {
			return r.Add(tx, c.Element)
		}
		return r.Remove(tx, c.Element)
	}
}

var gset = crdttest.Form[*crdt.GSet[string]]{
	Verbs: []string{"add"},
	New:   func() *crdt.GSet[string] { return &crdt.GSet[string]{} },
	Apply: func(s *crdt.GSet[string], c crdttest.Change) (*crdt.GSet[string], error) {
		return s.Add(c.Element), nil
	},
	Read:   readSet[*crdt.GSet[string]],
	Spec:   crdttest.GSetSpec,
	Decode: unmarshal[crdt.GSet[string]],
}

var gsetRef = object.NewGSet[string](crdttest.Key)

var gsetKind = crdttest.KindForm{
	Kind:  crdt.GSetKind,
	Apply: func(tx object.Tx, c crdttest.Change) error { return gsetRef.Add(tx, c.Element) },
	Read:  readRefSet(gsetRef),
}

var twoPSet = crdttest.Form[*crdt.TwoPSet[string]]{
	Verbs: addRemove,
	New:   func() *crdt.TwoPSet[string] { return &crdt.TwoPSet[string]{} },
	Apply: func(s *crdt.TwoPSet[string], c crdttest.Change) (*crdt.TwoPSet[string], error) {
		if c.Verb == "add" {
			return s.Add(c.Element)
		}
		return s.Remove(c.Element), nil
	},
	Read:   readSet[*crdt.TwoPSet[string]],
	Spec:   crdttest.TwoPSetSpec,
	Decode: unmarshal[crdt.TwoPSet[string]],
}

var twoPSetRef = object.NewTwoPSet[string](crdttest.Key)

var twoPSetKind = crdttest.KindForm{
	Kind: crdt.TwoPSetKind, Apply: changeSet(twoPSetRef), Read: readRefSet(twoPSetRef),
}

var orSet = crdttest.Form[*crdt.ORSet[string]]{
	Verbs: addRemove,
	New:   func() *crdt.ORSet[string] { return &crdt.ORSet[string]{} },
	Apply: func(s *crdt.ORSet[string], c crdttest.Change) (*crdt.ORSet[string], error) {
		if c.Verb == "add" {
			return s.Add(c.Origin, c.Element), nil
		}
		return s.Remove(c.Origin, c.Element), nil
	},
	Read:   readSet[*crdt.ORSet[string]],
	Spec:   crdttest.ORSetSpec,
	Decode: unmarshal[crdt.ORSet[string]],
}

var orSetRef = object.NewORSet[string](crdttest.Key)

var orSetKind = crdttest.KindForm{
	Kind: crdt.ORSetKind, Apply: changeSet(orSetRef), Read: readRefSet(orSetRef),
}

var rwSet = crdttest.Form[*crdt.RWSet[string]]{
	Verbs: addRemove,
	New:   func() *crdt.RWSet[string] { return &crdt.RWSet[string]{} },
	Apply: func(s *crdt.RWSet[string], c crdttest.Change) (*crdt.RWSet[string], error) {
		if c.Verb == "add" {
			return s.Add(c.Origin, c.Element), nil
		}
		return s.Remove(c.Origin, c.Element), nil
	},
	Read:   readSet[*crdt.RWSet[string]],
	Spec:   crdttest.RWSetSpec,
	Decode: unmarshal[crdt.RWSet[string]],
}

var rwSetRef = object.NewRWSet[string](crdttest.Key)

var rwSetKind = crdttest.KindForm{
	Kind: crdt.RWSetKind, Apply: changeSet(rwSetRef), Read: readRefSet(rwSetRef),
}
