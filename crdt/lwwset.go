package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/hlc"
)

// An LWWSet is a set in which the latest write of an element decides whether it
// is present, and an add wins over a remove of the same time.
//
// The state is, per element, the largest time at which it was added and the
// largest at which it was removed. It grows with the elements that were ever
// written; removed ones stay.
//
// Times come from an [hlc.Clock] that has observed the times of what was merged.
// One element takes no write at a time that is not after all that is known of
// it, so that no write is lost at the replica that makes it.
//
// The zero value is empty and ready to use. An LWWSet must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Shapiro et al., INRIA RR-7506, section 3.3.3; the bias as in Bieniusa
// et al., "Brief announcement: semantics of eventually consistent replicated
// sets", DISC 2012.
type LWWSet[T comparable] struct {
	stamped stampedSet[T]
}

// Add adds v at the time given and returns the delta. It returns a [*StaleError],
// a nil delta, and changes nothing if the time is not after the last known write
// of v.
func (s *LWWSet[T]) Add(at hlc.Timestamp, v T) (*LWWSet[T], error) {
	return s.write(v, Times{Added: at})
}

// Remove removes v, present or not, at the time given and returns the delta. The
// error is as for Add.
func (s *LWWSet[T]) Remove(at hlc.Timestamp, v T) (*LWWSet[T], error) {
	return s.write(v, Times{Removed: at})
}

func (s *LWWSet[T]) write(v T, to Times) (*LWWSet[T], error) {
	delta, err := s.stamped.write(v, to)
	if err != nil {
		return nil, err
	}
	return &LWWSet[T]{delta}, nil
}

// Has reports whether v is present.
func (s *LWWSet[T]) Has(v T) bool { return s.stamped.at(v).AddBiased() }

// All yields the elements that are present, in no particular order.
func (s *LWWSet[T]) All() iter.Seq[T] { return s.stamped.all(Times.AddBiased) }

// Len returns the number of elements that are present. It visits the removed
// ones too.
func (s *LWWSet[T]) Len() int { return count(s.All()) }

// Times returns what is known of v: nothing is the zero value.
func (s *LWWSet[T]) Times(v T) Times { return s.stamped.at(v) }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *LWWSet[T]) Merge(from *LWWSet[T]) bool { return s.stamped.times.Merge(&from.stamped.times) }

// Equal reports whether both know the same times.
func (s *LWWSet[T]) Equal(o *LWWSet[T]) bool { return s.stamped.times.Equal(&o.stamped.times) }

// Clone returns a copy that shares nothing with the receiver.
func (s *LWWSet[T]) Clone() *LWWSet[T] { return &LWWSet[T]{s.stamped.clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none.
func (s *LWWSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *LWWSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	return s.stamped.append(dst, LWWSetKind.Name())
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *LWWSet[T]) UnmarshalBinary(b []byte) error {
	return s.stamped.decode(b, LWWSetKind.Name())
}

// A RemoveBiasedLWWSet is an [LWWSet] in which a remove wins over an add of the
// same time. All else that is said there holds here.
//
// Source: as for [LWWSet].
type RemoveBiasedLWWSet[T comparable] struct {
	stamped stampedSet[T]
}

// Add adds v at the time given and returns the delta. It returns a [*StaleError],
// a nil delta, and changes nothing if the time is not after the last known write
// of v.
func (s *RemoveBiasedLWWSet[T]) Add(at hlc.Timestamp, v T) (*RemoveBiasedLWWSet[T], error) {
	return s.write(v, Times{Added: at})
}

// Remove removes v, present or not, at the time given and returns the delta. The
// error is as for Add.
func (s *RemoveBiasedLWWSet[T]) Remove(at hlc.Timestamp, v T) (*RemoveBiasedLWWSet[T], error) {
	return s.write(v, Times{Removed: at})
}

func (s *RemoveBiasedLWWSet[T]) write(v T, to Times) (*RemoveBiasedLWWSet[T], error) {
	delta, err := s.stamped.write(v, to)
	if err != nil {
		return nil, err
	}
	return &RemoveBiasedLWWSet[T]{delta}, nil
}

// Has reports whether v is present.
func (s *RemoveBiasedLWWSet[T]) Has(v T) bool { return s.stamped.at(v).RemoveBiased() }

// All yields the elements that are present, in no particular order.
func (s *RemoveBiasedLWWSet[T]) All() iter.Seq[T] { return s.stamped.all(Times.RemoveBiased) }

// Len returns the number of elements that are present. It visits the removed
// ones too.
func (s *RemoveBiasedLWWSet[T]) Len() int { return count(s.All()) }

// Times returns what is known of v: nothing is the zero value.
func (s *RemoveBiasedLWWSet[T]) Times(v T) Times { return s.stamped.at(v) }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (s *RemoveBiasedLWWSet[T]) Merge(from *RemoveBiasedLWWSet[T]) bool {
	return s.stamped.times.Merge(&from.stamped.times)
}

// Equal reports whether both know the same times.
func (s *RemoveBiasedLWWSet[T]) Equal(o *RemoveBiasedLWWSet[T]) bool {
	return s.stamped.times.Equal(&o.stamped.times)
}

// Clone returns a copy that shares nothing with the receiver.
func (s *RemoveBiasedLWWSet[T]) Clone() *RemoveBiasedLWWSet[T] {
	return &RemoveBiasedLWWSet[T]{s.stamped.clone()}
}

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an element that has none.
func (s *RemoveBiasedLWWSet[T]) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (s *RemoveBiasedLWWSet[T]) AppendBinary(dst []byte) ([]byte, error) {
	return s.stamped.append(dst, RemoveBiasedLWWSetKind.Name())
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (s *RemoveBiasedLWWSet[T]) UnmarshalBinary(b []byte) error {
	return s.stamped.decode(b, RemoveBiasedLWWSetKind.Name())
}
