package crdt

import (
	"encoding/binary"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An EWFlag is an enable-wins flag: it is enabled while an enable has not been
// seen by a disable.
//
// Of a concurrent enable and disable the enable wins. The state is the enables
// that no later change has seen, and one causal context. It grows with the
// concurrent enables, the origins, and the gaps in what has been seen.
//
// Every change takes the next dot of its origin, so an origin belongs to one
// EWFlag of one replica, whose state must not be lost and then written again
// under the same origin.
//
// The zero value is disabled and ready to use. An EWFlag must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Baquero, Almeida, Cunha, Ferreira, "Composition in state-based
// replicated data types", Bulletin of the EATCS 123, 2017; Almeida, Shoker,
// Baquero, "Delta State Replicated Data Types", 2018.
type EWFlag struct {
	enables merge.DotMap[struct{}, struct{}] // at one key
}

// Enable enables the flag as origin and returns the delta.
func (f *EWFlag) Enable(origin merge.Origin) *EWFlag {
	return &EWFlag{*f.enables.Put(origin, struct{}{}, struct{}{})}
}

// Disable takes back the enables that the flag has seen, as origin, and returns
// the delta.
func (f *EWFlag) Disable(origin merge.Origin) *EWFlag {
	return &EWFlag{*f.enables.Drop(origin, struct{}{})}
}

// Enabled reports whether the flag is enabled.
func (f *EWFlag) Enabled() bool { return f.enables.Len() > 0 }

// Context returns the changes that the flag has seen. It is the flag's own and
// must not be modified.
func (f *EWFlag) Context() *merge.Context { return f.enables.Context() }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (f *EWFlag) Merge(from *EWFlag) bool { return f.enables.Merge(&from.enables) }

// Equal reports whether both have seen the same changes.
func (f *EWFlag) Equal(o *EWFlag) bool { return f.enables.Equal(&o.enables) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (f *EWFlag) Clone() *EWFlag { return &EWFlag{*f.enables.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an origin that has run out of sequence numbers.
func (f *EWFlag) MarshalBinary() ([]byte, error) { return f.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (f *EWFlag) AppendBinary(dst []byte) ([]byte, error) {
	return appendStored(dst, f)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError],
// and then the receiver is unchanged. It does not retain b.
func (f *EWFlag) UnmarshalBinary(b []byte) error {
	var read EWFlag
	if err := readStored(b, &read); err != nil {
		return err
	}
	f.enables = read.enables
	return nil
}

func (f *EWFlag) store() store { return dotStore[struct{}, struct{}]{&f.enables} }

func (f *EWFlag) under(seen *merge.Context) *EWFlag {
	return &EWFlag{*underContext(&f.enables, seen)}
}

func (f *EWFlag) typeName() string { return EWFlagKind.Name() }

func (f *EWFlag) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	return appendFun(dst, f.enables.At(struct{}{}), t, func(b []byte, _ struct{}) []byte { return b }), nil
}

func (f *EWFlag) readStore(r *varint.Reader, t *dotTable) error {
	return readFun(&f.enables, r, t, func(*varint.Reader) struct{} { return struct{}{} })
}

// A DWFlag is a disable-wins flag: it is enabled if it was enabled and every
// disable has been seen by some enable.
//
// Of a concurrent enable and disable the disable wins, whether or not the flag
// was enabled; a later enable overrules it. The state is the changes that no
// later one has seen, and one causal context. It grows with the concurrent
// changes, the origins, and the gaps in what has been seen.
//
// Every change takes the next dot of its origin, so an origin belongs to one
// DWFlag of one replica, whose state must not be lost and then written again
// under the same origin.
//
// The zero value is disabled and ready to use. A DWFlag must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: as of [EWFlag].
type DWFlag struct {
	changes merge.DotMap[struct{}, polarity] // at one key
}

// Enable enables the flag as origin and returns the delta. It overrules the
// disables that the flag has seen.
func (f *DWFlag) Enable(origin merge.Origin) *DWFlag {
	return &DWFlag{*f.changes.Put(origin, struct{}{}, added)}
}

// Disable disables the flag as origin and returns the delta.
func (f *DWFlag) Disable(origin merge.Origin) *DWFlag {
	return &DWFlag{*f.changes.Put(origin, struct{}{}, removed)}
}

// Enabled reports whether the flag is enabled.
func (f *DWFlag) Enabled() bool { return isPresent(f.changes.At(struct{}{})) }

// Context returns the changes that the flag has seen. It is the flag's own and
// must not be modified.
func (f *DWFlag) Context() *merge.Context { return f.changes.Context() }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (f *DWFlag) Merge(from *DWFlag) bool { return f.changes.Merge(&from.changes) }

// Equal reports whether both have seen the same changes.
func (f *DWFlag) Equal(o *DWFlag) bool { return f.changes.Equal(&o.changes) }

// Clone returns a copy that shares no mutable memory with the receiver.
func (f *DWFlag) Clone() *DWFlag { return &DWFlag{*f.changes.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about an origin that has run out of sequence numbers.
func (f *DWFlag) MarshalBinary() ([]byte, error) { return f.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (f *DWFlag) AppendBinary(dst []byte) ([]byte, error) {
	return appendStored(dst, f)
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError],
// and then the receiver is unchanged. It does not retain b.
func (f *DWFlag) UnmarshalBinary(b []byte) error {
	var read DWFlag
	if err := readStored(b, &read); err != nil {
		return err
	}
	f.changes = read.changes
	return nil
}

func (f *DWFlag) store() store { return dotStore[struct{}, polarity]{&f.changes} }

func (f *DWFlag) under(seen *merge.Context) *DWFlag {
	return &DWFlag{*underContext(&f.changes, seen)}
}

func (f *DWFlag) typeName() string { return DWFlagKind.Name() }

func (f *DWFlag) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	return appendFun(dst, f.changes.At(struct{}{}), t, appendPolarity), nil
}

func (f *DWFlag) readStore(r *varint.Reader, t *dotTable) error {
	return readFun(&f.changes, r, t, readPolarity)
}

// appendFun appends the number of dots, the dots, and what value appends for
// each.
func appendFun[V any](dst []byte, f merge.DotFun[V], t *dotTable, value func([]byte, V) []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(f.Len()))
	dst = t.append(dst, f.Dots())
	for e := range f.All() {
		dst = value(dst, e.Value)
	}
	return dst
}

// readFun replaces m, which is empty, by what appendFun appends, read to the end
// of r, at one key.
func readFun[V any](m *merge.DotMap[struct{}, V], r *varint.Reader, t *dotTable, value func(*varint.Reader) V) error {
	dots := t.read(r, r.Count(2))
	values := make([]V, len(dots))
	for i := range values {
		values[i] = value(r)
	}
	read, err := restore(r, min(1, len(dots)), func(yield func(struct{}, merge.DotFun[V]) bool) {
		if len(dots) > 0 {
			yield(struct{}{}, makeCell(r, dots, values))
		}
	}, t)
	if err == nil {
		*m = *read
	}
	return err
}
