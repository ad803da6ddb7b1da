package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/sync/wire"
)

// TestDecoderBombs puts the head of a string, list or map that claims much, a
// count that does, and lists nested deeply, at each place of each type of frame:
// the decoder allocates nothing for what is not there.
func TestDecoderBombs(t *testing.T) {
	var bombs [][]byte
	for _, major := range []byte{0x40, 0x60, 0x80, 0xa0} {
		bombs = append(bombs,
			binary.BigEndian.AppendUint32([]byte{major | 26}, 1<<27), binary.BigEndian.AppendUint64([]byte{major | 27}, 1<<40),
			binary.BigEndian.AppendUint64([]byte{major | 27}, 1<<63))
	}
	bombs = append(bombs, bytes.Repeat([]byte{0x81}, 4096), bytes.Repeat([]byte{0xa1}, 4096), bytes.Repeat([]byte{0xff}, 9),
		[]byte{0xff, 0xff, 0xff, 0x7f}, []byte{0xff, 0xff, 0x7f})
	tried := 0
	for _, frame := range frames() {
		whole := encode(t, frame)
		for at := 2; at < len(whole); at++ {
			for _, bomb := range bombs {
				tried++
				checkBomb(t, slices.Concat(whole[:at], bomb))
				checkBomb(t, slices.Concat(whole[:at], bomb, whole[at:]))
				over := slices.Clone(whole)
				copy(over[at:], bomb)
				checkBomb(t, over)
			}
		}
	}
	for _, b := range compressedBombs() {
		tried++
		checkBomb(t, b)
		if _, err := wire.Decode(b); err == nil {
			t.Errorf("Decode took the bomb %x", b[:min(len(b), 40)])
		}
	}
	t.Logf("%d bombs", tried)
}

// checkBomb decodes a frame within the memory that its bytes justify. It may be
// taken where the bomb lies within a string of bytes.
func checkBomb(t *testing.T, b []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	frame, err := wire.Decode(b)
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(64*len(b)+1<<20); got > limit {
		t.Errorf("decoding %d bytes, %x, took %d bytes of memory, the limit is %d", len(b), b[:min(len(b), 40)], got, limit)
	}
	if err != nil && !errors.Is(err, wire.ErrFrame) {
		t.Errorf("Decode = %v, want ErrFrame", err)
	}
	if err == nil && !bytes.Equal(encode(t, frame), plain(t, b)) {
		t.Errorf("Decode took %x, which is not canonical", b)
	}
}
