package crdt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A Stamp orders the writes of an [LWWRegister] or of a field of an [LWWMap]: by
// time, then by origin. The writes of an [LWWSet] have a time alone.
type Stamp struct {
	Time   hlc.Timestamp
	Origin merge.Origin // of the writer, not of who forwards
}

// Compare returns -1, 0 or +1 as s is before, equal to or after o.
func (s Stamp) Compare(o Stamp) int {
	if s.Time != o.Time { // nearly always
		return s.Time.Compare(o.Time)
	}
	return s.Origin.Compare(o.Origin)
}

// String returns time and origin, or the time if there is no origin.
func (s Stamp) String() string {
	if s.Origin == (merge.Origin{}) {
		return s.Time.String()
	}
	return fmt.Sprintf("%s of %s", s.Time, s.Origin)
}

// ErrStale is the kind of every [*StaleError].
var ErrStale = errors.New("crdt: a write that is older than what it replaces")

// A StaleError reports a write that would have lost against the value that its
// author saw. Take stamps from an [hlc.Clock] that has observed the stamps of
// what was merged.
type StaleError struct {
	Stamp   Stamp // of the write
	Current Stamp // of the value it did not replace
}

// Error names both stamps.
func (e *StaleError) Error() string {
	return fmt.Sprintf("crdt: stamp %s is not after %s; observe merged stamps with the clock", e.Stamp, e.Current)
}

// Is makes a StaleError match [ErrStale].
func (e *StaleError) Is(target error) bool { return target == ErrStale }

// An LWWRegister holds the value that was written last.
//
// Of concurrent writes the one with the larger stamp wins, on equal times the
// larger origin, and then the larger encoding of the value; the others are
// gone. The state is one stamp and one value.
//
// The value is kept as canonical CBOR: what is passed in is not retained, and
// what is read out is the caller's own.
//
// The zero value holds nothing and is ready to use. An LWWRegister is not safe
// for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, specification 8.
type LWWRegister[T any] struct {
	latest Latest // Dot.Seq stays 0
}

// Set writes v with a stamp, and returns the delta. It returns a [*StaleError]
// if the stamp is not after the current one and a [*ValueError] if v cannot be
// encoded and read back; then the delta is nil and nothing changes.
func (r *LWWRegister[T]) Set(stamp Stamp, v T) (*LWWRegister[T], error) {
	if current, ok := r.Stamp(); ok && stamp.Compare(current) <= 0 {
		return nil, &StaleError{stamp, current}
	}
	b, err := encodeContent(v)
	if err != nil {
		return nil, err
	}
	delta := &LWWRegister[T]{Latest{stamp.Time, merge.Dot{Origin: stamp.Origin}, b}}
	r.Merge(delta)
	return delta, nil
}

// Get returns the value and whether there is one. It decodes it anew.
func (r *LWWRegister[T]) Get() (v T, ok bool) {
	if r.latest.Value == nil {
		return v, false
	}
	return decodeContent[T](r.latest.Value), true
}

// Stamp returns the stamp of the value and whether there is one.
func (r *LWWRegister[T]) Stamp() (Stamp, bool) {
	return Stamp{r.latest.Time, r.latest.Dot.Origin}, r.latest.Value != nil
}

// Merge keeps the later of both values and reports a change. It neither
// modifies nor retains from.
func (r *LWWRegister[T]) Merge(from *LWWRegister[T]) bool { return r.latest.Merge(&from.latest) }

// Equal reports whether both hold the same value with the same stamp.
func (r *LWWRegister[T]) Equal(o *LWWRegister[T]) bool { return r.latest.Equal(&o.latest) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (r *LWWRegister[T]) Clone() *LWWRegister[T] { return &LWWRegister[T]{r.latest} }

// MarshalBinary returns the canonical form (docs/format.md). It never fails.
func (r *LWWRegister[T]) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (r *LWWRegister[T]) AppendBinary(dst []byte) ([]byte, error) {
	body := []byte{}
	if r.latest.Value != nil {
		body = binary.BigEndian.AppendUint64(body, uint64(r.latest.Time))
		body = append(body, r.latest.Dot.Origin[:]...)
		body = append(body, r.latest.Value...)
	}
	return appendEnvelope(dst, LWWKind.Name(), body)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (r *LWWRegister[T]) UnmarshalBinary(b []byte) error {
	body, err := openEnvelope(LWWKind.Name(), b)
	if err != nil {
		return err
	}
	if body.Len() == 0 {
		r.latest = Latest{}
		return nil
	}
	var l Latest
	l.Time = readTime(body)
	copy(l.Dot.Origin[:], body.Fixed(len(l.Dot.Origin)))
	l.Value = body.Fixed(body.Len())
	if err := cmp.Or(body.Done(), checkContent[T](l.Value)); err != nil {
		return err
	}
	r.latest = l
	return nil
}
