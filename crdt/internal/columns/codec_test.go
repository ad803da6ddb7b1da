package columns_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/internal/columns"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// written is the binary form of a map, made from its definition.
func written(m *dotMap) []byte {
	type cell struct {
		key  string
		dots []merge.Dot
	}
	var cells []cell
	for k, f := range m.All() {
		cells = append(cells, cell{k, f.Dots()})
	}
	slices.SortFunc(cells, func(a, b cell) int { return a.dots[0].Compare(b.dots[0]) })
	first := map[merge.Dot]bool{}
	for _, c := range cells {
		first[c.dots[0]] = true
	}
	var b, shapes, bodies, further []byte
	origins := m.Context().Origins()
	for _, o := range origins {
		var live []bool
		for d := range m.Context().All() {
			if d.Origin == o {
				live = append(live, first[d])
			}
		}
		b = append(b, writtenLive(live)...)
	}
	alike, dots, at := 0, 0, 0
	last := uint64(0)
	for i, c := range cells {
		shape := uint64(2*len(c.key) + 1)
		if shape != last {
			if alike >= 2 {
				shapes = binary.AppendUvarint(shapes, uint64(alike-2))
			}
			alike = 0
		}
		if alike++; alike <= 2 {
			shapes = binary.AppendUvarint(shapes, shape)
		}
		last = shape
		bodies = append(bodies, c.key...)
		for _, d := range c.dots[1:] {
			further = binary.AppendUvarint(further, uint64(i-at))
			further = binary.AppendUvarint(further, uint64(slices.Index(origins, d.Origin)))
			further = binary.AppendUvarint(further, d.Seq)
			at = i
			dots++
		}
	}
	if alike >= 2 {
		shapes = binary.AppendUvarint(shapes, uint64(alike-2))
	}
	return slices.Concat(b, shapes, bodies, binary.AppendUvarint(nil, uint64(dots)), further)
}

// writtenLive is which dots of one origin are live, in the shorter form.
func writtenLive(live []bool) []byte {
	var runs, bitmap []byte
	n, skipped := uint64(0), uint64(0)
	for i := 0; i < len(live); i++ {
		if !live[i] {
			skipped++
			continue
		}
		taken := uint64(0)
		for ; i < len(live) && live[i]; i++ {
			bitmap = append(bitmap, make([]byte, i/8+1-len(bitmap))...)
			bitmap[i/8] |= 1 << (i % 8)
			taken++
		}
		i--
		runs = binary.AppendUvarint(binary.AppendUvarint(runs, skipped), taken)
		n, skipped = n+1, 0
	}
	runs = append(binary.AppendUvarint(nil, 2*n), runs...)
	bitmap = append(binary.AppendUvarint(nil, uint64(2*len(bitmap)+1)), bitmap...)
	return slices.MinFunc([][]byte{runs, bitmap}, func(a, b []byte) int { return cmp.Compare(len(a), len(b)) })
}

// miscoded says how the binary form of the table differs from that of the map,
// or what is read from it from the table.
func (t twin) miscoded() string {
	e := t.got.Encode()
	b := e.AppendTo(nil)
	if !bytes.Equal(b, written(t.want)) {
		return "another binary form"
	}
	if e.Len() != len(b) {
		return "another length than said"
	}
	back, err := columns.Read(varint.NewReader("columns: test", b), t.got.Context().Clone(), nil)
	if err != nil {
		return err.Error()
	}
	if !back.Equal(t.got) || !t.got.Equal(back) {
		return "not equal when read"
	}
	return twin{back, t.want}.differs()
}

func FuzzTableAgainstMap(f *testing.F) {
	f.Add(uint64(1), uint16(3), uint16(5))
	f.Add(uint64(2), uint16(40), uint16(60))
	f.Fuzz(func(t *testing.T, seed uint64, origins, keys uint16) {
		w := newWorld(rand.New(rand.NewPCG(seed, 1)), 3+int(origins)%300, 1+int(keys)%2000)
		for step := range 200 {
			changed, problem := w.step()
			if problem == "" {
				problem = changed.differs()
			}
			if problem == "" && step%8 == 0 {
				problem = changed.miscoded()
			}
			if problem != "" {
				t.Fatalf("step %d: %s", step, problem)
			}
		}
	})
}

// Whatever is read is written again as it was.
func FuzzRead(f *testing.F) {
	for seed := range uint64(20) {
		t := forge(rand.New(rand.NewPCG(seed, 2)), 3, 40)
		context, _ := t.got.Context().AppendBinary(nil)
		f.Add(t.got.Encode().AppendTo(context))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := varint.NewReader("columns: fuzz", b)
		seen := merge.ReadContext(r)
		if r.Err() != nil {
			return
		}
		got, err := columns.Read(r, seen, nil)
		if err != nil {
			return
		}
		again, _ := got.Context().AppendBinary(nil)
		if again = got.Encode().AppendTo(again); !bytes.Equal(again, b) {
			t.Fatalf("%x is written again as %x", b, again)
		}
		for at, key := range got.All() {
			if k := columns.Raw(key); len(got.Dots(at)) == 0 || !found(got, &k, at) {
				t.Fatalf("%x cannot be found", key)
			}
		}
	})
}

func found(t *columns.Table, k *columns.Key, at uint32) bool {
	where, ok := t.Find(k)
	return ok && where == at
}
