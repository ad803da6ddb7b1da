package crdt_test

import (
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

var allKinds = crdt.Builtin()

// origin returns the n-th origin of a test.
func origin(n int) merge.Origin {
	return merge.Origin{14: byte(n >> 8), 15: byte(n)}
}

func dot(n int, seq uint64) merge.Dot { return merge.Dot{Origin: origin(n), Seq: seq} }

func element(t testing.TB, v any) []byte {
	t.Helper()
	b, err := crdt.EncodeElement(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(d merge.Dot, payload []byte, seen ...merge.Dot) crdt.Write {
	return crdt.Write{Dot: d, Op: crdt.Op{Seen: merge.DotSetOf(seen...), Put: true, Payload: payload}}
}

// timed is a put at a time, as all of them are in use.
func timed(payload []byte, seen ...merge.Dot) crdt.Write {
	w := put(dot(1, 1), payload, seen...)
	w.Time = 1
	return w
}

func drop(d merge.Dot, seen ...merge.Dot) crdt.Write {
	return crdt.Write{Dot: d, Op: crdt.Op{Seen: merge.DotSetOf(seen...)}}
}

func TestKindNames(t *testing.T) {
	want := []string{
		"bounded", "dwflag", "ewflag", "gcounter", "gset", "lww", "lwwmap", "lwwset", "lwwset-remove",
		"mvregister", "ormap", "orset", "pncounter", "pnset", "rwset", "twopset", "uset",
	}
	if got := allKinds.Names(); len(got) != len(want) {
		t.Fatalf("Builtin has %v, want %v", got, want)
	}
	for i, name := range allKinds.Names() {
		if name != want[i] || allKinds[name].Name() != name {
			t.Errorf("name %d is %q, of kind %q, want %q", i, name, allKinds[name].Name(), want[i])
		}
	}
}

func TestCheckRefusesMalformedWrites(t *testing.T) {
	a, o := element(t, "a"), origin(1)
	added, share := []byte{1}, []byte{5, 2, 3, 1}
	long := append([]byte{0x59, 0x10, 0}, make([]byte, crdt.MaxElement)...)
	unsorted := put(dot(3, 9), nil)
	unsorted.Seen = merge.DotSet{dot(2, 1), dot(1, 1)}
	for _, c := range []struct {
		kind    crdt.Kind
		element []byte
		write   crdt.Write
		why     string
	}{
		{crdt.GSetKind, nil, put(dot(1, 1), nil), "no element"},
		{crdt.GSetKind, []byte{0x18, 1}, put(dot(1, 1), nil), "an element that is not canonical"},
		{crdt.GSetKind, long, put(dot(1, 1), nil), "an element over the limit"},
		{crdt.GSetKind, a, put(dot(1, 1), added), "a payload"},
		{crdt.GSetKind, a, drop(dot(1, 1)), "a removal"},
		{crdt.GSetKind, a, put(dot(1, 2), nil, dot(1, 1)), "superseded dots"},
		{crdt.TwoPSetKind, a, put(dot(1, 1), nil), "no stage"},
		{crdt.TwoPSetKind, a, put(dot(1, 1), []byte{0}), "stage 0"},
		{crdt.TwoPSetKind, a, put(dot(1, 1), []byte{3}), "stage 3"},
		{crdt.TwoPSetKind, a, put(dot(1, 1), []byte{1, 1}), "trailing bytes"},
		{crdt.TwoPSetKind, a, drop(dot(1, 1)), "a bare removal"},
		{crdt.PNCounterKind, a, put(dot(1, 1), share), "a cell that is no origin"},
		{crdt.PNCounterKind, o[:], put(dot(1, 1), nil), "no share"},
		{crdt.PNCounterKind, o[:], put(dot(1, 1), []byte{5, 2, 3}), "a truncated share"},
		{crdt.PNCounterKind, o[:], put(dot(1, 1), []byte{1, 0, 2, 0}), "a baseline above its count"},
		{crdt.PNCounterKind, o[:], put(dot(1, 1), []byte{0, 1, 0, 2}), "a lower baseline above its count"},
		{crdt.PNCounterKind, o[:], put(dot(1, 1), unhex(t, "80808080808080808001 00 00 00")), "a count of 2^63"},
		{crdt.PNCounterKind, o[:], put(dot(1, 1), []byte{0x80, 0, 0, 0, 0}), "an overlong number"},
		{crdt.ORSetKind, a, put(dot(1, 1), added), "a payload"},
		{crdt.ORSetKind, a, crdt.Write{Dot: dot(1, 1), Op: crdt.Op{Payload: added}}, "a removal with a payload"},
		{crdt.ORSetKind, nil, put(dot(1, 1), nil), "no element"},
		{crdt.ORSetKind, a, unsorted, "superseded dots out of order"},
		{crdt.ORSetKind, a, put(dot(1, 1), nil, merge.Dot{Origin: origin(1)}), "a superseded dot 0"},
		{crdt.ORSetKind, a, put(dot(1, 3), nil, dot(1, 3)), "a write that supersedes itself"},
		{crdt.RWSetKind, a, drop(dot(1, 1)), "a removal that stores nothing"},
		{crdt.RWSetKind, a, put(dot(1, 1), nil), "neither an add nor a remove"},
		{crdt.RWSetKind, a, put(dot(1, 1), []byte{2}), "an unknown polarity"},
		{crdt.MVKind, a, put(dot(1, 1), a), "a named cell"},
		{crdt.MVKind, nil, put(dot(1, 1), nil), "no value"},
		{crdt.MVKind, nil, put(dot(1, 1), []byte{0x61, 0xff}), "a value that is not UTF-8"},
		{crdt.LWWKind, a, put(dot(1, 1), a), "a named cell"},
		{crdt.LWWKind, nil, put(dot(1, 1), nil), "no value"},
		{crdt.LWWKind, nil, drop(dot(1, 1)), "no write"},
		{crdt.LWWKind, nil, put(dot(1, 3), a, dot(1, 1), dot(2, 1)), "two predecessors"},
		{crdt.LWWKind, nil, put(dot(1, 3), a, dot(1, 3)), "itself as predecessor"},
		{crdt.USetKind, a, put(dot(1, 1), added), "a payload"},
		{crdt.USetKind, a, put(dot(1, 2), nil, dot(1, 1)), "an add of what its author had"},
		{crdt.USetKind, a, crdt.Write{Dot: dot(1, 1), Op: crdt.Op{Payload: added}}, "a removal with a payload"},
		{crdt.LWWSetKind, nil, timed(added), "no element"},
		{crdt.LWWSetKind, a, timed(nil), "neither an add nor a remove"},
		{crdt.LWWSetKind, a, timed([]byte{2}), "an unknown polarity"},
		{crdt.LWWSetKind, a, timed(added, dot(2, 1)), "superseded dots"},
		{crdt.LWWSetKind, a, put(dot(1, 1), added), "no time"},
		{crdt.LWWSetKind, a, drop(dot(1, 1)), "a bare removal"},
		{crdt.RemoveBiasedLWWSetKind, a, put(dot(1, 1), added), "no time"},
		{crdt.PNSetKind, o[:15], put(dot(1, 1), share), "a cell that names no origin"},
		{crdt.PNSetKind, o[:], put(dot(1, 1), share), "a cell that names no element"},
		{crdt.PNSetKind, append([]byte{0x61, 0xff}, o[:]...), put(dot(1, 1), share), "an element that is not UTF-8"},
		{crdt.PNSetKind, append(a[:2:2], o[:]...), put(dot(1, 1), []byte{1, 0, 2, 0}), "a baseline above its count"},
		{crdt.LWWMapKind, nil, put(dot(1, 1), a), "no field"},
		{crdt.LWWMapKind, long, put(dot(1, 1), a), "a field over the limit"},
		{crdt.LWWMapKind, a, put(dot(1, 1), []byte{0x18, 1}), "a value that is not canonical"},
		{crdt.LWWMapKind, a, drop(dot(1, 1)), "a removal that is no write"},
		{crdt.LWWMapKind, a, put(dot(1, 3), a, dot(1, 1), dot(2, 1)), "two predecessors"},
	} {
		c.write.Element = c.element
		err := c.kind.Check(c.write)
		if e, ok := errors.AsType[*crdt.WriteError](err); !ok || e.Kind != c.kind.Name() || !errors.Is(err, crdt.ErrWrite) {
			t.Errorf("%s.Check of %s = %v, want a *WriteError", c.kind.Name(), c.why, err)
		}
	}
}

func TestDamagedCells(t *testing.T) {
	o := origin(1)
	dotted := func(payload string) []byte {
		return append(append([]byte{1}, o[:]...), unhex(t, "01"+payload)...)
	}
	two := append(append([]byte{2}, o[:]...), 1, 0)
	valid := map[string]crdt.Write{
		"gset": put(dot(1, 9), nil), "twopset": put(dot(1, 9), []byte{1}), "pncounter": put(dot(1, 9), []byte{1, 0, 0, 0}),
		"gcounter": put(dot(1, 9), []byte{1}), "bounded": put(dot(1, 9), []byte{1, 0, 0}), "ewflag": put(dot(1, 9), nil), "dwflag": put(dot(1, 9), []byte{1}),
		"orset": put(dot(1, 9), nil), "rwset": put(dot(1, 9), []byte{1}), "mvregister": put(dot(1, 9), []byte{1}), "lww": put(dot(1, 9), []byte{1}),
		"uset": put(dot(1, 9), nil), "lwwset": timed([]byte{1}), "lwwset-remove": timed([]byte{0}), "pnset": put(dot(1, 9), []byte{1, 0, 0, 0}),
		"lwwmap": put(dot(1, 9), nil),
	}
	stamp := append(append(unhex(t, "0000000000000001"), o[:]...), 1)
	for _, c := range []struct {
		kind string
		cell []byte
	}{
		{"gset", []byte{0}},
		{"twopset", []byte{}},
		{"twopset", []byte{0}},
		{"twopset", []byte{2, 0}},
		{"pncounter", []byte{}},
		{"pncounter", []byte{1, 0, 2, 0}},
		{"gcounter", []byte{}},
		{"gcounter", []byte{0}},
		{"gcounter", []byte{1, 1}},
		{"bounded", []byte{}},
		{"bounded", []byte{0, 0, 0}},
		{"bounded", []byte{1, 0, 1}},
		{"ewflag", []byte{0}},
		{"ewflag", dotted("0101")},
		{"dwflag", dotted("00")},
		{"dwflag", dotted("0102")},
		{"orset", []byte{}},
		{"orset", []byte{0}},
		{"orset", dotted("0101")},
		{"orset", dotted("00")[:18]},
		{"orset", append(append(append([]byte{2}, o[:]...), 1, 0), append(o[:], 1, 0)...)},
		{"orset", append(two, append(o[:], 0, 0)...)},
		{"orset", append(append([]byte{1}, o[:]...), unhex(t, "81808080808080801000")...)},
		{"rwset", dotted("00")},
		{"rwset", dotted("0102")},
		{"mvregister", dotted("00")},
		{"mvregister", dotted("0261ff")},
		{"lww", []byte{}},
		{"lww", stamp[:20]},
		{"lww", stamp},
		{"lww", append(stamp[:24:24], 0, 1)},
		{"lww", append(stamp[:25:25], 0x61, 0xff)},
		{"uset", []byte{}},
		{"uset", dotted("0101")},
		{"lwwset", []byte{}},
		{"lwwset", make([]byte, 16)},
		{"lwwset", append(stamp[:8:8], make([]byte, 7)...)},
		{"lwwset", append(stamp[:8:8], make([]byte, 9)...)},
		{"lwwset-remove", make([]byte, 16)},
		{"pnset", []byte{}},
		{"pnset", []byte{1, 0, 2, 0}},
		{"lwwmap", []byte{}},
		{"lwwmap", stamp[:24]},
		{"lwwmap", append(stamp[:24:24], 0, 1)},
		{"lwwmap", append(stamp[:25:25], 0x61, 0xff)},
	} {
		got, err := allKinds[c.kind].Join(c.cell, merge.ContextOf(), valid[c.kind])
		if e, ok := errors.AsType[*crdt.CellError](err); !ok || e.Kind != c.kind || e.Unwrap() == nil || got != nil {
			t.Errorf("%s.Join of the damaged cell %x = %x, %v, want a *CellError", c.kind, c.cell, got, err)
		}
	}
}
