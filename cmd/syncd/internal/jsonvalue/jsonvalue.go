// Package jsonvalue maps JSON texts to the canonical CBOR in which elements and
// values are kept, and back.
//
// # Guarantees
//
//   - Each value that a space can hold has a JSON text that leads back to it,
//     byte for byte.
//   - Equal JSON values give equal bytes, whatever the order of keys, the white
//     space and the escapes.
//
// A number without fraction and exponent is an integer, exact in 64 bits
// (-2^63 to 2^64-1); any other is a 64-bit float, and prints with a fraction or
// an exponent. What JSON cannot say (byte strings, integer keys, integers below
// -2^63, infinities) is {"$cbor": "..."} with its encoding in hexadecimal, and
// so is an object whose only key is "$cbor".
//
// # Limits
//
// Text must be valid UTF-8 without unpaired surrogates, keys must not repeat,
// and nesting ends at [MaxDepth].
package jsonvalue

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/crdt"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 32

// escapeKey marks an object that stands for what JSON cannot say.
const escapeKey = "$cbor"

// ErrJSON is the kind of every [*Error].
var ErrJSON = errors.New("json: unusable text")

// An Error reports a JSON text that stands for no value.
type Error struct {
	Problem string
	Offset  int64 // in bytes, -1 if it is unknown
}

// Error says what is wrong and where.
func (e *Error) Error() string {
	if e.Offset < 0 {
		return "json: " + e.Problem
	}
	return fmt.Sprintf("json: at byte %d: %s", e.Offset, e.Problem)
}

// Is makes an Error match [ErrJSON].
func (e *Error) Is(target error) bool { return target == ErrJSON }

// A Value is one value in canonical CBOR; nil is no value. In JSON it is the
// value itself, and in CBOR too, so that it can be the T of any typed reference.
type Value []byte

// Parse returns the value that a JSON text stands for, or an [*Error] or a
// [*crdt.ValueError].
func Parse(text []byte) (Value, error) {
	v, err := decode(text, MaxDepth)
	if err != nil {
		return nil, err
	}
	b, err := crdt.EncodeValue(v)
	return b, err
}

// String returns the value of a text, which must be valid UTF-8.
func String(s string) (Value, error) {
	b, err := crdt.EncodeValue(s)
	return b, err
}

// Text returns the JSON text, and for no value "null".
func (v Value) Text() string {
	b, err := v.MarshalJSON()
	if err != nil {
		return fmt.Sprintf("{%q:\"%x\"}", escapeKey, []byte(v))
	}
	return string(b)
}

// MarshalJSON returns the JSON text.
func (v Value) MarshalJSON() ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	x, err := crdt.DecodeValue[any](v)
	if err != nil {
		return nil, err
	}
	return appendJSON(nil, x)
}

// UnmarshalJSON sets the value to that of the text. The JSON null is a value.
func (v *Value) UnmarshalJSON(text []byte) (err error) {
	*v, err = Parse(text)
	return err
}

// MarshalCBOR returns a copy of the value.
func (v Value) MarshalCBOR() ([]byte, error) { return cbor.RawMessage(v).MarshalCBOR() }

// UnmarshalCBOR keeps a copy of b.
func (v *Value) UnmarshalCBOR(b []byte) error {
	*v = append(Value{}, b...)
	return nil
}
