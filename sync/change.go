package sync

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// Limits of a change. Every node takes changes up to them (ADR 0019).
const (
	MaxChange = 16 << 20 // bytes, encoded
	MaxOps    = 1 << 18  // cells that it writes to
	MaxDots   = 1 << 20  // dots that it depends on or supersedes
)

// MaxWhole is the largest change that a Changes frame carries, in bytes. It
// leaves room for the frame around it. Larger ones go in fragments.
const MaxWhole = 240 << 10

// ErrTooLarge is the kind of every [*TooLargeError].
var ErrTooLarge = errors.New("sync: change too large")

// A TooLargeError reports a transaction that does not fit into one change.
type TooLargeError struct {
	Size  int // of the change, in What
	Limit int
	What  string // bytes, cells or dots
}

// Error says what to do.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("sync: a change of %d %s, the limit is %d; split the transaction", e.Size, e.What, e.Limit)
}

// Is makes a TooLargeError match [ErrTooLarge].
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// A Hash is the SHA-256 of a change's encoding.
type Hash [sha256.Size]byte

// A Change is one atomic transaction of one origin on one space. It is at once
// the logged operation and the delta. A Change is immutable.
type Change struct {
	Dot  merge.Dot
	Time hlc.Timestamp
	Prev Hash        // of the origin's previous change; zero for the first
	Deps []merge.Dot // of other origins, ascending; with Prev and what they depend on, all its author had seen
	Ops  []CellOp    // at most one per cell, ascending by cell

	raw []byte
}

// A CellOp is what a change does to one cell.
type CellOp struct {
	Cell CellKey
	crdt.Op
}

// Bytes returns the canonical encoding, which the caller must not modify.
func (c *Change) Bytes() []byte { return c.raw }

// Hash returns the hash that the origin's next change names in Prev.
func (c *Change) Hash() Hash { return sha256.Sum256(c.raw) }

// write returns what op does, as its kind joins it.
func (c *Change) write(op *CellOp) crdt.Write {
	return crdt.Write{Dot: c.Dot, Time: c.Time, Op: op.Op}
}

// NewChange returns the change with its encoding made. It sorts and keeps deps
// and ops. Beyond [MaxChange], [MaxOps] or [MaxDots] it is a [*TooLargeError]; what
// no peer would decode, such as two ops on one cell, is a [*RefusedError].
func NewChange(dot merge.Dot, at hlc.Timestamp, prev Hash, deps []merge.Dot, ops []CellOp) (*Change, error) {
	slices.SortFunc(deps, merge.Dot.Compare)
	slices.SortFunc(ops, func(a, b CellOp) int { return a.Cell.Compare(b.Cell) })
	c := &Change{Dot: dot, Time: at, Prev: prev, Deps: deps, Ops: ops}
	if err := c.check(); err != nil {
		return nil, rejected(c, err)
	}
	if err := c.checkCounts(); err != nil {
		return nil, err
	}
	c.raw = c.encode()
	if len(c.raw) > MaxChange {
		return nil, &TooLargeError{len(c.raw), MaxChange, "bytes"}
	}
	return c, nil
}

// checkCounts returns a TooLargeError if there is more in the change than a
// reader makes room for.
func (c *Change) checkCounts() error {
	if len(c.Ops) > MaxOps {
		return &TooLargeError{len(c.Ops), MaxOps, "cells"}
	}
	dots := len(c.Deps)
	for i := range c.Ops {
		dots += len(c.Ops[i].Seen)
	}
	if dots > MaxDots {
		return &TooLargeError{dots, MaxDots, "dots"}
	}
	return nil
}

// check returns an error unless DecodeChange would take the change's encoding.
func (c *Change) check() error {
	for i, d := range c.Deps {
		if d.Origin == c.Dot.Origin || i > 0 && d.Origin == c.Deps[i-1].Origin {
			return errors.New("dependency on itself or twice on one origin")
		}
	}
	var last objectRef
	for i := range c.Ops {
		op := &c.Ops[i]
		if i > 0 && op.Cell == c.Ops[i-1].Cell {
			return fmt.Errorf("two ops on one cell of %s %q", op.Cell.Kind, op.Cell.Object)
		}
		if ref := (objectRef{op.Cell.Object, op.Cell.Kind}); i == 0 || ref != last {
			if err := cmp.Or(CheckName("object", ref.object, MaxObject), CheckName("kind", ref.kind, MaxKind)); err != nil {
				return err
			}
			last = ref
		}
	}
	return c.checkDots()
}

// checkDots returns an error unless all lists of dots are ascending and name
// changes.
func (c *Change) checkDots() error {
	if !ascending(c.Deps) || !ascending([]merge.Dot{c.Dot}) {
		return errors.New("a sequence number out of range")
	}
	for i := range c.Ops {
		if !ascending(c.Ops[i].Seen) {
			return errors.New("what an op has seen is out of order or range")
		}
	}
	return nil
}

func ascending(dots []merge.Dot) bool {
	for i, d := range dots {
		if d.Seq == 0 || d.Seq > merge.MaxSeq || i > 0 && d.Compare(dots[i-1]) <= 0 {
			return false
		}
	}
	return true
}

const (
	changeVersion = 1
	headerSize    = 1 + 8 + 16 // version, time, origin: the fixed part at the start
	flagPut       = 1
)

// A Header is what can be read of an encoded change without decoding it.
type Header struct {
	Dot  merge.Dot
	Time hlc.Timestamp
}

// ReadHeader reads the header of an encoded change.
func ReadHeader(raw []byte) (Header, error) {
	r := varint.NewReader("sync: change", raw)
	h := readHeader(r)
	return h, r.Err()
}

func readHeader(r *varint.Reader) (h Header) {
	if r.Byte() != changeVersion {
		r.Fail("unknown version")
	}
	if b := r.Fixed(8); b != nil {
		h.Time = hlc.Timestamp(binary.BigEndian.Uint64(b))
	}
	copy(h.Dot.Origin[:], r.Fixed(16))
	if h.Dot.Seq = r.Uvarint(); h.Dot.Seq == 0 || h.Dot.Seq > merge.MaxSeq {
		r.Fail("sequence number 0 or beyond the limit")
	}
	return h
}

// encode writes the header, the previous hash, and three tables (origins,
// objects, elements) that the dependencies and ops refer to by index, so that
// what repeats in a transaction is written once.
func (c *Change) encode() []byte {
	t := c.tables()
	b := append(make([]byte, 0, 128+24*len(c.Ops)), changeVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Time))
	b = append(b, c.Dot.Origin[:]...)
	b = binary.AppendUvarint(b, c.Dot.Seq)
	if c.Dot.Seq > 1 {
		b = append(b, c.Prev[:]...)
	}
	b = t.append(b)
	b = t.appendDots(b, c.Deps)
	b = binary.AppendUvarint(b, uint64(len(c.Ops)))
	for _, op := range c.Ops {
		b = t.appendOp(b, op)
	}
	return b
}

// objectRef is the part of a cell key that a transaction often repeats.
type objectRef struct{ object, kind string }

// tables is what an encoded change refers to by index.
type tables struct {
	origins  table[merge.Origin]
	objects  table[objectRef]
	elements table[string]
}

func (c *Change) tables() *tables {
	t := &tables{}
	addOrigins(&t.origins, c.Deps)
	for _, op := range c.Ops {
		t.objects.add(objectRef{op.Cell.Object, op.Cell.Kind})
		t.elements.add(op.Cell.Element)
		addOrigins(&t.origins, op.Seen)
	}
	return t
}

func (t *tables) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(t.origins.list)))
	for _, o := range t.origins.list {
		b = append(b, o[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(t.objects.list)))
	for _, o := range t.objects.list {
		b = varint.AppendString(varint.AppendString(b, o.object), o.kind)
	}
	b = binary.AppendUvarint(b, uint64(len(t.elements.list)))
	for _, e := range t.elements.list {
		b = varint.AppendString(b, e)
	}
	return b
}

func (t *tables) appendDots(b []byte, dots []merge.Dot) []byte {
	b = binary.AppendUvarint(b, uint64(len(dots)))
	for _, d := range dots {
		b = binary.AppendUvarint(b, uint64(t.origins.number(d.Origin)))
		b = binary.AppendUvarint(b, d.Seq)
	}
	return b
}

func (t *tables) appendOp(b []byte, op CellOp) []byte {
	b = binary.AppendUvarint(b, uint64(t.objects.number(objectRef{op.Cell.Object, op.Cell.Kind})))
	b = binary.AppendUvarint(b, uint64(t.elements.number(op.Cell.Element)))
	b = t.appendDots(b, op.Seen)
	if !op.Put {
		return append(b, 0)
	}
	return varint.AppendBytes(append(b, flagPut), op.Payload)
}

// table numbers values in order of first use, which makes the encoding of a
// change with sorted ops canonical. Few values have no index.
type table[T comparable] struct {
	list  []T
	index map[T]int
}

// maxUnindexed is how many values are looked through one by one.
const maxUnindexed = 8

// number returns the number of a value, -1 if it has none.
func (t *table[T]) number(v T) int {
	if t.index == nil {
		return slices.Index(t.list, v)
	}
	if i, ok := t.index[v]; ok {
		return i
	}
	return -1
}

func (t *table[T]) add(v T) {
	if t.number(v) >= 0 {
		return
	}
	t.list = append(t.list, v)
	switch {
	case t.index != nil:
		t.index[v] = len(t.list) - 1
	case len(t.list) > maxUnindexed:
		t.index = make(map[T]int, 2*len(t.list))
		for i, v := range t.list {
			t.index[v] = i
		}
	}
}

func addOrigins(t *table[merge.Origin], dots []merge.Dot) {
	for _, d := range dots {
		t.add(d.Origin)
	}
}
