package property_test

import (
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var uset = crdttest.Form[*crdt.USet[string]]{
	Verbs: []string{"add", "add", "remove"},
	New:   func() *crdt.USet[string] { return &crdt.USet[string]{} },
	Apply: func(s *crdt.USet[string], c crdttest.Change) (*crdt.USet[string], error) {
		if c.Verb == "add" {
			return s.Add(c.Origin, unique(c))
		}
		return s.Remove(c.Origin, unique(c)), nil
	},
	Read:   func(s *crdt.USet[string]) string { return crdttest.Sorted(s.All()) },
	Spec:   crdttest.USetSpec,
	Decode: unmarshal[crdt.USet[string]],
}

// unique names the element of a unique set by the change that adds it, so that
// none is added twice.
func unique(c crdttest.Change) string {
	if c.Verb == "add" {
		return fmt.Sprint("e", c.ID)
	}
	if id, ok := c.Target(); ok {
		return fmt.Sprint("e", id)
	}
	return "none"
}

var usetRef = object.NewUSet[string](crdttest.Key)

var usetKind = crdttest.KindForm{
	Kind: crdt.USetKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "add" {
			return usetRef.Add(tx, unique(c))
		}
		return usetRef.Remove(tx, unique(c))
	},
	Read: readRefSet(usetRef),
}

var lwwSet = crdttest.Form[*crdt.LWWSet[string]]{
	Verbs: addRemove,
	New:   func() *crdt.LWWSet[string] { return &crdt.LWWSet[string]{} },
	Apply: func(s *crdt.LWWSet[string], c crdttest.Change) (*crdt.LWWSet[string], error) {
		if c.Verb == "add" {
			return s.Add(c.Time, c.Element)
		}
		return s.Remove(c.Time, c.Element)
	},
	Read:   readSet[*crdt.LWWSet[string]],
	Spec:   crdttest.LWWSetSpec,
	Decode: unmarshal[crdt.LWWSet[string]],
}

var lwwSetRef = object.NewLWWSet[string](crdttest.Key)

var lwwSetKind = crdttest.KindForm{
	Kind: crdt.LWWSetKind, Apply: changeSet(lwwSetRef), Read: readRefSet(lwwSetRef),
}

var removeBiased = crdttest.Form[*crdt.RemoveBiasedLWWSet[string]]{
	Verbs: addRemove,
	New:   func() *crdt.RemoveBiasedLWWSet[string] { return &crdt.RemoveBiasedLWWSet[string]{} },
	Apply: func(s *crdt.RemoveBiasedLWWSet[string], c crdttest.Change) (*crdt.RemoveBiasedLWWSet[string], error) {
		if c.Verb == "add" {
			return s.Add(c.Time, c.Element)
		}
		return s.Remove(c.Time, c.Element)
	},
	Read:   readSet[*crdt.RemoveBiasedLWWSet[string]],
	Spec:   crdttest.RemoveBiasedLWWSetSpec,
	Decode: unmarshal[crdt.RemoveBiasedLWWSet[string]],
}

var removeBiasedRef = object.NewRemoveBiasedLWWSet[string](crdttest.Key)

var removeBiasedKind = crdttest.KindForm{
	Kind: crdt.RemoveBiasedLWWSetKind, Apply: changeSet(removeBiasedRef), Read: readRefSet(removeBiasedRef),
}

var pnSet = crdttest.Form[*crdt.PNSet[string]]{
	Verbs: []string{"add", "add", "remove", "reset"},
	New:   func() *crdt.PNSet[string] { return &crdt.PNSet[string]{} },
	Apply: func(s *crdt.PNSet[string], c crdttest.Change) (*crdt.PNSet[string], error) {
		switch c.Verb {
		case "add":
			return s.Add(c.Origin, c.Element)
		case "remove":
			return s.Remove(c.Origin, c.Element)
		}
		return s.Reset(c.Element), nil
	},
	Read:   readSet[*crdt.PNSet[string]],
	Spec:   crdttest.PNSetSpec,
	Decode: unmarshal[crdt.PNSet[string]],
}

var pnSetRef = object.NewPNSet[string](crdttest.Key)

var pnSetKind = crdttest.KindForm{
	Kind: crdt.PNSetKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "reset" {
			return pnSetRef.Reset(tx, c.Element)
		}
		return changeSet(pnSetRef)(tx, c)
	},
	Read: readRefSet(pnSetRef),
}

var lwwMap = crdttest.Form[*crdt.LWWMap[string, int64]]{
	Verbs: []string{"set", "set", "delete"},
	New:   func() *crdt.LWWMap[string, int64] { return &crdt.LWWMap[string, int64]{} },
	Apply: func(m *crdt.LWWMap[string, int64], c crdttest.Change) (*crdt.LWWMap[string, int64], error) {
		stamp := crdt.Stamp{Time: c.Time, Origin: c.Origin}
		if c.Verb == "set" {
			return m.Set(stamp, c.Element, c.N)
		}
		return m.Delete(stamp, c.Element)
	},
	Read: func(m *crdt.LWWMap[string, int64]) string {
		var fields []string
		for k, v := range m.All() {
			fields = append(fields, crdttest.Field(k, fmt.Sprint(v)))
		}
		if m.Len() != len(fields) {
			return fmt.Sprintf("All %q, Len %d", fields, m.Len())
		}
		return crdttest.Sorted(slices.Values(fields))
	},
	Spec:   crdttest.LWWMapSpec,
	Decode: unmarshal[crdt.LWWMap[string, int64]],
}

var lwwMapRef = object.NewLWWMap[string, int64](crdttest.Key)

var lwwMapKind = crdttest.KindForm{
	Kind: crdt.LWWMapKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "set" {
			return lwwMapRef.Set(tx, c.Element, c.N)
		}
		return lwwMapRef.Delete(tx, c.Element)
	},
	Read: func(s object.Space) (string, error) {
		var fields []string
		for e, err := range lwwMapRef.All(s) {
			if err != nil {
				return "", err
			}
			fields = append(fields, crdttest.Field(e.Key, fmt.Sprint(e.Value)))
		}
		return crdttest.Sorted(slices.Values(fields)), nil
	},
}
