package crdt

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// The kinds whose cells keep the latest write, stamped with the time and dot of
// the change that made it.
var (
	// LWWKind keeps registers whose latest write wins.
	LWWKind Kind = lwwRegister
	// LWWMapKind keeps maps whose latest write of each field wins. Its cells are
	// named by field; an empty payload removes the field.
	LWWMapKind Kind = lwwMap
)

var (
	lwwRegister = &lwwKind{"lww", checkSingle, CheckValue}
	lwwMap      = &lwwKind{"lwwmap", CheckElement, checkField}
)

// checkField accepts what a field of a map may hold: a value, or the empty
// content of a field that was removed.
func checkField(content []byte) error {
	if len(content) == 0 {
		return nil
	}
	return CheckValue(content)
}

// A Latest is a value and the stamp that decides whether it is the latest. It
// is the cell of an [LWWRegister] and of a field of an [LWWMap], in which an
// empty value is a removal. The zero value is older than every other.
type Latest struct {
	Time  hlc.Timestamp
	Dot   merge.Dot // of the write; ties in Time are broken by its origin
	Value []byte    // canonical CBOR, shared: never modified
}

// Compare orders by time, then origin, then sequence number, then the value's
// bytes.
func (l *Latest) Compare(o *Latest) int {
	if l.Time != o.Time { // nearly always
		return cmp.Compare(l.Time, o.Time)
	}
	return cmp.Or(l.Dot.Compare(o.Dot), bytes.Compare(l.Value, o.Value))
}

// Merge keeps the later of the two.
func (l *Latest) Merge(from *Latest) bool {
	if from.Compare(l) <= 0 {
		return false
	}
	*l = *from
	return true
}

// Equal reports whether both have the same stamp and value.
func (l *Latest) Equal(o *Latest) bool { return l.Compare(o) == 0 }

// Clone returns a copy that shares the value's bytes, which nobody modifies.
func (l *Latest) Clone() *Latest { c := *l; return &c }

// AppendBinary appends time, dot and value.
func (l *Latest) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.Time))
	dst = append(dst, l.Dot.Origin[:]...)
	dst = binary.AppendUvarint(dst, l.Dot.Seq)
	return append(dst, l.Value...), nil
}

// DecodeLatest reads the cell of a last-writer-wins register; the value aliases
// cell. A nil cell is the zero value.
func DecodeLatest(cell []byte) (Latest, error) { return lwwRegister.latest(cell) }

// DecodeField reads the cell of a field of a last-writer-wins map; the value
// aliases cell and is empty if the field was removed. A nil cell is the zero
// value.
func DecodeField(cell []byte) (Latest, error) { return lwwMap.latest(cell) }

// lwwKind stamps the payload of a write with the change's own time and dot.
type lwwKind struct {
	name    string
	element func([]byte) error // what a cell may be named
	value   func([]byte) error // what a write may store
}

func (k *lwwKind) Name() string { return k.name }

// latest reads a cell of the kind. The error is a [*CellError].
func (k *lwwKind) latest(cell []byte) (Latest, error) {
	if cell == nil {
		return Latest{}, nil
	}
	r := varint.NewReader("crdt: "+k.name+" cell", cell)
	l := Latest{Time: readTime(r)}
	copy(l.Dot.Origin[:], r.Fixed(len(l.Dot.Origin)))
	l.Dot.Seq = r.Uvarint()
	if l.Dot.Seq == 0 || l.Dot.Seq > merge.MaxSeq {
		r.Fail("a dot that names no change")
	}
	l.Value = r.Fixed(r.Len())
	if err := cmp.Or(r.Done(), k.value(l.Value)); err != nil {
		return Latest{}, &CellError{k.name, err}
	}
	return l, nil
}

// readTime reads a timestamp of 8 bytes, big-endian.
func readTime(r *varint.Reader) hlc.Timestamp {
	b := r.Fixed(hlc.BinaryLen)
	if b == nil {
		return 0
	}
	return hlc.Timestamp(binary.BigEndian.Uint64(b))
}

// Check accepts a Put of a value. Seen names the write it replaces, so that a
// concurrent one can be told from a stale one.
func (k *lwwKind) Check(w Write) error {
	if err := cmp.Or(k.element(w.Element), k.value(w.Payload)); err != nil {
		return &WriteError{k.name, err.Error()}
	}
	if !w.Put || len(w.Seen) > 1 {
		return &WriteError{k.name, "it is not one value over at most one"}
	}
	if problem := w.wellFormed(); problem != "" {
		return &WriteError{k.name, problem}
	}
	return nil
}

// Join keeps the later of the cell and the write.
func (k *lwwKind) Join(cell []byte, _ merge.Dots, w Write) ([]byte, error) {
	mine, err := k.latest(cell)
	if err != nil {
		return nil, err
	}
	if !mine.Merge(&Latest{w.Time, w.Dot, w.Payload}) && cell != nil {
		return cell, nil
	}
	return mine.AppendBinary(nil)
}

// Merge keeps the later of the two.
func (k *lwwKind) Merge(element []byte, mine, theirs Held) ([]byte, error) {
	if err := k.element(element); err != nil {
		return nil, &CellError{k.name, err}
	}
	held, err := k.latest(mine.Cell)
	if err != nil {
		return nil, err
	}
	more, err := k.latest(theirs.Cell)
	switch {
	case err != nil:
		return nil, err
	case theirs.Cell == nil:
		return mine.Cell, nil
	case !theirs.Seen.Contains(more.Dot):
		return nil, &CellError{k.name, errUnseen}
	case !held.Merge(&more) && mine.Cell != nil:
		return mine.Cell, nil
	}
	return theirs.Cell, nil
}
