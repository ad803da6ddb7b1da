package crdt

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt/internal/columns"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// tableVersion is the version of the form of a type that is written as columns.
const tableVersion = 2

// appendTable appends the binary form of the named type.
func appendTable(dst []byte, name string, t *columns.Table) ([]byte, error) {
	seen, err := appendContext(nil, t.Context())
	if err != nil {
		return nil, err
	}
	e := t.Encode()
	size := len(seen) + e.Len()
	dst = appendEnvelopeHead(slices.Grow(dst, size+len(name)+16), name, tableVersion, size)
	return e.AppendTo(append(dst, seen...)), nil
}

// appendEnvelopeHead appends what comes before the body of an envelope, of which the
// body is size bytes long.
func appendEnvelopeHead(dst []byte, name string, version byte, size int) []byte {
	dst = append(appendHead(append(dst, 0xa3, 1), majorText, uint64(len(name))), name...)
	return appendHead(append(dst, 2, version, 3), majorBytes, uint64(size))
}

// openTable returns a reader of the body of a value of the named type, which
// aliases b, and its version.
func openTable(name string, b []byte) (r *varint.Reader, version uint64, err error) {
	for size := len(b); size >= 0 && size > len(b)-len(name)-16; size-- {
		head := appendEnvelopeHead(nil, name, tableVersion, size)
		if len(head)+size == len(b) && bytes.HasPrefix(b, head) {
			return varint.NewReader("crdt: "+name, b[len(head):]), tableVersion, nil
		}
	}
	return openVersion(name, tableVersion, b)
}

// readTable reads the body of a set of T.
func readTable[T comparable](r *varint.Reader) (*columns.Table, error) {
	seen := merge.ReadContext(r)
	if r.Err() != nil {
		return nil, r.Err()
	}
	return columns.Read(r, seen, keyCheck[T]())
}

// keyCheck returns what is to be checked of the encoding of an element: nil if
// it is that it is text.
func keyCheck[T comparable]() func(key []byte) error {
	switch any((*T)(nil)).(type) {
	case *string:
		return nil
	case *int64, *uint64:
		return checkNumber[T]
	}
	return func(key []byte) error {
		_, err := decodeKey[T](key)
		return err
	}
}

// checkNumber is decodeKey for a set of 64-bit integers, without garbage.
func checkNumber[T comparable](key []byte) error {
	if err := CheckElement(key); err != nil {
		return err
	}
	_, ok := columns.IntOf(key)
	if _, unsigned := any((*T)(nil)).(*uint64); unsigned {
		_, ok = columns.UintOf(key)
	}
	if !ok {
		return &ValueError{fmt.Sprintf("an element that is no %T", *new(T)), nil}
	}
	return nil
}
