package crdt

import (
	"encoding/binary"
	"iter"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// The kinds whose cells are the times of an element's writes, which are the
// times of the changes that made them. Their payloads are [Added] and [Removed].
var (
	// LWWSetKind keeps sets in which the latest write of an element decides, and
	// an add wins over a remove of the same time.
	LWWSetKind Kind = &timesKind{"lwwset"}
	// RemoveBiasedLWWSetKind keeps those in which the remove wins then.
	RemoveBiasedLWWSetKind Kind = &timesKind{"lwwset-remove"}
)

// Times is when an element was last added and last removed, 0 if never. It is
// the cell of an [LWWSet] and of a [RemoveBiasedLWWSet].
type Times struct{ Added, Removed hlc.Timestamp }

// AddBiased reports whether the element is present if an add wins over a remove
// of the same time.
func (t Times) AddBiased() bool { return t.Added != 0 && t.Added >= t.Removed }

// RemoveBiased reports whether the element is present if a remove wins over an
// add of the same time.
func (t Times) RemoveBiased() bool { return t.Added > t.Removed }

// Last returns the time of the last write.
func (t Times) Last() hlc.Timestamp { return max(t.Added, t.Removed) }

// Merge takes the later of each time.
func (t *Times) Merge(from *Times) bool {
	was := *t
	t.Added, t.Removed = max(t.Added, from.Added), max(t.Removed, from.Removed)
	return *t != was
}

// Equal reports whether both times are equal.
func (t *Times) Equal(o *Times) bool { return *t == *o }

// Clone returns a copy.
func (t *Times) Clone() *Times { c := *t; return &c }

// AppendBinary appends both times, 8 bytes each, big-endian.
func (t *Times) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Added))
	return binary.BigEndian.AppendUint64(dst, uint64(t.Removed)), nil
}

// DecodeTimes reads the cell of an element in a set of either bias. A nil cell
// is an element that was never written.
func DecodeTimes(cell []byte) (Times, error) { return decodeTimes(LWWSetKind.Name(), cell) }

func decodeTimes(kind string, cell []byte) (Times, error) {
	if cell == nil {
		return Times{}, nil
	}
	r := varint.NewReader("crdt: "+kind+" cell", cell)
	t := Times{readTime(r), readTime(r)}
	if t == (Times{}) {
		r.Fail("no time at all")
	}
	if err := r.Done(); err != nil {
		return Times{}, &CellError{kind, err}
	}
	return t, nil
}

// timesKind stamps a write with the change's own time.
type timesKind struct{ name string }

func (k *timesKind) Name() string { return k.name }

// Check accepts a Put of an add or a remove that supersedes no dots.
func (k *timesKind) Check(w Write) error {
	if err := CheckElement(w.Element); err != nil {
		return &WriteError{k.name, err.Error()}
	}
	if err := checkPolarity(w.Payload); err != nil {
		return &WriteError{k.name, err.Error()}
	}
	if !w.Put || len(w.Seen) != 0 {
		return &WriteError{k.name, "only what is put can be joined"}
	}
	if w.Time == 0 {
		return &WriteError{k.name, "it has no time"}
	}
	return nil
}

// Join raises the time of what the write did.
func (k *timesKind) Join(cell []byte, _ merge.Dots, w Write) ([]byte, error) {
	mine, err := decodeTimes(k.name, cell)
	if err != nil {
		return nil, err
	}
	theirs := Times{Added: w.Time}
	if string(w.Payload) == string(Removed) {
		theirs = Times{Removed: w.Time}
	}
	if !mine.Merge(&theirs) {
		return cell, nil
	}
	return mine.AppendBinary(nil)
}

// Merge takes the later of each time.
func (k *timesKind) Merge(element []byte, mine, theirs Held) ([]byte, error) {
	if err := CheckElement(element); err != nil {
		return nil, &CellError{k.name, err}
	}
	held, err := decodeTimes(k.name, mine.Cell)
	if err != nil {
		return nil, err
	}
	more, err := decodeTimes(k.name, theirs.Cell)
	if err != nil {
		return nil, err
	}
	if !held.Merge(&more) {
		return mine.Cell, nil
	}
	return held.AppendBinary(nil)
}

// stampedSet is what the sets of both biases are made of.
type stampedSet[T comparable] struct {
	times merge.Map[T, Times, *Times]
}

func (s *stampedSet[T]) at(v T) Times {
	if t, ok := s.times.Get(v); ok {
		return *t
	}
	return Times{}
}

// write joins the time of a write, which is one of the two, and returns the
// delta. The error is a [*StaleError].
func (s *stampedSet[T]) write(v T, to Times) (delta stampedSet[T], err error) {
	if last := s.at(v).Last(); to.Last() <= last {
		return delta, &StaleError{Stamp{Time: to.Last()}, Stamp{Time: last}}
	}
	delta.times.Join(v, &to)
	s.times.Join(v, &to)
	return delta, nil
}

func (s *stampedSet[T]) all(present func(Times) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v, t := range s.times.All() {
			if present(*t) && !yield(v) {
				return
			}
		}
	}
}

func (s *stampedSet[T]) clone() stampedSet[T] { return stampedSet[T]{*s.times.Clone()} }

func (s *stampedSet[T]) append(dst []byte, name string) ([]byte, error) {
	rows, err := sortRows(keys(s.times.All()), s.times.Len())
	if err != nil {
		return nil, err
	}
	body := appendRows(nil, rows)
	body = appendTimes(body, len(rows), func(i int) hlc.Timestamp { return s.at(rows[i].element).Added })
	body = appendTimes(body, len(rows), func(i int) hlc.Timestamp { return s.at(rows[i].element).Removed })
	return appendEnvelope(dst, name, body)
}

func (s *stampedSet[T]) decode(b []byte, name string) error {
	r, err := openEnvelope(name, b)
	if err != nil {
		return err
	}
	elements, err := readRows[T](r)
	if err != nil {
		return err
	}
	added := readTimes(r, len(elements))
	removed := readTimes(r, len(elements))
	var read stampedSet[T]
	for i, v := range elements {
		t := Times{added[i], removed[i]}
		if t == (Times{}) {
			r.Fail("an element that was never written")
		}
		read.times.Join(v, &t)
	}
	if err := r.Done(); err != nil {
		return err
	}
	*s = read
	return nil
}

// appendTimes appends a column of n times, each as its distance from the one
// before it, from 0 for the first. Distances wrap around at 64 bits; those
// backwards have odd numbers.
func appendTimes(dst []byte, n int, at func(i int) hlc.Timestamp) []byte {
	last := hlc.Timestamp(0)
	for i := range n {
		t := at(i)
		dst = binary.AppendVarint(dst, int64(t-last))
		last = t
	}
	return dst
}

// readTimes reads what appendTimes appends. The caller has checked n against the
// input.
func readTimes(r *varint.Reader, n int) []hlc.Timestamp {
	times, last := make([]hlc.Timestamp, n), hlc.Timestamp(0)
	for i := range times {
		zigzag := r.Uvarint()
		last += hlc.Timestamp(zigzag>>1 ^ -(zigzag & 1))
		times[i] = last
	}
	return times
}
