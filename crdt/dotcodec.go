package crdt

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// appendDotMap appends the context and the cells.
func appendDotMap[T comparable, V any](dst []byte, m *merge.DotMap[T, V], value func([]byte, V) []byte) ([]byte, error) {
	dst, err := appendContext(dst, m.Context())
	if err != nil {
		return nil, err
	}
	return appendCells(dst, m, newDotTable(m.Context()), value)
}

// appendCells appends the elements in order, the number of dots of each, and
// per dot its origin, its sequence number and what value appends.
func appendCells[T comparable, V any](dst []byte, m *merge.DotMap[T, V], t *dotTable, value func([]byte, V) []byte) ([]byte, error) {
	rows, err := sortRows(keys(m.All()), m.Len())
	if err != nil {
		return nil, err
	}
	dst = appendRows(dst, rows)
	var dots []merge.Dot
	var values []byte
	for _, row := range rows {
		cell := m.At(row.element)
		dst = binary.AppendUvarint(dst, uint64(cell.Len()))
		for e := range cell.All() {
			dots = append(dots, e.Dot)
			values = value(values, e.Value)
		}
	}
	return append(t.append(dst, dots), values...), nil
}

// appendContext appends seen, unless no decoder would read it again: a replica
// can claim to have seen the last change an origin may make, and the origin's
// own replica then goes beyond.
func appendContext(dst []byte, seen *merge.Context) ([]byte, error) {
	for _, o := range seen.Origins() {
		if seen.Last(o) > merge.MaxSeq {
			return nil, &ValueError{fmt.Sprintf("origin %s has no numbers left; go on under a new origin from an older state", o), nil}
		}
	}
	return seen.AppendBinary(dst)
}

// readDotMap reads what appendDotMap appends.
func readDotMap[T comparable, V any](r *varint.Reader, value func(*varint.Reader) V) (*merge.DotMap[T, V], error) {
	seen := merge.ReadContext(r)
	m, err := readCells[T](r, newDotTable(seen), value)
	if err != nil {
		return nil, err
	}
	*m.Context() = *seen
	return m, nil
}

// readCells reads what appendCells appends, to the end of r.
func readCells[T comparable, V any](r *varint.Reader, t *dotTable, value func(*varint.Reader) V) (*merge.DotMap[T, V], error) {
	elements, err := readRows[T](r)
	if err != nil {
		return nil, err
	}
	counts, total := readCounts(r, len(elements))
	dots := t.read(r, total)
	if r.Err() != nil {
		return nil, r.Err()
	}
	values := make([]V, total)
	for i := range values {
		values[i] = value(r)
	}
	return restore(r, len(elements), func(yield func(T, merge.DotFun[V]) bool) {
		for i, v := range elements {
			n := counts[i]
			if !yield(v, makeCell(r, dots[:n], values[:n])) {
				return
			}
			dots, values = dots[n:], values[n:]
		}
	}, t)
}

// makeCell returns the cell of dots that were read from r, and must ascend.
func makeCell[V any](r *varint.Reader, dots []merge.Dot, values []V) merge.DotFun[V] {
	entries := make([]merge.Entry[V], len(dots))
	for i, d := range dots {
		if i > 0 && d.Compare(dots[i-1]) <= 0 {
			r.Fail("dots out of order")
		}
		entries[i] = merge.Entry[V]{Dot: d, Value: values[i]}
	}
	return merge.DotFunOf(entries...)
}

// restore returns the store of n cells that are read from r, to its end.
func restore[K comparable, V any](r *varint.Reader, n int, cells iter.Seq2[K, merge.DotFun[V]], t *dotTable) (*merge.DotMap[K, V], error) {
	m, ok := merge.RestoreStore(n, cells, t.seen)
	if err := r.Done(); err != nil {
		return nil, err
	}
	if !ok {
		r.Fail("a dot that is unseen or in two places")
		return nil, r.Err()
	}
	return m, nil
}

// A dotTable writes dots, and reads them, as indexes into the ascending origins
// of one context.
type dotTable struct {
	seen    *merge.Context
	origins []merge.Origin
	index   map[merge.Origin]uint64 // made for the first dots that are written
}

func newDotTable(seen *merge.Context) *dotTable {
	return &dotTable{seen: seen, origins: seen.Origins()}
}

// append appends the column of the dots' origins and the column of their
// sequence numbers.
func (t *dotTable) append(dst []byte, dots []merge.Dot) []byte {
	if t.index == nil {
		t.index = make(map[merge.Origin]uint64, len(t.origins))
		for i, o := range t.origins {
			t.index[o] = uint64(i)
		}
	}
	for _, d := range dots {
		dst = binary.AppendUvarint(dst, t.index[d.Origin])
	}
	for _, d := range dots {
		dst = binary.AppendUvarint(dst, d.Seq)
	}
	return dst
}

// read reads n dots. The caller has checked n against the input.
func (t *dotTable) read(r *varint.Reader, n int) []merge.Dot {
	dots := make([]merge.Dot, n)
	for i := range dots {
		if at := r.Uvarint(); at < uint64(len(t.origins)) {
			dots[i].Origin = t.origins[at]
		} else {
			r.Fail("an origin beyond the table")
		}
	}
	for i := range dots {
		dots[i].Seq = r.Uvarint()
	}
	return dots
}

// readInto replaces m, which is empty, by cells that are read to the end of r.
func readInto[T comparable, V any](m *merge.DotMap[T, V], r *varint.Reader, t *dotTable, value func(*varint.Reader) V) error {
	read, err := readCells[T](r, t, value)
	if err == nil {
		*m = *read
	}
	return err
}

// appendBlobFun appends the number of dots, the dots and the byte string under
// each.
func appendBlobFun(dst []byte, f merge.DotFun[[]byte], t *dotTable) []byte {
	var blobs [][]byte
	for e := range f.All() {
		blobs = append(blobs, e.Value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(blobs)))
	dst = t.append(dst, f.Dots())
	return appendBlobs(dst, len(blobs), func(i int) []byte { return blobs[i] })
}

// readBlobFun reads what appendBlobFun appends, to the end of r, as what is held
// at one key. The byte strings alias the input.
func readBlobFun(r *varint.Reader, t *dotTable) (*merge.DotMap[struct{}, []byte], error) {
	dots := t.read(r, r.Count(4))
	blobs := readBlobs(r, len(dots))
	return restore(r, min(1, len(dots)), func(yield func(struct{}, merge.DotFun[[]byte]) bool) {
		if len(dots) > 0 {
			yield(struct{}{}, makeCell(r, dots, blobs))
		}
	}, t)
}

// A stored value is encoded as its context and its store.
type stored interface {
	Context() *merge.Context
	typeName() string
	appendStore(dst []byte, t *dotTable) ([]byte, error)
	readStore(r *varint.Reader, t *dotTable) error
}

// appendStored appends the binary form of v.
func appendStored(dst []byte, v stored) ([]byte, error) {
	body, err := appendContext(nil, v.Context())
	if err != nil {
		return nil, err
	}
	if body, err = v.appendStore(body, newDotTable(v.Context())); err != nil {
		return nil, err
	}
	return appendEnvelope(dst, v.typeName(), body)
}

// readStored reads what appendStored appends into v, which is empty and is of no
// use after an error.
func readStored(b []byte, v stored) error {
	r, err := openEnvelope(v.typeName(), b)
	if err != nil {
		return err
	}
	seen := merge.ReadContext(r)
	if err := v.readStore(r, newDotTable(seen)); err != nil {
		return err
	}
	*v.Context() = *seen
	return nil
}
