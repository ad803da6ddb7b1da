package columns

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
)

// MaxKey is the largest key, in bytes.
const MaxKey = 4 << 10

// The major types of CBOR that the package tells from others.
const (
	majorUnsigned = 0
	majorNegative = 1
	majorText     = 3
)

// A Key is one item of canonical CBOR of at most [MaxKey] bytes, whole or in
// parts, so that a caller needs no memory to make one. The zero Key is invalid.
type Key struct {
	head [9]byte // initial byte and argument
	n    uint8   // how many bytes of head there are
	text string  // what follows it
	raw  []byte  // and what follows that
}

// Text returns the key of s, which is valid UTF-8. It keeps s.
func Text(s string) (k Key) {
	k.text = s
	k.setHead(majorText, uint64(len(s)))
	return k
}

// Int returns the key of an integer.
func Int(v int64) (k Key) {
	if v < 0 {
		k.setHead(majorNegative, uint64(-(v + 1)))
	} else {
		k.setHead(majorUnsigned, uint64(v))
	}
	return k
}

// Uint returns the key of an integer.
func Uint(v uint64) (k Key) {
	k.setHead(majorUnsigned, v)
	return k
}

// Raw returns the key b, and keeps b.
func Raw(b []byte) Key { return Key{raw: b} }

func (k *Key) setHead(major byte, arg uint64) {
	if arg < 24 {
		k.head[0], k.n = major<<5|byte(arg), 1
		return
	}
	k.n = uint8(len(appendHead(k.head[:0], major, arg)))
}

// appendHead appends the initial byte and the argument of an item, in the fewest
// bytes.
func appendHead(b []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg < 1<<8:
		return append(b, major|24, byte(arg))
	case arg < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(arg))
	case arg < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), arg)
}

// textHead returns the length of the head of a text item whose initial byte is
// given, or 0 if it is none.
func textHead(initial byte) int {
	switch {
	case initial>>5 != majorText:
		return 0
	case initial&0x1f < 24:
		return 1
	}
	return 1 + 1<<(initial&0x1f-24)
}

func (k *Key) size() int { return int(k.n) + len(k.text) + len(k.raw) }

// appendTo appends the item.
func (k *Key) appendTo(b []byte) []byte {
	return append(append(append(b, k.head[:k.n]...), k.text...), k.raw...)
}

// is reports whether the item is b.
func (k *Key) is(b []byte) bool {
	n := int(k.n)
	if len(b) != n+len(k.text)+len(k.raw) || n > 0 && (b[0] != k.head[0] || n > 1 && !bytes.Equal(b[1:n], k.head[1:n])) {
		return false
	}
	return string(b[n:n+len(k.text)]) == k.text && bytes.Equal(b[n+len(k.text):], k.raw)
}

// tag returns 32 bits, not all 0, of the hash of the key: of the characters alone if it is
// text, so that all ways to make it have the same.
func (k *Key) tag(seed maphash.Seed) uint32 { return max(1, uint32(k.hash(seed)>>32)) }

func (k *Key) hash(seed maphash.Seed) uint64 {
	switch {
	case k.n == 0:
		return maphash.Bytes(seed, k.raw[textHead(k.raw[0]):])
	case k.head[0]>>5 != majorText:
		return maphash.Bytes(seed, k.head[:k.n])
	case k.raw != nil:
		return maphash.Bytes(seed, k.raw)
	}
	return maphash.String(seed, k.text)
}

// TextOf returns the characters of a text item.
func TextOf(key []byte) string { return string(key[textHead(key[0]):]) }

// IntOf returns the value of an integer item, if it is one and fits.
func IntOf(key []byte) (v int64, ok bool) {
	arg, major := argument(key), key[0]>>5
	switch {
	case major > majorNegative || arg > math.MaxInt64:
		return 0, false
	case major == majorNegative:
		return -int64(arg) - 1, true
	}
	return int64(arg), true
}

// UintOf returns the value of an integer item, if it is one and not negative.
func UintOf(key []byte) (v uint64, ok bool) { return argument(key), key[0]>>5 == majorUnsigned }

// argument returns the argument of an item.
func argument(key []byte) uint64 {
	arg := uint64(key[0] & 0x1f)
	if arg < 24 {
		return arg
	}
	arg = 0
	for _, b := range key[1 : 1+1<<(key[0]&0x1f-24)] {
		arg = arg<<8 | uint64(b)
	}
	return arg
}
