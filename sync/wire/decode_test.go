package wire_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// raw returns a frame with the CBOR of fields, which keeps to no rule.
func raw(t *testing.T, typ wire.Type, fields any) []byte {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{byte(typ), 0}, b...)
}

func TestDecodeRefuses(t *testing.T) {
	type fields = map[any]any
	vector := []byte{0}
	none := [][]byte{}
	print32 := make([]byte, 32)
	for name, b := range map[string][]byte{
		"nothing":                 nil,
		"only a type":             {byte(wire.TypePing)},
		"no body":                 {byte(wire.TypePing), 0},
		"type 0":                  {0, 0, 0xa0},
		"unknown type":            {99, 0, 0xa0},
		"type of files":           {240, 0, 0xa3, 1, 0x61, 's', 2, 0x40, 3, 0},
		"unknown flag":            {99, 2, 0xa0},
		"known type, ignorable":   {byte(wire.TypePing), wire.FlagIgnorable, 0xa1, 1, 0},
		"trailing byte":           {byte(wire.TypePing), 0, 0xa1, 1, 0, 0},
		"number not shortest":     {byte(wire.TypePing), 0, 0xa1, 1, 0x18, 0},
		"key not shortest":        {byte(wire.TypePing), 0, 0xa1, 0x18, 1, 0},
		"length not shortest":     {byte(wire.TypePing), 0, 0xb8, 1, 1, 0},
		"indefinite map":          {byte(wire.TypePing), 0, 0xbf, 1, 0, 0xff},
		"float":                   {byte(wire.TypePing), 0, 0xa1, 1, 0xf9, 0x3c, 0},
		"negative":                {byte(wire.TypePing), 0, 0xa1, 1, 0x20},
		"null":                    {byte(wire.TypePing), 0, 0xa1, 1, 0xf6},
		"tag":                     {byte(wire.TypePing), 0, 0xa1, 1, 0xc2, 0x41, 1},
		"null for a map":          {byte(wire.TypePing), 0, 0xf6},
		"array for a map":         {byte(wire.TypePing), 0, 0x81, 0},
		"field missing":           {byte(wire.TypePing), 0, 0xa0},
		"field twice":             {byte(wire.TypePing), 0, 0xa2, 1, 0, 1, 0},
		"field unknown":           raw(t, wire.TypePing, fields{1: 0, 2: 0}),
		"field by name":           raw(t, wire.TypePing, fields{"N": 0}),
		"fields out of order":     {byte(wire.TypeSubscribed), 0, 0xa2, 2, 0, 1, 0x61, 's'},
		"text that is not UTF-8":  {byte(wire.TypeSubscribed), 0, 0xa2, 1, 0x61, 0xff, 2, 0},
		"bytes for text":          raw(t, wire.TypeSubscribed, fields{1: []byte("s"), 2: 0, 3: none}),
		"empty space":             raw(t, wire.TypeSubscribed, fields{1: "", 2: 0, 3: none}),
		"origin too short":        raw(t, wire.TypeHello, fields{1: 1, 2: 1, 3: make([]byte, 15), 4: "", 5: none, 6: none, 7: 0, 8: make([]byte, 16)}),
		"origin too long":         raw(t, wire.TypeHello, fields{1: 1, 2: 1, 3: make([]byte, 17), 4: "", 5: none, 6: none, 7: 0, 8: make([]byte, 16)}),
		"nonce too short":         raw(t, wire.TypeHello, fields{1: 1, 2: 1, 3: make([]byte, 16), 4: "", 5: none, 6: none, 7: 0, 8: make([]byte, 15)}),
		"hello of old":            raw(t, wire.TypeHello, fields{1: 1, 2: 1, 3: make([]byte, 16), 4: ""}),
		"feature empty":           raw(t, wire.TypeHello, fields{1: 1, 2: 1, 3: make([]byte, 16), 4: "", 5: none, 6: [][]byte{{}}, 7: 0, 8: make([]byte, 16)}),
		"known too short":         raw(t, wire.TypeSubscribed, fields{1: "s", 2: 0, 3: [][]byte{make([]byte, 31)}}),
		"range with more":         raw(t, wire.TypeNeed, fields{1: "s", 2: [][]byte{append(make([]byte, 16), 1, 1, 1)}}),
		"origin as an array":      raw(t, wire.TypeHello, fields{1: 1, 2: 1, 3: make([]int, 16), 4: "", 5: none, 6: none, 7: 0, 8: make([]byte, 16)}),
		"fingerprint too short":   raw(t, wire.TypeFrontier, fields{1: "s", 2: make([]byte, 31), 3: print32, 4: 0, 5: 0}),
		"fingerprint too long":    raw(t, wire.TypeFrontier, fields{1: "s", 2: print32, 3: make([]byte, 33), 4: 0, 5: 0}),
		"vector empty":            raw(t, wire.TypeSubscribe, fields{1: "s", 2: []byte{}, 3: none}),
		"vector with more":        raw(t, wire.TypeSubscribe, fields{1: "s", 2: []byte{0, 0}, 3: none}),
		"vector, count too large": raw(t, wire.TypeSubscribe, fields{1: "s", 2: []byte{0xff, 0xff, 0xff, 0x7f}, 3: none}),
		"heads with sequence 0":   raw(t, wire.TypeAck, fields{1: "s", 2: append([]byte{1}, make([]byte, 17)...), 3: 0}),
		"dot too short":           raw(t, wire.TypeNack, fields{1: "s", 2: make([]byte, 16), 3: "c", 4: "", 5: "fatal", 6: ""}),
		"dot with sequence 0":     raw(t, wire.TypeNack, fields{1: "s", 2: make([]byte, 17), 3: "c", 4: "", 5: "fatal", 6: ""}),
		"check too short":         raw(t, wire.TypeSnapshotNamed, fields{1: "s", 2: 1, 3: 0, 4: slices.Concat([]byte{1}, make([]byte, 16), []byte{1, 2, 0}), 5: make([]byte, 15)}),
		"names of nothing":        raw(t, wire.TypeSnapshotNamed, fields{1: "s", 2: 1, 3: 0, 4: []byte{0, 0}, 5: make([]byte, 16)}),
		"code empty":              raw(t, wire.TypeGoodbye, fields{1: "", 2: ""}),
		"reason too long":         raw(t, wire.TypeGoodbye, fields{1: "c", 2: strings.Repeat("r", wire.MaxReason+1)}),
		"change as text":          raw(t, wire.TypeChanges, fields{1: "s", 2: []string{"x"}, 3: 0}),
		"changes as bytes":        raw(t, wire.TypeChanges, fields{1: "s", 2: []byte("x"), 3: 0}),
		"changes nested":          raw(t, wire.TypeChanges, fields{1: "s", 2: [][][]byte{{{1}}}, 3: 0}),
		"too many changes":        raw(t, wire.TypeChanges, fields{1: "s", 2: make([]string, wire.MaxChanges+1), 3: 0}),
		"vector for changes":      raw(t, wire.TypeChanges, fields{1: "s", 2: vector, 3: 0}),
		"too long":                append([]byte{byte(wire.TypeChanges), 0}, make([]byte, wire.MaxFrame)...),
	} {
		f, err := wire.Decode(b)
		if _, ok := errors.AsType[*wire.FrameError](err); !ok || f != nil {
			t.Errorf("%s: Decode = %#v, %v; want a FrameError", name, f, err)
		}
	}
}

func TestUnknownTypes(t *testing.T) {
	for _, typ := range []wire.Type{0, 15, 31, 63, 100, 239, 240, 255} {
		f, err := wire.Decode([]byte{byte(typ), wire.FlagIgnorable, 0xff, 0xff})
		if f != nil || err != nil {
			t.Errorf("an ignorable frame of %v = %#v, %v; want neither", typ, f, err)
		}
		_, err = wire.Decode([]byte{byte(typ), 0, 0xa0})
		if e, ok := errors.AsType[*wire.FrameError](err); !ok || e.Type != typ || !strings.Contains(err.Error(), "upgrade") {
			t.Errorf("a frame of %v: %v; want a FrameError that says to upgrade", typ, err)
		}
	}
	_, err := wire.Decode([]byte{100, wire.FlagIgnorable | 4})
	if !errors.Is(err, wire.ErrFrame) || !strings.Contains(err.Error(), "flags 0x5") {
		t.Errorf("an ignorable frame with another flag: %v, want ErrFrame", err)
	}
	_, err = wire.Decode(append([]byte{100, wire.FlagIgnorable}, make([]byte, wire.MaxFrame)...))
	if !errors.Is(err, wire.ErrFrame) {
		t.Errorf("an ignorable frame over the limit: %v, want ErrFrame", err)
	}
}

// TestMemory feeds bodies that claim much more than they hold.
func TestMemory(t *testing.T) {
	claims := [][]byte{
		{byte(wire.TypeChanges), 0, 0xa2, 1, 0x61, 's', 2, 0x9b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
		{byte(wire.TypeChanges), 0, 0xa2, 1, 0x7b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
		{byte(wire.TypeSubscribe), 0, 0xa2, 1, 0x61, 's', 2, 0x44, 0xff, 0xff, 0xff, 0x7f},
		{byte(wire.TypePing), 0, 0xbb, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0},
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range claims {
		if _, err := wire.Decode(b); err == nil {
			t.Errorf("Decode(%x) took it", b)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("decoding %d short frames took %d bytes", len(claims), got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range frames() {
		f.Add(encode(f, frame))
	}
	f.Add([]byte{100, wire.FlagIgnorable})
	f.Add(wire.Compress(encode(f, compressible())))
	f.Add(encode(f, &crdtsync.Changes{Space: "s", Changes: make([][]byte, 40)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := wire.Decode(b)
		switch {
		case err != nil:
			if !errors.Is(err, wire.ErrFrame) {
				t.Fatalf("Decode: %v, not a FrameError", err)
			}
		case frame != nil:
			if again := encode(t, frame); !bytes.Equal(again, plain(t, b)) {
				t.Fatalf("Decode took %x, Append gives %x", b, again)
			}
		}
	})
}

func FuzzDecodeLong(f *testing.F) {
	for _, frame := range frames() {
		f.Add(encode(f, frame))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := wire.DecodeLong(b)
		if err != nil {
			if !errors.Is(err, wire.ErrFrame) {
				t.Fatalf("DecodeLong: %v, not a FrameError", err)
			}
			return
		}
		if again, err := wire.AppendLong(nil, frame); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("DecodeLong took %x, AppendLong gives %x, %v", b, again, err)
		}
	})
}

func BenchmarkFrames(b *testing.B) {
	changes := &crdtsync.Changes{Space: "notes"}
	for range 300 {
		changes.Changes = append(changes.Changes, make([]byte, 200))
	}
	for _, frame := range []crdtsync.Frame{&crdtsync.Ping{N: 1}, frames()[7], changes} {
		encoded := encode(b, frame)
		name := wire.Type(encoded[0]).String()
		b.Run("append/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(encoded)))
			b.ReportAllocs()
			buf := make([]byte, 0, len(encoded))
			for b.Loop() {
				if _, err := wire.Append(buf, frame); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(encoded)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.Decode(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
