package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An LWWMap is a map in which the latest write of each field wins.
//
// Of concurrent writes of one field the one with the larger stamp wins, on equal
// times the larger origin, and then the larger encoding of the value; the others
// are gone. A removal is a write like every other, so that it wins over what is
// older than it, and a later write brings the field back. The state is a stamp
// and a value per field. It grows with the fields that were ever written, for
// removed ones keep their stamps.
//
// Values are kept as canonical CBOR: what is passed in is not retained, and what
// is read out is the caller's own. Keys are elements, as those of a set.
//
// The zero value is empty and ready to use. An LWWMap must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Johnson, Thomas, "Maintenance of duplicate databases", RFC 677, 1975;
// Shapiro et al., INRIA RR-7506, specification 8, for each field.
type LWWMap[K comparable, V any] struct {
	table *fieldTable[K] // nil in a delta, which has one field, and if there is none
	key   K              // of the only field
	only  field          // with the zero stamp if there is none
}

// Set writes v to the field k with a stamp, and returns the delta. It returns a
// [*StaleError] if the stamp is not after that of the field's last known write
// and a [*ValueError] if v cannot be encoded and read back; then the delta is
// nil and nothing changes.
func (m *LWWMap[K, V]) Set(stamp Stamp, k K, v V) (*LWWMap[K, V], error) {
	return m.set(&LWWMap[K, V]{}, stamp, k, v)
}

// Delete removes the field k, present or not, with a stamp, and returns the
// delta. The stamp is as for Set.
func (m *LWWMap[K, V]) Delete(stamp Stamp, k K) (*LWWMap[K, V], error) {
	delta := &LWWMap[K, V]{key: k, only: field{Stamp: stamp}}
	m.spread(0)
	if err := m.table.write(k, &delta.only); err != nil {
		return nil, err
	}
	return delta, nil
}

// set is Set, which is small enough to be compiled into its caller, so that a
// delta that does not outlive the caller costs no allocation.
func (m *LWWMap[K, V]) set(delta *LWWMap[K, V], stamp Stamp, k K, v V) (*LWWMap[K, V], error) {
	delta.key, delta.only.Stamp = k, stamp
	if !setScalar(&delta.only.fieldContent, &v) {
		b, err := encodeContent(v)
		if err != nil {
			return nil, err
		}
		delta.only.fieldContent = contentOf(b)
	}
	if m.table == nil {
		m.spread(0)
	}
	if err := m.table.write(k, &delta.only); err != nil {
		return nil, err
	}
	return delta, nil
}

// spread makes the fields a table, with room for as many.
func (m *LWWMap[K, V]) spread(fields int) {
	if m.table != nil {
		return
	}
	m.table = newFieldTable[K](fields)
	if m.only.Stamp != (Stamp{}) {
		m.table.join(m.key, &m.only)
	}
	var none K
	m.key, m.only = none, field{}
}

// at returns the field of k, with the zero stamp if it was never written.
func (m *LWWMap[K, V]) at(k K) (f field) {
	if m.table == nil && k == m.key {
		return m.only
	}
	if m.table != nil {
		if c, _, ok := m.table.find(k); ok {
			f = m.table.field(c)
		}
	}
	return f
}

// Get returns the value of the field k and whether there is one. It decodes it
// anew.
func (m *LWWMap[K, V]) Get(k K) (v V, ok bool) {
	f := m.at(k)
	if f.size == 0 {
		return v, false
	}
	return decodeContent[V](f.bytes()), true
}

// Has reports whether the field k holds a value.
func (m *LWWMap[K, V]) Has(k K) bool { return m.at(k).size != 0 }

// Stamp returns the stamp of the last write of the field k, which may be a
// removal, and whether there is one.
func (m *LWWMap[K, V]) Stamp(k K) (Stamp, bool) {
	f := m.at(k)
	return f.Stamp, f.Stamp != Stamp{}
}

// All yields the fields that hold a value, in no particular order.
func (m *LWWMap[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, f := range m.fields() {
			if f.size != 0 && !yield(k, decodeContent[V](f.bytes())) {
				return
			}
		}
	}
}

// Len returns the number of fields that hold a value.
func (m *LWWMap[K, V]) Len() int {
	switch {
	case m.table != nil:
		return m.table.present
	case m.only.size != 0:
		return 1
	}
	return 0
}

// fields yields the fields that were ever written.
func (m *LWWMap[K, V]) fields() iter.Seq2[K, *field] {
	return func(yield func(K, *field) bool) {
		if m.table == nil {
			if m.only.Stamp != (Stamp{}) {
				only := m.only
				yield(m.key, &only)
			}
			return
		}
		for c := range m.table.fields() {
			f := m.table.field(c)
			if !yield(c.key, &f) {
				return
			}
		}
	}
}

// written returns the number of fields that were ever written.
func (m *LWWMap[K, V]) written() int {
	switch {
	case m.table != nil:
		return m.table.used
	case m.only.Stamp != Stamp{}:
		return 1
	}
	return 0
}

// Merge keeps the later of both writes of each field and reports a change. It
// visits the fields of from, and neither modifies nor retains it.
func (m *LWWMap[K, V]) Merge(from *LWWMap[K, V]) (changed bool) {
	m.spread(from.written())
	if from.table == nil && from.only.Stamp != (Stamp{}) {
		return m.table.join(from.key, &from.only)
	}
	for k, f := range from.fields() {
		changed = m.table.join(k, f) || changed
	}
	return changed
}

// Equal reports whether both have the same fields, written with the same stamps
// and values.
func (m *LWWMap[K, V]) Equal(o *LWWMap[K, V]) bool {
	if m.written() != o.written() {
		return false
	}
	for k, f := range m.fields() {
		other := o.at(k)
		if !f.latest().Equal(other.latest()) {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares no mutable memory with the receiver.
func (m *LWWMap[K, V]) Clone() *LWWMap[K, V] {
	c := &LWWMap[K, V]{key: m.key, only: m.only}
	if m.table != nil {
		c.table = m.table.clone()
	}
	return c
}

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about a key that has none.
func (m *LWWMap[K, V]) MarshalBinary() ([]byte, error) { return m.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (m *LWWMap[K, V]) AppendBinary(dst []byte) ([]byte, error) {
	rows, err := sortRows(keys(m.fields()), m.written())
	if err != nil {
		return nil, err
	}
	fields, owners := make([]field, len(rows)), make([]merge.Origin, len(rows))
	for i, row := range rows {
		fields[i] = m.at(row.element)
		owners[i] = fields[i].Origin
	}
	body := appendRows(nil, rows)
	body = appendTimes(body, len(rows), func(i int) hlc.Timestamp { return fields[i].Time })
	body = appendOrigins(body, owners)
	body = appendBlobs(body, len(rows), func(i int) []byte { return fields[i].bytes() })
	return appendEnvelope(dst, LWWMapKind.Name(), body)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (m *LWWMap[K, V]) UnmarshalBinary(b []byte) error {
	r, err := openEnvelope(LWWMapKind.Name(), b)
	if err != nil {
		return err
	}
	names, err := readRows[K](r)
	if err != nil {
		return err
	}
	times := readTimes(r, len(names))
	owners := readOrigins(r, len(names))
	values := readBlobs(r, len(names))
	if err := r.Done(); err != nil {
		return err
	}
	read := newFieldTable[K](len(names))
	for i, k := range names {
		f := field{Stamp{times[i], owners[i]}, contentOf(values[i])}
		if err := checkRead[V](r, &f); err != nil {
			return err
		}
		read.join(k, &f)
	}
	*m = LWWMap[K, V]{table: read}
	return nil
}

// checkRead returns a problem with a field that was read from r.
func checkRead[V any](r *varint.Reader, f *field) error {
	if f.Stamp == (Stamp{}) {
		r.Fail("a field that was never written")
		return r.Err()
	}
	if f.size == 0 {
		return nil
	}
	return checkContent[V](f.bytes())
}
