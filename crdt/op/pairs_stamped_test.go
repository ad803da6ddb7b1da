package op_test

import (
	"fmt"
	"maps"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
)

var (
	uSetRef         = object.NewUSet[string]("o")
	lwwSetRef       = object.NewLWWSet[string]("o")
	removeBiasedRef = object.NewRemoveBiasedLWWSet[string]("o")
	pnSetRef        = object.NewPNSet[string]("o")
	lwwMapRef       = object.NewLWWMap[string, int64]("o")
)

// elements are all that random acts name.
var elements = []string{"e0", "e1", "e2"}

// Elements are added again and again, which is the misuse of a unique set: what
// is refused is the same in each form.
var uSets = pair[*crdt.USet[string]]{
	bottom: func() *crdt.USet[string] { return &crdt.USet[string]{} },
	apply: func(v *crdt.USet[string], a act) (*crdt.USet[string], error) {
		if a.verb < 4 {
			return v.Add(a.stamp.Origin, a.element)
		}
		return v.Remove(a.stamp.Origin, a.element), nil
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 4 {
			return uSetRef.Add(tx, a.element)
		}
		return uSetRef.Remove(tx, a.element)
	},
	read: func(v *crdt.USet[string]) string { return readSet(v.All()) },
	show: func(s object.Space) (string, error) { return showSet(uSetRef.All(s)) },
}

var lwwSets = pair[*crdt.LWWSet[string]]{
	bottom: func() *crdt.LWWSet[string] { return &crdt.LWWSet[string]{} },
	apply: func(v *crdt.LWWSet[string], a act) (*crdt.LWWSet[string], error) {
		if a.verb < 3 {
			return v.Add(a.stamp.Time, a.element)
		}
		return v.Remove(a.stamp.Time, a.element)
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 3 {
			return lwwSetRef.Add(tx, a.element)
		}
		return lwwSetRef.Remove(tx, a.element)
	},
	read: func(v *crdt.LWWSet[string]) string { return readSet(v.All()) },
	show: func(s object.Space) (string, error) { return showSet(lwwSetRef.All(s)) },
}

var removeBiasedSets = pair[*crdt.RemoveBiasedLWWSet[string]]{
	bottom: func() *crdt.RemoveBiasedLWWSet[string] { return &crdt.RemoveBiasedLWWSet[string]{} },
	apply: func(v *crdt.RemoveBiasedLWWSet[string], a act) (*crdt.RemoveBiasedLWWSet[string], error) {
		if a.verb < 3 {
			return v.Add(a.stamp.Time, a.element)
		}
		return v.Remove(a.stamp.Time, a.element)
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 3 {
			return removeBiasedRef.Add(tx, a.element)
		}
		return removeBiasedRef.Remove(tx, a.element)
	},
	read: func(v *crdt.RemoveBiasedLWWSet[string]) string { return readSet(v.All()) },
	show: func(s object.Space) (string, error) { return showSet(removeBiasedRef.All(s)) },
}

var pnSets = pair[*crdt.PNSet[string]]{
	bottom: func() *crdt.PNSet[string] { return &crdt.PNSet[string]{} },
	apply: func(v *crdt.PNSet[string], a act) (*crdt.PNSet[string], error) {
		switch {
		case a.verb == 0:
			return v.Reset(a.element), nil
		case a.verb < 4:
			return v.Add(a.stamp.Origin, a.element)
		}
		return v.Remove(a.stamp.Origin, a.element)
	},
	write: func(tx object.Tx, a act) error {
		switch {
		case a.verb == 0:
			return pnSetRef.Reset(tx, a.element)
		case a.verb < 4:
			return pnSetRef.Add(tx, a.element)
		}
		return pnSetRef.Remove(tx, a.element)
	},
	read: func(v *crdt.PNSet[string]) string {
		counts := map[string]int64{}
		for _, e := range elements {
			counts[e] = v.Count(e)
		}
		return fmt.Sprint(readSet(v.All()), counts)
	},
	show: func(s object.Space) (string, error) {
		counts := map[string]int64{}
		for _, e := range elements {
			n, err := pnSetRef.Count(s, e)
			if err != nil {
				return "", err
			}
			counts[e] = n
		}
		set, err := showSet(pnSetRef.All(s))
		return fmt.Sprint(set, counts), err
	},
}

var lwwMaps = pair[*crdt.LWWMap[string, int64]]{
	bottom: func() *crdt.LWWMap[string, int64] { return &crdt.LWWMap[string, int64]{} },
	apply: func(v *crdt.LWWMap[string, int64], a act) (*crdt.LWWMap[string, int64], error) {
		if a.verb < 4 {
			return v.Set(a.stamp, a.element, a.n)
		}
		return v.Delete(a.stamp, a.element)
	},
	write: func(tx object.Tx, a act) error {
		if a.verb < 4 {
			return lwwMapRef.Set(tx, a.element, a.n)
		}
		return lwwMapRef.Delete(tx, a.element)
	},
	read: func(v *crdt.LWWMap[string, int64]) string { return fmt.Sprint(maps.Collect(v.All())) },
	show: func(s object.Space) (string, error) {
		fields := map[string]int64{}
		for e, err := range lwwMapRef.All(s) {
			if err != nil {
				return "", err
			}
			v, ok, err := lwwMapRef.Get(s, e.Key)
			if err != nil || !ok || v != e.Value {
				return "", fmt.Errorf("Get of %s = %d, %v, %v, want %d", e.Key, v, ok, err, e.Value)
			}
			fields[e.Key] = v
		}
		return fmt.Sprint(fields), nil
	},
}
