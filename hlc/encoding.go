package hlc

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	// BinaryLen is the length of a timestamp's binary form in bytes.
	BinaryLen = 8
	// TextLen is the length of a timestamp's text form in bytes.
	TextLen = 16

	digits = "0123456789abcdef"
)

// String returns 16 lower-case hexadecimal digits, so that the order of strings
// is the order of timestamps.
func (t Timestamp) String() string {
	var buf [TextLen]byte
	return string(t.appendText(buf[:0]))
}

func (t Timestamp) appendText(b []byte) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[t>>shift&0xf])
	}
	return b
}

// Parse reads the form that [Timestamp.String] writes and no other: exactly 16
// digits, letters in lower case. Anything else gives [*FormatError].
func Parse(s string) (Timestamp, error) {
	if len(s) != TextLen {
		return 0, textError(s, fmt.Sprintf("it has %d bytes", len(s)))
	}
	var t Timestamp
	for i := range len(s) {
		digit := strings.IndexByte(digits, s[i])
		if digit < 0 {
			return 0, textError(s, fmt.Sprintf("byte %d is %q", i, s[i]))
		}
		t = t<<4 | Timestamp(digit)
	}
	return t, nil
}

// AppendText appends the form of [Timestamp.String] to b. It never fails.
func (t Timestamp) AppendText(b []byte) ([]byte, error) { return t.appendText(b), nil }

// MarshalText returns the form of [Timestamp.String], which makes a timestamp
// a string in JSON: a JSON number would lose its low bits. It never fails.
func (t Timestamp) MarshalText() ([]byte, error) {
	return t.AppendText(make([]byte, 0, TextLen))
}

// UnmarshalText is [Parse] on text, which it does not retain. After an error t
// is unchanged.
func (t *Timestamp) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*t = parsed
	}
	return err
}

// AppendBinary appends 8 bytes, big-endian, to b, so that the order of bytes is
// the order of timestamps. It never fails.
func (t Timestamp) AppendBinary(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(b, uint64(t)), nil
}

// MarshalBinary returns the form of [Timestamp.AppendBinary]. It never fails.
func (t Timestamp) MarshalBinary() ([]byte, error) {
	return t.AppendBinary(make([]byte, 0, BinaryLen))
}

// DecodeBinary reads a timestamp from the first 8 bytes of b and returns what
// follows them, which shares b's memory. Fewer bytes give [*FormatError].
func DecodeBinary(b []byte) (t Timestamp, rest []byte, err error) {
	if len(b) < BinaryLen {
		return 0, nil, binaryError(len(b))
	}
	return Timestamp(binary.BigEndian.Uint64(b)), b[BinaryLen:], nil
}

// UnmarshalBinary reads the form of [Timestamp.AppendBinary] from b, which must
// be exactly 8 bytes and is not retained. Any other length gives [*FormatError]
// and leaves t unchanged.
func (t *Timestamp) UnmarshalBinary(b []byte) error {
	if len(b) != BinaryLen {
		return binaryError(len(b))
	}
	*t = Timestamp(binary.BigEndian.Uint64(b))
	return nil
}
