package recon_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/sync/recon"
)

// drawn returns count different numbers below 2^width, ascending.
func drawn(r *rand.Rand, width, count int) []uint64 {
	seen := make(map[uint64]struct{})
	var out []uint64
	for len(out) < count {
		n := r.Uint64N(1 << width)
		if _, twice := seen[n]; !twice {
			seen[n] = struct{}{}
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// A set of 1,000 of 2^24 numbers takes log2(2^24/1000) + 1.44 bits a number at
// best, which is 1,937 bytes.
func TestNumbersAreShort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		if got := len(recon.AppendNumbers(nil, 24, drawn(r, 24, 1000))); got > 1990 {
			t.Errorf("1,000 numbers of 24 bits take %d bytes, want at most 1,990", got)
		}
	}
}

func TestNumbersRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for seed := range 256 {
		width := seed % 64
		count := r.IntN(60)
		if width < 8 {
			count = r.IntN(1<<width + 1)
		}
		want := drawn(r, width, count)
		b := recon.AppendNumbers(nil, width, want)
		gotWidth, got, err := recon.ReadNumbers(b, 200)
		if err != nil || gotWidth != width || !slices.Equal(got, want) {
			t.Fatalf("%d of %d bits: ReadNumbers = %d, %v, %v", count, width, gotWidth, got, err)
		}
		if count > 0 {
			if _, _, err := recon.ReadNumbers(b, count-1); err == nil {
				t.Fatal("more numbers than the limit are read")
			}
		}
		for cut := range b {
			if _, got, err := recon.ReadNumbers(b[:cut], 200); err == nil && len(got) == count {
				t.Fatalf("%d of %d bytes are read", cut, len(b))
			}
		}
	}
}

// FuzzNumbers demands one form for each set of numbers.
func FuzzNumbers(f *testing.F) {
	f.Add([]byte{24, 0})
	f.Add(recon.AppendNumbers(nil, 24, []uint64{1, 2, 70_000}))
	f.Add(recon.AppendNumbers(nil, 63, []uint64{0, 1<<63 - 1}))
	f.Add(recon.AppendNumbers(nil, 0, []uint64{0}))
	f.Add([]byte{5, 3, 0xff, 0xff, 0xff})
	f.Add([]byte{8, 1, 0, 0})
	f.Add([]byte{8, 1, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		width, numbers, err := recon.ReadNumbers(b, 1<<14)
		if err != nil {
			return
		}
		for i, n := range numbers {
			if n>>width > 0 || i > 0 && n <= numbers[i-1] {
				t.Fatalf("%x reads as %v of %d bits", b, numbers, width)
			}
		}
		if again := recon.AppendNumbers(nil, width, numbers); !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}
