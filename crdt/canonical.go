package crdt

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The major types of CBOR (RFC 8949, section 3.1).
const (
	majorUnsigned = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// Bounds that the decoder of values keeps as well.
const (
	maxNesting = 32
	maxItems   = 1 << 20 // elements of an array, pairs of a map
)

// A canonScanner walks CBOR and stops at what is not in canonical form. It
// allocates nothing, whatever the bytes claim to hold.
type canonScanner struct {
	rest    []byte
	problem string // the first, empty while there is none
}

func (s *canonScanner) fail(problem string) {
	if s.problem == "" {
		s.problem = problem
	}
	s.rest = nil
}

// canonProblem returns why b is not one value in canonical form, or "".
func canonProblem(b []byte) string {
	s := canonScanner{rest: b}
	s.item(0)
	if s.problem == "" && len(s.rest) != 0 {
		return "trailing bytes"
	}
	return s.problem
}

// item takes one value off, which stands inside depth arrays and maps.
func (s *canonScanner) item(depth int) {
	major, arg := s.head()
	switch major {
	case majorUnsigned, majorNegative, majorSimple:
	case majorBytes, majorText:
		s.chars(major, arg)
	case majorArray, majorMap:
		s.items(major, arg, depth+1)
	default:
		s.fail("a tag")
	}
}

// head takes off an initial byte and its argument.
func (s *canonScanner) head() (major int, arg uint64) {
	if len(s.rest) == 0 {
		s.fail("truncated")
		return majorSimple, 0
	}
	major, arg = int(s.rest[0]>>5), uint64(s.rest[0]&0x1f)
	s.rest = s.rest[1:]
	if arg < 24 {
		if major == majorSimple && (arg < 20 || arg > 22) {
			s.fail("a simple value other than false, true and null")
		}
		return major, arg
	}
	if arg > 27 {
		s.fail("an indefinite length or a reserved byte")
		return major, 0
	}
	return major, s.argument(major, 1<<(arg-24))
}

// argument takes off an argument of width bytes, which must not fit in fewer.
func (s *canonScanner) argument(major, width int) uint64 {
	if len(s.rest) < width {
		s.fail("truncated")
		return 0
	}
	var wide [8]byte
	copy(wide[8-width:], s.rest[:width])
	s.rest = s.rest[width:]
	arg := binary.BigEndian.Uint64(wide[:])
	switch {
	case major == majorSimple:
		if !shortestFloat(width, arg) {
			s.fail("a simple value, or a float that is not in its shortest form")
		}
	case width == 1 && arg < 24, width > 1 && arg>>(4*width) == 0:
		s.fail("a number that is not in its shortest form")
	}
	return arg
}

// chars takes off the n bytes of a string.
func (s *canonScanner) chars(major int, n uint64) {
	if n > uint64(len(s.rest)) {
		s.fail("truncated")
		return
	}
	if major == majorText && !utf8.Valid(s.rest[:n]) {
		s.fail("text that is not UTF-8")
		return
	}
	s.rest = s.rest[n:]
}

// items takes off the n members of an array or a map.
func (s *canonScanner) items(major int, n uint64, depth int) {
	if depth > maxNesting || n > maxItems {
		s.fail("too deep or too many members")
		return
	}
	var last []byte
	for i := uint64(0); i < n && s.problem == ""; i++ {
		if major == majorMap {
			key := s.key()
			if i > 0 && bytes.Compare(last, key) >= 0 {
				s.fail("map keys out of order")
			}
			last = key
		}
		s.item(depth)
	}
}

// key takes a map key off and returns its encoding.
func (s *canonScanner) key() []byte {
	start := s.rest
	major, arg := s.head()
	switch {
	case major == majorBytes || major == majorText:
		s.chars(major, arg)
	case major > majorText || major == majorNegative && arg > math.MaxInt64:
		s.fail("a map key that is neither a string nor a 64-bit integer")
	}
	return start[:len(start)-len(s.rest)]
}

// shortestFloat reports whether the float of width bytes cannot be written in
// fewer. There is one NaN, and it has two bytes.
func shortestFloat(width int, bits uint64) bool {
	switch width {
	case 2:
		const nan, infinity = 0x7e00, 0x7c00
		return bits&0x7fff <= infinity || bits == nan
	case 4:
		f := math.Float32frombits(uint32(bits))
		return f == f && !fitsHalf(f)
	case 8:
		f := math.Float64frombits(bits)
		return f == f && float64(float32(f)) != f
	}
	return false
}

// fitsHalf reports whether f is a half-precision float without loss.
func fitsHalf(f float32) bool {
	switch a := math.Abs(float64(f)); {
	case a == 0 || math.IsInf(a, 1):
		return true
	case a >= 1<<16:
		return false
	default:
		// Half precision has 11 significant bits and no bit below 2^-24.
		_, exponent := math.Frexp(a)
		scaled := math.Ldexp(a, -max(exponent-11, -24))
		return scaled == math.Trunc(scaled)
	}
}
