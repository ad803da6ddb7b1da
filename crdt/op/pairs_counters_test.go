package op_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var (
	growRef    = object.NewGCounter("o")
	boundedRef = object.NewBoundedCounter("o")
	ewFlagRef  = object.NewEWFlag("o")
	dwFlagRef  = object.NewDWFlag("o")
)

// amount is what counters that take no negative ones count by.
func amount(a act) uint64 { return uint64(a.n + 4) }

var growCounters = pair[*crdt.GCounter]{
	bottom: func() *crdt.GCounter { return &crdt.GCounter{} },
	apply:  func(v *crdt.GCounter, a act) (*crdt.GCounter, error) { return v.Add(a.stamp.Origin, amount(a)) },
	write:  func(tx object.Tx, a act) error { return growRef.Add(tx, amount(a)) },
	read:   func(v *crdt.GCounter) string { return fmt.Sprint(v.Value()) },
	show: func(s object.Space) (string, error) {
		n, err := growRef.Value(s)
		return fmt.Sprint(n), err
	},
}

// What a replica may not spend is refused in each form.
var boundedCounters = pair[*crdt.BoundedCounter]{
	bottom: func() *crdt.BoundedCounter { return &crdt.BoundedCounter{} },
	apply: func(v *crdt.BoundedCounter, a act) (*crdt.BoundedCounter, error) {
		switch a.verb {
		case 0:
			return v.Transfer(a.stamp.Origin, origin(int(amount(a)&1)), amount(a))
		case 1, 2:
			return v.Dec(a.stamp.Origin, amount(a))
		}
		return v.Inc(a.stamp.Origin, amount(a))
	},
	write: func(tx object.Tx, a act) error {
		switch a.verb {
		case 0:
			return boundedRef.Transfer(tx, origin(int(amount(a)&1)), amount(a))
		case 1, 2:
			return boundedRef.Dec(tx, amount(a))
		}
		return boundedRef.Inc(tx, amount(a))
	},
	read: readRights,
	show: func(s object.Space) (string, error) {
		v, err := boundedRef.Read(s)
		return readRights(v), err
	},
}

func readRights(v *crdt.BoundedCounter) string {
	return fmt.Sprint(v.Value(), v.Rights(origin(0)), v.Rights(origin(1)), v.Rights(origin(2)))
}

var ewFlags = pair[*crdt.EWFlag]{
	bottom: func() *crdt.EWFlag { return &crdt.EWFlag{} },
	apply: func(v *crdt.EWFlag, a act) (*crdt.EWFlag, error) {
		if a.verb < 3 {
			return v.Enable(a.stamp.Origin), nil
		}
		return v.Disable(a.stamp.Origin), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 3 {
			return ewFlagRef.Enable(tx)
		}
		return ewFlagRef.Disable(tx)
	},
	read: func(v *crdt.EWFlag) string { return fmt.Sprint(v.Enabled()) },
	show: func(s object.Space) (string, error) {
		on, err := ewFlagRef.Enabled(s)
		return fmt.Sprint(on), err
	},
}

var dwFlags = pair[*crdt.DWFlag]{
	bottom: func() *crdt.DWFlag { return &crdt.DWFlag{} },
	apply: func(v *crdt.DWFlag, a act) (*crdt.DWFlag, error) {
		if a.verb < 3 {
			return v.Enable(a.stamp.Origin), nil
		}
		return v.Disable(a.stamp.Origin), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 3 {
			return dwFlagRef.Enable(tx)
		}
		return dwFlagRef.Disable(tx)
	},
	read: func(v *crdt.DWFlag) string { return fmt.Sprint(v.Enabled()) },
	show: func(s object.Space) (string, error) {
		on, err := dwFlagRef.Enabled(s)
		return fmt.Sprint(on), err
	},
}
