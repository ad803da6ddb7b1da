package crdt_test

import (
	"cmp"
	"fmt"
	"maps"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// unique is the element that an add of a unique set adds: the id of the op. A
// remove names that of one of the last ops, whatever it did.
func unique(o op) int {
	if o.verb == "add" {
		return o.id
	}
	return o.id - 1 - o.element
}

func uniqueName(id int) string { return fmt.Sprint("u", id) }

var usetForm = form[*crdt.USet[string]]{
	verbs:  []string{"add", "add", "remove"},
	bottom: func() *crdt.USet[string] { return &crdt.USet[string]{} },
	apply: func(s *crdt.USet[string], o op) (*crdt.USet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.origin(), uniqueName(unique(o))), nil
		}
		return s.Add(o.origin(), uniqueName(unique(o)))
	},
	read: func(s *crdt.USet[string]) string { return show(s.All()) },
	kind: crdt.USetKind,
	write: func(c *cells, o op) []cellOp {
		name := string(element(c.t, uniqueName(unique(o))))
		if o.verb == "remove" && c.at[name] == nil {
			return nil
		}
		w, err := crdt.Supersede(c.at[name], o.verb == "add", nil)
		if err != nil {
			c.t.Fatal(err)
		}
		return []cellOp{{name, w}}
	},
	show: func(c *cells) string { return c.live(anything) },
	// Added, and no remove has seen it.
	spec: func(ops []op) string {
		names := map[string]struct{}{}
		for _, add := range ops {
			if add.verb != "add" {
				continue
			}
			killed := some(ops, func(o op) bool { return o.verb == "remove" && unique(o) == add.id }, seeing(add))
			if !killed {
				names[uniqueName(add.id)] = struct{}{}
			}
		}
		return show(maps.Keys(names))
	},
}

// last returns the largest time of the ops of a verb on an element, 0 if none.
func last(ops []op, verb string, element int) (t hlc.Timestamp) {
	for _, o := range ops {
		if is(verb, element)(o) {
			t = max(t, o.time)
		}
	}
	return t
}

// stampedWrite is the change of a set of either bias, as cells.
func stampedWrite(c *cells, o op) []cellOp {
	return c.one(o, func([]byte) (crdt.Op, error) {
		if o.verb == "remove" {
			return crdt.Op{Put: true, Payload: crdt.Removed}, nil
		}
		return crdt.Op{Put: true, Payload: crdt.Added}, nil
	})
}

func liveTimes(c *cells, present func(crdt.Times) bool) string {
	return c.live(func(cell []byte) (bool, error) {
		times, err := crdt.DecodeTimes(cell)
		return present(times), err
	})
}

var lwwSetForm = form[*crdt.LWWSet[string]]{
	verbs:  []string{"add", "remove"},
	bottom: func() *crdt.LWWSet[string] { return &crdt.LWWSet[string]{} },
	apply: func(s *crdt.LWWSet[string], o op) (*crdt.LWWSet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.time, o.name())
		}
		return s.Add(o.time, o.name())
	},
	read:  func(s *crdt.LWWSet[string]) string { return show(s.All()) },
	kind:  crdt.LWWSetKind,
	write: stampedWrite,
	show:  func(c *cells) string { return liveTimes(c, crdt.Times.AddBiased) },
	// Added, and no remove is later than the last add.
	spec: func(ops []op) string {
		return named(ops, func(e int) bool {
			return some(ops, is("add", e)) && last(ops, "add", e) >= last(ops, "remove", e)
		})
	},
}

var removeBiasedForm = form[*crdt.RemoveBiasedLWWSet[string]]{
	verbs:  []string{"add", "add", "remove"},
	bottom: func() *crdt.RemoveBiasedLWWSet[string] { return &crdt.RemoveBiasedLWWSet[string]{} },
	apply: func(s *crdt.RemoveBiasedLWWSet[string], o op) (*crdt.RemoveBiasedLWWSet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.time, o.name())
		}
		return s.Add(o.time, o.name())
	},
	read:  func(s *crdt.RemoveBiasedLWWSet[string]) string { return show(s.All()) },
	kind:  crdt.RemoveBiasedLWWSetKind,
	write: stampedWrite,
	show:  func(c *cells) string { return liveTimes(c, crdt.Times.RemoveBiased) },
	// The last add is later than every remove.
	spec: func(ops []op) string {
		return named(ops, func(e int) bool { return last(ops, "add", e) > last(ops, "remove", e) })
	},
}

// counts renders what was counted, by name, in order.
func counts(all map[string]int64) string {
	maps.DeleteFunc(all, func(_ string, n int64) bool { return n == 0 })
	return fmt.Sprint(all)
}

var pnsetForm = form[*crdt.PNSet[string]]{
	verbs:  []string{"add", "add", "add", "remove", "remove", "reset"},
	bottom: func() *crdt.PNSet[string] { return &crdt.PNSet[string]{} },
	apply: func(s *crdt.PNSet[string], o op) (*crdt.PNSet[string], error) {
		switch o.verb {
		case "add":
			return s.Add(o.origin(), o.name())
		case "remove":
			return s.Remove(o.origin(), o.name())
		}
		return s.Reset(o.name()), nil
	},
	read: func(s *crdt.PNSet[string]) string { return counts(maps.Collect(s.Counts())) },
	kind: crdt.PNSetKind,
	write: func(c *cells, o op) (ops []cellOp) {
		name, at := string(element(c.t, o.name())), o.origin()
		mine, by := name+string(at[:]), map[string]int64{"add": 1, "remove": -1}[o.verb]
		for cell, share := range c.shares() {
			if o.verb == "reset" && cell[:len(name)] == name {
				ops = append(ops, sharePut(cell, share.Reset()))
			}
		}
		if o.verb != "reset" {
			share, err := c.shares()[mine].Add(by)
			if err != nil {
				c.t.Fatal(err)
			}
			ops = append(ops, sharePut(mine, share))
		}
		return ops
	},
	show: func(c *cells) string {
		all := map[string]int64{}
		for cell, s := range c.shares() {
			name, _, err := crdt.SplitElementShare([]byte(cell))
			if err != nil {
				c.t.Fatal(err)
			}
			v, err := crdt.DecodeValue[string](name)
			if err != nil {
				c.t.Fatal(err)
			}
			all[v] += int64(s.P-s.PBase) - int64(s.N-s.NBase)
		}
		return counts(all)
	},
	// Adds less removes, but for those that a reset has seen.
	spec: func(ops []op) string {
		all := map[string]int64{}
		for _, o := range ops {
			if by := map[string]int64{"add": 1, "remove": -1}[o.verb]; !some(ops, is("reset", o.element), seeing(o)) {
				all[o.name()] += by
			}
		}
		return counts(all)
	},
}

var lwwMapForm = form[*crdt.LWWMap[string, int]]{
	verbs:  []string{"set", "set", "delete"},
	bottom: func() *crdt.LWWMap[string, int] { return &crdt.LWWMap[string, int]{} },
	apply: func(m *crdt.LWWMap[string, int], o op) (*crdt.LWWMap[string, int], error) {
		stamp := crdt.Stamp{Time: o.time, Origin: o.origin()}
		if o.verb == "delete" {
			return m.Delete(stamp, o.name())
		}
		return m.Set(stamp, o.name(), o.id)
	},
	read: func(m *crdt.LWWMap[string, int]) string { return fmt.Sprint(maps.Collect(m.All())) },
	kind: crdt.LWWMapKind,
	write: func(c *cells, o op) []cellOp {
		return c.one(o, func(cell []byte) (w crdt.Op, err error) {
			if w.Put = true; o.verb == "set" {
				w.Payload = element(c.t, o.id)
			}
			latest, err := crdt.DecodeField(cell)
			if cell != nil {
				w.Seen = merge.DotSetOf(latest.Dot)
			}
			return w, err
		})
	},
	show: func(c *cells) string {
		all := map[string]int{}
		for name, cell := range c.at {
			latest, err := crdt.DecodeField(cell)
			if err == nil && len(latest.Value) > 0 {
				var k string
				var v int
				k, err = crdt.DecodeValue[string]([]byte(name))
				v, err = decoded[int](latest.Value, err)
				all[k] = v
			}
			if err != nil {
				c.t.Fatal(err)
			}
		}
		return fmt.Sprint(all)
	},
	// Of each field the write with the largest time, and of those the largest
	// origin, unless that is a removal.
	spec: func(ops []op) string {
		all := map[string]int{}
		latest := map[string]op{}
		for _, o := range ops {
			was, ok := latest[o.name()]
			if !ok || cmp.Or(o.time.Compare(was.time), cmp.Compare(o.replica, was.replica)) > 0 {
				latest[o.name()] = o
			}
		}
		for name, o := range latest {
			if o.verb == "set" {
				all[name] = o.id
			}
		}
		return fmt.Sprint(all)
	},
}

// decoded is DecodeValue unless there was an error before.
func decoded[T any](b []byte, before error) (T, error) {
	v, err := crdt.DecodeValue[T](b)
	return v, cmp.Or(before, err)
}
