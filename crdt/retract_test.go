package crdt_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// TestRetractReset takes back a count and a reset of it. What others have reset
// stays reset, and what only the writer has reset does not, as far as it is known
// what others wrote.
func TestRetractReset(t *testing.T) {
	inMap := crdt.Builtin()["ormap"].(*crdt.MapKind)
	field, err := crdt.AppendField(nil, "n", "gcounter")
	if err != nil {
		t.Fatal(err)
	}
	share := func(s crdt.Share) []byte {
		b, _ := s.AppendBinary(nil)
		return b
	}
	// remnant is the cell in the field after its origin counted to all, and gone of
	// it was removed.
	remnant := func(all, gone uint64) []byte {
		var cell []byte
		element := append(slices.Clone(field), originA[:]...)
		join := func(op crdt.Op, err error) {
			w := crdt.Write{Element: element, Dot: merge.Dot{Origin: originA, Seq: 1}, Op: op}
			if err == nil {
				cell, err = inMap.Join(cell, merge.DotSet{}, w)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		counted := func(n uint64) (crdt.Op, error) {
			return inMap.InField(crdt.Write{Element: element, Op: crdt.Op{Put: true, Payload: binary.AppendUvarint(nil, n)}}, cell, cell)
		}
		if gone > 0 {
			join(counted(gone))
			op, _, err := inMap.ResetCell(element, cell)
			join(op, err)
		}
		if all > gone {
			join(counted(all - gone))
		}
		return cell
	}
	for _, c := range []struct {
		name       string
		kind       crdt.Kind
		element    []byte
		cell, base []byte // after 7 of which all was reset; of the last write that stays, 2
		others     []byte // that have seen 1
		want       []byte // what is left of the others' and the base
		all        []byte // and if the others are not known
	}{
		{
			"pncounter", crdt.PNCounterKind, originA[:],
			share(crdt.Share{P: 7, PBase: 7}), share(crdt.Share{P: 2}), share(crdt.Share{P: 1, PBase: 1}),
			share(crdt.Share{P: 2, PBase: 1}), share(crdt.Share{P: 7, PBase: 7}),
		},
		{
			"gcounter in a map", inMap, append(slices.Clone(field), originA[:]...),
			remnant(7, 7), remnant(2, 0), remnant(1, 1), remnant(2, 1), remnant(7, 7),
		},
	} {
		for _, known := range []bool{true, false} {
			r := &crdt.Retraction{Origin: originA, Gone: merge.DotSet{}, Element: c.element, Base: c.base}
			want := c.all
			if known {
				r.Stays, want = func() ([]crdt.Write, bool) { return []crdt.Write{{Op: crdt.Op{Put: true, Payload: c.others}}}, true }, c.want
			}
			if got, err := crdt.Retract(c.kind, c.cell, r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, others known %v: %x, %v, want %x", c.name, known, got, err, want)
			}
		}
	}
}

// TestRetractLWW takes back a write over one of the same time: which of the two wins
// may be another one when it is made again under another origin.
func TestRetractLWW(t *testing.T) {
	kind := crdt.Builtin()["lww"]
	write := func(o merge.Origin, value byte) crdt.Write {
		return crdt.Write{Dot: merge.Dot{Origin: o, Seq: 1}, Time: 7, Op: crdt.Op{Put: true, Payload: []byte{0x61, value}}}
	}
	join := func(cell []byte, w crdt.Write) []byte {
		cell, err := kind.Join(cell, merge.DotSet{}, w)
		if err != nil {
			t.Fatal(err)
		}
		return cell
	}
	low, high := write(originA, 'l'), write(originB, 'h')
	only := join(nil, low)
	cell := join(only, high)
	if bytes.Equal(cell, only) {
		t.Fatal("the write of the larger origin does not win")
	}
	r := &crdt.Retraction{Origin: originB, Gone: merge.DotSet{high.Dot}}
	if got, err := crdt.Retract(kind, cell, r); err != nil || got != nil {
		t.Errorf("what stays unknown: %x, %v, want nothing", got, err)
	}
	r.Stays = func() ([]crdt.Write, bool) { return []crdt.Write{low}, true }
	if got, err := crdt.Retract(kind, cell, r); err != nil || !bytes.Equal(got, only) {
		t.Errorf("what stays known: %x, %v, want %x", got, err, only)
	}
}
