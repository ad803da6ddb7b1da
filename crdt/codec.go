package crdt

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// formatVersion is the version of the binary form of the stand-alone types,
// described in docs/format.md.
const formatVersion = 1

// An envelope is what every stand-alone value is encoded in.
type envelope struct {
	Type    string `cbor:"1,keyasint"`
	Version uint64 `cbor:"2,keyasint"`
	Body    []byte `cbor:"3,keyasint"`
}

// appendEnvelope appends the binary form of a value of the named type.
func appendEnvelope(dst []byte, name string, body []byte) ([]byte, error) {
	return appendVersion(dst, name, formatVersion, body)
}

// appendVersion is appendEnvelope for a form of the version given.
func appendVersion(dst []byte, name string, version uint64, body []byte) ([]byte, error) {
	b, err := encMode.Marshal(envelope{name, version, body})
	if err != nil {
		return nil, &ValueError{"a state that cannot be encoded", err}
	}
	return append(dst, b...), nil
}

// openEnvelope returns a reader of the body of a value of the named type. The
// body does not alias b.
func openEnvelope(name string, b []byte) (*varint.Reader, error) {
	r, _, err := openVersion(name, formatVersion, b)
	return r, err
}

// openVersion is openEnvelope for a type that has a form up to the version last.
func openVersion(name string, last uint64, b []byte) (r *varint.Reader, version uint64, err error) {
	what := "crdt: " + name
	var e envelope
	if err := decMode.Unmarshal(b, &e); err != nil {
		return nil, 0, &merge.FormatError{What: what, Problem: "no envelope: " + err.Error()}
	}
	if e.Type != name {
		return nil, 0, &merge.FormatError{What: what, Problem: fmt.Sprintf("the value is a %.32q", e.Type)}
	}
	if e.Version == 0 || e.Version > last {
		return nil, 0, &merge.FormatError{What: what, Problem: fmt.Sprintf("version %d, this program reads %d", e.Version, last)}
	}
	if again, err := encMode.Marshal(e); err != nil || !bytes.Equal(again, b) {
		return nil, 0, &merge.FormatError{What: what, Problem: "an envelope that is not canonical"}
	}
	return varint.NewReader(what, e.Body), e.Version, nil
}

// appendBlobs appends a column of lengths and a column of the bytes.
func appendBlobs(dst []byte, n int, blob func(i int) []byte) []byte {
	for i := range n {
		dst = binary.AppendUvarint(dst, uint64(len(blob(i))))
	}
	for i := range n {
		dst = append(dst, blob(i)...)
	}
	return dst
}

// readBlobs reads n byte strings. The results alias the input.
func readBlobs(r *varint.Reader, n int) [][]byte {
	bodies := openBlobs(r, n)
	blobs := make([][]byte, n)
	for i := range blobs {
		blobs[i] = bodies.next()
	}
	return blobs
}

// A blobReader reads byte strings one by one: their lengths stand before them.
type blobReader struct {
	lengths varint.Reader
	bodies  *varint.Reader
}

// openBlobs reads the lengths of n byte strings. It takes as many calls of next
// to read the strings.
func openBlobs(r *varint.Reader, n int) blobReader {
	lengths := *r
	for range n {
		r.Count(1)
	}
	return blobReader{lengths, r}
}

// next returns the next byte string, nil if there is none. It aliases the input.
func (b *blobReader) next() []byte { return b.bodies.Fixed(b.lengths.Count(1)) }

// appendRows appends the number of elements and the elements.
func appendRows[T comparable](dst []byte, rows []row[T]) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(rows)))
	return appendBlobs(dst, len(rows), func(i int) []byte { return rows[i].bytes })
}

// readRows reads elements, ascending by their encodings.
func readRows[T comparable](r *varint.Reader) ([]T, error) {
	n := r.Count(2)
	blobs := openBlobs(r, n)
	if r.Err() != nil {
		return nil, r.Err()
	}
	elements, last := make([]T, n), []byte(nil)
	for i := range elements {
		b := blobs.next()
		if i > 0 && bytes.Compare(last, b) >= 0 {
			r.Fail("elements out of order")
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		v, err := decodeKey[T](b)
		if err != nil {
			return nil, err
		}
		elements[i], last = v, b
	}
	return elements, nil
}

// readCounts reads for each of n elements its number of dots, at least 1, and
// returns them with their sum, which is at most the length of the input.
func readCounts(r *varint.Reader, n int) (counts []int, total int) {
	counts = make([]int, n)
	for i := range counts {
		counts[i] = r.Count(1)
		if counts[i] == 0 {
			r.Fail("an element without dots")
		}
		if total += counts[i]; total > r.Len() {
			r.Fail("more dots than input")
		}
		if r.Err() != nil {
			return nil, 0
		}
	}
	return counts, total
}
