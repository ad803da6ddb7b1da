package object_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
)

var shop = object.NewORMap[string]("shop")

// A site is a replica and the messages that it and its peers have sent.
type site struct {
	*op.Replica
	t *testing.T
}

func newSite(t *testing.T, n byte) site {
	return site{op.NewReplica(op.Config{Self: merge.Origin{15: n}}), t}
}

// do makes one change and returns it as it travels.
func (s site) do(fn func(tx object.Tx) error) *op.Message {
	s.t.Helper()
	m, err := s.Do(s.LastTime()+1, fn)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// get delivers messages in the order given; those that nothing was written in
// are nil.
func (s site) get(messages ...*op.Message) {
	s.t.Helper()
	for _, m := range messages {
		if m == nil {
			continue
		}
		if _, err := s.Receive(m); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s site) removes(field string) *op.Message {
	s.t.Helper()
	return s.do(func(tx object.Tx) error { return shop.Remove(tx, field) })
}

// A nested type is what the tests do with an object of it in a field: write n,
// and render what is in it.
type nestedType struct {
	write func(m object.ORMap[string], tx object.Tx, n int) error
	show  func(m object.ORMap[string], s object.Space) (string, error)
}

// set is a type with Add and All.
func set[R any, P interface {
	*R
	Add(tx object.Tx, v string) error
	All(s object.Space) iter.Seq2[string, error]
}](at func(m object.ORMap[string]) R,
) nestedType {
	return nestedType{
		write: func(m object.ORMap[string], tx object.Tx, n int) error {
			r := at(m)
			return P(&r).Add(tx, fmt.Sprint(n))
		},
		show: func(m object.ORMap[string], s object.Space) (string, error) { r := at(m); return list(P(&r).All(s)) },
	}
}

func list[T any](all iter.Seq2[T, error]) (string, error) {
	var values []T
	for v, err := range all {
		if err != nil {
			return "", err
		}
		values = append(values, v)
	}
	return fmt.Sprint(values), nil
}

// Every type can be a field, and is reset as far as the remover has seen it.
func TestEveryTypeNests(t *testing.T) {
	types := nestedTypes()
	for _, name := range crdt.Builtin().Names() {
		typ, ok := types[name]
		if !ok {
			t.Errorf("no test of %s in a field of a map: add it to nestedTypes", name)
			continue
		}
		t.Run(name, func(t *testing.T) { nests(t, typ) })
	}
}

func nests(t *testing.T, typ nestedType) {
	a, b, alone := newSite(t, 1), newSite(t, 2), newSite(t, 2)
	write := func(s site, n int) *op.Message {
		return s.do(func(tx object.Tx) error { return typ.write(shop, tx, n) })
	}
	want := func(what string, s site, want string, present bool) {
		t.Helper()
		got, err := typ.show(shop, s)
		has, err2 := shop.Has(s, "f")
		n, err3 := shop.Len(s)
		if err != nil || err2 != nil || err3 != nil || got != want || has != present || n > 1 || n == 1 != present {
			t.Errorf("%s: %s, field there %v, %d in all, %v %v %v; want %s, %v", what, got, has, n, err, err2, err3, want, present)
		}
	}
	empty, err := typ.show(shop, alone)
	if err != nil {
		t.Fatal(err)
	}
	want("at first", alone, empty, false)
	write(alone, 2)
	two, err := typ.show(shop, alone)
	if err != nil || two == empty {
		t.Fatalf("a write in a field shows as %s, %v", two, err)
	}
	first := write(a, 1)
	b.get(first)
	removal, second := a.removes("f"), write(b, 2)
	want("removed", a, empty, false)
	a.get(second)
	b.get(removal)
	want("written elsewhere meanwhile", a, two, true)
	want("removed elsewhere meanwhile", b, two, true)
	if again := b.removes("f"); again == nil {
		t.Error("a removal is no change")
	} else {
		a.get(again)
	}
	want("removed for good", a, empty, false)
	want("removed for good", b, empty, false)
	if m := a.removes("f"); m != nil {
		t.Error("the removal of nothing is a change")
	}
	b.get(write(a, 2))
	want("written again", b, two, true)
	if !a.Equal(b.Replica) {
		t.Error("the replicas differ")
	}
}

// What a transaction writes and removes in turn.
func TestFieldWithinOneChange(t *testing.T) {
	for name, typ := range nestedTypes() {
		a, b, alone := newSite(t, 1), newSite(t, 2), newSite(t, 1)
		alone.do(func(tx object.Tx) error { return typ.write(shop, tx, 2) })
		want, err := typ.show(shop, alone)
		if err != nil {
			t.Fatal(err)
		}
		old := a.do(func(tx object.Tx) error { return typ.write(shop, tx, 1) })
		turn := a.do(func(tx object.Tx) error {
			return errors.Join(typ.write(shop, tx, 3), shop.Remove(tx, "f"), typ.write(shop, tx, 2))
		})
		b.get(old, turn)
		for _, s := range []site{a, b} {
			if got, err := typ.show(shop, s); err != nil || got != want {
				t.Errorf("%s: written, removed and written in one change: %s, %v, want %s", name, got, err, want)
			}
		}
		if m := alone.do(func(tx object.Tx) error {
			return errors.Join(typ.write(object.NewORMap[string]("new"), tx, 3), object.NewORMap[string]("new").Remove(tx, "f"))
		}); m != nil {
			t.Errorf("%s: writing and removing in one change is a change", name)
		}
	}
}

// What a change removes is gone even if what it writes next does not cover it.
func TestFieldStartsAgainWithinOneChange(t *testing.T) {
	once := object.At(shop, "f", object.NewTwoPSet[string])
	a, b := newSite(t, 1), newSite(t, 2)
	b.get(
		a.do(func(tx object.Tx) error { return errors.Join(once.Add(tx, "x"), once.Remove(tx, "x")) }),
		a.do(func(tx object.Tx) error { return errors.Join(shop.Remove(tx, "f"), once.Add(tx, "x")) }),
	)
	for _, s := range []site{a, b} {
		if has, err := once.Has(s, "x"); !has || err != nil {
			t.Errorf("the set was removed and begun again, and has what it could not take back: %v, %v", has, err)
		}
	}
}

// The map keeps one write of a register, however often it is written.
func TestFieldKeepsOneWrite(t *testing.T) {
	a, size := newSite(t, 1), 0
	title := object.At(shop, "f", object.NewLWWRegister[int])
	for n := range 20 {
		a.do(func(tx object.Tx) error { return title.Set(tx, n) })
		for c, err := range a.Reader("shop", "ormap").Cells("") {
			if err != nil || size != 0 && len(c.State) != size {
				t.Fatalf("after %d writes the cell has %d bytes, %v, first it had %d", n+1, len(c.State), err, size)
			}
			size = len(c.State)
		}
	}
}

// One change writes f and g, then g is removed: what is old brings back neither
// of them.
func TestSameDotTwoFields(t *testing.T) {
	f, g := object.At(shop, "f", object.NewORSet[string]), object.At(shop, "g", object.NewORSet[string])
	a, b, late := newSite(t, 1), newSite(t, 2), newSite(t, 3)
	both := a.do(func(tx object.Tx) error { return errors.Join(f.Add(tx, "x"), g.Add(tx, "x")) })
	b.get(both)
	removal := a.removes("g")
	b.get(removal, both)
	late.get(removal, both) // waits for what it removes
	for _, s := range []site{a, b, late} {
		if got, err := list(shop.Keys(s)); err != nil || got != "[f]" {
			t.Errorf("the map has %s, %v, want f alone", got, err)
		}
	}
	if !a.Equal(b.Replica) || !a.Equal(late.Replica) {
		t.Error("the replicas differ")
	}
}

// A nestedChange is a change of a counter two maps deep, or a removal.
type nestedChange struct {
	site int
	sees []int
	n    int64  // added to the counter, unless a field is removed
	drop string // the field that is removed: outer or inner
}

// TestNestedCounter brings the same changes to a replica in every legal order, as
// deltas, as whole states and as operations.
func TestNestedCounter(t *testing.T) {
	changes := []nestedChange{
		{site: 0, n: 5},
		{site: 1, sees: []int{0}, n: 7},
		{site: 0, sees: []int{0}, drop: "outer"},
		{site: 2, sees: []int{0, 1}, drop: "inner"},
		{site: 1, sees: []int{0, 1}, n: 3},
		{site: 0, sees: []int{0, 2}, n: 2},
	}
	const want = 5 // 3 and 2: the others were seen by a removal
	made := makeNested(t, changes)
	orders := 0
	for order := range legalOrders(changes) {
		orders++
		values := newNested()
		reader := newSite(t, 9)
		for i, at := range order {
			if i%2 == 0 {
				values.Merge(made[at].delta)
			} else {
				values.Merge(made[at].state)
			}
			values.Merge(made[order[i/2]].delta)
			reader.get(made[at].message)
		}
		got, err := nestedCounter.Value(reader)
		if n := values.count(); n != want || err != nil || got != want {
			t.Fatalf("in the order %v the counter is %d, as operations %d, %v; want %d", order, n, got, err, want)
		}
	}
	if orders < 20 {
		t.Errorf("%d orders were tried", orders)
	}
}

type (
	innerMap = crdt.ORMap[string, crdt.PNCounter, *crdt.PNCounter]
	outerMap = crdt.ORMap[string, innerMap, *innerMap]
)

// nested is the stand-alone form of the map.
type nested struct{ outerMap }

func newNested() *nested { return &nested{} }

func (n *nested) count() int64 {
	inner, ok := n.Get("outer")
	if !ok {
		return 0
	}
	counter, ok := inner.Get("inner")
	if !ok {
		return 0
	}
	return counter.Value()
}

func (n *nested) Merge(from *outerMap) { n.outerMap.Merge(from) }

func (n *nested) change(o merge.Origin, c nestedChange) (*outerMap, error) {
	if c.drop == "outer" {
		return n.Remove(o, "outer"), nil
	}
	return n.Apply("outer", func(inner *innerMap) (*innerMap, error) {
		if c.drop == "inner" {
			return inner.Remove(o, "inner"), nil
		}
		return inner.Apply("inner", func(p *crdt.PNCounter) (*crdt.PNCounter, error) { return p.Add(o, c.n) })
	})
}

var (
	nestedInner   = object.At(shop, "outer", object.NewORMap[string])
	nestedCounter = object.At(nestedInner, "inner", object.NewPNCounter)
)

// madeChange is a change in three forms.
type madeChange struct {
	delta, state *outerMap
	message      *op.Message
}

// makeNested makes the changes, each at a replica that has seen what it sees.
func makeNested(t *testing.T, changes []nestedChange) (made []madeChange) {
	sites := []site{newSite(t, 1), newSite(t, 2), newSite(t, 3)}
	values := []*nested{newNested(), newNested(), newNested()}
	for i, c := range changes {
		for _, seen := range c.sees {
			if changes[seen].site != c.site {
				values[c.site].Merge(made[seen].delta)
				if _, err := sites[c.site].Receive(made[seen].message); err != nil {
					t.Fatal(i, err)
				}
			}
		}
		delta, err := values[c.site].change(merge.Origin{15: byte(c.site + 1)}, c)
		if err != nil {
			t.Fatal(err)
		}
		message := sites[c.site].do(func(tx object.Tx) error {
			switch c.drop {
			case "outer":
				return shop.Remove(tx, "outer")
			case "inner":
				return nestedInner.Remove(tx, "inner")
			}
			return nestedCounter.Add(tx, c.n)
		})
		made = append(made, madeChange{delta, values[c.site].Clone(), message})
	}
	return made
}

// legalOrders yields the orders in which a change comes after all that it sees.
func legalOrders(changes []nestedChange) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var extend func(order []int) bool
		extend = func(order []int) bool {
			if len(order) == len(changes) {
				return yield(slices.Clone(order))
			}
			for i, c := range changes {
				ready := !slices.ContainsFunc(c.sees, func(s int) bool { return !slices.Contains(order, s) })
				if ready && !slices.Contains(order, i) && !extend(append(order, i)) {
					return false
				}
			}
			return true
		}
		extend(nil)
	}
}

// A field without an encoding fails every use, with the reason.
func TestFieldWithoutEncoding(t *testing.T) {
	long := object.At(shop, strings.Repeat("x", crdt.MaxElement), object.NewORSet[string])
	a := newSite(t, 1)
	if _, err := long.Has(a, "v"); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("Has = %v, want ErrValue", err)
	}
	if _, err := list(long.All(a)); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("All = %v, want ErrValue", err)
	}
	_, err := a.Do(1, func(tx object.Tx) error {
		if err := long.Add(tx, "v"); err == nil {
			t.Error("Add succeeds")
		}
		return nil
	})
	if !errors.Is(err, crdt.ErrValue) {
		t.Errorf("the transaction ends with %v, want ErrValue", err)
	}
	inner := object.At(object.At(shop, "\xff", object.NewORMap[string]), "f", object.NewORMap[string])
	if _, err := inner.Has(a, "f"); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("Has of a field within = %v, want ErrValue", err)
	}
	if _, err := inner.Len(a); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("Len of a field within = %v, want ErrValue", err)
	}
	if _, err := a.Do(1, func(tx object.Tx) error { return inner.Remove(tx, "f") }); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("Remove of a field within = %v, want ErrValue", err)
	}
}

// Fields nest up to a limit, which is an error and no panic.
func TestFieldTooDeep(t *testing.T) {
	m := shop
	for range crdt.MaxDepth - 1 {
		m = object.At(m, "f", object.NewORMap[string])
	}
	a := newSite(t, 1)
	a.do(func(tx object.Tx) error { return object.At(m, "f", object.NewGSet[string]).Add(tx, "x") })
	if has, err := m.Has(a, "f"); !has || err != nil {
		t.Errorf("the deepest field: %v, %v", has, err)
	}
	m = object.At(m, "f", object.NewORMap[string])
	_, err := a.Do(2, func(tx object.Tx) error { return object.At(m, "f", object.NewGSet[string]).Add(tx, "x") })
	if !errors.Is(err, crdt.ErrWrite) {
		t.Errorf("a field too deep = %v, want ErrWrite", err)
	}
}

// A map in any number of replicas has in its fields what the map of Go has, when
// changes do not cross.
func TestORMapFields(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := newSite(t, 1), newSite(t, 2)
	want := map[string]map[string]bool{}
	for range 300 {
		s, other, f, v := a, b, fmt.Sprint("f", rng.IntN(4)), fmt.Sprint("v", rng.IntN(4))
		if rng.IntN(2) == 0 {
			s, other = b, a
		}
		var m *op.Message
		switch rng.IntN(4) {
		case 0:
			m = s.removes(f)
			delete(want, f)
		case 1:
			m = s.do(func(tx object.Tx) error { return object.At(shop, f, object.NewORSet[string]).Remove(tx, v) })
			if delete(want[f], v); len(want[f]) == 0 {
				delete(want, f)
			}
		default:
			m = s.do(func(tx object.Tx) error { return object.At(shop, f, object.NewORSet[string]).Add(tx, v) })
			if want[f] == nil {
				want[f] = map[string]bool{}
			}
			want[f][v] = true
		}
		if m != nil {
			other.get(m)
		}
		if got, err := list(shop.Keys(other)); err != nil || got != fmt.Sprint(slices.Sorted(maps.Keys(want))) {
			t.Fatalf("fields %s, %v, want %v", got, err, slices.Sorted(maps.Keys(want)))
		}
		for f, set := range want {
			got, err := list(object.At(shop, f, object.NewORSet[string]).All(other))
			if err != nil || got != fmt.Sprint(slices.Sorted(maps.Keys(set))) {
				t.Fatalf("field %s has %s, %v, want %v", f, got, err, set)
			}
		}
	}
}

func ExampleAt() {
	cart := object.NewORMap[string]("cart")
	items := object.At(cart, "items", object.NewORSet[string])
	total := object.At(cart, "total", object.NewPNCounter)
	r := op.NewReplica(op.Config{Self: merge.Origin{15: 1}})
	_, err := r.Do(1, func(tx object.Tx) error {
		return errors.Join(items.Add(tx, "bread"), total.Add(tx, 250))
	})
	fields, _ := list(cart.Keys(r))
	fmt.Println(fields, err)
	_, err = r.Do(2, func(tx object.Tx) error { return cart.Remove(tx, "items") })
	fields, _ = list(cart.Keys(r))
	fmt.Println(fields, err)
	// Output:
	// [items total] <nil>
	// [total] <nil>
}
