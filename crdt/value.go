package crdt

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// MaxElement is the largest encoding, in bytes, of a set element or map key.
const MaxElement = 4 << 10

// ErrValue is the kind of every [*ValueError].
var ErrValue = errors.New("crdt: unusable value")

// A ValueError reports a value that cannot be an element or the content of a
// register, or bytes that are not the canonical encoding of one.
type ValueError struct {
	Problem string
	Err     error // cause, may be nil
}

// Error says what is wrong.
func (e *ValueError) Error() string {
	if e.Err == nil {
		return "crdt: " + e.Problem
	}
	return fmt.Sprintf("crdt: %s: %v", e.Problem, e.Err)
}

// Is makes a ValueError match [ErrValue].
func (e *ValueError) Is(target error) bool { return target == ErrValue }

// Unwrap returns the cause.
func (e *ValueError) Unwrap() error { return e.Err }

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  maxNesting,
		MaxArrayElements: maxItems,
		MaxMapPairs:      maxItems,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// EncodeValue returns the canonical CBOR of v: equal values have equal bytes. A
// [cbor.RawMessage] stands for itself. What [CheckValue] would refuse from
// another replica is a [*ValueError] here already: functions and channels, text
// that is not UTF-8, tags, map keys that are not strings or integers.
func EncodeValue(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, &ValueError{"a value that cannot be encoded", err}
	}
	if err := CheckValue(b); err != nil {
		return nil, err
	}
	return b, nil
}

// EncodeElement is EncodeValue for what is used as a key: beyond [MaxElement]
// bytes it is a [*ValueError].
func EncodeElement(v any) ([]byte, error) {
	b, err := EncodeValue(v)
	if err == nil && len(b) > MaxElement {
		return nil, &ValueError{fmt.Sprintf("an element of %d bytes, the limit is %d", len(b), MaxElement), nil}
	}
	return b, err
}

// DecodeValue reads what EncodeValue wrote. Bytes that hold something else than
// a T are a [*ValueError].
func DecodeValue[T any](b []byte) (v T, err error) {
	if err := decMode.Unmarshal(b, &v); err != nil {
		return v, &ValueError{fmt.Sprintf("not a %T", v), err}
	}
	return v, nil
}

// CheckValue returns a [*ValueError] unless b is one value in canonical CBOR:
// the core deterministic encoding (RFC 8949, section 4.2.1) of integers, byte
// strings, UTF-8 text, floats, false, true, null, and arrays and maps of them,
// nested at most 32 deep, with strings and 64-bit integers as map keys. It
// allocates nothing unless it fails.
func CheckValue(b []byte) error {
	if isCanonicalText(b) {
		return nil
	}
	if problem := canonProblem(b); problem != "" {
		return &ValueError{"bytes that are not canonical CBOR: " + problem, nil}
	}
	return nil
}

// isCanonicalText recognises a short text string, by far the most frequent
// element, without decoding it.
func isCanonicalText(b []byte) bool {
	const text = 0x60
	switch {
	case len(b) == 0:
		return false
	case b[0] >= text && b[0] < text+24:
		return len(b) == 1+int(b[0]-text) && utf8.Valid(b[1:])
	case b[0] == text+24 && len(b) > 1:
		return b[1] >= 24 && len(b) == 2+int(b[1]) && utf8.Valid(b[2:])
	}
	return false
}
