package crdt

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// The kinds whose cells are plain lattices: they merge without a context.
var (
	// GSetKind keeps sets that only grow.
	GSetKind Kind = &lattice[present, *present]{"gset", CheckElement, decodePresent}
	// TwoPSetKind keeps sets whose elements can be removed once, for ever.
	TwoPSetKind Kind = &lattice[Phase, *Phase]{"twopset", CheckElement, decodePhase}
	// PNCounterKind keeps counters. Its cells are named by origin.
	PNCounterKind Kind = &lattice[Share, *Share]{"pncounter", checkOrigin, decodeShare}
	// GCounterKind keeps counters that only go up. Its cells are named by
	// origin, and written by it alone.
	GCounterKind Kind = newOwnLattice[Total]("gcounter", decodeTotal)
	// BoundedKind keeps counters that never fall below 0. Its cells are named
	// by origin, and written by it alone.
	BoundedKind Kind = newOwnLattice[Account]("bounded", decodeAccount)
)

// ErrRemoved says that a two-phase set never takes back an element that was removed.
var ErrRemoved = errors.New("crdt: the element was removed from a two-phase set and cannot be added again")

// ErrOverflow says that a counter share cannot grow further.
var ErrOverflow = errors.New("crdt: counter overflow")

// A Phase is how far an element of a two-phase set has come: absent, added,
// removed. It is the cell of a [TwoPSet].
type Phase struct{ stage uint8 }

// The stages of an element.
var (
	PhaseAdded   = Phase{1}
	PhaseRemoved = Phase{2}
)

// Merge moves the receiver to the later stage.
func (p *Phase) Merge(from *Phase) bool {
	if from.stage <= p.stage {
		return false
	}
	p.stage = from.stage
	return true
}

// Equal reports whether both are at the same stage.
func (p *Phase) Equal(o *Phase) bool { return *p == *o }

// Clone returns a copy.
func (p *Phase) Clone() *Phase { c := *p; return &c }

// AppendBinary appends the stage as one byte.
func (p *Phase) AppendBinary(dst []byte) ([]byte, error) { return append(dst, p.stage), nil }

func decodePhase(b []byte) (Phase, error) {
	r := varint.NewReader("crdt: two-phase cell", b)
	p := Phase{r.Byte()}
	if p.stage != PhaseAdded.stage && p.stage != PhaseRemoved.stage {
		r.Fail("unknown stage")
	}
	return p, r.Done()
}

// A Share is one origin's part of a counter: what it ever added and subtracted,
// and how much of each resets have seen. All four only grow. It is the cell of
// a [PNCounter].
type Share struct {
	P, N         uint64 // added, subtracted; written by the origin alone
	PBase, NBase uint64 // the part of each that was reset, by anyone
}

// Add returns the share after its origin adds n, which may be negative, or
// [ErrOverflow].
func (s Share) Add(n int64) (Share, error) {
	if err := s.grow(n); err != nil {
		return Share{}, err
	}
	return s, nil
}

// grow is Add in place. An error leaves the share as it was.
func (s *Share) grow(n int64) error {
	side, by := &s.P, uint64(n)
	if n < 0 {
		side, by = &s.N, -uint64(n)
	}
	if by > math.MaxInt64-*side || *side > math.MaxInt64 {
		return ErrOverflow
	}
	*side += by
	return nil
}

// Reset returns the share with everything seen so far taken into its baseline.
func (s Share) Reset() Share { return Share{s.P, s.N, s.P, s.N} }

// Merge takes the larger of each number.
func (s *Share) Merge(from *Share) bool {
	was := *s
	s.P, s.N = max(s.P, from.P), max(s.N, from.N)
	s.PBase, s.NBase = max(s.PBase, from.PBase), max(s.NBase, from.NBase)
	return *s != was
}

// Equal reports whether all four numbers are equal.
func (s *Share) Equal(o *Share) bool { return *s == *o }

// Clone returns a copy.
func (s *Share) Clone() *Share { c := *s; return &c }

// shareColumns is the count of numbers in a share.
const shareColumns = 4

// columns returns the numbers in the order in which they are encoded.
func (s *Share) columns() [shareColumns]*uint64 { return [...]*uint64{&s.P, &s.N, &s.PBase, &s.NBase} }

// valid reports whether additions and resets can have led to the share.
func (s *Share) valid() bool {
	return max(s.P, s.N) <= math.MaxInt64 && s.PBase <= s.P && s.NBase <= s.N
}

// AppendBinary appends the four numbers as varints.
func (s *Share) AppendBinary(dst []byte) ([]byte, error) {
	for _, n := range s.columns() {
		dst = binary.AppendUvarint(dst, *n)
	}
	return dst, nil
}

func decodeShare(b []byte) (Share, error) {
	r := varint.NewReader("crdt: counter cell", b)
	s := Share{r.Uvarint(), r.Uvarint(), r.Uvarint(), r.Uvarint()}
	if !s.valid() {
		r.Fail("a count over 63 bits or a baseline above its count")
	}
	return s, r.Done()
}

// DecodeShare reads the cell of a counter. A nil cell is an empty share.
func DecodeShare(cell []byte) (Share, error) {
	if cell == nil {
		return Share{}, nil
	}
	s, err := decodeShare(cell)
	if err != nil {
		return Share{}, &CellError{PNCounterKind.Name(), err}
	}
	return s, nil
}

// DecodePhase reads the cell of a two-phase set. A nil cell is absent.
func DecodePhase(cell []byte) (Phase, error) {
	if cell == nil {
		return Phase{}, nil
	}
	p, err := decodePhase(cell)
	if err != nil {
		return Phase{}, &CellError{TwoPSetKind.Name(), err}
	}
	return p, nil
}

// present is the cell of a grow-only set: that it is there is all it says.
type present struct{}

func (*present) Merge(*present) bool                     { return false }
func (*present) Equal(*present) bool                     { return true }
func (*present) Clone() *present                         { return &present{} }
func (*present) AppendBinary(dst []byte) ([]byte, error) { return dst, nil }

func decodePresent(b []byte) (present, error) {
	return present{}, varint.NewReader("crdt: grow-only cell", b).Done()
}

func checkOrigin(element []byte) error {
	if len(element) != len(merge.Origin{}) {
		return &ValueError{"a counter's cell is named by an origin", nil}
	}
	return nil
}

// A CellLattice is the constraint "*L is a lattice with a binary form", which
// is what the cells of a kind are made of.
type CellLattice[L any] interface {
	merge.Ptr[L]
	encoding.BinaryAppender
}

// ErrKind is the kind of every [*KindError].
var ErrKind = errors.New("crdt: unusable kind")

// A KindError reports a kind that cannot be made or added to others.
type KindError struct {
	Name    string
	Problem string
}

// Error says what is wrong.
func (e *KindError) Error() string { return fmt.Sprintf("crdt: kind %.80q: %s", e.Name, e.Problem) }

// Is makes a KindError match [ErrKind].
func (e *KindError) Is(target error) bool { return target == ErrKind }

// NewLatticeKind returns a kind whose cells are values of a lattice of the
// caller's own. A write joins a value into one cell, and supersedes nothing.
//
// check accepts the names of an object's cells, and retains none; nil is for
// objects of one cell without a name. decode reads what AppendBinary of a value
// writes, and may retain none of it. It gets bytes from anywhere: it must
// neither panic nor allocate more than they justify. What it reads and
// AppendBinary does not write again is refused.
//
// Joining bottom to a cell must change nothing, and the laws of
// [merge.Lattice] must hold; package merge/mergetest checks them. Every replica
// must know the kind under the same name with the same lattice.
//
// The error is a [*KindError] about a name that is empty, has more than
// [MaxKindName] bytes or is that of a kind of this package. Add the kind to
// what [Builtin] returns, with [Kinds.Add].
func NewLatticeKind[L any, P CellLattice[L]](name string, check func(element []byte) error, decode func([]byte) (L, error)) (Kind, error) {
	switch _, taken := Builtin()[name]; {
	case name == "" || len(name) > MaxKindName || !utf8.ValidString(name):
		return nil, &KindError{name, fmt.Sprintf("a name is 1 to %d bytes of UTF-8", MaxKindName)}
	case taken:
		return nil, &KindError{name, "the name is taken by a kind of this package; choose another"}
	case decode == nil:
		return nil, &KindError{name, "it has no decoder"}
	}
	if check == nil {
		check = checkSingle
	}
	return &lattice[L, P]{name, check, canonical[L, P](decode)}, nil
}

// MaxKindName is the longest name of a kind, in bytes, that changes can carry.
const MaxKindName = 64

// canonical refuses what decode reads and L writes otherwise.
func canonical[L any, P CellLattice[L]](decode func([]byte) (L, error)) func([]byte) (L, error) {
	return func(b []byte) (L, error) {
		v, err := decode(b)
		if err != nil {
			return v, err
		}
		again, err := P(&v).AppendBinary(nil)
		if err == nil && !bytes.Equal(again, b) {
			err = &ValueError{fmt.Sprintf("bytes that %T does not write", v), nil}
		}
		return v, err
	}
}

// lattice is a kind whose cells and payloads are encoded lattice values.
type lattice[L any, P CellLattice[L]] struct {
	name    string
	element func([]byte) error
	decode  func([]byte) (L, error)
}

// ownLattice is a lattice whose cells are named by origins, each written by its
// origin alone.
type ownLattice[L any, P tally[L]] struct {
	lattice[L, P]
	field fieldKind
}

func newOwnLattice[L any, P tally[L]](name string, decode func([]byte) (L, error)) *ownLattice[L, P] {
	k := lattice[L, P]{name, checkOrigin, decode}
	return &ownLattice[L, P]{k, newCounterField(k)}
}

func (k ownLattice[L, P]) inField() fieldKind { return k.field }

// Check accepts a Put of an encoded value in the cell of the writer's origin.
func (k ownLattice[L, P]) Check(w Write) error {
	if err := k.lattice.Check(w); err != nil {
		return err
	}
	if string(w.Element) != string(w.Dot.Origin[:]) {
		return &WriteError{k.name, "an origin's cell is written by that origin alone"}
	}
	return nil
}

func (k lattice[L, P]) Name() string { return k.name }

// Check accepts a Put of an encoded value that supersedes no dots.
func (k lattice[L, P]) Check(w Write) error {
	if err := k.element(w.Element); err != nil {
		return &WriteError{k.name, err.Error()}
	}
	if !w.Put || len(w.Seen) != 0 {
		return &WriteError{k.name, "only what is put can be joined"}
	}
	if _, err := k.decode(w.Payload); err != nil {
		return &WriteError{k.name, err.Error()}
	}
	return nil
}

// Join joins the payload into the cell.
func (k lattice[L, P]) Join(cell []byte, _ merge.Dots, w Write) ([]byte, error) {
	if cell == nil {
		return append([]byte{}, w.Payload...), nil
	}
	mine, err := k.decode(cell)
	if err != nil {
		return nil, &CellError{k.name, err}
	}
	theirs, err := k.decode(w.Payload)
	if err != nil {
		return nil, &WriteError{k.name, err.Error()}
	}
	if !P(&mine).Merge(&theirs) {
		return cell, nil
	}
	return P(&mine).AppendBinary(nil)
}

// Merge joins the two cells.
func (k lattice[L, P]) Merge(element []byte, mine, theirs Held) ([]byte, error) {
	if err := k.element(element); err != nil {
		return nil, &CellError{k.name, err}
	}
	if theirs.Cell == nil {
		return mine.Cell, nil
	}
	more, err := k.decode(theirs.Cell)
	if err != nil {
		return nil, &CellError{k.name, err}
	}
	if mine.Cell == nil {
		return theirs.Cell, nil
	}
	held, err := k.decode(mine.Cell)
	if err != nil {
		return nil, &CellError{k.name, err}
	}
	if !P(&held).Merge(&more) {
		return mine.Cell, nil
	}
	return P(&held).AppendBinary(nil)
}
