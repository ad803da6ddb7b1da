package object_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/crdt/object"
)

// nestedCounters is the counters that only their origins write, and the flags.
func nestedCounters() map[string]nestedType {
	type M = object.ORMap[string]
	total := func(m M) object.GCounter { return object.At(m, "f", object.NewGCounter) }
	bounded := func(m M) object.BoundedCounter { return object.At(m, "f", object.NewBoundedCounter) }
	ewFlag := func(m M) object.EWFlag { return object.At(m, "f", object.NewEWFlag) }
	dwFlag := func(m M) object.DWFlag { return object.At(m, "f", object.NewDWFlag) }
	return map[string]nestedType{
		"gcounter": {
			func(m M, tx object.Tx, n int) error { return total(m).Add(tx, uint64(n)) },
			func(m M, s object.Space) (string, error) { n, err := total(m).Value(s); return fmt.Sprint(n), err },
		},
		"bounded": {
			func(m M, tx object.Tx, n int) error { return bounded(m).Inc(tx, uint64(n)) },
			func(m M, s object.Space) (string, error) { n, err := bounded(m).Value(s); return fmt.Sprint(n), err },
		},
		"ewflag": {
			func(m M, tx object.Tx, _ int) error { return ewFlag(m).Enable(tx) },
			func(m M, s object.Space) (string, error) { on, err := ewFlag(m).Enabled(s); return fmt.Sprint(on), err },
		},
		"dwflag": {
			func(m M, tx object.Tx, _ int) error { return dwFlag(m).Enable(tx) },
			func(m M, s object.Space) (string, error) { on, err := dwFlag(m).Enabled(s); return fmt.Sprint(on), err },
		},
	}
}
