package recon_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/sync/recon"
)

var key = recon.Key{1, 2, 3}

// items returns n distinct items of a width.
func items(r *rand.Rand, w recon.Width, n int) []uint64 {
	set := make(map[uint64]struct{}, n)
	for len(set) < n {
		set[r.Uint64()>>(64-8*w)] = struct{}{}
	}
	return slices.Sorted(maps.Keys(set))
}

func sketchOf(w recon.Width, n int, sets ...[]uint64) *recon.Sketch {
	s := recon.NewSketch(key, w, n)
	for _, set := range sets {
		for _, item := range set {
			s.Add(item)
		}
	}
	return s
}

// decode feeds the symbols of theirs to a decoder in portions until it is done.
func decode(t testing.TB, ours, theirs *recon.Sketch, portion int) *recon.Decoder {
	t.Helper()
	d := recon.NewDecoder(key, ours.Width())
	for !d.Done() && d.Len() < theirs.Len() {
		end := min(d.Len()+portion, theirs.Len())
		if err := d.Add(ours, theirs.Append(nil, d.Len(), end)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func sorted(items []uint64) []uint64 { return slices.Sorted(slices.Values(items)) }

func TestDecodeFindsTheDifference(t *testing.T) {
	for _, w := range []recon.Width{recon.Bits32, recon.Bits64} {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 1))
			all := items(r, w, 1+r.IntN(300))
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			ours, theirs := r.IntN(len(all)+1), r.IntN(len(all)+1)
			both := all[max(ours, theirs):]
			mine, yours := all[:min(ours, theirs)], all[min(ours, theirs):max(ours, theirs)]
			d := decode(t, sketchOf(w, 2000, mine, both), sketchOf(w, 2000, yours, both), 1+r.IntN(40))
			if !d.Done() {
				t.Fatalf("seed %d: not done after %d symbols for %d differences", seed, d.Len(), len(mine)+len(yours))
			}
			if got, want := sorted(d.Ours()), sorted(mine); !slices.Equal(got, want) {
				t.Errorf("seed %d: Ours() = %x, want %x", seed, got, want)
			}
			if got, want := sorted(d.Theirs()), sorted(yours); !slices.Equal(got, want) {
				t.Errorf("seed %d: Theirs() = %x, want %x", seed, got, want)
			}
		}
	}
}

// A sketch depends on which items there are, not on how they came to be there.
func TestSketchIsLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	a, b := items(r, recon.Bits64, 100), items(r, recon.Bits64, 40)
	want := sketchOf(recon.Bits64, 300, a)

	moved := sketchOf(recon.Bits64, 300, b, a)
	for _, item := range b {
		moved.Remove(item)
	}
	minus := sketchOf(recon.Bits64, 300, a, b)
	minus.Subtract(sketchOf(recon.Bits64, 300, b))
	longer := sketchOf(recon.Bits64, 10, a)
	longer.Extend(300, slices.Values(a))
	longer.Extend(200, nil)
	for name, s := range map[string]*recon.Sketch{"Remove": moved, "Subtract": minus, "Extend": longer, "Clone": want.Clone()} {
		if got, want := s.Append(nil, 0, s.Len()), want.Append(nil, 0, 300); !slices.Equal(got, want) {
			t.Errorf("%s gives another sketch, %v", name, s)
		}
	}
	clone := want.Clone()
	clone.Add(1)
	if slices.Equal(clone.Append(nil, 0, 300), want.Append(nil, 0, 300)) {
		t.Error("a clone shares memory with its sketch")
	}
}

// Symbols under another key are noise: nothing is found and nothing is done.
func TestAnotherKeyDecodesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	set := items(r, recon.Bits64, 50)
	other := recon.NewSketch(recon.Key{9}, recon.Bits64, 200)
	for _, item := range set {
		other.Add(item)
	}
	d := recon.NewDecoder(key, recon.Bits64)
	if err := d.Add(sketchOf(recon.Bits64, 200, set), other.Append(nil, 0, 200)); err != nil || d.Done() || len(d.Theirs()) > 0 {
		t.Errorf("Add = %v, done %v, found %d", err, d.Done(), len(d.Theirs()))
	}
}

func TestDecoderRefuses(t *testing.T) {
	ours := sketchOf(recon.Bits64, 4, []uint64{1, 2})
	d := recon.NewDecoder(key, recon.Bits64)
	if err := d.Add(ours, make([]byte, 12)); !errors.Is(err, recon.ErrSymbols) {
		t.Errorf("Add of a part of a symbol = %v", err)
	}
	if err := d.Add(ours, make([]byte, 55)); !errors.Is(err, recon.ErrSymbols) {
		t.Errorf("Add of more symbols than ours = %v", err)
	}
	if d.Done() || d.Len() != 0 {
		t.Errorf("done %v after %d symbols, want nothing to have happened", d.Done(), d.Len())
	}
	if err := d.Add(ours, ours.Append(nil, 0, 1)); err != nil || !d.Done() {
		t.Errorf("Add of an own symbol = %v, done %v", err, d.Done())
	}
}

// An item in one symbol that no other has is found, and then found again on the
// other side, for ever, unless finding it twice is an error.
func TestSymbolsThatContradictEachOther(t *testing.T) {
	one := sketchOf(recon.Bits64, 40, []uint64{42})
	none := recon.NewSketch(key, recon.Bits64, 40)
	lie := append(one.Append(nil, 0, 1), none.Append(nil, 1, 40)...)
	d := recon.NewDecoder(key, recon.Bits64)
	if err := d.Add(none, lie); !errors.Is(err, recon.ErrInconsistent) || d.Done() {
		t.Errorf("Add = %v, done %v, want ErrInconsistent", err, d.Done())
	}
	if err := d.Add(none, nil); !errors.Is(err, recon.ErrInconsistent) {
		t.Errorf("the next Add = %v, want ErrInconsistent", err)
	}
}

// A symbol is an item's only where the item lies: a checksum that is right by
// accident, or by design, elsewhere counts for nothing.
func TestPositionCounts(t *testing.T) {
	one := sketchOf(recon.Bits64, 40, []uint64{42})
	none := recon.NewSketch(key, recon.Bits64, 40)
	at := 1
	for slices.Equal(one.Append(nil, at, at+1), none.Append(nil, at, at+1)) == false {
		at++
	}
	lie := slices.Concat(none.Append(nil, 0, at), one.Append(nil, 0, 1))
	d := recon.NewDecoder(key, recon.Bits64)
	if err := d.Add(none, lie); err != nil || len(d.Theirs()) != 0 || d.Done() {
		t.Errorf("Add = %v, found %x, done %v", err, d.Theirs(), d.Done())
	}
}

// symbolsFor returns the mean and the largest number of symbols that d
// differences took.
func symbolsFor(t testing.TB, w recon.Width, d, runs int) (mean float64, most int) {
	total := 0
	for seed := range runs {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(d)))
		n := 40 + 2*d
		got := decode(t, recon.NewSketch(key, w, n), sketchOf(w, n, items(r, w, d)), 1)
		if !got.Done() {
			t.Fatalf("%d differences: not done after %d symbols", d, n)
		}
		total += got.Len()
		most = max(most, got.Len())
	}
	return float64(total) / float64(runs), most
}

// The figures of the package's comment.
func TestBytesForEachDifference(t *testing.T) {
	for _, test := range []struct {
		width recon.Width
		d     int
		bytes float64 // a difference, at most on average
	}{
		{recon.Bits64, 1, 12.1},
		{recon.Bits64, 10, 24},
		{recon.Bits64, 100, 19},
		{recon.Bits64, 1000, 17},
		{recon.Bits64, 10_000, 16.8},
		{recon.Bits32, 1000, 10},
		{recon.Bits32, 10_000, 9.8},
	} {
		mean, most := symbolsFor(t, test.width, test.d, max(2, min(100, 20_000/test.d)))
		size := float64(test.width.SymbolSize())
		got := mean * size / float64(test.d)
		t.Logf("%d bits, %5d differences: %5.2f bytes each on average, %5.2f at most", 8*test.width, test.d, got, float64(most)*size/float64(test.d))
		if got > test.bytes {
			t.Errorf("%d differences take %.2f bytes each on average, want at most %g", test.d, got, test.bytes)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, n := range []int{0, 1, 3, 20} {
		f.Add(sketchOf(recon.Bits64, 60, items(r, recon.Bits64, n)).Append(nil, 0, 60), true)
		f.Add(sketchOf(recon.Bits32, 60, items(r, recon.Bits32, n)).Append(nil, 0, 60), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, wide bool) {
		w := recon.Bits32
		if wide {
			w = recon.Bits64
		}
		n := len(b) / w.SymbolSize()
		ours := sketchOf(w, n, []uint64{1, 2, 3})
		d := recon.NewDecoder(key, w)
		if err := d.Add(ours, b); err != nil {
			return
		}
		if found := len(d.Ours()) + len(d.Theirs()); found > n {
			t.Errorf("%d items found in %d symbols", found, n)
		}
		if d.Done() {
			checkFound(t, d, ours, b)
		}
	})
}

// checkFound puts what was found where it was missing, which must give the
// peer's symbols.
func checkFound(t *testing.T, d *recon.Decoder, ours *recon.Sketch, theirs []byte) {
	for _, item := range d.Theirs() {
		ours.Add(item)
	}
	for _, item := range d.Ours() {
		ours.Remove(item)
	}
	if !slices.Equal(ours.Append(nil, 0, ours.Len()), theirs) {
		t.Error("done, but what was found does not explain the symbols")
	}
}

func ExampleDecoder() {
	var key recon.Key // the side that decodes draws it
	a, b := recon.NewSketch(key, recon.Bits64, 16), recon.NewSketch(key, recon.Bits64, 16)
	for item := range uint64(1000) {
		a.Add(item)
		b.Add(item + 1)
	}
	d := recon.NewDecoder(key, recon.Bits64)
	for !d.Done() && d.Len() < a.Len() {
		if err := d.Add(a, b.Append(nil, d.Len(), d.Len()+1)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(d.Ours(), d.Theirs(), d.Len(), "symbols")
	// Output: [0] [1000] 2 symbols
}

func BenchmarkSketchAdd(b *testing.B) {
	for _, n := range []int{128, 2048, 16384} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := recon.NewSketch(key, recon.Bits64, n)
			item := uint64(0)
			for b.Loop() {
				item++
				s.Add(item)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			none, s := recon.NewSketch(key, recon.Bits64, 40+2*n), sketchOf(recon.Bits64, 40+2*n, items(r, recon.Bits64, n))
			symbols := 0
			for b.Loop() {
				symbols = decode(b, none, s, 64).Len()
			}
			b.ReportMetric(float64(11*symbols)/float64(n), "B/diff")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/diff")
		})
	}
}
