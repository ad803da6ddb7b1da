package jsonvalue_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/crdt"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, cbor, back string }{
		{`null`, "f6", `null`},
		{` true `, "f5", `true`},
		{`"home"`, "64686f6d65", `"home"`},
		{`"\u0068ome"`, "64686f6d65", `"home"`},
		{`"<&>\u2028\n"`, "673c263ee280a80a", `"<&>\u2028\n"`},
		{`"\ud83d\ude00"`, "64f09f9880", `"😀"`},
		{`"\\ud800"`, "665c7564383030", `"\\ud800"`},
		{`0`, "00", `0`},
		{`-0`, "00", `0`},
		{`-1`, "20", `-1`},
		{`9007199254740993`, "1b0020000000000001", `9007199254740993`},
		{`18446744073709551615`, "1bffffffffffffffff", `18446744073709551615`},
		{`-9223372036854775808`, "3b7fffffffffffffff", `-9223372036854775808`},
		{`1.0`, "f93c00", `1.0`},
		{`-0.0`, "f98000", `-0.0`},
		{`1e3`, "f963d0", `1000.0`},
		{`0.1`, "fb3fb999999999999a", `0.1`},
		{`1e300`, "fb7e37e43c8800759c", `1e+300`},
		{`5e-324`, "fb0000000000000001", `5e-324`},
		{`[]`, "80", `[]`},
		{`[1, "a", [null]]`, "8301616181f6", `[1,"a",[null]]`},
		{`{}`, "a0", `{}`},
		{`{"b": 1, "a": 2, "aa": 3}`, "a361610261620162616103", `{"a":2,"aa":3,"b":1}`},
		{`{"$cbor": "4101"}`, "4101", `{"$cbor":"4101"}`},
		{`[{"$cbor": "f97e00"}]`, "81f97e00", `[{"$cbor":"f97e00"}]`},
		{`{"$cbor": "a10102"}`, "a10102", `{"$cbor":"a10102"}`},
		{`{"$cbor": "3bffffffffffffffff"}`, "3bffffffffffffffff", `{"$cbor":"3bffffffffffffffff"}`},
		{`{"$cbor": "a1652463626f72613a"}`, "a1652463626f72613a", `{"$cbor":"a1652463626f72613a"}`},
		{`{"$cbor": "4101", "x": 1}`, "a2617801652463626f726434313031", `{"$cbor":"4101","x":1}`},
	} {
		got, err := jsonvalue.Parse([]byte(c.text))
		if err != nil || hex.EncodeToString(got) != c.cbor {
			t.Errorf("Parse(%s) = %x, %v, want %s", c.text, []byte(got), err, c.cbor)
			continue
		}
		if back := got.Text(); back != c.back {
			t.Errorf("Parse(%s).Text() = %s, want %s", c.text, back, c.back)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", jsonvalue.MaxDepth+1) + strings.Repeat("]", jsonvalue.MaxDepth+1)
	for _, c := range []struct{ text, problem string }{
		{``, "unexpected end"},
		{`home`, "invalid character"},
		{`[1,]`, "invalid character"},
		{`{"a":1`, "unexpected end"},
		{`1 2`, "after top-level value"},
		{`01`, "after top-level value"},
		{`"a` + "\n" + `"`, "invalid character"},
		{"\"\xff\"", "not valid UTF-8"},
		{`"\ud800"`, "unpaired surrogate"},
		{`"\ud800\u0041"`, "unpaired surrogate"},
		{`"\ude00\ud83d"`, "unpaired surrogate"},
		{`"\ud83dxxxxxde00"`, "unpaired surrogate"},
		{`{"a":1,"b":2,"a":3}`, `"a" comes twice`},
		{`{"a":1,"\u0061":3}`, `"a" comes twice`},
		{`[{"a":{"b":1,"b":1}}]`, `"b" comes twice`},
		{deep, "nested too deep"},
		{strings.Repeat("[", 100_000), "max depth"},
		{`18446744073709551616`, "beyond 64 bits"},
		{`-9223372036854775809`, "beyond 64 bits"},
		{`1e400`, "beyond 64-bit floats"},
		{`{"$cbor": 1}`, "wants the hexadecimal"},
		{`{"$cbor": "0"}`, "wants the hexadecimal"},
		{`{"$cbor": "1800"}`, "not canonical"},
		{`{"$cbor": ""}`, "not canonical"},
		{`{"$cbor": "c100"}`, "not canonical"},
	} {
		v, err := jsonvalue.Parse([]byte(c.text))
		if err == nil || v != nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("Parse(%.40s) = %x, %v, want an error with %q", c.text, []byte(v), err, c.problem)
		}
		if !errors.Is(err, jsonvalue.ErrJSON) && !errors.Is(err, crdt.ErrValue) {
			t.Errorf("Parse(%.40s): %T is neither ErrJSON nor crdt.ErrValue", c.text, err)
		}
	}
}

func TestNestingUpToTheLimitIsKept(t *testing.T) {
	text := strings.Repeat("[", jsonvalue.MaxDepth) + strings.Repeat("]", jsonvalue.MaxDepth)
	v, err := jsonvalue.Parse([]byte(text))
	if err != nil || v.Text() != text {
		t.Errorf("Parse of %d levels = %s, %v", jsonvalue.MaxDepth, v.Text(), err)
	}
}

func TestFloatsKeepTheirBits(t *testing.T) {
	for _, f := range []float64{0, 1, -1, 0.1, math.Pi, math.MaxFloat64, math.SmallestNonzeroFloat64, 1e20, 1e21, 123456789012345680, float64(float32(0.1))} {
		b, err := crdt.EncodeValue(f)
		if err != nil {
			t.Fatal(err)
		}
		text := jsonvalue.Value(b).Text()
		if got, err := jsonvalue.Parse([]byte(text)); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%v prints %s, which is %x, %v, want %x", f, text, []byte(got), err, b)
		}
	}
}

func TestValueInJSON(t *testing.T) {
	type holder struct {
		V jsonvalue.Value `json:"v,omitzero"`
	}
	for text, want := range map[string]holder{
		`{}`:           {},
		`{"v":null}`:   {jsonvalue.Value{0xf6}},
		`{"v":[1,""]}`: {jsonvalue.Value{0x82, 0x01, 0x60}},
	} {
		var got holder
		if err := json.Unmarshal([]byte(text), &got); err != nil || !bytes.Equal(got.V, want.V) || (got.V == nil) != (want.V == nil) {
			t.Errorf("Unmarshal(%s) = %v, %v, want %v", text, got, err, want)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("Marshal = %s, %v, want %s", back, err, text)
		}
	}
}

func TestDamagedValueStillPrints(t *testing.T) {
	if got, want := jsonvalue.Value("\xff\x00").Text(), `{"$cbor":"ff00"}`; got != want {
		t.Errorf("Text = %s, want %s", got, want)
	}
}

// FuzzParse: what Parse takes is canonical, prints, and leads back to itself.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`null`, `[1,2.5,"x",{"k":[true]}]`, `{"$cbor":"4101"}`, `"\ud83d\ude00"`, `-1`, `1e9`, `{"a":{"$cbor":"a1652463626f72613a"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := jsonvalue.Parse(text)
		if err != nil {
			return
		}
		if err := crdt.CheckValue(v); err != nil {
			t.Fatalf("Parse(%q) is not canonical: %v", text, err)
		}
		printed, err := v.MarshalJSON()
		if err != nil {
			t.Fatalf("Parse(%q) does not print: %v", text, err)
		}
		if back, err := jsonvalue.Parse(printed); err != nil || !bytes.Equal(back, v) {
			t.Fatalf("%q prints %s, which is %x, %v, want %x", text, printed, []byte(back), err, []byte(v))
		}
	})
}

// FuzzText: every value that a space can hold has a text that leads back to it.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"00", "f97e00", "4101", "a10102", "a1652463626f72613a", "3bffffffffffffffff", "8201a16161f97c00"} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if crdt.CheckValue(b) != nil {
			return
		}
		text, err := jsonvalue.Value(b).MarshalJSON()
		if err != nil {
			t.Fatalf("%x does not print: %v", b, err)
		}
		if back, err := jsonvalue.Parse(text); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%x prints %s, which is %x, %v", b, text, []byte(back), err)
		}
	})
}

func ExampleParse() {
	v, err := jsonvalue.Parse([]byte(`{"b": [1, 1.5], "a": "x"}`))
	fmt.Printf("%x %v\n%s\n", []byte(v), err, v.Text())
	// Output:
	// a26161617861628201f93e00 <nil>
	// {"a":"x","b":[1,1.5]}
}
