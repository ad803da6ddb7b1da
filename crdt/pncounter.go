package crdt

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A PNCounter counts up and down, and can be reset.
//
// Concurrent additions add up. A reset takes away exactly what its author had
// seen: an addition concurrent with it survives, and concurrent resets of the
// same additions count once. The state is a [Share] per origin that ever
// counted, and each stays for ever.
//
// An origin may add up to 2^63-1 upwards and as much downwards in its life.
// It belongs to one replica, whose state must not be lost and then written
// again under the same origin: after a loss, count on under a new origin.
//
// The zero value counts 0 and is ready to use. A PNCounter must not be copied
// by assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 7; the baselines are
// those of the resettable counter of Almeida, Shoker, Baquero, "Delta State
// Replicated Data Types", 2018, kept as totals.
type PNCounter struct {
	shares merge.ByOrigin[Share, *Share]
}

// Add adds n, which may be negative, as origin and returns the delta. It
// returns [ErrOverflow], a nil delta, and leaves the counter unchanged if the
// origin's share cannot grow by as much.
//
// A delta that the caller ignores is never allocated.
func (c *PNCounter) Add(origin merge.Origin, n int64) (*PNCounter, error) {
	return c.count(origin, n, &PNCounter{})
}

// count is Add with a place for the delta. It is apart so that Add is inlined
// and leaves the place to its caller.
func (c *PNCounter) count(origin merge.Origin, n int64, delta *PNCounter) (*PNCounter, error) {
	if n == 0 {
		return delta, nil
	}
	own := c.shares.Own(origin)
	if own == nil {
		return c.first(origin, n, delta)
	}
	if err := own.grow(n); err != nil {
		return nil, err
	}
	delta.shares.First(origin, *own)
	return delta, nil
}

// first is count for an origin that has no share.
func (c *PNCounter) first(origin merge.Origin, n int64, delta *PNCounter) (*PNCounter, error) {
	share, err := Share{}.Add(n)
	if err != nil {
		return nil, err
	}
	c.shares.Raise(origin, share)
	delta.shares.First(origin, share)
	return delta, nil
}

// Join merges the share of one origin, as [DecodeShare] reads it from a cell,
// and reports a change.
func (c *PNCounter) Join(origin merge.Origin, s Share) bool { return c.shares.Join(origin, &s) }

// Reset takes away what the counter has seen, so that its value is 0, and
// returns the delta. The delta holds every share that was not 0 already.
func (c *PNCounter) Reset() *PNCounter {
	delta := &PNCounter{}
	c.resetInto(delta)
	c.Merge(delta)
	return delta
}

// Value returns the sum of what has been added and not been reset. A sum beyond
// the int64 range is the nearest end of it; the state stays exact.
func (c *PNCounter) Value() int64 {
	var up, down sum
	for _, s := range c.shares.All() {
		up.add(s.P - s.PBase)
		down.add(s.N - s.NBase)
	}
	return up.minus(down)
}

// sum is a sum of fewer than 2^64 numbers.
type sum struct{ high, low uint64 }

func (s *sum) add(n uint64) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, n, 0)
	s.high += carry
}

func (s *sum) addSum(t sum) {
	s.add(t.low)
	s.high += t.high
}

// minus returns s - t, clamped to the int64 range.
func (s sum) minus(t sum) int64 {
	low, borrow := bits.Sub64(s.low, t.low, 0)
	high, negative := bits.Sub64(s.high, t.high, borrow)
	switch {
	case negative == 0 && (high != 0 || low > math.MaxInt64):
		return math.MaxInt64
	case negative == 1 && (high != math.MaxUint64 || low < 1<<63):
		return math.MinInt64
	}
	return int64(low)
}

// above returns s - t, clamped to the uint64 range.
func (s sum) above(t sum) uint64 {
	low, borrow := bits.Sub64(s.low, t.low, 0)
	high, negative := bits.Sub64(s.high, t.high, borrow)
	switch {
	case negative == 1:
		return 0
	case high != 0:
		return math.MaxUint64
	}
	return low
}

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (c *PNCounter) Merge(from *PNCounter) bool { return c.shares.Merge(&from.shares) }

// Equal reports whether both have the same shares.
func (c *PNCounter) Equal(o *PNCounter) bool { return c.shares.Equal(&o.shares) }

// Clone returns a copy that shares nothing with the receiver.
func (c *PNCounter) Clone() *PNCounter { return &PNCounter{*c.shares.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). It never fails.
func (c *PNCounter) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (c *PNCounter) AppendBinary(dst []byte) ([]byte, error) {
	return appendEnvelope(dst, PNCounterKind.Name(), c.appendShares(nil))
}

// appendShares appends the body of the binary form.
func (c *PNCounter) appendShares(body []byte) []byte {
	body = appendOwners(body, &c.shares)
	for column := range shareColumns {
		for _, s := range c.shares.All() {
			body = binary.AppendUvarint(body, *s.columns()[column])
		}
	}
	return body
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError],
// and then the receiver is unchanged. It does not retain b.
func (c *PNCounter) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(PNCounterKind.Name(), b)
	if err != nil {
		return err
	}
	return c.readShares(r)
}

// readShares replaces the receiver by what appendShares wrote, to the end of r.
func (c *PNCounter) readShares(r *varint.Reader) error {
	origins := readOwners(r, shareColumns)
	read := PNCounter{}
	for i, s := range readShares(r, len(origins)) {
		read.shares.Raise(origins[i], s)
	}
	if err := r.Done(); err != nil {
		return err
	}
	*c = read
	return nil
}

// readShares reads n shares, of which none is empty, column by column.
func readShares(r *varint.Reader, n int) []Share {
	shares := make([]Share, n)
	for column := range shareColumns {
		for i := range shares {
			*shares[i].columns()[column] = r.Uvarint()
		}
	}
	for _, s := range shares {
		if s == (Share{}) || !s.valid() {
			r.Fail("a count of 0, over 63 bits or below its baseline")
		}
	}
	return shares
}
