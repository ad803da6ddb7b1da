package property_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var onOff = []string{"enable", "disable"}

var ewFlag = crdttest.Form[*crdt.EWFlag]{
	Verbs: onOff,
	New:   func() *crdt.EWFlag { return &crdt.EWFlag{} },
	Apply: func(v *crdt.EWFlag, c crdttest.Change) (*crdt.EWFlag, error) {
		if c.Verb == "enable" {
			return v.Enable(c.Origin), nil
		}
		return v.Disable(c.Origin), nil
	},
	Read:   func(v *crdt.EWFlag) string { return fmt.Sprint(v.Enabled()) },
	Spec:   crdttest.EWFlagSpec,
	Decode: unmarshal[crdt.EWFlag],
}

var ewFlagRef = object.NewEWFlag(crdttest.Key)

var ewFlagKind = crdttest.KindForm{
	Kind: crdt.EWFlagKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "enable" {
			return ewFlagRef.Enable(tx)
		}
		return ewFlagRef.Disable(tx)
	},
	Read: func(s object.Space) (string, error) {
		on, err := ewFlagRef.Enabled(s)
		return fmt.Sprint(on), err
	},
}

var dwFlag = crdttest.Form[*crdt.DWFlag]{
	Verbs: onOff,
	New:   func() *crdt.DWFlag { return &crdt.DWFlag{} },
	Apply: func(v *crdt.DWFlag, c crdttest.Change) (*crdt.DWFlag, error) {
		if c.Verb == "enable" {
			return v.Enable(c.Origin), nil
		}
		return v.Disable(c.Origin), nil
	},
	Read:   func(v *crdt.DWFlag) string { return fmt.Sprint(v.Enabled()) },
	Spec:   crdttest.DWFlagSpec,
	Decode: unmarshal[crdt.DWFlag],
}

var dwFlagRef = object.NewDWFlag(crdttest.Key)

var dwFlagKind = crdttest.KindForm{
	Kind: crdt.DWFlagKind,
	Apply: func(tx object.Tx, c crdttest.Change) error {
		if c.Verb == "enable" {
			return dwFlagRef.Enable(tx)
		}
		return dwFlagRef.Disable(tx)
	},
	Read: func(s object.Space) (string, error) {
		on, err := dwFlagRef.Enabled(s)
		return fmt.Sprint(on), err
	},
}
