package recon_test

import (
	"encoding/hex"
	"testing"

	"github.com/joinery-crdt/joinery/sync/recon"
)

// What peers must agree on, to the bit.
func TestBytesArePinned(t *testing.T) {
	x := &recon.Index{}
	x.Append([]byte("a"), recon.Print{1, 2})
	if got, want := x.Under(recon.Key{}).Item(0), uint64(0xfb058313e6201d48); got != want {
		t.Errorf("an item under the zero key is %#x, want SipHash-1-3's %#x", got, want)
	}
	for _, test := range []struct {
		width recon.Width
		want  string
	}{
		{recon.Bits64, "6a000000000000000206f307000000000000001e1b0a6a000000000000000206f36300000000000000e4eae86300000000000000e4eae807000000000000001e1b0a"},
		{recon.Bits32, "6a0000000206f3070000001e1b0a6a0000000206f363000000e4eae863000000e4eae8070000001e1b0a"},
	} {
		s := recon.NewSketch(key, test.width, 1<<20)
		s.Add(7)
		s.Add(99)
		got := hex.EncodeToString(s.Append(nil, 0, 6))
		if got != test.want {
			t.Errorf("%d bits: symbols %s, want %s", 8*test.width, got, test.want)
		}
		if got, want := last(s), 865_255; got != want {
			t.Errorf("%d bits: the last symbol that is not empty is in position %d, want %d", 8*test.width, got, want)
		}
	}
	got := hex.EncodeToString(recon.AppendRanges(nil, []recon.Range{
		{From: []byte{}, End: []byte("ab")}, {From: []byte("ab"), End: []byte("b")}, {From: []byte("c")},
	}))
	if want := "0600000002616200016203000163"; got != want {
		t.Errorf("ranges %s, want %s", got, want)
	}
}

// last returns the last position in which an item lies.
func last(s *recon.Sketch) (at int) {
	empty := string(make([]byte, s.Width().SymbolSize()))
	for i := range s.Len() {
		if string(s.Append(nil, i, i+1)) != empty {
			at = i
		}
	}
	return at
}
