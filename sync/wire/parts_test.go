package wire_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// manyOrigins returns a vector that no frame holds.
func manyOrigins(n int) *merge.VersionVector {
	v := &merge.VersionVector{}
	for i := range n {
		v.Raise(merge.Dot{Origin: merge.Origin{byte(i), byte(i >> 8), byte(i >> 16)}, Seq: uint64(i) + 1})
	}
	return v
}

func TestLongFrames(t *testing.T) {
	want := &crdtsync.Subscribe{Space: "s", Vector: manyOrigins(50_000)}
	b, err := wire.AppendLong(nil, want)
	if err != nil || len(b) <= wire.MaxFrame {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := wire.Decode(b); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("Decode took a long frame: %v", err)
	}
	var whole []byte
	for p := range crdtsync.Pieces(7, b, 0) {
		got, err := wire.Decode(encode(t, p))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("a piece came back as %v, %v", got, err)
		}
		whole = append(whole, p.Bytes...)
	}
	if got, err := wire.DecodeLong(whole); err != nil || !reflect.DeepEqual(got, crdtsync.Frame(want)) {
		t.Errorf("the whole reads as %T, %v", got, err)
	}
	if _, err := wire.AppendLong(nil, &crdtsync.Subscribe{Space: "s", Vector: manyOrigins(300_000)}); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("a frame beyond all limits: %v", err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "too short": {byte(wire.TypeSubscribe)}, "changes": encode(t, compressible()), "a piece": encode(t, &crdtsync.Piece{Size: 1, Bytes: []byte{1}}),
		"compressed": append([]byte{byte(wire.TypeSubscribe), wire.FlagS2}, 9), "cut": whole[:len(whole)-1],
	} {
		if _, err := wire.DecodeLong(b); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s: %v, want ErrFrame", name, err)
		}
	}
}

// TestFragmentsInFiles demands that the fragments of a change follow each other.
func TestFragmentsInFiles(t *testing.T) {
	raw := make([]byte, 100)
	var list []crdtsync.Frame
	for f := range crdtsync.Fragments("s", dot(1, 1), raw, 40) {
		list = append(list, f)
	}
	other := &crdtsync.Changes{Space: "s", Changes: [][]byte{{1}}}
	for name, frames := range map[string][]crdtsync.Frame{
		"begins late": {list[1]}, "a gap": {list[0], list[2]}, "again": {list[0], list[0]}, "another between": {list[0], other},
	} {
		var err error
		w := newWriter(t, uint64(len(frames)))
		for _, f := range frames {
			err = errors.Join(err, w.Write(f))
		}
		if !errors.Is(err, wire.ErrFile) {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
	}
	w := newWriter(t, 1)
	if err := w.Write(list[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, wire.ErrFile) {
		t.Errorf("a change that is not whole: %v, want ErrFile", err)
	}
}
