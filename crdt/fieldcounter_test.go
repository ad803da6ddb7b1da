package crdt_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

type (
	totalMap = crdt.ORMap[string, crdt.GCounter, *crdt.GCounter]
	stockMap = crdt.ORMap[string, crdt.BoundedCounter, *crdt.BoundedCounter]
	votesMap = crdt.ORMap[string, crdt.PNSet[string], *crdt.PNSet[string]]
)

// upIn adds n to the counter in field "f".
func upIn(t testing.TB, m *totalMap, o merge.Origin, n uint64) *totalMap {
	t.Helper()
	delta, err := m.Apply("f", func(c *crdt.GCounter) (*crdt.GCounter, error) { return c.Add(o, n) })
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

// stockIn counts the counter in field "f" up or down.
func stockIn(t testing.TB, m *stockMap, o merge.Origin, n int) *stockMap {
	t.Helper()
	delta, err := m.Apply("f", func(c *crdt.BoundedCounter) (*crdt.BoundedCounter, error) {
		if n < 0 {
			return c.Dec(o, uint64(-n))
		}
		return c.Inc(o, uint64(n))
	})
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

// What is added at the time of a removal survives it, and no more.
func TestGCounterInMap(t *testing.T) {
	var a, b totalMap
	b.Merge(upIn(t, &a, originA, 5))
	late := upIn(t, &a, originA, 2)
	removal := b.Remove(originB, "f")
	if b.Has("f") || b.Len() != 0 {
		t.Error("the field is there after its removal")
	}
	b.Merge(late)
	a.Merge(removal)
	for _, m := range []*totalMap{&a, &b} {
		if c, ok := m.Get("f"); !ok || c.Value() != 2 {
			t.Errorf("the map has %v, want the 2 that were added at the time of the removal", c)
		}
	}
	c, _ := a.Get("f")
	var again crdt.GCounter
	if err := again.UnmarshalBinary(mustMarshal(t, c)); err != nil || !again.Equal(c) || again.Value() != 2 {
		t.Errorf("a counter of a map comes back as %d from its bytes: %v", again.Value(), err)
	}
	upIn(t, &a, originA, math.MaxInt64-7)
	if _, err := a.Apply("f", func(c *crdt.GCounter) (*crdt.GCounter, error) { return c.Add(originA, 1) }); !errors.Is(err, crdt.ErrOverflow) {
		t.Errorf("adding over 2^63-1 to what was reset: %v, want ErrOverflow", err)
	}
}

// Who spends rights that are removed at the same time owes them, to nobody.
func TestBoundedInMap(t *testing.T) {
	var a, b stockMap
	b.Merge(stockIn(t, &a, originA, 5))
	spent := stockIn(t, &a, originA, -3)
	removal := b.Remove(originB, "f")
	b.Merge(spent)
	a.Merge(removal)
	stockIn(t, &b, originB, 4)
	a.Merge(&b)
	wants := func(rightsA, value uint64) {
		t.Helper()
		c, ok := a.Get("f")
		if !ok || c.Rights(originA) != rightsA || c.Rights(originB) != 4 || c.Value() != value {
			t.Errorf("rights %d and %d, value %d, want %d, 4 and %d", c.Rights(originA), c.Rights(originB), c.Value(), rightsA, value)
		}
	}
	wants(0, 4)
	stockIn(t, &a, originA, 2)
	wants(0, 4)
	if _, err := a.Apply("f", func(c *crdt.BoundedCounter) (*crdt.BoundedCounter, error) { return c.Dec(originA, 1) }); !errors.Is(err, crdt.ErrRights) {
		t.Errorf("spending what is owed: %v, want ErrRights", err)
	}
	stockIn(t, &a, originA, 2)
	wants(1, 5)
	c, _ := a.Get("f")
	if account := c.Account(originA); account.Created != 4 || account.Spent != 3 {
		t.Errorf("what is left of the account is %+v, want 4 created and 3 spent", account)
	}
}

// What was spent before a removal is not there again after it.
func TestSpentInMapStaysSpent(t *testing.T) {
	var a, b stockMap
	stockIn(t, &a, originA, 1)
	stockIn(t, &a, originA, -1)
	b.Merge(&a)
	stockIn(t, &a, originA, 1)
	a.Merge(b.Remove(originB, "f"))
	if c, ok := a.Get("f"); !ok || c.Value() != 1 || c.Rights(originA) != 1 {
		t.Errorf("the map has %v, want the 1 that was counted at the time of the removal", c)
	}
}

// What was given away stays given: the removal of the field takes it from where
// it is.
func TestTransferInMap(t *testing.T) {
	var a, b stockMap
	b.Merge(stockIn(t, &a, originA, 5))
	given, err := a.Apply("f", func(c *crdt.BoundedCounter) (*crdt.BoundedCounter, error) { return c.Transfer(originA, originB, 3) })
	if err != nil {
		t.Fatal(err)
	}
	b.Merge(given)
	spent := stockIn(t, &b, originB, -1)
	a.Remove(originA, "f")
	if a.Merge(spent); a.Len() != 1 {
		t.Error("the field is gone with what was spent at the time of its removal")
	}
	if c, _ := a.Get("f"); c.Value() != 0 || c.Rights(originB) != 0 {
		t.Errorf("value %d, rights %d, want none", c.Value(), c.Rights(originB))
	}
	if a.Remove(originA, "f"); a.Len() != 0 {
		t.Error("the field is there after its second removal")
	}
}

// fieldCounterGoldens returns the lines of testdata/golden.txt about counters of
// which removals of their field have seen something.
func fieldCounterGoldens(t testing.TB) map[string]decodable {
	var totals totalMap
	upIn(t, &totals, originA, 300)
	totals.Remove(originB, "f")
	upIn(t, &totals, originA, 7)
	var stock stockMap
	stockIn(t, &stock, originA, 5)
	removal := stock.Clone().Remove(originB, "f")
	stockIn(t, &stock, originA, -3)
	stock.Merge(removal)
	var votes votesMap
	if _, err := votes.Apply("f", func(s *crdt.PNSet[string]) (*crdt.PNSet[string], error) { return s.Add(originA, "yes") }); err != nil {
		t.Fatal(err)
	}
	votes.Remove(originA, "f")
	total, _ := totals.Get("f")
	account, _ := stock.Get("f")
	return map[string]decodable{
		"gcounter of a map": total, "bounded of a map": account,
		"ormap of gcounters": &totals, "ormap of bounded": &stock, "ormap of pnsets": &votes,
	}
}

func TestUnmarshalRefusesGone(t *testing.T) {
	one := "01" + hexA
	for _, c := range []struct{ name, body, why string }{
		{"gcounter", one + "07 00", "a version for nothing that is gone"},
		{"gcounter", one + "07" + one + "08", "more gone than there was"},
		{"gcounter", one + "07 01" + hexB + "01", "somebody gone who never was"},
		{"gcounter", one + "07" + one + "00", "a gone total of 0"},
		{"gcounter", one + "07", "nothing about what is gone"},
		{"gcounter", one + "07" + one + "07 00", "trailing bytes"},
		{"bounded", one + "05 00 00 00", "a version for nothing that is gone"},
		{"bounded", one + "05 00 00" + one + "05 01 00", "more gone than there was"},
		{"bounded", one + "05 00 00" + one + "00 00 01" + hexB + "01", "a gift gone that never was"},
	} {
		refuses(t, c.name, envelope(t, c.name, 2, unhex(t, c.body)), c.why)
	}
}

// A cell in a field is written by its origin, and reset by anybody.
func TestFieldCounterWrites(t *testing.T) {
	own, other := path(t, originA[:], "f", "gcounter"), path(t, originB[:], "f", "gcounter")
	for _, c := range []struct {
		cell    string
		payload string
		ok      bool
		why     string
	}{
		{own, "01 05", true, "an own total"},
		{own, "01 05 02", true, "an own total of which a part is gone"},
		{own, "01 05 05", true, "an own reset"},
		{other, "01 05 05", true, "a reset of another"},
		{other, "01 05 04", false, "a total of another"},
		{other, "01 05", false, "a total of another"},
		{own, "01 05 06", false, "more gone than there was"},
		{own, "01 05 00", false, "nothing gone, in a byte"},
		{own, "01 00", false, "a total of 0"},
		{own, "00", false, "no total"},
		{own, "05", false, "the total of a counter that is in no field"},
		{own, "01 05 05 00", false, "trailing bytes"},
		{path(t, nil, "f", "gcounter"), "01 05", false, "a total of nobody"},
		{path(t, originA[:], "f", "bounded"), "03 05 00 00 02 00 00", true, "an account"},
		{path(t, originA[:], "f", "bounded"), "03 05 00 00 02 01 00", false, "more spending gone than there was"},
	} {
		w := put(dot(1, 1), unhex(t, c.payload))
		w.Element = []byte(c.cell)
		if err := mapKind.Check(w); c.ok != (err == nil) || !c.ok && !errors.Is(err, crdt.ErrWrite) {
			t.Errorf("Check of %s = %v", c.why, err)
		}
	}
	bare := crdt.Write{Dot: dot(1, 2), Element: []byte(own), Op: crdt.Op{Seen: merge.DotSet{dot(1, 1)}}}
	if err := mapKind.Check(bare); !errors.Is(err, crdt.ErrWrite) {
		t.Errorf("Check of a removal of dots = %v, want ErrWrite", err)
	}
}

// The writes of a counter become those of a field, above what is gone.
func TestFieldCounterOps(t *testing.T) {
	name := []byte(path(t, originA[:], "f", "gcounter"))
	total := func(n crdt.Total) crdt.Write {
		payload, _ := n.AppendBinary(nil)
		w := put(dot(1, 9), payload)
		w.Element = name
		return w
	}
	cell := unhex(t, "01 07 05")
	if op, err := mapKind.InField(total(3), nil, cell); err != nil || !bytes.Equal(op.Payload, unhex(t, "01 08 05")) {
		t.Errorf("a total of 3 above 5 that are gone is %x, %v", op.Payload, err)
	}
	if _, err := mapKind.InField(total(math.MaxInt64-4), nil, cell); !errors.Is(err, crdt.ErrOverflow) {
		t.Errorf("a total over 2^63-1 above what is gone: %v, want ErrOverflow", err)
	}
	if state, err := mapKind.State(name, cell); err != nil || !bytes.Equal(state, []byte{2}) {
		t.Errorf("the state is %x, %v, want 2", state, err)
	}
	reset, needed, err := mapKind.ResetCell(name, cell)
	if err != nil || !needed || !bytes.Equal(reset.Payload, unhex(t, "01 07 07")) {
		t.Errorf("the reset is %x, %v, %v", reset.Payload, needed, err)
	}
	if state, err := mapKind.State(name, reset.Payload); err != nil || state != nil {
		t.Errorf("the state after a reset is %x, %v, want none", state, err)
	}
	if _, needed, err := mapKind.ResetCell(name, reset.Payload); err != nil || needed {
		t.Errorf("a second reset: %v, %v, want none", needed, err)
	}
}
