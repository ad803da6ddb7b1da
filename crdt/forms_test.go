package crdt_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

func show(elements iter.Seq[string]) string { return fmt.Sprint(slices.Sorted(elements)) }

// named renders the names of the elements that keep.
func named(ops []op, keep func(element int) bool) string {
	names := map[string]struct{}{}
	for _, o := range ops {
		if keep(o.element) {
			names[o.name()] = struct{}{}
		}
	}
	return show(maps.Keys(names))
}

// some reports whether an op satisfies all conditions.
func some(ops []op, conditions ...func(op) bool) bool {
	return slices.ContainsFunc(ops, func(o op) bool {
		return !slices.ContainsFunc(conditions, func(c func(op) bool) bool { return !c(o) })
	})
}

func is(verb string, element int) func(op) bool {
	return func(o op) bool { return o.verb == verb && o.element == element }
}

func seeing(p op) func(op) bool { return func(o op) bool { return o.sees.has(p.id) } }

// live renders the elements whose cells satisfy ok.
func (c *cells) live(ok func([]byte) (bool, error)) string {
	var names []string
	for name, cell := range c.at {
		yes, err := ok(cell)
		if err != nil {
			c.t.Fatal(err)
		}
		if yes {
			element, err := crdt.DecodeValue[string]([]byte(name))
			if err != nil {
				c.t.Fatal(err)
			}
			names = append(names, element)
		}
	}
	return show(slices.Values(names))
}

// one is a change of one cell: the element of the op.
func (c *cells) one(o op, write func(cell []byte) (crdt.Op, error)) []cellOp {
	name := string(element(c.t, o.name()))
	w, err := write(c.at[name])
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return []cellOp{{name, w}}
}

var errNothing = errors.New("nothing to write")

func anything([]byte) (bool, error) { return true, nil }

var gsetForm = form[*crdt.GSet[string]]{
	verbs:  []string{"add"},
	bottom: func() *crdt.GSet[string] { return &crdt.GSet[string]{} },
	apply:  func(s *crdt.GSet[string], o op) (*crdt.GSet[string], error) { return s.Add(o.name()), nil },
	read:   func(s *crdt.GSet[string]) string { return show(s.All()) },
	kind:   crdt.GSetKind,
	write: func(c *cells, o op) []cellOp {
		return c.one(o, func([]byte) (crdt.Op, error) { return crdt.Op{Put: true}, nil })
	},
	show: func(c *cells) string { return c.live(anything) },
	spec: func(ops []op) string { return named(ops, func(int) bool { return true }) },
}

var twoPSetForm = form[*crdt.TwoPSet[string]]{
	verbs:  []string{"add", "add", "remove"},
	bottom: func() *crdt.TwoPSet[string] { return &crdt.TwoPSet[string]{} },
	apply: func(s *crdt.TwoPSet[string], o op) (*crdt.TwoPSet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.name()), nil
		}
		delta, err := s.Add(o.name())
		if errors.Is(err, crdt.ErrRemoved) {
			return &crdt.TwoPSet[string]{}, nil
		}
		return delta, err
	},
	read: func(s *crdt.TwoPSet[string]) string { return show(s.All()) },
	kind: crdt.TwoPSetKind,
	write: func(c *cells, o op) []cellOp {
		return c.one(o, func(cell []byte) (crdt.Op, error) {
			phase, err := crdt.DecodePhase(cell)
			next := crdt.PhaseAdded
			switch {
			case o.verb == "remove" && phase == crdt.PhaseAdded:
				next = crdt.PhaseRemoved
			case o.verb == "remove" || phase == crdt.PhaseRemoved:
				return crdt.Op{}, errNothing
			}
			payload, _ := next.AppendBinary(nil)
			return crdt.Op{Put: true, Payload: payload}, err
		})
	},
	show: func(c *cells) string {
		return c.live(func(cell []byte) (bool, error) {
			phase, err := crdt.DecodePhase(cell)
			return phase == crdt.PhaseAdded, err
		})
	},
	// Added, and no remove has seen any add of it.
	spec: func(ops []op) string {
		return named(ops, func(e int) bool {
			killed := some(ops, is("add", e), func(add op) bool { return some(ops, is("remove", e), seeing(add)) })
			return some(ops, is("add", e)) && !killed
		})
	},
}

var orsetForm = form[*crdt.ORSet[string]]{
	verbs:  []string{"add", "add", "remove"},
	bottom: func() *crdt.ORSet[string] { return &crdt.ORSet[string]{} },
	apply: func(s *crdt.ORSet[string], o op) (*crdt.ORSet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.origin(), o.name()), nil
		}
		return s.Add(o.origin(), o.name()), nil
	},
	read: func(s *crdt.ORSet[string]) string { return show(s.All()) },
	kind: crdt.ORSetKind,
	write: func(c *cells, o op) []cellOp {
		return c.one(o, func(cell []byte) (crdt.Op, error) { return crdt.Supersede(cell, o.verb == "add", nil) })
	},
	show: func(c *cells) string { return c.live(anything) },
	// Some add that no remove has seen.
	spec: func(ops []op) string {
		return named(ops, func(e int) bool {
			return some(ops, is("add", e), func(add op) bool { return !some(ops, is("remove", e), seeing(add)) })
		})
	},
}

var rwsetForm = form[*crdt.RWSet[string]]{
	verbs:  []string{"add", "add", "remove"},
	bottom: func() *crdt.RWSet[string] { return &crdt.RWSet[string]{} },
	apply: func(s *crdt.RWSet[string], o op) (*crdt.RWSet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.origin(), o.name()), nil
		}
		return s.Add(o.origin(), o.name()), nil
	},
	read: func(s *crdt.RWSet[string]) string { return show(s.All()) },
	kind: crdt.RWSetKind,
	write: func(c *cells, o op) []cellOp {
		return c.one(o, func(cell []byte) (crdt.Op, error) {
			payload := crdt.Added
			if o.verb == "remove" {
				payload = crdt.Removed
			}
			return crdt.Supersede(cell, true, payload)
		})
	},
	show: func(c *cells) string { return c.live(crdt.RWSetHas) },
	// Added, and every remove has been seen by some add.
	spec: func(ops []op) string {
		return named(ops, func(e int) bool {
			unseen := some(ops, is("remove", e), func(rm op) bool { return !some(ops, is("add", e), seeing(rm)) })
			return some(ops, is("add", e)) && !unseen
		})
	},
}

var counterForm = form[*crdt.PNCounter]{
	verbs:  []string{"add", "add", "add", "reset"},
	bottom: func() *crdt.PNCounter { return &crdt.PNCounter{} },
	apply: func(c *crdt.PNCounter, o op) (*crdt.PNCounter, error) {
		if o.verb == "reset" {
			return c.Reset(), nil
		}
		return c.Add(o.origin(), o.n)
	},
	read: func(c *crdt.PNCounter) string { return fmt.Sprint(c.Value()) },
	kind: crdt.PNCounterKind,
	write: func(c *cells, o op) (ops []cellOp) {
		for name, share := range c.shares() {
			if o.verb == "reset" {
				ops = append(ops, sharePut(name, share.Reset()))
			}
		}
		if o.verb == "add" {
			at := o.origin()
			share, err := c.shares()[string(at[:])].Add(o.n)
			if err != nil {
				c.t.Fatal(err)
			}
			ops = append(ops, sharePut(string(at[:]), share))
		}
		return ops
	},
	show: func(c *cells) string {
		var total int64
		for _, s := range c.shares() {
			total += int64(s.P-s.PBase) - int64(s.N-s.NBase)
		}
		return fmt.Sprint(total)
	},
	// The sum of the additions that no reset has seen.
	spec: func(ops []op) string {
		var total int64
		for _, o := range ops {
			if o.verb == "add" && !some(ops, func(p op) bool { return p.verb == "reset" }, seeing(o)) {
				total += o.n
			}
		}
		return fmt.Sprint(total)
	},
}

func (c *cells) shares() map[string]crdt.Share {
	shares := map[string]crdt.Share{}
	for name, cell := range c.at {
		share, err := crdt.DecodeShare(cell)
		if err != nil {
			c.t.Fatal(err)
		}
		shares[name] = share
	}
	return shares
}

func sharePut(cell string, s crdt.Share) cellOp {
	payload, _ := s.AppendBinary(nil)
	return cellOp{cell, crdt.Op{Put: true, Payload: payload}}
}

var lwwForm = form[*crdt.LWWRegister[int]]{
	verbs:  []string{"set"},
	bottom: func() *crdt.LWWRegister[int] { return &crdt.LWWRegister[int]{} },
	apply: func(r *crdt.LWWRegister[int], o op) (*crdt.LWWRegister[int], error) {
		return r.Set(crdt.Stamp{Time: o.time, Origin: o.origin()}, o.id)
	},
	read: func(r *crdt.LWWRegister[int]) string {
		v, ok := r.Get()
		return fmt.Sprint(v, ok)
	},
	kind: crdt.LWWKind,
	write: func(c *cells, o op) []cellOp {
		latest, err := crdt.DecodeLatest(c.at[""])
		if err != nil {
			c.t.Fatal(err)
		}
		w := crdt.Op{Put: true, Payload: element(c.t, o.id)}
		if c.at[""] != nil {
			w.Seen = merge.DotSetOf(latest.Dot)
		}
		return []cellOp{{"", w}}
	},
	show: func(c *cells) string {
		latest, err := crdt.DecodeLatest(c.at[""])
		if err != nil {
			c.t.Fatal(err)
		}
		if c.at[""] == nil {
			return "0 false"
		}
		v, err := crdt.DecodeValue[int](latest.Value)
		if err != nil {
			c.t.Fatal(err)
		}
		return fmt.Sprint(v, true)
	},
	// The write with the largest time, and of those the largest origin.
	spec: func(ops []op) string {
		if len(ops) == 0 {
			return "0 false"
		}
		last := slices.MaxFunc(ops, func(a, b op) int {
			return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.replica, b.replica))
		})
		return fmt.Sprint(last.id, true)
	},
}

var mvForm = form[*crdt.MVRegister[int]]{
	verbs:  []string{"set", "set", "clear"},
	bottom: func() *crdt.MVRegister[int] { return &crdt.MVRegister[int]{} },
	apply: func(r *crdt.MVRegister[int], o op) (*crdt.MVRegister[int], error) {
		if o.verb == "clear" {
			return r.Clear(o.origin()), nil
		}
		return r.Set(o.origin(), o.id)
	},
	read: func(r *crdt.MVRegister[int]) string { return fmt.Sprint(slices.Sorted(r.Values())) },
	kind: crdt.MVKind,
	write: func(c *cells, o op) []cellOp {
		var payload []byte
		if o.verb == "set" {
			payload = element(c.t, o.id)
		}
		w, err := crdt.Supersede(c.at[""], o.verb == "set", payload)
		if err != nil {
			c.t.Fatal(err)
		}
		return []cellOp{{"", w}}
	},
	show: func(c *cells) string {
		live, err := crdt.DecodeDots(c.at[""])
		if err != nil {
			c.t.Fatal(err)
		}
		var values []int
		for e := range live.All() {
			v, err := crdt.DecodeValue[int](e.Value)
			if err != nil {
				c.t.Fatal(err)
			}
			values = append(values, v)
		}
		return fmt.Sprint(slices.Sorted(slices.Values(values)))
	},
	// What was written and not seen by a later write or clear.
	spec: func(ops []op) string {
		var values []int
		for _, o := range ops {
			if o.verb == "set" && !some(ops, seeing(o)) {
				values = append(values, o.id)
			}
		}
		return fmt.Sprint(values)
	},
}
