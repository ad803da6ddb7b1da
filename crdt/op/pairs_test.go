package op_test

import (
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var (
	gsetRef    = object.NewGSet[string]("o")
	twoPSetRef = object.NewTwoPSet[string]("o")
	orSetRef   = object.NewORSet[string]("o")
	rwSetRef   = object.NewRWSet[string]("o")
	counterRef = object.NewPNCounter("o")
	lwwRef     = object.NewLWWRegister[int64]("o")
	mvRef      = object.NewMVRegister[int64]("o")
)

var gsets = pair[*crdt.GSet[string]]{
	bottom: func() *crdt.GSet[string] { return &crdt.GSet[string]{} },
	apply:  func(v *crdt.GSet[string], a act) (*crdt.GSet[string], error) { return v.Add(a.element), nil },
	write:  func(tx object.Tx, a act) error { return gsetRef.Add(tx, a.element) },
	read:   func(v *crdt.GSet[string]) string { return readSet(v.All()) },
	show:   func(s object.Space) (string, error) { return showSet(gsetRef.All(s)) },
}

var twoPSets = pair[*crdt.TwoPSet[string]]{
	bottom: func() *crdt.TwoPSet[string] { return &crdt.TwoPSet[string]{} },
	apply: func(v *crdt.TwoPSet[string], a act) (*crdt.TwoPSet[string], error) {
		if a.verb < 4 {
			return v.Add(a.element)
		}
		return v.Remove(a.element), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 4 {
			return twoPSetRef.Add(tx, a.element)
		}
		return twoPSetRef.Remove(tx, a.element)
	},
	read: func(v *crdt.TwoPSet[string]) string { return readSet(v.All()) },
	show: func(s object.Space) (string, error) { return showSet(twoPSetRef.All(s)) },
}

var orSets = pair[*crdt.ORSet[string]]{
	bottom: func() *crdt.ORSet[string] { return &crdt.ORSet[string]{} },
	apply: func(v *crdt.ORSet[string], a act) (*crdt.ORSet[string], error) {
		if a.verb < 4 {
			return v.Add(a.stamp.Origin, a.element), nil
		}
		return v.Remove(a.stamp.Origin, a.element), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 4 {
			return orSetRef.Add(tx, a.element)
		}
		return orSetRef.Remove(tx, a.element)
	},
	read: func(v *crdt.ORSet[string]) string { return readSet(v.All()) },
	show: func(s object.Space) (string, error) { return showSet(orSetRef.All(s)) },
}

var rwSets = pair[*crdt.RWSet[string]]{
	bottom: func() *crdt.RWSet[string] { return &crdt.RWSet[string]{} },
	apply: func(v *crdt.RWSet[string], a act) (*crdt.RWSet[string], error) {
		if a.verb < 4 {
			return v.Add(a.stamp.Origin, a.element), nil
		}
		return v.Remove(a.stamp.Origin, a.element), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 4 {
			return rwSetRef.Add(tx, a.element)
		}
		return rwSetRef.Remove(tx, a.element)
	},
	read: func(v *crdt.RWSet[string]) string { return readSet(v.All()) },
	show: func(s object.Space) (string, error) { return showSet(rwSetRef.All(s)) },
}

var pnCounters = pair[*crdt.PNCounter]{
	bottom: func() *crdt.PNCounter { return &crdt.PNCounter{} },
	apply: func(v *crdt.PNCounter, a act) (*crdt.PNCounter, error) {
		if a.verb > 0 {
			return v.Add(a.stamp.Origin, a.n)
		}
		return v.Reset(), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb > 0 {
			return counterRef.Add(tx, a.n)
		}
		return counterRef.Reset(tx)
	},
	read: func(v *crdt.PNCounter) string { return fmt.Sprint(v.Value()) },
	show: func(s object.Space) (string, error) {
		n, err := counterRef.Value(s)
		return fmt.Sprint(n), err
	},
}

var lwwRegisters = pair[*crdt.LWWRegister[int64]]{
	bottom: func() *crdt.LWWRegister[int64] { return &crdt.LWWRegister[int64]{} },
	apply: func(v *crdt.LWWRegister[int64], a act) (*crdt.LWWRegister[int64], error) {
		return v.Set(a.stamp, a.n)
	},
	write: func(tx object.Tx, a act) error { return lwwRef.Set(tx, a.n) },
	read: func(v *crdt.LWWRegister[int64]) string {
		n, ok := v.Get()
		return fmt.Sprint(n, ok)
	},
	show: func(s object.Space) (string, error) {
		n, ok, err := lwwRef.Get(s)
		return fmt.Sprint(n, ok), err
	},
}

var mvRegisters = pair[*crdt.MVRegister[int64]]{
	bottom: func() *crdt.MVRegister[int64] { return &crdt.MVRegister[int64]{} },
	apply: func(v *crdt.MVRegister[int64], a act) (*crdt.MVRegister[int64], error) {
		if a.verb > 0 {
			return v.Set(a.stamp.Origin, a.n)
		}
		return v.Clear(a.stamp.Origin), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb > 0 {
			return mvRef.Set(tx, a.n)
		}
		return mvRef.Clear(tx)
	},
	read: func(v *crdt.MVRegister[int64]) string { return fmt.Sprint(slices.Sorted(v.Values())) },
	show: func(s object.Space) (string, error) {
		values, err := mvRef.Values(s)
		slices.Sort(values)
		return fmt.Sprint(values), err
	},
}
