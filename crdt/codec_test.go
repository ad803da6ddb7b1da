package crdt_test

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A decodable is a stand-alone value whatever its type.
type decodable interface {
	encoding.BinaryMarshaler
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// blanks returns an empty value per type, by the name in the envelope.
func blanks() map[string]decodable {
	return map[string]decodable{
		"gset": &crdt.GSet[string]{}, "twopset": &crdt.TwoPSet[string]{}, "orset": &crdt.ORSet[string]{}, "rwset": &crdt.RWSet[string]{},
		"gcounter": &crdt.GCounter{}, "bounded": &crdt.BoundedCounter{}, "ewflag": &crdt.EWFlag{}, "dwflag": &crdt.DWFlag{},
		"pncounter": &crdt.PNCounter{}, "lww": &crdt.LWWRegister[string]{}, "mvregister": &crdt.MVRegister[string]{},
		"uset": &crdt.USet[string]{}, "lwwset": &crdt.LWWSet[string]{}, "lwwset-remove": &crdt.RemoveBiasedLWWSet[string]{},
		"pnset": &crdt.PNSet[string]{}, "lwwmap": &crdt.LWWMap[string, int]{},
		"ormap": &nestedMap{}, "nested": &gsetField{},
	}
}

// goldens returns the values behind testdata/golden.txt.
func goldens(t testing.TB) map[string]decodable {
	all := map[string]decodable{}
	for name, v := range blanks() {
		all[name+" empty"] = v
	}
	var g crdt.GSet[string]
	g.Add("b")
	g.Add("a")
	g.Add("aa")
	var p crdt.TwoPSet[int]
	for _, n := range []int{-1, 10, 1000} {
		if _, err := p.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	p.Remove(10)
	var o, remote orset
	o.Add(originA, "gone")
	delta := o.Add(originA, "kept")
	o.Remove(originA, "gone")
	remote.Add(originB, "kept")
	o.Merge(&remote)
	last := crdt.ORSet[string]{}
	last.Merge(delta)
	last.Merge(remote.Remove(originB, "kept"))
	var w, other crdt.RWSet[string]
	w.Add(originA, "x")
	w.Add(originA, "y")
	other.Remove(originB, "x")
	w.Merge(&other)
	var c crdt.PNCounter
	add(t, &c, originA, 300)
	add(t, &c, originB, -7)
	c.Reset()
	add(t, &c, originB, 1)
	var l crdt.LWWRegister[string]
	write(t, &l, 0x0123456789abcdef, originA, "value")
	var m, n crdt.MVRegister[string]
	set(t, &m, originA, "left")
	set(t, &n, originB, "right")
	m.Merge(&n)
	maps.Copy(all, stampedGoldens(t))
	for name, v := range map[string]decodable{
		"gset three": &g, "twopset one removed": &p, "orset two adds": &o, "orset delta with gap": &last,
		"rwset conflict": &w, "pncounter after reset": &c, "lww value": &l, "mvregister conflict": &m, "orset removal": o.Clone().Remove(originA, "kept"),
	} {
		all[name] = v
	}
	maps.Copy(all, goldenMaps(t))
	maps.Copy(all, counterGoldens(t))
	maps.Copy(all, fieldCounterGoldens(t))
	maps.Copy(all, flagGoldens())
	return all
}

func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "golden.txt")
	values := goldens(t)
	if *update {
		var lines []string
		for name, v := range values {
			lines = append(lines, fmt.Sprintf("%s: %x\n", name, mustMarshal(t, v)))
		}
		writeSorted(t, path, lines)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	if len(lines) != len(values) {
		t.Errorf("%s has %d lines, want %d", path, len(lines), len(values))
	}
	for _, line := range lines {
		name, digits, _ := strings.Cut(line, ": ")
		v, ok := values[name]
		if !ok {
			t.Errorf("%s: no value is called %q", path, name)
			continue
		}
		if got := hex.EncodeToString(mustMarshal(t, v)); got != digits {
			t.Errorf("%s is now\n%s, was\n%s", name, got, digits)
		}
		prefixed, err := v.AppendBinary([]byte("prefix"))
		if err != nil || string(prefixed) != "prefix"+string(unhex(t, digits)) {
			t.Errorf("%s: AppendBinary = %x, %v", name, prefixed, err)
		}
		if err := v.UnmarshalBinary(unhex(t, digits)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := hex.EncodeToString(mustMarshal(t, v)); got != digits {
			t.Errorf("%s is\n%s when decoded from\n%s", name, got, digits)
		}
	}
}

// What version 1 of the form wrote can still be read, and is written as version
// 2 now.
func TestGoldenVersion1(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "golden-v1.txt"))
	if err != nil {
		t.Fatal(err)
	}
	values := goldens(t)
	for line := range strings.Lines(string(file)) {
		label, digits, _ := strings.Cut(strings.TrimSpace(line), ": ")
		name, _, _ := strings.Cut(label, " ")
		old := blanks()[name]
		if err := old.UnmarshalBinary(unhex(t, digits)); err != nil {
			t.Errorf("%s: %v", label, err)
		}
		if got, want := mustMarshal(t, old), mustMarshal(t, values[label]); !bytes.Equal(got, want) {
			t.Errorf("%s is read from version 1 as %x, want %x", label, got, want)
		}
	}
}

// lastVersion is the version in which a type is written.
func lastVersion(name string) uint64 {
	if name == "orset" {
		return 2
	}
	return 1
}

// isOlder reports whether b is in a version that is read and no longer written.
func isOlder(b []byte) bool {
	const before = "\xa3\x01\x65orset\x02\x01"
	return len(b) > len(before) && string(b[:len(before)]) == before
}

// envelope returns a value's binary form with a body of the test's own.
func envelope(t testing.TB, name string, version uint64, body []byte) []byte {
	t.Helper()
	b, err := oracleEnc.Marshal(map[int]any{1: name, 2: version, 3: body})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	hexA = "00000000000000000000000000000001"
	hexB = "00000000000000000000000000000002"
)

func TestUnmarshalRefusesBodies(t *testing.T) {
	// context of A: 1..2, then one element "a" with the dot (A, 1)
	const seenA = "01" + hexA + "01 00 01"
	for _, c := range []struct{ name, body, why string }{
		{"gset", "", "no count"},
		{"gset", "01", "a count beyond the input"},
		{"gset", "ffffffffffffffff7f", "a huge count"},
		{"gset", "8000", "an overlong count"},
		{"gset", "01 02 61", "a truncated element"},
		{"gset", "01 02 6161 00", "trailing bytes"},
		{"gset", "01 00 00", "an empty element"},
		{"gset", "02 02 02 6162 6161", "elements out of order"},
		{"gset", "02 02 02 6161 6161", "an element twice"},
		{"gset", "01 01 05", "an element of another type"},
		{"gset", "01 03 780161", "an element that is not canonical"},
		{"gset", "01 02 61ff", "an element that is not UTF-8"},
		{"twopset", "01 02 6161", "no stage"},
		{"twopset", "01 02 6161 00", "stage 0"},
		{"twopset", "01 02 6161 03", "stage 3"},
		{"orset", "01" + hexA + "00 00", "an origin without runs"},
		{"orset", "01" + hexA + "01 00 ffffffffffffffff7f 00", "sequence numbers beyond the limit"},
		{"orset", "02" + hexB + "01 00 00" + hexA + "01 00 00" + "00", "origins out of order"},
		{"orset", "01" + hexA + "02 00 00 00 00 00", "runs that touch"},
		{"orset", seenA + "01 02 6161 00", "an element without dots"},
		{"orset", seenA + "01 02 6161 01 01 01", "an origin beyond the table"},
		{"orset", seenA + "01 02 6161 01 00 00", "sequence number 0"},
		{"orset", seenA + "01 02 6161 01 00 03", "an unseen dot"},
		{"orset", seenA + "01 02 6161 02 00 00 02 01", "dots out of order"},
		{"orset", seenA + "01 02 6161 02 00 00 01 01", "a dot twice"},
		{"orset", seenA + "02 02 02 6161 6162 01 01 00 00 01 01", "a dot at two elements"},
		{"orset", seenA + "01 02 6161 ffffffffffffffff7f", "a huge number of dots"},
		{"orset", seenA + "02 02 02 6161 6162 08 08 00 00 00 00 01 01", "more dots than input"},
		{"orset", seenA + "01 02 6161 01 00 01 00", "trailing bytes"},
		{"rwset", seenA + "01 02 6161 01 00 01", "no polarity"},
		{"rwset", seenA + "01 02 6161 01 00 01 02", "an unknown polarity"},
		{"pncounter", "01" + hexA + "01 00 00", "a truncated share"},
		{"pncounter", "01" + hexA + "00 00 00 00", "an empty share"},
		{"pncounter", "01" + hexA + "01 00 02 00", "a baseline above its count"},
		{"pncounter", "01" + hexA + "80808080808080808001 00 00 00", "a count of 2^63"},
		{"pncounter", "02" + hexA + hexA + "0101 0000 0000 0000", "an origin twice"},
		{"pncounter", "02" + hexB + hexA + "0101 0000 0000 0000", "origins out of order"},
		{"pncounter", "ffffffffffffffff7f", "a huge count"},
		{"gcounter", "01" + hexA, "no total"},
		{"gcounter", "01" + hexA + "00", "a total of 0"},
		{"gcounter", "01" + hexA + "80808080808080808001", "a total of 2^63"},
		{"gcounter", "02" + hexA + hexA + "0101", "an origin twice"},
		{"gcounter", "01" + hexA + "01 00", "trailing bytes"},
		{"bounded", "01" + hexA + "01 00", "a truncated account"},
		{"bounded", "01" + hexA + "00 00 00", "an empty account"},
		{"bounded", "01" + hexA + "80808080808080808001 00 00", "2^63 rights"},
		{"bounded", "01" + hexA + "05 80808080808080808001 00", "2^63 rights spent"},
		{"bounded", "01" + hexA + "05 00 01" + hexB + "00", "a gift of 0"},
		{"bounded", "01" + hexA + "05 00 02" + hexB + hexA + "01 01", "recipients out of order"},
		{"bounded", "02" + hexB + hexA + "010000 010000", "origins out of order"},
		{"bounded", "01" + hexA + "01 00 00 00", "trailing bytes"},
		{"ewflag", seenA, "no count"},
		{"ewflag", seenA + "02 00 00 02 01", "dots out of order"},
		{"ewflag", seenA + "01 00 03", "an unseen dot"},
		{"ewflag", seenA + "01 00 01 00", "trailing bytes"},
		{"dwflag", seenA + "01 00 01", "no polarity"},
		{"dwflag", seenA + "01 00 01 02", "an unknown polarity"},
		{"lww", "00", "a truncated stamp"},
		{"lww", "0000000000000001" + hexA, "no value"},
		{"lww", "0000000000000001" + hexA + "05", "a value of another type"},
		{"lww", "0000000000000001" + hexA + "616161", "a value and more"},
		{"mvregister", seenA + "01 00 01 02", "no value"},
		{"mvregister", seenA + "01 00 01 00 00", "an empty value"},
		{"mvregister", seenA + "01 00 01 01 05", "a value of another type"},
		{"mvregister", seenA + "02 00 00 02 01 02 02 6161 6162", "dots out of order"},
		{"mvregister", seenA + "01 00 03 02 6161", "an unseen dot"},
		{"mvregister", seenA + "01 00 01 02 6161 00", "trailing bytes"},
	} {
		refuses(t, c.name, envelope(t, c.name, 1, unhex(t, c.body)), c.why)
	}
}

func TestUnmarshalRefusesColumns(t *testing.T) {
	// Context of A: 1..20, of B: 2. Runs are "02 skipped taken", a bitmap "03 bits".
	const seen = "02" + hexA + "01 00 13" + hexB + "01 01 00"
	for _, c := range []struct{ body, why string }{
		{seen, "nothing of what is live"},
		{seen + "00 00", "no number of further dots"},
		{seen + "00 00 00 00", "trailing bytes"},
		{seen + "03 01 00 05 616262 00", "a body of less than it has"},
		{seen + "03 01 00 07 6162 00", "a body of more than it has"},
		{seen + "05 ffff 00 03 03 0e 6162636465666768696a6b6c6d6e6f70 00", "a bitmap no shorter than runs"},
		{seen + "02 01 01 00 03 61 00", "runs longer than a bitmap"},
		{seen + "04 00 0a 00 0a 00 03 03 12 6162636465666768696a6b6c6d6e6f7071727374 00", "runs that touch"},
		{seen + "02 12 00 00 00", "a run of nothing"},
		{seen + "02 00 15 00 03 03 13 6162636465666768696a6b6c6d6e6f707172737475 00", "more live than seen"},
		{seen + "02 13 02 00 03 03 00 6162 00", "more live than seen behind others"},
		{seen + "02 ffffffffffffffffff01 02 00 03 03 00 6162 00", "a run that begins beyond all numbers"},
		{seen + "00 03 02 03 61 00", "a bitmap of more than was seen"},
		{seen + "05 0100 00 03 61 00", "a bitmap that ends without a dot"},
		{seen + "01 00 00", "an empty bitmap"},
		{seen + "ffffffffffffffff7f 00 00", "a huge bitmap"},
		{seen + "feffffffffffffff7f 00 00", "a huge number of runs"},
		{seen + "03 03 00 03 6162 00", "one shape for two keys"},
		{seen + "03 03 00 03 03 01 616263 00", "more shapes than keys"},
		{seen + "03 0f 00 03 03 00 03 03 00 61626364 00", "a third shape on its own"},
		{seen + "03 01 00 00 00", "an empty key"},
		{seen + "03 01 00 8340 61 00", "a key over the limit"},
		{seen + "03 03 00 03 03 00 6161 00", "a key twice"},
		{seen + "03 03 00 04 05 6161 6161 00", "text as something else"},
		{seen + "03 01 00 02 05 00", "a number in a set of text"},
		{seen + "03 01 00 03 ff 00", "text that is not UTF-8"},
		{seen + "03 01 00 03 61 01 01 00 02", "a further dot of no key"},
		{seen + "03 01 00 03 61 01 00 02 02", "a further dot of no origin"},
		{seen + "03 01 00 03 61 01 00 00 01", "a further dot that is the first"},
		{seen + "03 01 00 03 61 01 00 00 15", "a further dot that is unseen"},
		{seen + "03 01 00 03 61 01 00 00 00", "a further dot with number 0"},
		{seen + "03 01 00 03 61 02 00 00 03 00 00 02", "further dots out of order"},
		{seen + "03 03 00 03 03 00 6162 01 00 00 02", "a dot at two keys"},
		{seen + "03 01 00 03 61 05 00 00 02", "more further dots than input"},
	} {
		refuses(t, "orset", envelope(t, "orset", 2, unhex(t, c.body)), c.why)
	}
	for _, body := range []string{
		seen + "00 00 00", seen + "02 00 10 00 03 03 0e 6162636465666768696a6b6c6d6e6f70 00",
		seen + "03 01 00 03 61 02 00 00 02 00 01 02", seen + "03 0a 00 05 03 616162 00",
	} {
		b := envelope(t, "orset", 2, unhex(t, body))
		var s orset
		if err := s.UnmarshalBinary(b); err != nil || !bytes.Equal(mustMarshal(t, &s), b) {
			t.Errorf("%s: %v, %x", body, err, mustMarshal(t, &s))
		}
	}
}

// refuses fails unless the named type refuses b, and keeps what it had.
func refuses(t *testing.T, name string, b []byte, why string) {
	t.Helper()
	full := goldens(t)
	for _, label := range []string{
		"gset three", "orset two adds", "rwset conflict", "pncounter after reset", "lww value", "mvregister conflict",
		"uset two", "lwwset two", "lwwset-remove two", "pnset counts", "lwwmap three", "ormap of maps", "nested two deltas",
		"gcounter two", "bounded two accounts", "ewflag two enables", "dwflag conflict",
	} {
		v := full[label]
		if !strings.HasPrefix(label, name+" ") {
			continue
		}
		before := mustMarshal(t, v)
		err := v.UnmarshalBinary(b)
		if !isDecodeError(err) {
			t.Errorf("%s with %s: error %v, want a *merge.FormatError or *crdt.ValueError", name, why, err)
		}
		if !bytes.Equal(mustMarshal(t, v), before) {
			t.Errorf("%s with %s changed the receiver", name, why)
		}
	}
	if err := blanks()[name].UnmarshalBinary(b); !isDecodeError(err) {
		t.Errorf("%s with %s: error %v, want a *merge.FormatError or *crdt.ValueError", name, why, err)
	}
}

func isDecodeError(err error) bool {
	_, format := errors.AsType[*merge.FormatError](err)
	_, value := errors.AsType[*crdt.ValueError](err)
	return format || value
}

func TestUnmarshalRefusesEnvelopes(t *testing.T) {
	for name, v := range blanks() {
		good := mustMarshal(t, v)
		body := good[bytes.LastIndexByte(good, 3)+2:]
		unknown, _ := oracleEnc.Marshal(map[int]any{1: name, 2: 1, 3: body, 4: 0})
		missing, _ := oracleEnc.Marshal(map[int]any{1: name, 2: 1})
		array, _ := oracleEnc.Marshal([]any{name, 1, body})
		tagged, _ := oracleEnc.Marshal(cbor.Tag{Number: 55799, Content: cbor.RawMessage(good)})
		for why, b := range map[string][]byte{
			"nothing": nil, "null": {0xf6}, "an array": array, "an unknown key": unknown, "a missing key": missing, "a tag": tagged,
			"trailing bytes":    append(bytes.Clone(good), 0),
			"another type":      envelope(t, "horse", lastVersion(name), body),
			"a newer version":   envelope(t, name, lastVersion(name)+1, body),
			"version 0":         envelope(t, name, 0, body),
			"an overlong count": append([]byte{0xb8, 3}, good[1:]...),
		} {
			refuses(t, name, b, why)
		}
	}
}

func TestElementsWithoutEncoding(t *testing.T) {
	type hidden struct{ n int }
	type nested struct {
		Name string
		X    [1]float64
	}
	pointer := new(int)
	noEncoding(t, math.Copysign(0, -1))
	noEncoding(t, nested{X: [1]float64{math.Copysign(0, -1)}})
	noEncoding(t, any(5)) // comes back as a uint64
	noEncoding(t, hidden{1})
	noEncoding(t, pointer)
	noEncoding(t, "\xff")
	noEncoding(t, strings.Repeat("x", crdt.MaxElement))
	noEncoding(t, make(chan int))
	noEncoding(t, error(crdt.ErrValue))
}

// As in a Go map, NaN is never found.
func TestNaNIsNoElement(t *testing.T) {
	var g crdt.GSet[float64]
	var o crdt.ORSet[float64]
	var w crdt.RWSet[float64]
	g.Add(math.NaN())
	o.Add(originA, math.NaN())
	w.Add(originA, math.NaN())
	if g.Has(math.NaN()) || o.Has(math.NaN()) || w.Has(math.NaN()) || o.Len() != 0 || w.Len() != 0 {
		t.Error("NaN was found")
	}
	if _, err := g.MarshalBinary(); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("a GSet with NaN encodes: %v", err)
	}
}

func noEncoding[T comparable](t *testing.T, v T) {
	t.Helper()
	var g crdt.GSet[T]
	var o crdt.ORSet[T]
	g.Add(v)
	o.Add(originA, v)
	for _, s := range []encoding.BinaryMarshaler{&g, &o} {
		if b, err := s.MarshalBinary(); !errors.Is(err, crdt.ErrValue) || b != nil {
			t.Errorf("%T of %v: %x, %v, want ErrValue", s, v, b, err)
		}
	}
}

func TestElementTypes(t *testing.T) {
	type key struct {
		Name  string
		Parts [2]int8
	}
	type label string
	roundTrips(t, 1, -1, math.MaxInt, math.MinInt)
	roundTrips(t, 1.5, 0.0, math.Inf(-1), math.MaxFloat64)
	roundTrips(t, key{"a", [2]int8{1, 2}}, key{})
	roundTrips(t, label("x"), "")
	roundTrips(t, true, false)
	roundTrips(t, originA, originB)
	roundTrips[any](t, "text", uint64(5), int64(-5), 1.5, true, nil)
}

func roundTrips[T comparable](t *testing.T, values ...T) {
	t.Helper()
	var s, got crdt.RWSet[T]
	for _, v := range values {
		s.Add(originA, v)
	}
	if err := got.UnmarshalBinary(mustMarshal(t, &s)); err != nil || !got.Equal(&s) {
		t.Errorf("a set of %v comes back otherwise: %v", values, err)
	}
}

// An element that decodes to something that cannot be a map key.
func TestIncomparableElement(t *testing.T) {
	for _, s := range []string{"01 02 8100", "01 01 a0", "01 03 f98000", "01 03 f97e00"} {
		var g crdt.GSet[any]
		if err := g.UnmarshalBinary(envelope(t, "gset", 1, unhex(t, s))); !errors.Is(err, crdt.ErrValue) {
			t.Errorf("decoding %s = %v, want ErrValue", s, err)
		}
	}
}

// Bytes that a lenient decoder reads as an element which encodes otherwise.
func TestElementOfMoreThanItsType(t *testing.T) {
	type name struct{ Name string }
	var g crdt.GSet[name]
	if err := g.UnmarshalBinary(envelope(t, "gset", 1, unhex(t, "01 0b a2617800644e616d656161"))); !isDecodeError(err) {
		t.Errorf("a struct with an unknown field: %v", err)
	}
	var o crdt.GSet[merge.Origin]
	if err := o.UnmarshalBinary(envelope(t, "gset", 1, unhex(t, "01 10 4f"+hexA[2:]))); !isDecodeError(err) {
		t.Errorf("an origin of 15 bytes: %v", err)
	}
}

func TestUnmarshalKeepsNothingOfItsInput(t *testing.T) {
	for name, v := range goldens(t) {
		b := mustMarshal(t, v)
		want := string(b)
		if err := v.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		clear(b)
		if got := mustMarshal(t, v); string(got) != want {
			t.Errorf("%s changes with the bytes that it was decoded from", name)
		}
	}
}

func writeSorted(t *testing.T, path string, lines []string) {
	t.Helper()
	slices.Sort(lines)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}
