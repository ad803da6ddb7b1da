package crdt

import (
	"encoding/binary"
	"math"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A GCounter counts up.
//
// Concurrent additions add up. The state is a [Total] per origin that ever
// counted, and each stays for ever. In a field of an [ORMap] there is as much
// again for what was removed.
//
// An origin may add up to 2^63-1 in its life. It belongs to one replica, whose
// state must not be lost and then written again under the same origin: after a
// loss, count on under a new origin.
//
// The zero value counts 0 and is ready to use. A GCounter must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 6.
type GCounter struct {
	totals tallies[Total, *Total]
}

// Add adds n as origin and returns the delta. It returns [ErrOverflow], a nil
// delta, and leaves the counter unchanged if the origin's total cannot grow by
// as much.
//
// A delta that the caller ignores is never allocated.
func (c *GCounter) Add(origin merge.Origin, n uint64) (*GCounter, error) {
	return c.count(origin, n, &GCounter{})
}

// count is Add with a place for the delta. It is apart so that Add is inlined
// and leaves the place to its caller.
func (c *GCounter) count(origin merge.Origin, n uint64, delta *GCounter) (*GCounter, error) {
	if n == 0 {
		return delta, nil
	}
	own := c.totals.Own(origin)
	if own == nil {
		return c.first(origin, n, delta)
	}
	total, err := own.Add(n)
	if err != nil {
		return nil, err
	}
	*own = total
	delta.totals.First(origin, total)
	return delta, nil
}

// first is count for an origin that has no total.
func (c *GCounter) first(origin merge.Origin, n uint64, delta *GCounter) (*GCounter, error) {
	total, err := Total(0).Add(n)
	if err != nil {
		return nil, err
	}
	c.totals.Raise(origin, total)
	delta.totals.First(origin, total)
	return delta, nil
}

// Join merges the total of one origin, as [DecodeTotal] reads it from a cell,
// and reports a change.
func (c *GCounter) Join(origin merge.Origin, t Total) bool { return c.totals.Join(origin, &t) }

// Value returns the sum of what was added, in a field what removals of the field
// have not seen of it. A sum beyond the uint64 range is the
// end of it; the state stays exact.
func (c *GCounter) Value() uint64 {
	var up sum
	for _, t := range c.totals.left() {
		up.add(uint64(*t))
	}
	return up.above(sum{})
}

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (c *GCounter) Merge(from *GCounter) bool { return c.totals.Merge(&from.totals) }

// Equal reports whether both have the same totals.
func (c *GCounter) Equal(o *GCounter) bool { return c.totals.Equal(&o.totals) }

// Clone returns a copy that shares nothing with the receiver.
func (c *GCounter) Clone() *GCounter { return &GCounter{*c.totals.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). It never fails.
func (c *GCounter) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (c *GCounter) AppendBinary(dst []byte) ([]byte, error) {
	return c.totals.appendForm(dst, GCounterKind.Name())
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError],
// and then the receiver is unchanged. It does not retain b.
func (c *GCounter) UnmarshalBinary(b []byte) error {
	return c.totals.readForm(b, GCounterKind.Name(), readTotal, 1)
}

// A Total is what one origin ever added. It only grows. It is the cell of a
// [GCounter].
type Total uint64

// Add returns the total after its origin adds n, or [ErrOverflow].
func (t Total) Add(n uint64) (Total, error) {
	if t > math.MaxInt64 || n > math.MaxInt64-uint64(t) {
		return 0, ErrOverflow
	}
	return t + Total(n), nil
}

// Merge takes the larger total.
func (t *Total) Merge(from *Total) bool {
	if *from <= *t {
		return false
	}
	*t = *from
	return true
}

// Equal reports whether both are the same.
func (t *Total) Equal(o *Total) bool { return *t == *o }

// Clone returns a copy.
func (t *Total) Clone() *Total { c := *t; return &c }

func (t *Total) plus(o *Total) error {
	more, err := t.Add(uint64(*o))
	if err == nil {
		*t = more
	}
	return err
}

func (t *Total) minus(o *Total) { *t -= *o }

// AppendBinary appends the total as a varint.
func (t *Total) AppendBinary(dst []byte) ([]byte, error) {
	return binary.AppendUvarint(dst, uint64(*t)), nil
}

// readTotal takes off a total, which is not 0.
func readTotal(r *varint.Reader) Total {
	t := Total(r.Uvarint())
	if t == 0 || t > math.MaxInt64 {
		r.Fail("a count of 0 or over 63 bits")
	}
	return t
}

func decodeTotal(b []byte) (Total, error) {
	r := varint.NewReader("crdt: total", b)
	return readTotal(r), r.Done()
}

// DecodeTotal reads the cell of a grow-only counter. A nil cell is a total of 0.
func DecodeTotal(cell []byte) (Total, error) {
	if cell == nil {
		return 0, nil
	}
	t, err := decodeTotal(cell)
	if err != nil {
		return 0, &CellError{GCounterKind.Name(), err}
	}
	return t, nil
}
