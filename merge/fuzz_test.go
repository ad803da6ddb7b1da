package merge_test

import (
	"bytes"
	"errors"
	"runtime/metrics"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
)

// allocated returns the number of bytes that f allocates on the heap, and
// perhaps what other goroutines do meanwhile.
func allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// memoryLimit is what decoding n bytes may allocate.
func memoryLimit(n int) uint64 { return 64*uint64(n) + 1<<20 }

// checkDecoder decodes b and fails if that takes too much memory, if the result
// encodes to other bytes, or if a refusal is not a FormatError.
func checkDecoder[V interface {
	AppendBinary([]byte) ([]byte, error)
}](t *testing.T, b []byte, decode func([]byte) (V, error),
) (v V, ok bool) {
	t.Helper()
	var err error
	used := allocated(func() { v, err = decode(b) })
	if limit := memoryLimit(len(b)); used > limit {
		t.Errorf("decoding %d bytes allocates %d, the limit is %d", len(b), used, limit)
	}
	if err != nil {
		if _, typed := errors.AsType[*merge.FormatError](err); !typed {
			t.Errorf("decoding gives a %T: %v", err, err)
		}
		return v, false
	}
	if again, err := v.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%x encodes again to %x, %v", b, again, err)
	}
	return v, true
}

func FuzzDecodeVector(f *testing.F) {
	for _, v := range vectors() {
		b, _ := v.AppendBinary(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := checkDecoder(t, b, merge.DecodeVector)
		if !ok {
			return
		}
		if !merge.VectorOf(v.Sorted()...).Equal(v) {
			t.Error("the vector of its own heads is another")
		}
	})
}

func FuzzDecodeContext(f *testing.F) {
	for _, c := range contexts() {
		b, _ := c.AppendBinary(nil)
		f.Add(b)
	}
	f.Add(manyDots(17))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := checkDecoder(t, b, merge.DecodeContext)
		if !ok {
			return
		}
		var again merge.Context
		if again.Merge(c); !again.Equal(c) || again.Merge(c) {
			t.Error("a context merged into nothing is another")
		}
		if n := c.Count(); n > 1<<16 {
			return
		}
		var dots merge.Context
		for d := range c.All() {
			if !c.Contains(d) || !dots.Add(d) || c.Last(d.Origin) < d.Seq {
				t.Fatalf("%v is not in its own context once", d)
			}
		}
		if !dots.Equal(c) {
			t.Error("a context of its own dots is another")
		}
	})
}

// A few bytes that claim much must be refused before anything is allocated.
func TestDecodersBoundMemory(t *testing.T) {
	claim := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	million := []byte{0x80, 0x80, 0x80, 0x08}
	o := origin(1)
	for _, b := range [][]byte{million, join(million, make([]byte, 100)), claim, join([]byte{1}, o[:], claim), join(claim, make([]byte, 100))} {
		if _, ok := checkDecoder(t, b, merge.DecodeVector); ok {
			t.Errorf("DecodeVector takes %x", b)
		}
		if _, ok := checkDecoder(t, b, merge.DecodeContext); ok {
			t.Errorf("DecodeContext takes %x", b)
		}
	}
	if _, ok := checkDecoder(t, join([]byte{1}, o[:], million), merge.DecodeContext); ok {
		t.Error("DecodeContext takes a million runs in no bytes")
	}
}
