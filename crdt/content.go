package crdt

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf8"
)

// encodeContent is EncodeValue for the content of a register, which must be
// readable as a T later.
func encodeContent[T any](v T) ([]byte, error) {
	b, err := EncodeValue(v)
	if err != nil {
		return nil, err
	}
	if err := checkReadable[T](b); err != nil {
		return nil, err
	}
	return b, nil
}

// checkContent returns a [*ValueError] unless b is canonical and readable as a T.
func checkContent[T any](b []byte) error {
	if err := CheckValue(b); err != nil {
		return err
	}
	return checkReadable[T](b)
}

// checkReadable decodes b, which is canonical. It need not for T any, which all
// canonical bytes can be read as, at up to 120 times their size.
func checkReadable[T any](b []byte) error {
	if _, ok := any((*T)(nil)).(*any); ok {
		return nil
	}
	_, err := DecodeValue[T](b)
	return err
}

// decodeContent reads what passed one of the checks above.
func decodeContent[T any](b []byte) T { return must(DecodeValue[T](b)) }

// setScalar makes c the canonical encoding of the value that v points to, and
// reports whether its type is one of the most frequent and it has one.
func setScalar[T any](c *fieldContent, v *T) bool {
	switch v := any(v).(type) {
	case *int:
		c.setHead(majorInt(int64(*v)), argument(int64(*v)))
	case *int64:
		c.setHead(majorInt(*v), argument(*v))
	case *uint64:
		c.setHead(majorUnsigned, *v)
	case *string:
		return c.setText(*v)
	default:
		return false
	}
	return true
}

// setHead makes c an initial byte and its argument, in one store if it can: what
// is stored in pieces is slow to copy.
func (c *fieldContent) setHead(major byte, arg uint64) {
	head := uint64(major << 5)
	switch {
	case arg < 24:
		head, c.size = head|arg, 1
	case arg <= math.MaxUint8:
		head, c.size = head|24|arg<<8, 2
	case arg <= math.MaxUint16:
		head, c.size = head|25|uint64(bits.ReverseBytes16(uint16(arg)))<<8, 3
	case arg <= math.MaxUint32:
		head, c.size = head|26|uint64(bits.ReverseBytes32(uint32(arg)))<<8, 5
	default:
		c.size = uint8(len(appendHead(c.short[:0], major, arg)))
		return
	}
	binary.LittleEndian.PutUint64(c.short[:], head)
}

// setText makes c a text string, if it is UTF-8.
func (c *fieldContent) setText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	if len(s) < shortContent {
		c.size = uint8(len(append(appendHead(c.short[:0], majorText, uint64(len(s))), s...)))
		return true
	}
	b := appendHead(make([]byte, 0, 9+len(s)), majorText, uint64(len(s)))
	*c = contentOf(append(b, s...))
	return true
}

// majorInt returns the major type of n: 0 or, below 0, 1.
func majorInt(n int64) byte { return byte(uint64(n) >> 63) }

// argument returns n or, below 0, -1-n.
func argument(n int64) uint64 { return uint64(n ^ n>>63) }

// appendHead appends the shortest form of an initial byte and its argument.
func appendHead(dst []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(dst, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(dst, major|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), arg)
}
