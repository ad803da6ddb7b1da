package property_test

import (
	"encoding"
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/merge"
)

var onOff = []string{"enable", "disable"}

// A switchable is an EWFlag or a DWFlag as a value.
type switchable[V, P any] interface {
	*V
	merge.Lattice[P]
	encoding.BinaryUnmarshaler
	Enable(merge.Origin) P
	Disable(merge.Origin) P
	Enabled() bool
}

func flagForm[V any, P switchable[V, P]](spec crdttest.Spec) crdttest.Form[P] {
	return crdttest.Form[P]{
		Verbs: onOff,
		New:   func() P { return new(V) },
		Apply: func(v P, c crdttest.Change) (P, error) {
			if c.Verb == "enable" {
				return v.Enable(c.Origin), nil
			}
			return v.Disable(c.Origin), nil
		},
		Read:   func(v P) string { return fmt.Sprint(v.Enabled()) },
		Spec:   spec,
		Decode: unmarshal[V, P],
	}
}

// A flagRef is one as an object.
type flagRef interface {
	Enable(object.Tx) error
	Disable(object.Tx) error
	Enabled(object.Space) (bool, error)
}

func flagKind(k crdt.Kind, ref flagRef) crdttest.KindForm {
	return crdttest.KindForm{
		Kind: k,
		Apply: func(tx object.Tx, c crdttest.Change) error {
			if c.Verb == "enable" {
				return ref.Enable(tx)
			}
			return ref.Disable(tx)
		},
		Read: func(s object.Space) (string, error) {
			on, err := ref.Enabled(s)
			return fmt.Sprint(on), err
		},
	}
}

var (
	ewFlag     = flagForm[crdt.EWFlag](crdttest.EWFlagSpec)
	dwFlag     = flagForm[crdt.DWFlag](crdttest.DWFlagSpec)
	ewFlagKind = flagKind(crdt.EWFlagKind, object.NewEWFlag(crdttest.Key))
	dwFlagKind = flagKind(crdt.DWFlagKind, object.NewDWFlag(crdttest.Key))
)
