package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// compressible returns a frame of which much repeats.
func compressible() crdtsync.Frame {
	f := &crdtsync.Changes{Space: "notes"}
	for i := range 100 {
		f.Changes = append(f.Changes, append(bytes.Repeat([]byte("what repeats "), 10), byte(i)))
	}
	return f
}

// plain returns the plain form of a compressed frame, and others as they are.
func plain(t testing.TB, b []byte) []byte {
	t.Helper()
	if len(b) < 2 || b[1]&wire.FlagS2 == 0 {
		return b
	}
	body, err := s2.Decode(nil, b[2:])
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{b[0], b[1] &^ wire.FlagS2}, body...)
}

func TestCompress(t *testing.T) {
	want := compressible()
	whole := encode(t, want)
	b := wire.Compress(whole)
	if len(b) > len(whole)/4 || b[0] != whole[0] || b[1] != wire.FlagS2 {
		t.Fatalf("%d bytes became %d with header %x", len(whole), len(b), b[:2])
	}
	got, err := wire.Decode(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the compressed frame reads %v, %v", got, err)
	}
	if again := wire.Compress(b); !bytes.Equal(again, b) {
		t.Error("a compressed frame is compressed again")
	}
}

// TestCompressOnlyWherePays keeps small frames and noise as they are.
func TestCompressOnlyWherePays(t *testing.T) {
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rand.New(rand.NewPCG(1, uint64(i))).Uint32())
	}
	for name, f := range map[string]crdtsync.Frame{
		"small": &crdtsync.Changes{Space: "s", Changes: [][]byte{make([]byte, 900)}},
		"noise": &crdtsync.Changes{Space: "s", Changes: [][]byte{noise}},
	} {
		whole := encode(t, f)
		if b := wire.Compress(whole); &b[0] != &whole[0] || len(b) != len(whole) {
			t.Errorf("%s: %d bytes became %d", name, len(whole), len(b))
		}
	}
}

// compressedBombs returns frames that claim or hold more than a frame may, or are
// no S2 block.
func compressedBombs() (bombs [][]byte) {
	bomb := func(block []byte) {
		bombs = append(bombs, append([]byte{byte(wire.TypeChanges), wire.FlagS2}, block...))
	}
	for _, n := range []uint64{wire.MaxFrame - 1, 1 << 20, math.MaxUint32, math.MaxUint64} {
		bomb(binary.AppendUvarint(nil, n))
		bomb(append(binary.AppendUvarint(nil, n), 0xff, 0xff, 0xff, 0xff, 0x10))
	}
	bomb(s2.Encode(nil, make([]byte, wire.MaxFrame-1)))
	bomb(s2.Encode(nil, make([]byte, 16<<20)))
	bomb(nil)
	bomb([]byte{0x80})
	whole := s2.Encode(nil, make([]byte, 5000))
	for n := range whole {
		bomb(whole[:n])
	}
	bomb(slices.Concat(whole, whole))
	return bombs
}

// TestCompressedFramesAreChecked holds a compressed frame to what a plain one is
// held to.
func TestCompressedFramesAreChecked(t *testing.T) {
	squeeze := func(header byte, flags byte, body []byte) []byte {
		return append([]byte{header, flags | wire.FlagS2}, s2.Encode(nil, body)...)
	}
	good := encode(t, compressible())
	for name, b := range map[string][]byte{
		"trailing byte":      squeeze(good[0], 0, append(slices.Clone(good[2:]), 0)),
		"another type":       squeeze(byte(wire.TypeAck), 0, good[2:]),
		"ignorable":          squeeze(good[0], wire.FlagIgnorable, good[2:]),
		"unknown type":       squeeze(100, 0, good[2:]),
		"no shorter":         squeeze(byte(wire.TypePing), 0, encode(t, &crdtsync.Ping{N: 7})[2:]),
		"compressed twice":   squeeze(good[0], 0, squeeze(good[0], 0, good[2:])),
		"of a frame in file": squeeze(240, 0, good[2:]),
	} {
		if f, err := wire.Decode(b); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s: Decode = %v, %v; want ErrFrame", name, f, err)
		}
	}
	if f, err := wire.Decode(squeeze(100, wire.FlagIgnorable, good[2:])); f != nil || err != nil {
		t.Errorf("an ignorable frame: %v, %v", f, err)
	}
}

func TestCompressedFile(t *testing.T) {
	var small, whole bytes.Buffer
	for _, buf := range []*bytes.Buffer{&whole, &small} {
		w, err := wire.NewFileWriter(buf, wire.FileHeader{Space: "notes", Changes: 100})
		if err != nil {
			t.Fatal(err)
		}
		if buf == &small {
			w.Compress()
		}
		if err := w.Write(compressible()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if small.Len() > whole.Len()/2 {
		t.Errorf("%d bytes became %d", whole.Len(), small.Len())
	}
	if _, got, err := readAll(&small); err != nil || !reflect.DeepEqual(got, []crdtsync.Frame{compressible()}) {
		t.Errorf("read %d frames, %v", len(got), err)
	}
}
