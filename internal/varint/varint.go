// Package varint reads and writes the columns that the binary forms of merge,
// crdt and sync are made of: minimal unsigned varints, length-prefixed byte
// strings and fixed-width fields.
//
// Reading is strict: one value has one encoding, and every length is checked
// against the bytes that are there before anything is allocated.
package varint

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFormat is the kind of every [*FormatError].
var ErrFormat = errors.New("malformed bytes")

// A FormatError reports bytes that no encoder of ours writes.
type FormatError struct {
	What    string // what was being read
	Offset  int    // position in bytes
	Problem string // what is wrong there
}

// Error names the place and the problem.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s at byte %d", e.What, e.Problem, e.Offset)
}

// Is makes a FormatError match [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// AppendBytes appends the length of b and b.
func AppendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// AppendString appends the length of s and s.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// A Reader takes fields off a byte slice. The first problem sticks: later reads
// return zero values and Err and Done return it.
type Reader struct {
	what string
	buf  []byte
	off  int
	err  error
}

// NewReader reads b; what names the thing read in errors.
func NewReader(what string, b []byte) *Reader { return &Reader{what: what, buf: b} }

// Err returns the first problem.
func (r *Reader) Err() error { return r.err }

// Fail records a problem found by the caller, unless there was one before.
func (r *Reader) Fail(problem string) {
	if r.err == nil {
		r.err = &FormatError{What: r.what, Offset: r.off, Problem: problem}
	}
}

// Len returns the number of unread bytes.
func (r *Reader) Len() int { return len(r.buf) - r.off }

// Done returns the first problem, counting unread bytes as one.
func (r *Reader) Done() error {
	if r.err == nil && r.off != len(r.buf) {
		r.Fail("trailing bytes")
	}
	return r.err
}

// Uvarint reads a minimal unsigned varint.
func (r *Reader) Uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
		r.off++
		return uint64(r.buf[r.off-1])
	}
	v, n := binary.Uvarint(r.buf[r.off:])
	switch {
	case n == 0:
		r.Fail("truncated number")
		return 0
	case n < 0:
		r.Fail("number over 64 bits")
		return 0
	case r.buf[r.off+n-1] == 0:
		r.Fail("overlong number")
		return 0
	}
	r.off += n
	return v
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	b := r.Fixed(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// Fixed reads n bytes. The result aliases the input; it is nil after a problem.
func (r *Reader) Fixed(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.Len() {
		r.Fail("truncated field")
		return nil
	}
	b := r.buf[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// Bytes reads a length and that many bytes. The result aliases the input.
func (r *Reader) Bytes() []byte {
	n := r.Uvarint()
	if r.err == nil && n > uint64(r.Len()) {
		r.Fail("length beyond the input")
	}
	return r.Fixed(int(n))
}

// Count reads a number of items that take at least size bytes each, so that the
// caller may allocate for them: it is never above Len()/size.
func (r *Reader) Count(size int) int {
	n := r.Uvarint()
	if r.err == nil && n > uint64(r.Len()/size) {
		r.Fail("count beyond the input")
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}
