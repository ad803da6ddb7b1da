package crdt_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/crdt"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCheckValueAcceptsWhatEncodeWrites(t *testing.T) {
	for _, v := range []any{
		nil, true, false, 0, 23, 24, -1, -24, -25, 255, 256, math.MaxUint16, 1 << 16, uint32(math.MaxUint32), int64(1 << 32),
		int64(math.MaxInt64), int64(math.MinInt64), uint64(math.MaxUint64),
		0.0, math.Copysign(0, -1), 1.5, -1.5, 2048.0, 2049.0, 65504.0, 65505.0, 65536.0, 1e10, math.Pi, float32(0.1), math.NaN(), math.Inf(1), math.Inf(-1),
		math.MaxFloat32, math.MaxFloat64, math.SmallestNonzeroFloat32, math.SmallestNonzeroFloat64,
		math.Ldexp(1, -14), math.Ldexp(1, -24), math.Ldexp(3, -24), math.Ldexp(1, -25), math.Ldexp(1023, -24),
		"", "a", strings.Repeat("x", 23), strings.Repeat("x", 24), strings.Repeat("é", 200), strings.Repeat("x", 70000),
		[]byte{},
		[]byte{0xff},
		[]any{},
		[]any{1, "two", []any{nil}},
		map[string]int{"b": 1, "a": 2, "aa": 3},
		map[int]string{-1: "x", 10: "y", 1000: "z"},
		map[any]int{"a": 1, 1: 2, -1: 3},
		struct {
			Name string `cbor:"1,keyasint"`
			Size int
		}{"n", 2},
	} {
		b, err := crdt.EncodeValue(v)
		if err != nil {
			t.Errorf("EncodeValue(%v) = %v", v, err)
			continue
		}
		if err := crdt.CheckValue(b); err != nil {
			t.Errorf("CheckValue(%x), the encoding of %v: %v", b, v, err)
		}
	}
}

func TestEncodeValueRefusesWhatPeersWould(t *testing.T) {
	for _, v := range []any{
		"\xff",
		[]string{"\xfe"},
		"long enough to take the slow path \xff", new(big.Int).Lsh(big.NewInt(1), 80),
		cbor.Tag{Number: 5, Content: 1},
		cbor.SimpleValue(16),
		map[[2]int]int{{1, 2}: 3},
		map[bool]int{true: 1},
		map[float64]int{1.5: 1},
		make(chan int), func() {}, nested(33),
		cbor.RawMessage{0x18, 0x01},
		[]cbor.RawMessage{{0x61, 0xff}},
	} {
		if b, err := crdt.EncodeValue(v); !errors.Is(err, crdt.ErrValue) {
			t.Errorf("EncodeValue(%T) = %x, %v, want ErrValue", v, b, err)
		}
	}
	if _, err := crdt.EncodeValue(nested(32)); err != nil {
		t.Errorf("32 levels: %v", err)
	}
}

func nested(levels int) any {
	v := any(0)
	for range levels {
		v = []any{v}
	}
	return v
}

func TestCheckValueRefuses(t *testing.T) {
	for _, s := range []string{
		"", "1800", "190001", "1a00000001", "1b0000000000000001", "1817", "61", "61ff", "7801", "780161", "81", "8100 00",
		"9f00ff", "5f4100ff", "ff", "fc", "f7", "e0", "f800", "f820", "c000", "a1", "a100", "a2010001 00", "a2020001 00", "a1810000",
		"a1f500", "a1f93c0000", "fa3fc00000", "fb3ff8000000000000", "f97e01", "fa7fc00000", "fb7ff8000000000000", "9a00100001", "ba00100001",
		"9bffffffffffffffff", "bbffffffffffffffff", "7bffffffffffffffff", "a13bffffffffffffffff00",
	} {
		err := crdt.CheckValue(unhex(t, s))
		if e, ok := errors.AsType[*crdt.ValueError](err); !ok || !errors.Is(err, crdt.ErrValue) || e.Error() == "" {
			t.Errorf("CheckValue(%s) = %v, want a *ValueError", s, err)
		}
	}
}

func TestCheckValueBoundsMembers(t *testing.T) {
	const limit = 1 << 20
	if err := crdt.CheckValue(append(unhex(t, "9a00100000"), make([]byte, limit)...)); err != nil {
		t.Errorf("an array of %d: %v", limit, err)
	}
	if err := crdt.CheckValue(append(unhex(t, "9a00100001"), make([]byte, limit+1)...)); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("an array of %d: %v, want ErrValue", limit+1, err)
	}
}

func TestElementLimit(t *testing.T) {
	fits, tooLong := strings.Repeat("x", crdt.MaxElement-3), strings.Repeat("x", crdt.MaxElement-2)
	b, err := crdt.EncodeElement(fits)
	if err != nil || crdt.CheckElement(b) != nil {
		t.Errorf("an element of %d bytes: %v", len(b), err)
	}
	if _, err := crdt.EncodeElement(tooLong); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("EncodeElement over the limit = %v", err)
	}
	b, err = crdt.EncodeValue(tooLong)
	if err != nil || !errors.Is(crdt.CheckElement(b), crdt.ErrValue) {
		t.Errorf("CheckElement(%d bytes) passed, %v", len(b), err)
	}
}

func TestDecodeValueReportsTheType(t *testing.T) {
	_, err := crdt.DecodeValue[int]([]byte{0x61, 'a'})
	if e, ok := errors.AsType[*crdt.ValueError](err); !ok || e.Unwrap() == nil || !strings.Contains(err.Error(), "not a int") {
		t.Errorf("DecodeValue[int](text) = %v", err)
	}
}

func TestCheckValueAllocatesNothing(t *testing.T) {
	bomb := append([]byte{0x9a, 0, 0x10, 0, 0}, bytes.Repeat([]byte{0xa1, 1, 1}, 1<<20)...)
	if n := testing.AllocsPerRun(1, func() {
		if err := crdt.CheckValue(bomb); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("CheckValue allocates %v times for a million maps, want 0", n)
	}
}

var (
	oracleDec, _ = cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid, MaxNestedLevels: 32,
	}.DecMode()
	oracleEnc, _ = cbor.CoreDetEncOptions().EncMode()
)

// decodesToItself is the definition that CheckValue implements without
// decoding: read as any value, and written again, b is b.
func decodesToItself(b []byte) bool {
	var v any
	if oracleDec.Unmarshal(b, &v) != nil || !plain(v) {
		return false
	}
	again, err := oracleEnc.Marshal(v)
	return err == nil && bytes.Equal(again, b)
}

func plain(v any) bool {
	switch v := v.(type) {
	case cbor.SimpleValue:
		return false
	case []any:
		for _, e := range v {
			if !plain(e) {
				return false
			}
		}
	case map[any]any:
		for k, e := range v {
			switch k.(type) {
			case string, cbor.ByteString, int64, uint64:
			default:
				return false
			}
			if !plain(e) {
				return false
			}
		}
	}
	return true
}

func FuzzCheckValue(f *testing.F) {
	for _, s := range []string{"00", "f97e00", "fa47800100", "f90001", "f98000", "fb3ff0000000000001", "a2016161 0203", "83010203", "3bffffffffffffffff", "6161", "4101", "a14101f6", "a120f4"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := crdt.CheckValue(b)
		if want := decodesToItself(b); want != (err == nil) {
			t.Fatalf("CheckValue(%x) = %v, decoding says %v", b, err, want)
		}
	})
}
