package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// tally is the constraint "*V is what one origin did in a counter": numbers of
// its own that only grow. It is the cell of the counter.
type tally[V any] interface {
	CellLattice[V]
	// plus adds the numbers of o, or returns [ErrOverflow] and leaves the
	// receiver in between.
	plus(o *V) error
	// minus takes away the numbers of o, none of which is above the receiver's.
	minus(o *V)
}

// tallies is what each origin did in a counter that can be the field of a map,
// and how much of it the removals of the field have seen. Both only grow. What
// still counts is the difference.
type tallies[V any, P tally[V]] struct {
	merge.ByOrigin[V, P]
	gone *merge.ByOrigin[V, P] // nil if that is nothing
}

// left yields the origins of which something still counts, ascending, with it.
// The caller must neither modify it nor keep it beyond the next change.
func (t *tallies[V, P]) left() iter.Seq2[merge.Origin, P] {
	if t.gone == nil {
		return t.All()
	}
	return func(yield func(merge.Origin, P) bool) {
		for o, v := range t.All() {
			rest := t.without(o, v)
			if !rest.Equal(new(V)) && !yield(o, rest) {
				return
			}
		}
	}
}

// of returns what still counts of o.
func (t *tallies[V, P]) of(o merge.Origin) P {
	if v, ok := t.Get(o); ok {
		return t.without(o, v)
	}
	return new(V)
}

// without returns what still counts of v, which is all of o.
func (t *tallies[V, P]) without(o merge.Origin, v P) P {
	if t.gone == nil {
		return v
	}
	gone, ok := t.gone.Get(o)
	if !ok {
		return v
	}
	rest := P(v.Clone())
	rest.minus(gone)
	return rest
}

// Merge joins what was done, and what is gone.
func (t *tallies[V, P]) Merge(from *tallies[V, P]) bool {
	changed := t.ByOrigin.Merge(&from.ByOrigin)
	if from.gone == nil {
		return changed
	}
	if t.gone == nil {
		t.gone = &merge.ByOrigin[V, P]{}
	}
	return t.gone.Merge(from.gone) || changed
}

// Equal reports whether both have the same done and gone.
func (t *tallies[V, P]) Equal(o *tallies[V, P]) bool {
	if t.gone == nil || o.gone == nil {
		return t.gone == o.gone && t.ByOrigin.Equal(&o.ByOrigin)
	}
	return t.ByOrigin.Equal(&o.ByOrigin) && t.gone.Equal(o.gone)
}

// Clone returns a copy that shares nothing with the receiver.
func (t *tallies[V, P]) Clone() *tallies[V, P] {
	c := &tallies[V, P]{ByOrigin: *t.ByOrigin.Clone()}
	if t.gone != nil {
		c.gone = t.gone.Clone()
	}
	return c
}

// resetInto writes into delta what takes away all that still counts.
func (t *tallies[V, P]) resetInto(delta *tallies[V, P]) {
	for o := range t.left() {
		if delta.gone == nil {
			delta.gone = &merge.ByOrigin[V, P]{}
		}
		v, _ := t.Get(o)
		delta.Join(o, v)
		delta.gone.Join(o, v)
	}
}

// counts reports whether something still counts.
func (t *tallies[V, P]) counts() bool {
	for range t.left() {
		return true
	}
	return false
}

// talliesVersion is the version of the binary form of tallies of which
// something is gone. Others have the first, as ever.
const talliesVersion = formatVersion + 1

// appendForm appends the binary form of the counter of that name.
func (t *tallies[V, P]) appendForm(dst []byte, name string) ([]byte, error) {
	if t.gone == nil {
		return appendEnvelope(dst, name, appendTallies(nil, &t.ByOrigin))
	}
	return appendVersion(dst, name, talliesVersion, t.appendBoth(nil))
}

// appendBoth appends what was done and what is gone.
func (t *tallies[V, P]) appendBoth(dst []byte) []byte {
	dst = appendTallies(dst, &t.ByOrigin)
	if t.gone == nil {
		return append(dst, 0)
	}
	return appendTallies(dst, t.gone)
}

func appendTallies[V any, P CellLattice[V]](dst []byte, m *merge.ByOrigin[V, P]) []byte {
	dst = appendOwners(dst, m)
	for _, v := range m.All() {
		dst, _ = v.AppendBinary(dst)
	}
	return dst
}

// readForm replaces the receiver by what appendForm wrote. read takes off the
// numbers of an origin, at least size bytes.
func (t *tallies[V, P]) readForm(b []byte, name string, read func(*varint.Reader) V, size int) error {
	r, version, err := openVersion(name, talliesVersion, b)
	if err != nil {
		return err
	}
	var all tallies[V, P]
	if version == talliesVersion {
		err = all.readBoth(r, read, size)
	} else {
		err = readTallies(r, &all.ByOrigin, read, size).Done()
	}
	if err == nil && version == talliesVersion && all.gone == nil {
		r.Fail("a version for nothing that is gone")
		err = r.Err()
	}
	if err == nil {
		*t = all
	}
	return err
}

// readBoth replaces the receiver, which is empty, by what appendBoth wrote, to
// the end of r.
func (t *tallies[V, P]) readBoth(r *varint.Reader, read func(*varint.Reader) V, size int) error {
	var gone merge.ByOrigin[V, P]
	readTallies(r, &t.ByOrigin, read, size)
	readTallies(r, &gone, read, size)
	if t.ByOrigin.Clone().Merge(&gone) {
		r.Fail("more is gone than there was")
	}
	if gone.Len() > 0 {
		t.gone = &gone
	}
	return r.Done()
}

// readTallies reads what appendTallies wrote into m, which is empty.
func readTallies[V any, P merge.Ptr[V]](r *varint.Reader, m *merge.ByOrigin[V, P], read func(*varint.Reader) V, size int) *varint.Reader {
	for _, o := range readOwners(r, size) {
		m.Raise(o, read(r))
	}
	return r
}
