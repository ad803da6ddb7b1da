package crdt

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// PNSetKind keeps counting sets. A cell is the share of one origin in one
// element: it is named by the encoding of the element, followed by the 16 bytes
// of the origin.
var PNSetKind Kind = &lattice[Share, *Share]{"pnset", checkElementShare, decodeShare}

func checkElementShare(name []byte) error {
	element, _, err := SplitElementShare(name)
	if err != nil {
		return err
	}
	return CheckElement(element)
}

// SplitElementShare returns the two parts of the name of a PN-set's cell. The
// element aliases name and is not checked. A name that is too short is a
// [*ValueError].
func SplitElementShare(name []byte) (element []byte, origin merge.Origin, err error) {
	n := len(name) - len(origin)
	if n < 0 {
		return nil, origin, &ValueError{"a PN-set's cell is named by an element and an origin", nil}
	}
	copy(origin[:], name[n:])
	return name[:n:n], origin, nil
}

// A PNSet is a set with a count per element, which is present while its count is
// above 0. An add counts up by 1, a remove counts down.
//
// Concurrent adds and removes add up. So an element that two replicas remove
// concurrently after one add has a count of -1, and must be added twice to be
// present; [PNSet.Reset] brings it back to 0. The state is, per element, a
// [Share] per origin that ever counted it, and each stays for ever.
//
// An origin may add an element up to 2^63-1 times in its life, and remove it as
// often. It belongs to one replica, whose state must not be lost and then
// written again under the same origin.
//
// The zero value is empty and ready to use. A PNSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, section 3.3.4; the reset is that of
// [PNCounter].
type PNSet[T comparable] struct {
	counters merge.Map[T, PNCounter, *PNCounter]
}

// Add counts v up by 1 as origin and returns the delta. It returns
// [ErrOverflow], a nil delta, and changes nothing if the share of the origin
// cannot grow.
func (s *PNSet[T]) Add(origin merge.Origin, v T) (*PNSet[T], error) { return s.count(origin, v, 1) }

// Remove counts v down by 1 as origin, present or not, and returns the delta.
// The error is as for Add.
func (s *PNSet[T]) Remove(origin merge.Origin, v T) (*PNSet[T], error) {
	return s.count(origin, v, -1)
}

func (s *PNSet[T]) count(origin merge.Origin, v T, n int64) (*PNSet[T], error) {
	var own PNCounter
	if share, ok := s.at(v).shares.Get(origin); ok {
		own.Join(origin, *share)
	}
	delta, err := own.Add(origin, n)
	if err != nil {
		return nil, err
	}
	return s.join(v, delta), nil
}

// Reset takes away what the set has seen of v, so that its count is 0, and
// returns the delta. What is counted concurrently survives.
func (s *PNSet[T]) Reset(v T) *PNSet[T] {
	var reset PNCounter
	s.at(v).resetInto(&reset)
	return s.join(v, &reset)
}

func (s *PNSet[T]) join(v T, part *PNCounter) *PNSet[T] {
	delta := &PNSet[T]{}
	delta.counters.Join(v, part)
	s.counters.Join(v, part)
	return delta
}

func (s *PNSet[T]) at(v T) *PNCounter {
	if c, ok := s.counters.Get(v); ok {
		return c
	}
	return &PNCounter{}
}

// Count returns how often v was added, less how often it was removed. A count
// beyond the int64 range is the nearest end of it; the state stays exact.
func (s *PNSet[T]) Count(v T) int64 { return s.at(v).Value() }

// Has reports whether v is present.
func (s *PNSet[T]) Has(v T) bool { return s.Count(v) > 0 }

// Counts yields the elements that were ever counted with their counts, in no
// particular order.
func (s *PNSet[T]) Counts() iter.Seq2[T, int64] {
	return func(yield func(T, int64) bool) {
		for v, c := range s.counters.All() {
			if !yield(v, c.Value()) {
				return
			}
		}
	}
}

// All yields the elements that are present, in no particular order.
func (s *PNSet[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for v, n := range s.Counts() {
			if n > 0 && !yield(v) {
				return
			}
		}
	}
}

// Len returns the number of elements that are present. It visits the others too.
func (s *PNSet[T]) Len() int { return count(s.All()) }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *PNSet[T]) Merge(from *PNSet[T]) bool { return s.counters.Merge(&from.counters) }

// Equal reports whether both have the same shares.
func (s *PNSet[T]) Equal(o *PNSet[T]) bool { return s.counters.Equal(&o.counters) }

// Clone returns a copy that shares nothing with the receiver.
func (s *PNSet[T]) Clone() *PNSet[T] { return &PNSet[T]{*s.counters.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none.
func (s *PNSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *PNSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	body, err := s.appendBody(nil)
	if err != nil {
		return nil, err
	}
	return appendEnvelope(dst, PNSetKind.Name(), body)
}

func (s *PNSet[T]) appendBody(dst []byte) ([]byte, error) {
	rows, err := sortRows(keys(s.counters.All()), s.counters.Len())
	if err != nil {
		return nil, err
	}
	dst = appendRows(dst, rows)
	var owners []merge.Origin
	var all []Share
	for _, row := range rows {
		shares := &s.at(row.element).shares
		dst = binary.AppendUvarint(dst, uint64(shares.Len()))
		for o, share := range shares.All() {
			owners, all = append(owners, o), append(all, *share)
		}
	}
	return appendShares(appendOrigins(dst, owners), all), nil
}

func appendShares(dst []byte, list []Share) []byte {
	for column := range shareColumns {
		for i := range list {
			dst = binary.AppendUvarint(dst, *list[i].columns()[column])
		}
	}
	return dst
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *PNSet[T]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(PNSetKind.Name(), b)
	if err != nil {
		return err
	}
	return s.readBody(r)
}

// readBody replaces the receiver by what appendBody wrote, to the end of r.
func (s *PNSet[T]) readBody(r *varint.Reader) error {
	elements, err := readRows[T](r)
	if err != nil {
		return err
	}
	counts, total := readCounts(r, len(elements))
	owners := readOrigins(r, total)
	list := readShares(r, len(owners))
	if err := r.Done(); err != nil {
		return err
	}
	read := PNSet[T]{}
	var c PNCounter
	for i, v := range elements {
		n := counts[i]
		c.readOwn(r, owners[:n], list[:n])
		read.counters.Join(v, &c)
		owners, list = owners[n:], list[n:]
	}
	if r.Err() != nil {
		return r.Err()
	}
	*s = read
	return nil
}

// readOwn replaces the receiver by the shares that were read from r, of owners
// that must ascend.
func (c *PNCounter) readOwn(r *varint.Reader, owners []merge.Origin, list []Share) {
	*c = PNCounter{}
	for i, share := range list {
		if i > 0 && owners[i].Compare(owners[i-1]) <= 0 {
			r.Fail("the origins of an element out of order")
			return
		}
		c.shares.Raise(owners[i], share)
	}
}

// appendOrigins appends a table of the origins, ascending, each once, and a
// column of indexes into it.
func appendOrigins(dst []byte, owners []merge.Origin) []byte {
	table := slices.Clone(owners)
	slices.SortFunc(table, merge.Origin.Compare)
	table = slices.Compact(table)
	dst = binary.AppendUvarint(dst, uint64(len(table)))
	index := make(map[merge.Origin]uint64, len(table))
	for i, o := range table {
		dst = append(dst, o[:]...)
		index[o] = uint64(i)
	}
	for _, o := range owners {
		dst = binary.AppendUvarint(dst, index[o])
	}
	return dst
}

// readOrigins reads n origins that appendOrigins appended, none after a problem.
// The caller has checked n against the input.
func readOrigins(r *varint.Reader, n int) []merge.Origin {
	table := make([]merge.Origin, r.Count(len(merge.Origin{})))
	for i := range table {
		copy(table[i][:], r.Fixed(len(table[i])))
		if i > 0 && table[i].Compare(table[i-1]) <= 0 {
			r.Fail("origins out of order")
		}
	}
	owners, used, left := make([]merge.Origin, n), make([]bool, len(table)), len(table)
	for i := range owners {
		at := r.Uvarint()
		if at >= uint64(len(table)) {
			r.Fail("an origin beyond the table")
			return nil
		}
		owners[i] = table[at]
		if !used[at] {
			used[at], left = true, left-1
		}
	}
	if left > 0 {
		r.Fail("an origin in the table that nothing uses")
	}
	return owners
}
