package merge_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

func vectors() []*merge.VersionVector {
	return []*merge.VersionVector{
		{},
		merge.VectorOf(dot(1, 1)),
		merge.VectorOf(dot(1, 3), dot(2, 1)),
		merge.VectorOf(dot(2, 5), dot(300, 200)),
		merge.VectorOf(dot(1, merge.MaxSeq)),
	}
}

func TestVectorLaws(t *testing.T) {
	if err := triples(vectors(), mergetest.Laws[*merge.VersionVector]); err != nil {
		t.Error(err)
	}
}

func TestVectorCodec(t *testing.T) {
	for _, v := range vectors() {
		if err := mergetest.Codec(v, merge.DecodeVector); err != nil {
			t.Error(err)
		}
	}
}

func TestVectorContainsPrefixes(t *testing.T) {
	v := merge.VectorOf(dot(1, 3), dot(1, 2))
	for d, want := range map[merge.Dot]bool{dot(1, 0): false, dot(1, 1): true, dot(1, 3): true, dot(1, 4): false, dot(2, 1): false, dot(2, 0): false} {
		if got := v.Contains(d); got != want {
			t.Errorf("Contains(%v) = %t, want %t", d, got, want)
		}
	}
	if v.Get(origin(1)) != 3 || v.Get(origin(2)) != 0 || v.Len() != 1 {
		t.Errorf("Get, Len = %d, %d, %d, want 3, 0, 1", v.Get(origin(1)), v.Get(origin(2)), v.Len())
	}
}

func TestVectorRaise(t *testing.T) {
	var v merge.VersionVector
	if v.Raise(dot(1, 0)) || v.Len() != 0 {
		t.Error("a dot that names nothing raises the vector")
	}
	if !v.Raise(dot(1, 2)) || v.Raise(dot(1, 2)) || v.Raise(dot(1, 1)) {
		t.Error("Raise does not report changes as they are")
	}
}

func TestVectorCovers(t *testing.T) {
	low, high, beside := merge.VectorOf(dot(1, 1)), merge.VectorOf(dot(1, 2), dot(2, 1)), merge.VectorOf(dot(3, 1))
	if !high.Covers(low) || low.Covers(high) || high.Covers(beside) || beside.Covers(high) {
		t.Error("Covers is not the order of the lattice")
	}
	if !low.Covers(low) || !low.Covers(&merge.VersionVector{}) {
		t.Error("Covers does not hold of itself and of bottom")
	}
}

func TestVectorHeads(t *testing.T) {
	v := merge.VectorOf(dot(3, 1), dot(1, 4), dot(2, 2))
	want := []merge.Dot{dot(1, 4), dot(2, 2), dot(3, 1)}
	if got := v.Sorted(); !slices.Equal(got, want) {
		t.Errorf("Sorted() = %v, want %v", got, want)
	}
	for range v.Heads() {
		break // a consumer may stop
	}
}

func TestDecodeVectorRefuses(t *testing.T) {
	a, b := origin(1), origin(2)
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"no bytes", nil},
		{"a count beyond the input", []byte{0xff, 0xff, 0x03}},
		{"sequence number 0", join([]byte{1}, a[:], []byte{0})},
		{"beyond MaxSeq", join([]byte{1}, a[:], []byte{0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10})},
		{"overlong number", join([]byte{1}, a[:], []byte{0x81, 0x00})},
		{"origins out of order", join([]byte{2}, b[:], []byte{1}, a[:], []byte{1})},
		{"an origin twice", join([]byte{2}, a[:], []byte{1}, a[:], []byte{1})},
		{"trailing bytes", []byte{0, 0}},
	}
	for _, test := range tests {
		v, err := merge.DecodeVector(test.bytes)
		if v != nil || !errors.Is(err, merge.ErrFormat) {
			t.Errorf("DecodeVector of %s = %v, %v, want ErrFormat", test.name, v, err)
		}
		if _, ok := errors.AsType[*merge.FormatError](err); !ok {
			t.Errorf("DecodeVector of %s gives a %T", test.name, err)
		}
	}
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func TestVectorGrowChangesNothing(t *testing.T) {
	d := merge.Dot{Origin: merge.Origin{1}, Seq: 3}
	for _, v := range []*merge.VersionVector{{}, merge.VectorOf(d)} {
		want := v.Clone()
		v.Grow(100)
		if !v.Equal(want) {
			t.Errorf("Grow left %v of %v", v.Sorted(), want.Sorted())
		}
		if v.Raise(merge.Dot{Origin: merge.Origin{2}, Seq: 1}); v.Len() != want.Len()+1 {
			t.Errorf("a grown vector holds %d origins, want %d", v.Len(), want.Len()+1)
		}
	}
}
