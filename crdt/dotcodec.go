package crdt

import (
	"encoding/binary"
	"fmt"
	"maps"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// appendDotMap appends the context, the elements in order, the number of dots
// of each, and per dot its origin, its sequence number and what value appends.
func appendDotMap[T comparable, V any](dst []byte, m *merge.DotMap[T, V], value func([]byte, V) []byte) ([]byte, error) {
	cells := maps.Collect(m.All())
	rows, err := sortRows(maps.Keys(cells), len(cells))
	if err != nil {
		return nil, err
	}
	if dst, err = appendContext(dst, m.Context()); err != nil {
		return nil, err
	}
	dst = appendRows(dst, rows)
	var dots []merge.Dot
	var values []byte
	for _, row := range rows {
		cell := cells[row.element]
		dst = binary.AppendUvarint(dst, uint64(cell.Len()))
		for e := range cell.All() {
			dots = append(dots, e.Dot)
			values = value(values, e.Value)
		}
	}
	return append(appendDots(dst, m.Context(), dots), values...), nil
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
	elements, err := readRows[T](r)
	if err != nil {
		return nil, err
	}
	counts, total := readCounts(r, len(elements))
	dots := readDots(r, seen, total)
	if r.Err() != nil {
		return nil, r.Err()
	}
	values := make([]V, total)
	for i := range values {
		values[i] = value(r)
	}
	cells := make(map[T]merge.DotFun[V], len(elements))
	for i, v := range elements {
		n := counts[i]
		cells[v] = makeCell(r, dots[:n], values[:n])
		dots, values = dots[n:], values[n:]
	}
	return restore(r, cells, seen)
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

// restore returns the state of parts that were read to the end of r.
func restore[K comparable, V any](r *varint.Reader, cells map[K]merge.DotFun[V], seen *merge.Context) (*merge.DotMap[K, V], error) {
	if err := r.Done(); err != nil {
		return nil, err
	}
	m, ok := merge.Restore(cells, seen)
	if !ok {
		r.Fail("a dot that is unseen or in two places")
		return nil, r.Err()
	}
	return m, nil
}
