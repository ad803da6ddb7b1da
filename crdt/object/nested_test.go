package object_test

import (
	"fmt"
	"maps"

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

// nestedTypes has every kind of crdt.Builtin.
func nestedTypes() map[string]nestedType {
	type M = object.ORMap[string]
	counter := func(m M) object.PNCounter { return object.At(m, "f", object.NewPNCounter) }
	lww := func(m M) object.LWWRegister[int] { return object.At(m, "f", object.NewLWWRegister[int]) }
	mv := func(m M) object.MVRegister[int] { return object.At(m, "f", object.NewMVRegister[int]) }
	lwwmap := func(m M) object.LWWMap[int, string] { return object.At(m, "f", object.NewLWWMap[int, string]) }
	types := map[string]nestedType{
		"gset":    set(func(m M) object.GSet[string] { return object.At(m, "f", object.NewGSet[string]) }),
		"twopset": set(func(m M) object.TwoPSet[string] { return object.At(m, "f", object.NewTwoPSet[string]) }),
		"orset":   set(func(m M) object.ORSet[string] { return object.At(m, "f", object.NewORSet[string]) }),
		"rwset":   set(func(m M) object.RWSet[string] { return object.At(m, "f", object.NewRWSet[string]) }),
		"uset":    set(func(m M) object.USet[string] { return object.At(m, "f", object.NewUSet[string]) }),
		"lwwset":  set(func(m M) object.LWWSet[string] { return object.At(m, "f", object.NewLWWSet[string]) }),
		"lwwset-remove": set(func(m M) object.RemoveBiasedLWWSet[string] {
			return object.At(m, "f", object.NewRemoveBiasedLWWSet[string])
		}),
		"pnset": set(func(m M) object.PNSet[string] { return object.At(m, "f", object.NewPNSet[string]) }),
		"pncounter": {
			func(m M, tx object.Tx, n int) error { return counter(m).Add(tx, int64(n)) },
			func(m M, s object.Space) (string, error) { n, err := counter(m).Value(s); return fmt.Sprint(n), err },
		},
		"lww": {
			func(m M, tx object.Tx, n int) error { return lww(m).Set(tx, n) },
			func(m M, s object.Space) (string, error) { v, ok, err := lww(m).Get(s); return fmt.Sprint(v, ok), err },
		},
		"mvregister": {
			func(m M, tx object.Tx, n int) error { return mv(m).Set(tx, n) },
			func(m M, s object.Space) (string, error) { v, err := mv(m).Values(s); return fmt.Sprint(v), err },
		},
		"lwwmap": {
			func(m M, tx object.Tx, n int) error { return lwwmap(m).Set(tx, n, "v") },
			func(m M, s object.Space) (string, error) { return list(lwwmap(m).Keys(s)) },
		},
		"ormap": set(func(m M) object.ORSet[string] {
			return object.At(object.At(m, "f", object.NewORMap[string]), "g", object.NewORSet[string])
		}),
	}
	maps.Copy(types, nestedCounters())
	return types
}
