package crdt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// allocated returns how many bytes f allocates, freed or not.
func allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// memoryBound is what reading n bytes may allocate.
func memoryBound(n int) uint64 { return 64*uint64(n) + 1<<20 }

// checkMemory fails if decoding b into v allocates more than it may.
func checkMemory(t testing.TB, v decodable, b []byte) (err error) {
	t.Helper()
	got := allocated(func() { err = v.UnmarshalBinary(b) })
	if limit := memoryBound(len(b)); got > limit {
		t.Errorf("decoding %d bytes into a %T allocates %d, the limit is %d (error %v)", len(b), v, got, limit, err)
	}
	return err
}

// column returns n times what f appends.
func column(n int, f func(b []byte, i int) []byte) (b []byte) {
	for i := range n {
		b = f(b, i)
	}
	return b
}

func uvarints(n int, f func(i int) int) []byte {
	return column(n, func(b []byte, i int) []byte { return binary.AppendUvarint(b, uint64(f(i))) })
}

// elements returns the columns of n small elements.
func elements(t testing.TB, n int) []byte {
	var encoded [][]byte
	for i := range n {
		encoded = append(encoded, element(t, i))
	}
	slices.SortFunc(encoded, bytes.Compare)
	b := binary.AppendUvarint(nil, uint64(n))
	b = append(b, uvarints(n, func(i int) int { return len(encoded[i]) })...)
	return append(b, bytes.Join(encoded, nil)...)
}

// dense are bodies with as much to build for each of their bytes as can be.
func dense(t testing.TB) map[string][]byte {
	const n = 1 << 16
	seen := append(append([]byte{1}, make([]byte, 16)...), binary.AppendUvarint([]byte{1, 0}, n-1)...)
	seqs := uvarints(n, func(i int) int { return i + 1 })
	zeros, ones := make([]byte, n), bytes.Repeat([]byte{1}, n)
	count := binary.AppendUvarint(nil, n)
	gaps := append(append([]byte{1}, make([]byte, 16)...), append(binary.AppendUvarint(nil, n), bytes.Repeat([]byte{1, 0}, n)...)...)
	origins := column(n, func(b []byte, i int) []byte {
		return append(binary.BigEndian.AppendUint64(b, uint64(i)), make([]byte, 8)...)
	})
	many := column(n, func(b []byte, i int) []byte {
		return append(append(binary.BigEndian.AppendUint64(b, uint64(i)), make([]byte, 8)...), 1, 0, 0)
	})
	table := append([]byte{1}, make([]byte, 16)...) // of one origin
	return map[string][]byte{
		"gset elements":       elements(t, n),
		"twopset elements":    slices.Concat(elements(t, n), ones),
		"orset elements":      slices.Concat(seen, elements(t, n), ones, zeros, seqs),
		"rwset elements":      slices.Concat(seen, elements(t, n), ones, zeros, seqs, ones),
		"orset one element":   slices.Concat(seen, []byte{1, 1, 0}, count, zeros, seqs),
		"rwset one element":   slices.Concat(seen, []byte{1, 1, 0}, count, zeros, seqs, ones),
		"uset many":           slices.Concat(seen, elements(t, n), ones, zeros, seqs),
		"lwwset many":         slices.Concat(elements(t, n), ones, zeros),
		"lwwset-remove many":  slices.Concat(elements(t, n), zeros, ones),
		"pnset many":          slices.Concat(elements(t, n), ones, table, zeros, ones, zeros, zeros, zeros),
		"pnset one element":   slices.Concat([]byte{1, 1, 0}, count, count, origins, uvarints(n, func(i int) int { return i }), ones, zeros, zeros, zeros),
		"lwwmap removed":      slices.Concat(elements(t, n), ones, table, zeros, zeros),
		"lwwmap values":       slices.Concat(elements(t, n), ones, table, zeros, ones, zeros),
		"lwwmap origins":      slices.Concat(elements(t, n), ones, count, origins, uvarints(n, func(i int) int { return i }), ones, zeros),
		"lwwmap one list":     slices.Concat([]byte{1, 1, 0, 1}, table, []byte{0}, binary.AppendUvarint(nil, 5+3*n), []byte{0x9a, 0, 1, 0, 0}, bytes.Repeat([]byte{0xa1, 1, 1}, n)),
		"orset gaps":          slices.Concat(gaps, []byte{0}),
		"orset origins":       slices.Concat(count, many, []byte{0}),
		"mvregister values":   slices.Concat(seen, count, zeros, seqs, ones, zeros),
		"pncounter shares":    slices.Concat(count, origins, ones, zeros, zeros, zeros),
		"gcounter totals":     slices.Concat(count, origins, ones),
		"bounded accounts":    slices.Concat(count, origins, bytes.Repeat([]byte{1, 0, 0}, n)),
		"bounded gifts":       slices.Concat([]byte{1}, originA[:], []byte{1, 0}, count, origins, ones),
		"ewflag enables":      slices.Concat(seen, count, zeros, seqs),
		"dwflag changes":      slices.Concat(seen, count, zeros, seqs, ones),
		"lww maps":            slices.Concat(make([]byte, 24), []byte{0x9a, 0, 1, 0, 0}, bytes.Repeat([]byte{0xa1, 1, 1}, n)),
		"mvregister one list": slices.Concat(seen, []byte{1, 0, 1}, binary.AppendUvarint(nil, 5+3*n), []byte{0x9a, 0, 1, 0, 0}, bytes.Repeat([]byte{0xa1, 1, 1}, n)),
	}
}

// denseColumns are such bodies in version 2.
func denseColumns(t testing.TB) map[string][]byte {
	const n = 1 << 16
	head := func(seen int) []byte {
		return append(append([]byte{1}, make([]byte, 16)...), binary.AppendUvarint([]byte{1, 0}, uint64(seen-1))...)
	}
	keys := column(n, func(b []byte, i int) []byte { return append(b, 0x19, byte(1+i>>8), byte(i)) })
	keys = keys[:3*(n-256)]
	few := len(keys) / 3
	shapes := append([]byte{6, 6}, binary.AppendUvarint(nil, uint64(few-2))...)
	all := slices.Concat(binary.AppendUvarint([]byte{2, 0}, uint64(few)), shapes, keys)
	half := slices.Concat(binary.AppendUvarint(nil, uint64(few/4)<<1|1), bytes.Repeat([]byte{0x55}, few/4), shapes, keys)
	sparse := binary.AppendUvarint(nil, uint64(few)<<1)
	for range few {
		sparse = append(binary.AppendUvarint(sparse, 99), 1)
	}
	more := binary.AppendUvarint(nil, uint64(few))
	for i := range few {
		more = binary.AppendUvarint(append(more, byte(min(i, 1)), 0), uint64(few+i+1))
	}
	return map[string][]byte{
		"all":     slices.Concat(head(few), all, []byte{0}),
		"half":    slices.Concat(head(2*few), half, []byte{0}),
		"sparse":  slices.Concat(head(100*few), sparse, shapes, keys, []byte{0}),
		"further": slices.Concat(head(2*few), all, more),
	}
}

func TestDecodingMemoryOfColumns(t *testing.T) {
	for label, body := range denseColumns(t) {
		for _, v := range []decodable{&crdt.ORSet[int]{}, &crdt.ORSet[any]{}} {
			if err := checkMemory(t, v, envelope(t, "orset", 2, body)); err != nil {
				t.Errorf("%s: %v, want a value", label, err)
			}
			if err := checkMemory(t, v, envelope(t, "orset", 2, body[:len(body)-1])); !isDecodeError(err) {
				t.Errorf("%s, truncated: %v, want an error", label, err)
			}
		}
	}
}

// denseBlanks are what dense bodies decode into.
func denseBlanks() map[string][]decodable {
	return map[string][]decodable{
		"gset":       {&crdt.GSet[int]{}, &crdt.GSet[any]{}},
		"twopset":    {&crdt.TwoPSet[int]{}, &crdt.TwoPSet[any]{}},
		"orset":      {&crdt.ORSet[int]{}, &crdt.ORSet[any]{}},
		"rwset":      {&crdt.RWSet[int]{}, &crdt.RWSet[any]{}},
		"pncounter":  {&crdt.PNCounter{}},
		"gcounter":   {&crdt.GCounter{}},
		"bounded":    {&crdt.BoundedCounter{}},
		"ewflag":     {&crdt.EWFlag{}},
		"dwflag":     {&crdt.DWFlag{}},
		"lww":        {&crdt.LWWRegister[any]{}},
		"mvregister": {&crdt.MVRegister[any]{}},
		"ormap":      {&crdt.ORMap[int, crdt.ORSet[int], *crdt.ORSet[int]]{}, &crdt.ORMap[any, crdt.ORSet[any], *crdt.ORSet[any]]{}},
		"nested":     {&gsetField{}},

		"uset":          {&crdt.USet[int]{}, &crdt.USet[any]{}},
		"lwwset":        {&crdt.LWWSet[int]{}, &crdt.LWWSet[any]{}},
		"lwwset-remove": {&crdt.RemoveBiasedLWWSet[int]{}},
		"pnset":         {&crdt.PNSet[int]{}, &crdt.PNSet[any]{}},
		"lwwmap":        {&crdt.LWWMap[int, any]{}, &crdt.LWWMap[any, any]{}},
	}
}

func TestDecodingMemory(t *testing.T) {
	blanks := denseBlanks()
	for label, body := range dense(t) {
		name, _, _ := strings.Cut(label, " ")
		for _, v := range blanks[name] {
			if err := checkMemory(t, v, envelope(t, name, 1, body)); err != nil {
				t.Errorf("%s: %v, want a value", label, err)
			}
			if err := checkMemory(t, v, envelope(t, name, 1, body[:len(body)-1])); !isDecodeError(err) {
				t.Errorf("%s, truncated: %v, want an error", label, err)
			}
		}
	}
}

// Counts that are possible one by one, and together more than the input.
func TestManyCounts(t *testing.T) {
	const n = 1 << 10
	body := slices.Concat([]byte{0}, elements(t, n), uvarints(n, func(int) int { return 8 * n }), make([]byte, 16*n))
	if err := checkMemory(t, &crdt.ORSet[int]{}, envelope(t, "orset", 1, body)); !isDecodeError(err) {
		t.Errorf("decoding = %v, want an error", err)
	}
}

// A context may hold more dots than anyone could enumerate.
func TestHugeContext(t *testing.T) {
	everything := slices.Concat([]byte{1}, originA[:], binary.AppendUvarint([]byte{1, 0}, merge.MaxSeq-1), []byte{0})
	var huge, s orset
	if err := huge.UnmarshalBinary(envelope(t, "orset", 1, everything)); err != nil {
		t.Fatal(err)
	}
	s.Add(originA, "x")
	s.Add(originB, "y")
	if !s.Merge(&huge) || show(s.All()) != "[y]" || s.Context().Last(originA) != merge.MaxSeq {
		t.Errorf("has %s, want y alone", show(s.All()))
	}
	if huge.Merge(&s); !huge.Equal(&s) {
		t.Error("not equal after merging both ways")
	}
}

// A peer that claims an origin's last number leaves it none. Its replica must
// not write what nobody can read.
func TestOriginWithoutNumbers(t *testing.T) {
	last := slices.Concat([]byte{1}, originA[:], binary.AppendUvarint([]byte{1}, merge.MaxSeq-1), []byte{0, 0})
	var o orset
	var m crdt.MVRegister[string]
	for name, v := range map[string]decodable{"orset": &o, "mvregister": &m} {
		if err := v.UnmarshalBinary(envelope(t, name, 1, last)); err != nil {
			t.Fatal(err)
		}
		mustMarshal(t, v)
	}
	o.Add(originA, "x")
	set(t, &m, originA, "x")
	for _, v := range []decodable{&o, &m} {
		if b, err := v.MarshalBinary(); !errors.Is(err, crdt.ErrValue) || b != nil {
			t.Errorf("%T beyond the last number: %x, %v, want ErrValue", v, b, err)
		}
	}
}
