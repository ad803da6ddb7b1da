package crdt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// goldenMaps returns the maps behind testdata/golden.txt.
func goldenMaps(t testing.TB) map[string]decodable {
	var nested nestedMap
	for _, at := range []struct{ f, g, v string }{{"f", "x", "1"}, {"f", "y", "2"}, {"g", "x", "3"}, {"f", "x", "4"}} {
		if _, err := nested.Apply(at.f, func(inner *setMap) (*setMap, error) {
			return addTo(t, inner, originA, at.g, at.v), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	removal := nested.Clone().Remove(originB, "f")
	var counters counterMap
	countIn(t, &counters, originA, "gone", 5)
	countIn(t, &counters, originB, "kept", -2)
	counters.Remove(originA, "gone")
	var a, b gsetField
	var x, y crdt.GSet[string]
	a.Join(originA, x.Add("x"))
	b.Join(originB, y.Add("y"))
	a.Merge(&b)
	return map[string]decodable{
		"ormap of maps": &nested, "ormap removal": removal, "ormap of counters": &counters, "nested two deltas": &a,
	}
}

func TestUnmarshalRefusesMaps(t *testing.T) {
	const (
		seenA = "01" + hexA + "01 00 01" // context of A: 1..2
		maps  = "05 6f726d6170"
		sets  = "05 6f72736574"
		set   = "01 02 6161 01 00 01" // {"a"} by (A, 1)
		inner = sets + "01 02 6178 07" + set
		one   = "01 02 6166"
	)
	for _, c := range []struct{ name, body, why string }{
		{"ormap", seenA, "no type"},
		{"ormap", seenA + sets + "00", "fields of another type"},
		{"ormap", seenA + maps + "00 00", "trailing bytes"},
		{"ormap", seenA + maps + "ffffffffffffffff7f", "a huge count"},
		{"ormap", seenA + maps + one, "no value"},
		{"ormap", seenA + maps + one + "ff7f" + inner, "a value beyond the input"},
		{"ormap", seenA + maps + one + "07" + sets + "00", "a field without fields"},
		{"ormap", seenA + maps + one + "0c" + sets + "01 02 6178 01 00", "a field with an empty set"},
		{"ormap", seenA + maps + one + "13" + inner + "00", "trailing bytes in a field"},
		{"ormap", seenA + maps + "02 02 02 6166 6167 12 12" + inner + inner, "a dot in two fields"},
		{"ormap", seenA + maps + "02 02 02 6167 6166 12 12" + inner + inner, "fields out of order"},
		{"ormap", seenA + maps + one + "12" + sets + "01 02 6178 07 01 02 6161 01 00 03", "an unseen dot"},
		{"ormap", seenA + maps + one + "12" + sets + "01 02 6178 07 01 02 6161 01 01 01", "an origin beyond the table"},
		{"ormap", seenA + maps + "01 01 05 12" + inner, "a field of another type than its key"},
		{"nested", seenA + "01 00 01", "no delta"},
		{"nested", seenA + "01 00 01 00", "an empty delta"},
		{"nested", seenA + "01 00 01 0c a30164677365740201034100", "a delta that holds nothing"},
		{"nested", seenA + "01 00 03 0f a301646773657402010344 01026161", "an unseen dot"},
		{"nested", seenA + "01 00 01 0f a301646773657402010344 01026161 00", "trailing bytes"},
	} {
		refuses(t, c.name, envelope(t, c.name, 1, unhex(t, c.body)), c.why)
	}
}

// manyFields is a map of n fields of the named type, of which each has the body
// that field returns, and as many dots of one origin.
func manyFields(t *testing.T, n int, name string, field func(i int) []byte) []byte {
	body := slices.Concat([]byte{1}, originA[:], binary.AppendUvarint([]byte{1, 0}, uint64(n-1)))
	body = append(append(body, byte(len(name))), name...)
	body = append(body, elements(t, n)...)
	for i := range n {
		body = binary.AppendUvarint(body, uint64(len(field(i))))
	}
	for i := range n {
		body = append(body, field(i)...)
	}
	return envelope(t, "ormap", 1, body)
}

// What is small on the wire and many small things in memory.
func TestMapDecodingMemory(t *testing.T) {
	const n = 1 << 14
	seq := func(i int) []byte { return binary.AppendUvarint(nil, uint64(i+1)) }
	set := func(i int) []byte { return append([]byte{1, 1, 0, 1, 0}, seq(i)...) }
	inner := func(i int) []byte {
		return slices.Concat([]byte("\x05orset"), []byte{1, 1, 0, byte(len(set(i)))}, set(i))
	}
	innermost := func(i int) []byte {
		return slices.Concat([]byte("\x05ormap"), []byte{1, 1, 0, byte(len(inner(i)))}, inner(i))
	}
	register := func(i int) []byte { return slices.Concat([]byte{1, 0}, seq(i), []byte{1, 0}) }
	share := func(int) []byte { return append(append([]byte{1}, originA[:]...), 1, 0, 0, 0) }
	delta := func(i int) []byte {
		b := mustMarshal(t, new(crdt.GSet[int]).Add(1))
		return slices.Concat([]byte{1, 0}, seq(i), []byte{byte(len(b))}, b)
	}
	type (
		sets      = crdt.ORMap[int, crdt.ORSet[int], *crdt.ORSet[int]]
		rwsets    = crdt.ORMap[int, crdt.RWSet[int], *crdt.RWSet[int]]
		setMaps   = crdt.ORMap[int, sets, *sets]
		deepMaps  = crdt.ORMap[int, setMaps, *setMaps]
		registers = crdt.ORMap[int, crdt.MVRegister[int], *crdt.MVRegister[int]]
		counters  = crdt.ORMap[int, crdt.PNCounter, *crdt.PNCounter]
		totals    = crdt.ORMap[int, crdt.GCounter, *crdt.GCounter]
		stocks    = crdt.ORMap[int, crdt.BoundedCounter, *crdt.BoundedCounter]
		votes     = crdt.ORMap[int, crdt.PNSet[int], *crdt.PNSet[int]]
		deltas    = crdt.ORMap[int, crdt.Nested[crdt.GSet[int], *crdt.GSet[int]], *crdt.Nested[crdt.GSet[int], *crdt.GSet[int]]]
	)
	for _, c := range []struct {
		into  decodable
		depth uint64 // fields in each other
		name  string
		field func(int) []byte
	}{
		{&sets{}, 1, "orset", set},
		{&rwsets{}, 1, "rwset", func(i int) []byte { return append(set(i), 1) }},
		{&setMaps{}, 2, "ormap", inner},
		{&deepMaps{}, 3, "ormap", innermost},
		{&registers{}, 1, "mvregister", register},
		{&counters{}, 1, "pncounter", share},
		{&deltas{}, 1, "nested", delta},
		{&totals{}, 1, "gcounter", func(int) []byte { return slices.Concat([]byte{1}, originA[:], []byte{1, 1}, originA[:], []byte{1}) }},
		{&stocks{}, 1, "bounded", func(int) []byte {
			return slices.Concat([]byte{1}, originA[:], []byte{1, 0, 0, 1}, originA[:], []byte{1, 0, 0})
		}},
		{&votes{}, 1, "pnset", func(int) []byte {
			return slices.Concat([]byte{1, 1, 0, 1, 1}, originA[:], []byte{0, 1, 0, 1, 0})
		}},
	} {
		b := manyFields(t, n, c.name, c.field)
		var err error
		got := allocated(func() { err = c.into.UnmarshalBinary(b) })
		if limit := memoryBound(len(b)) + 256*n*c.depth; err != nil || got > limit {
			t.Errorf("decoding %d bytes into a %T allocates %d, the limit is %d: %v", len(b), c.into, got, limit, err)
		}
		if again := mustMarshal(t, c.into); !bytes.Equal(again, b) {
			t.Errorf("%T encodes otherwise", c.into)
		}
	}
}

// The names of cells, and writes to them, that no writer makes.
func TestMapKindRefuses(t *testing.T) {
	a := element(t, "a")
	orset := []byte(path(t, a, "f", "orset"))
	deep := bytes.Repeat([]byte(path(t, nil, "f", "ormap")), crdt.MaxDepth)
	for _, c := range []struct {
		name  []byte
		write crdt.Write
		why   string
	}{
		{nil, put(dot(1, 1), nil), "no field"},
		{element(t, "f"), put(dot(1, 1), nil), "no type"},
		{append(element(t, "f"), 0x45, 'o', 'r', 's', 'e', 't'), put(dot(1, 1), nil), "a type that is not text"},
		{append([]byte{0x18, 1}, orset...), put(dot(1, 1), nil), "a field that is not canonical"},
		{[]byte(path(t, a, "f", "horse")), put(dot(1, 1), nil), "an unknown type"},
		{[]byte(path(t, nil, "f", "ormap")), put(dot(1, 1), nil), "a map without a field"},
		{append(deep, orset...), put(dot(1, 1), nil), "too many maps"},
		{[]byte(path(t, element(t, strings.Repeat("x", crdt.MaxElement-4)), "f", "orset")), put(dot(1, 1), nil), "a name over the limit"},
		{orset[:len(orset)-1], put(dot(1, 1), nil), "half an element"},
		{orset, put(dot(1, 1), []byte{1}), "a payload"},
		{orset, put(dot(1, 3), nil, dot(1, 3)), "a write that supersedes itself"},
		{[]byte(path(t, a, "f", "gset")), put(dot(1, 1), []byte{1}), "a payload of a grow-only set"},
		{[]byte(path(t, a, "f", "gset")), crdt.Write{Dot: dot(1, 1), Op: crdt.Op{Payload: []byte{1}}}, "a removal with a payload"},
		{[]byte(path(t, a, "f", "rwset")), crdt.Write{Dot: dot(1, 1), Op: crdt.Op{Payload: []byte{1}}}, "a removal with a payload"},
		{[]byte(path(t, nil, "f", "pncounter")), put(dot(1, 1), []byte{1, 0, 0, 0}), "a share of nobody"},
	} {
		c.write.Element = c.name
		if err := mapKind.Check(c.write); !errors.Is(err, crdt.ErrWrite) {
			t.Errorf("Check of %s = %v, want ErrWrite", c.why, err)
		}
	}
	w := put(dot(1, 1), nil)
	w.Element = []byte(path(t, a, "f", "ormap", "g", "horse"))
	if e, ok := errors.AsType[*crdt.UnknownKindError](mapKind.Check(w)); !ok || e.Name != "horse" || len(e.Known) != len(allKinds) {
		t.Errorf("Check of an unknown type = %v, want an *UnknownKindError", e)
	}
}

func TestDamagedCellsInFields(t *testing.T) {
	a := element(t, "a")
	good := append(append([]byte{1}, originA[:]...), 1, 8, 0, 0, 0, 0, 0, 0, 0, 1)
	for _, c := range []struct {
		name string
		cell []byte
	}{
		{path(t, a, "f", "orset"), []byte{0}},
		{path(t, a, "f", "gset"), []byte{}},
		{path(t, a, "f", "gset"), append(good[:18:18], 7, 0, 0, 0, 0, 0, 0, 0)},
		{path(t, a, "f", "gset"), append(good[:18:18], 9, 0, 0, 0, 0, 0, 0, 0, 1, 1)},
		{path(t, a, "f", "twopset"), good},
		{path(t, nil, "f", "lww"), good},
		{path(t, originA[:], "f", "pncounter"), []byte{1, 0, 2, 0}},
		{path(t, originA[:], "f", "gcounter"), []byte{1, 5, 6}},
		{path(t, originA[:], "f", "gcounter"), good},
		{path(t, originA[:], "f", "bounded"), []byte{3, 5, 0, 0, 5, 1, 0}},
	} {
		_, err := mapKind.State([]byte(c.name), c.cell)
		_, _, err2 := mapKind.ResetCell([]byte(c.name), c.cell)
		w := crdt.Write{Dot: dot(9, 9), Element: []byte(c.name)}
		_, err3 := mapKind.Join(c.cell, merge.ContextOf(), w)
		if !isCellError(err3) || err != nil && !isCellError(err) || err2 != nil && !isCellError(err2) {
			t.Errorf("the damaged cell %x: %v, %v, %v, want a *CellError of Join", c.cell, err, err2, err3)
		}
	}
}

func isCellError(err error) bool {
	_, ok := errors.AsType[*crdt.CellError](err)
	return ok
}
