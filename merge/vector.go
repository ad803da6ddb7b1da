package merge

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
)

// A FormatError reports bytes that no encoder of this module writes.
type FormatError = varint.FormatError

// ErrFormat is the kind of every [*FormatError].
var ErrFormat = varint.ErrFormat

// A VersionVector is a set of dots without gaps: per origin the number of its
// first changes that have been seen. The zero value has seen nothing.
type VersionVector struct {
	seqs map[Origin]uint64
}

// VectorOf returns the smallest vector that contains the dots.
func VectorOf(dots ...Dot) *VersionVector {
	v := &VersionVector{}
	for _, d := range dots {
		v.Raise(d)
	}
	return v
}

// Grow makes room for n more origins, to save the work of making it bit by bit.
func (v *VersionVector) Grow(n int) {
	seqs := make(map[Origin]uint64, len(v.seqs)+n)
	maps.Copy(seqs, v.seqs)
	v.seqs = seqs
}

// Get returns the last seen sequence number of o, 0 when there is none.
func (v *VersionVector) Get(o Origin) uint64 { return v.seqs[o] }

// Len returns the number of origins seen.
func (v *VersionVector) Len() int { return len(v.seqs) }

// Contains reports whether d has been seen.
func (v *VersionVector) Contains(d Dot) bool { return d.Seq != 0 && d.Seq <= v.seqs[d.Origin] }

// Raise includes d and everything before it, and reports a change.
func (v *VersionVector) Raise(d Dot) bool {
	if d.Seq <= v.seqs[d.Origin] {
		return false
	}
	if v.seqs == nil {
		v.seqs = make(map[Origin]uint64)
	}
	v.seqs[d.Origin] = d.Seq
	return true
}

// Merge joins from into the receiver: the larger entry per origin.
func (v *VersionVector) Merge(from *VersionVector) (changed bool) {
	for o, seq := range from.seqs {
		changed = v.Raise(Dot{o, seq}) || changed
	}
	return changed
}

// Equal reports whether both contain the same dots.
func (v *VersionVector) Equal(o *VersionVector) bool { return maps.Equal(v.seqs, o.seqs) }

// Clone returns a copy.
func (v *VersionVector) Clone() *VersionVector { return &VersionVector{maps.Clone(v.seqs)} }

// Covers reports whether the receiver contains every dot of o.
func (v *VersionVector) Covers(o *VersionVector) bool {
	for origin, seq := range o.seqs {
		if v.seqs[origin] < seq {
			return false
		}
	}
	return true
}

// Heads yields the last dot of each origin, in no particular order.
func (v *VersionVector) Heads() iter.Seq[Dot] {
	return func(yield func(Dot) bool) {
		for o, seq := range v.seqs {
			if !yield(Dot{o, seq}) {
				return
			}
		}
	}
}

// Sorted returns the last dot of each origin, by origin.
func (v *VersionVector) Sorted() []Dot {
	return slices.SortedFunc(v.Heads(), Dot.Compare)
}

// AppendBinary appends the canonical form: the number of origins, then per
// origin, ascending, its 16 bytes and its last sequence number.
func (v *VersionVector) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(len(v.seqs)))
	for _, d := range v.Sorted() {
		dst = append(dst, d.Origin[:]...)
		dst = binary.AppendUvarint(dst, d.Seq)
	}
	return dst, nil
}

// ReadVector takes a vector off r in the form AppendBinary writes.
func ReadVector(r *varint.Reader) *VersionVector {
	n := r.Count(17)
	v := &VersionVector{seqs: make(map[Origin]uint64, n)}
	var last Origin
	for i := range n {
		o, seq := readOrigin(r), r.Uvarint()
		if i > 0 && o.Compare(last) <= 0 {
			r.Fail("origins out of order")
		}
		if seq == 0 || seq > MaxSeq {
			r.Fail("sequence number 0 or beyond MaxSeq")
		}
		if r.Err() != nil {
			return &VersionVector{}
		}
		v.seqs[o], last = seq, o
	}
	return v
}

// DecodeVector reads what AppendBinary writes; other bytes are a
// [*FormatError]. The result does not alias b.
func DecodeVector(b []byte) (*VersionVector, error) {
	r := varint.NewReader("merge: version vector", b)
	v := ReadVector(r)
	if err := r.Done(); err != nil {
		return nil, err
	}
	return v, nil
}

func readOrigin(r *varint.Reader) (o Origin) {
	copy(o[:], r.Fixed(len(o)))
	return o
}
