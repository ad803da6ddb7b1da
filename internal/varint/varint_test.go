package varint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/internal/varint"
)

func read(b ...byte) *varint.Reader { return varint.NewReader("test: thing", b) }

func TestUvarintRoundTrip(t *testing.T) {
	numbers := []uint64{0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 1 << 32, 1 << 60, math.MaxInt64, math.MaxUint64}
	var b []byte
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	r := read(b...)
	for _, want := range numbers {
		if got := r.Uvarint(); got != want {
			t.Errorf("Uvarint() = %d, want %d", got, want)
		}
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestUvarintRefuses(t *testing.T) {
	tests := []struct {
		name    string
		bytes   []byte
		problem string
	}{
		{"nothing", nil, "truncated"},
		{"a first byte alone", []byte{0x80}, "truncated"},
		{"nine bytes of ten", bytes.Repeat([]byte{0xff}, 9), "truncated"},
		{"ten bytes of eleven", bytes.Repeat([]byte{0xff}, 10), "truncated"},
		{"65 bits", append(bytes.Repeat([]byte{0xff}, 9), 0x02), "64 bits"},
		{"eleven bytes", append(bytes.Repeat([]byte{0x80}, 10), 0x01), "64 bits"},
		{"a zero in two bytes", []byte{0x80, 0x00}, "overlong"},
		{"a one in three bytes", []byte{0x81, 0x80, 0x00}, "overlong"},
		{"127 in two bytes", []byte{0xff, 0x00}, "overlong"},
	}
	for _, test := range tests {
		r := read(test.bytes...)
		if n := r.Uvarint(); n != 0 {
			t.Errorf("%s reads as %d", test.name, n)
		}
		if err := r.Done(); err == nil || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s gives %v, want %q", test.name, err, test.problem)
		}
	}
}

func TestByteAndFixed(t *testing.T) {
	r := read(1, 2, 3, 4)
	if got := r.Byte(); got != 1 {
		t.Errorf("Byte() = %d", got)
	}
	if got := r.Fixed(2); !bytes.Equal(got, []byte{2, 3}) {
		t.Errorf("Fixed(2) = %x", got)
	}
	if r.Len() != 1 {
		t.Errorf("Len() = %d, want 1", r.Len())
	}
	if got := r.Fixed(0); len(got) != 0 || r.Err() != nil {
		t.Errorf("Fixed(0) = %x, %v", got, r.Err())
	}
	if got := r.Fixed(2); got != nil || r.Err() == nil {
		t.Errorf("Fixed(2) of one byte = %x, %v", got, r.Err())
	}
	if got := read(1).Fixed(-1); got != nil {
		t.Errorf("Fixed(-1) = %x", got)
	}
	if got := read().Byte(); got != 0 {
		t.Errorf("Byte() of nothing = %d", got)
	}
}

// What Fixed returns cannot grow into what follows it.
func TestFixedIsClipped(t *testing.T) {
	b := []byte{1, 2, 3}
	got := append(read(b...).Fixed(1), 9)
	if b[1] != 2 || got[1] != 9 {
		t.Errorf("appending to a field overwrites the next: %x", b)
	}
}

func TestBytes(t *testing.T) {
	b := varint.AppendBytes(nil, []byte("one"))
	b = varint.AppendString(b, "")
	b = varint.AppendString(b, strings.Repeat("x", 200))
	r := read(b...)
	for _, want := range []string{"one", "", strings.Repeat("x", 200)} {
		if got := string(r.Bytes()); got != want {
			t.Errorf("Bytes() = %q, want %q", got, want)
		}
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestBytesRefusesLengths(t *testing.T) {
	for _, n := range []uint64{2, 1 << 31, math.MaxInt64, 1 << 63, math.MaxUint64} {
		r := read(append(binary.AppendUvarint(nil, n), 'x')...)
		if got := r.Bytes(); got != nil || r.Err() == nil {
			t.Errorf("Bytes() of length %d in one byte = %x, %v", n, got, r.Err())
		}
	}
}

func TestCount(t *testing.T) {
	if got := read(3, 0, 0, 0, 0, 0, 0).Count(2); got != 3 {
		t.Errorf("Count(2) of 3 in 6 bytes = %d", got)
	}
	for _, n := range []uint64{3, 1 << 31, 1 << 63, math.MaxUint64} {
		r := read(append(binary.AppendUvarint(nil, n), 1, 2, 3, 4, 5)...)
		if got := r.Count(2); got != 0 || r.Err() == nil {
			t.Errorf("Count(2) of %d in 5 bytes = %d, %v", n, got, r.Err())
		}
	}
}

func TestFirstProblemSticks(t *testing.T) {
	r := read(0x80, 0x00, 1, 2, 3)
	r.Uvarint()
	first := r.Err()
	r.Fail("another problem")
	if r.Uvarint() != 0 || r.Byte() != 0 || r.Bytes() != nil || r.Fixed(1) != nil || r.Count(1) != 0 {
		t.Error("a reader goes on after a problem")
	}
	if r.Err() != first || r.Done() != first {
		t.Errorf("Err, Done = %v, %v, want %v", r.Err(), r.Done(), first)
	}
}

func TestDone(t *testing.T) {
	r := read(1, 2)
	r.Byte()
	e, ok := errors.AsType[*varint.FormatError](r.Done())
	if !ok || e.What != "test: thing" || e.Offset != 1 || e.Problem != "trailing bytes" {
		t.Fatalf("Done() = %#v", e)
	}
	if !errors.Is(e, varint.ErrFormat) {
		t.Error("a FormatError does not match ErrFormat")
	}
	if got, want := e.Error(), "test: thing: trailing bytes at byte 1"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

// FuzzReader reads fields of the kinds that script names, and what was read
// without a problem must encode to the bytes it was read from.
func FuzzReader(f *testing.F) {
	f.Add([]byte("ubs"), []byte{5, 7, 2, 'h', 'i'})
	f.Add([]byte("uuu"), []byte{0x80, 0x01, 0xff, 0x7f, 0x80, 0x00})
	f.Fuzz(func(t *testing.T, script, b []byte) {
		r := varint.NewReader("fuzz", b)
		var again []byte
		for _, kind := range script {
			switch kind {
			case 'u':
				again = binary.AppendUvarint(again, r.Uvarint())
			case 'b':
				again = append(again, r.Byte())
			case 's':
				again = varint.AppendBytes(again, r.Bytes())
			case 'c':
				n := r.Count(3)
				if n > r.Len()/3 {
					t.Fatalf("Count(3) = %d with %d bytes left", n, r.Len())
				}
				again = binary.AppendUvarint(again, uint64(n))
			}
			if r.Len() < 0 {
				t.Fatal("Len() < 0")
			}
		}
		if r.Err() == nil && !bytes.HasPrefix(b, again) {
			t.Fatalf("%x reads as what encodes to %x", b, again)
		}
	})
}
