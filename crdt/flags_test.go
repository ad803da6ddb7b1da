package crdt_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
)

// flagOp writes what an op does to the one cell of a flag.
func flagOp(c *cells, put bool, payload []byte) []cellOp {
	w, err := crdt.Supersede(c.at[""], put, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return []cellOp{{"", w}}
}

func isVerb(verb string) func(op) bool { return func(o op) bool { return o.verb == verb } }

var ewFlagForm = form[*crdt.EWFlag]{
	verbs:  []string{"enable", "disable"},
	bottom: func() *crdt.EWFlag { return &crdt.EWFlag{} },
	apply: func(f *crdt.EWFlag, o op) (*crdt.EWFlag, error) {
		if o.verb == "enable" {
			return f.Enable(o.origin()), nil
		}
		return f.Disable(o.origin()), nil
	},
	read:  func(f *crdt.EWFlag) string { return fmt.Sprint(f.Enabled()) },
	kind:  crdt.EWFlagKind,
	write: func(c *cells, o op) []cellOp { return flagOp(c, o.verb == "enable", nil) },
	show:  func(c *cells) string { return fmt.Sprint(c.at[""] != nil) },
	// Some enable that no disable has seen.
	spec: func(ops []op) string {
		return fmt.Sprint(some(ops, isVerb("enable"), func(e op) bool { return !some(ops, isVerb("disable"), seeing(e)) }))
	},
}

var dwFlagForm = form[*crdt.DWFlag]{
	verbs:  []string{"enable", "enable", "disable"},
	bottom: func() *crdt.DWFlag { return &crdt.DWFlag{} },
	apply: func(f *crdt.DWFlag, o op) (*crdt.DWFlag, error) {
		if o.verb == "enable" {
			return f.Enable(o.origin()), nil
		}
		return f.Disable(o.origin()), nil
	},
	read: func(f *crdt.DWFlag) string { return fmt.Sprint(f.Enabled()) },
	kind: crdt.DWFlagKind,
	write: func(c *cells, o op) []cellOp {
		if o.verb == "enable" {
			return flagOp(c, true, crdt.Added)
		}
		return flagOp(c, true, crdt.Removed)
	},
	show: func(c *cells) string {
		enabled, err := crdt.DWFlagEnabled(c.at[""])
		if err != nil {
			c.t.Fatal(err)
		}
		return fmt.Sprint(enabled)
	},
	// Enabled, and every disable has been seen by some enable.
	spec: func(ops []op) string {
		unseen := some(ops, isVerb("disable"), func(d op) bool { return !some(ops, isVerb("enable"), seeing(d)) })
		return fmt.Sprint(some(ops, isVerb("enable")) && !unseen)
	},
}

func TestEWFlagEnableWins(t *testing.T) {
	var a, b crdt.EWFlag
	if a.Enabled() {
		t.Error("the zero flag is enabled")
	}
	b.Merge(a.Enable(originA))
	disable := b.Disable(originB)
	if b.Enabled() {
		t.Error("a disable that has seen the enable leaves the flag enabled")
	}
	a.Enable(originA) // concurrent with the disable
	a.Merge(disable)
	b.Merge(&a)
	if !a.Enabled() || !b.Enabled() || !a.Equal(&b) {
		t.Errorf("enabled %t and %t, want the concurrent enable to win", a.Enabled(), b.Enabled())
	}
	a.Merge(b.Disable(originB))
	if a.Enabled() {
		t.Error("a disable that has seen everything leaves the flag enabled")
	}
}

func TestDWFlagDisableWins(t *testing.T) {
	var a, b crdt.DWFlag
	if a.Enabled() {
		t.Error("the zero flag is enabled")
	}
	enable := a.Enable(originA)
	disable := b.Disable(originB) // concurrent, of a flag that was not enabled
	a.Merge(disable)
	b.Merge(enable)
	if a.Enabled() || b.Enabled() || !a.Equal(&b) {
		t.Errorf("enabled %t and %t, want the concurrent disable to win", a.Enabled(), b.Enabled())
	}
	b.Merge(a.Enable(originA)) // has seen the disable
	if !b.Enabled() {
		t.Error("an enable that has seen the disable does not enable the flag")
	}
	b.Disable(originB)
	if b.Enabled() {
		t.Error("a disabled flag is enabled")
	}
}

// However often a flag changes, one dot is left.
func TestFlagGrowth(t *testing.T) {
	var e crdt.EWFlag
	var d crdt.DWFlag
	for range 1000 {
		e.Disable(originA)
		e.Enable(originA)
		d.Enable(originA)
		d.Disable(originA)
	}
	for _, v := range []decodable{&e, &d} {
		if n := len(mustMarshal(t, v)); n > 45 {
			t.Errorf("%T takes %d bytes after 2,000 changes", v, n)
		}
	}
	if !e.Enabled() || d.Enabled() || e.Context().Count() != 2000 || d.Context().Count() != 2000 {
		t.Errorf("enabled %t and %t after %d and %d changes", e.Enabled(), d.Enabled(), e.Context().Count(), d.Context().Count())
	}
}

func TestCheckRefusesCountersAndFlags(t *testing.T) {
	a, o, added := element(t, "a"), origin(1), []byte{1}
	for _, c := range []struct {
		kind    crdt.Kind
		element []byte
		write   crdt.Write
		why     string
	}{
		{crdt.GCounterKind, a, put(dot(1, 1), added), "a cell that is no origin"},
		{crdt.GCounterKind, o[:], put(dot(1, 1), nil), "no total"},
		{crdt.GCounterKind, o[:], put(dot(1, 1), []byte{0}), "a total of 0"},
		{crdt.GCounterKind, o[:], put(dot(2, 1), added), "the total of another"},
		{crdt.BoundedKind, a, put(dot(1, 1), []byte{1, 0, 0}), "a cell that is no origin"},
		{crdt.BoundedKind, o[:], put(dot(1, 1), []byte{0, 0, 0}), "an empty account"},
		{crdt.BoundedKind, o[:], put(dot(1, 1), []byte{1, 0, 1}), "a truncated account"},
		{crdt.BoundedKind, o[:], put(dot(2, 1), []byte{1, 0, 0}), "the account of another"},
		{crdt.EWFlagKind, a, put(dot(1, 1), nil), "a named cell"},
		{crdt.EWFlagKind, nil, put(dot(1, 1), added), "a payload"},
		{crdt.DWFlagKind, a, put(dot(1, 1), added), "a named cell"},
		{crdt.DWFlagKind, nil, put(dot(1, 1), nil), "neither enabled nor disabled"},
		{crdt.DWFlagKind, nil, drop(dot(1, 1)), "a removal that stores nothing"},
	} {
		c.write.Element = c.element
		if err := c.kind.Check(c.write); !errors.Is(err, crdt.ErrWrite) {
			t.Errorf("%s.Check of %s = %v, want ErrWrite", c.kind.Name(), c.why, err)
		}
	}
}

type (
	ewFlags = crdt.ORMap[string, crdt.EWFlag, *crdt.EWFlag]
	dwFlags = crdt.ORMap[string, crdt.DWFlag, *crdt.DWFlag]
)

// Removing a field resets the flag that its author saw: what was concurrent
// stays.
func TestFlagsInAMap(t *testing.T) {
	var a, b ewFlags
	on := func(f *crdt.EWFlag) (*crdt.EWFlag, error) { return f.Enable(originA), nil }
	b.Merge(mustApply(t, &a, on))
	remove := b.Remove(originB, "f")
	if b.Has("f") || !a.Has("f") {
		t.Fatalf("the field is there: %t and %t, want it removed at B", a.Has("f"), b.Has("f"))
	}
	mustApply(t, &a, on)
	a.Merge(remove)
	b.Merge(&a)
	if f, ok := b.Get("f"); !ok || !f.Enabled() || !a.Equal(&b) {
		t.Error("an enable concurrent with the removal of its field is lost")
	}
	var c dwFlags
	delta, err := c.Apply("f", func(f *crdt.DWFlag) (*crdt.DWFlag, error) { return f.Disable(originA), nil })
	if err != nil || !c.Has("f") {
		t.Fatalf("a disable leaves no field: %v", err)
	}
	var again dwFlags
	if err := again.UnmarshalBinary(mustMarshal(t, delta)); err != nil || !again.Equal(&c) {
		t.Errorf("a map of flags comes back otherwise: %v", err)
	}
	if c.Remove(originA, "f"); c.Has("f") {
		t.Error("a removed flag leaves its field")
	}
	var ew ewFlags
	if err := ew.UnmarshalBinary(mustMarshal(t, &a)); err != nil || !ew.Equal(&a) {
		t.Errorf("a map of flags comes back otherwise: %v", err)
	}
}

func mustApply(t *testing.T, m *ewFlags, mutate func(*crdt.EWFlag) (*crdt.EWFlag, error)) *ewFlags {
	t.Helper()
	delta, err := m.Apply("f", mutate)
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

// flagGoldens returns the lines of testdata/golden.txt about flags.
func flagGoldens() map[string]decodable {
	var e, f crdt.EWFlag
	e.Enable(originA)
	f.Enable(originB)
	e.Merge(&f)
	var d, other crdt.DWFlag
	d.Enable(originA)
	other.Disable(originB)
	d.Merge(&other)
	return map[string]decodable{"ewflag two enables": &e, "ewflag disable": e.Clone().Disable(originA), "dwflag conflict": &d}
}
