package op_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

func decode(b []byte) (*op.Message, error) {
	m := &op.Message{}
	return m, m.UnmarshalBinary(b)
}

// specimens returns messages of all shapes.
func specimens(t testing.TB) map[string]*op.Message {
	t.Helper()
	x, y := replica(a), replica(b)
	first := do(t, x, add("home"))
	receive(t, y, first)
	everything := func(tx object.Tx) error {
		return errors.Join(
			tags.Add(tx, "home"), tags.Add(tx, "work"), tags.Remove(tx, "none"), likes.Add(tx, 3), likes.Add(tx, -1),
			title.Set(tx, "Groceries"), draft.Set(tx, "a"), object.NewGSet[int]("tags").Add(tx, 7),
		)
	}
	return map[string]*op.Message{
		"first":    first,
		"answer":   do(t, y, everything),
		"again":    do(t, y, everything),
		"removal":  do(t, y, remove("home")),
		"plain":    do(t, x, func(tx object.Tx) error { return object.NewGSet[string]("\x00").Add(tx, "") }),
		"far seq":  {Dot: dot(a, merge.MaxSeq), Deps: []merge.Dot{dot(b, merge.MaxSeq)}, Ops: first.Ops},
		"no value": {Dot: dot(a, 1), Ops: []op.CellOp{{Cell: op.Cell{Key: "k", Kind: "my own"}}}},
	}
}

func TestMessageCodec(t *testing.T) {
	for name, m := range specimens(t) {
		if err := mergetest.Codec(m, decode); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var update = flag.Bool("update", false, "rewrite the golden file")

// TestMessageGolden pins the bytes of messages: what one version wrote, the next
// must read.
func TestMessageGolden(t *testing.T) {
	var lines []string
	for name, m := range specimens(t) {
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s: %x\n", name, b))
	}
	slices.Sort(lines)
	got, path := strings.Join(lines, ""), filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the bytes of messages have changed:\n%swant:\n%s", got, want)
	}
}

func TestMessagesThatCannotBe(t *testing.T) {
	cell := op.Cell{Key: "k", Kind: "orset", Element: "\x61x"}
	one := []op.CellOp{{Cell: cell, Op: crdt.Op{Put: true}}}
	seen := func(dots ...merge.Dot) []op.CellOp {
		return []op.CellOp{{Cell: cell, Op: crdt.Op{Seen: dots}}}
	}
	at := func(key, kind string) []op.CellOp {
		return []op.CellOp{{Cell: op.Cell{Key: key, Kind: kind, Element: "\x61x"}, Op: crdt.Op{Put: true}}}
	}
	for name, m := range map[string]*op.Message{
		"no dot":             {Ops: one},
		"does nothing":       {Dot: dot(a, 1)},
		"a cell twice":       {Dot: dot(a, 1), Ops: append(one, one...)},
		"own dependency":     {Dot: dot(a, 2), Deps: []merge.Dot{dot(a, 1)}, Ops: one},
		"deps unsorted":      {Dot: dot(a, 1), Deps: []merge.Dot{dot(c, 1), dot(b, 1)}, Ops: one},
		"deps twice":         {Dot: dot(a, 1), Deps: []merge.Dot{dot(b, 1), dot(b, 2)}, Ops: one},
		"supersedes itself":  {Dot: dot(a, 1), Ops: seen(dot(a, 1))},
		"supersedes no dot":  {Dot: dot(a, 1), Ops: seen(dot(b, 0))},
		"supersedes twice":   {Dot: dot(a, 1), Ops: seen(dot(b, 1), dot(b, 1))},
		"payload, no put":    {Dot: dot(a, 1), Ops: []op.CellOp{{Cell: cell, Op: crdt.Op{Payload: []byte{1}}}}},
		"no key":             {Dot: dot(a, 1), Ops: at("", "orset")},
		"long key":           {Dot: dot(a, 1), Ops: at(strings.Repeat("k", op.MaxKey+1), "orset")},
		"key not UTF-8":      {Dot: dot(a, 1), Ops: at("\xff", "orset")},
		"long kind":          {Dot: dot(a, 1), Ops: at("k", strings.Repeat("k", op.MaxKind+1))},
		"refused by kind":    {Dot: dot(a, 1), Ops: []op.CellOp{{Cell: op.Cell{Key: "k", Kind: "orset"}, Op: crdt.Op{Put: true}}}},
		"refused by counter": {Dot: dot(a, 1), Ops: at("k", "pncounter")},
	} {
		r := replica(c)
		got, err := r.Receive(m)
		if e, ok := errors.AsType[*op.MessageError](err); !ok || e.Dot != m.Dot || got != nil {
			t.Errorf("%s: Receive = %v, %v, want a MessageError", name, got, err)
		}
		if !r.Equal(replica(c)) || r.Delivery().Held() != 0 {
			t.Errorf("%s: something is left of it", name)
		}
		if strings.HasPrefix(name, "refused by") {
			continue
		}
		if b, err := m.MarshalBinary(); !errors.Is(err, op.ErrMessage) {
			t.Errorf("%s: MarshalBinary = %x, %v, want ErrMessage", name, b, err)
		}
	}
}

// wrap returns a body in an envelope.
func wrap(t testing.TB, body []byte) []byte {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(map[int]any{1: "op", 2: 1, 3: body})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// allocated returns how many bytes f allocates, freed or not.
func allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

func checkMemory(t testing.TB, b []byte) {
	t.Helper()
	if got, limit := allocated(func() { decode(b) }), 64*uint64(len(b))+1<<20; got > limit {
		t.Errorf("decoding %d bytes allocates %d, the limit is %d", len(b), got, limit)
	}
}

// bombs are bodies with as much to build for each of their bytes as can be.
func bombs() map[string][]byte {
	const n = 1 << 16
	head := append(make([]byte, 8+16), 1)
	count := binary.AppendUvarint(nil, n)
	ops := bytes.Clone(head)
	ops = append(append(append(ops, 0, 0), count...), 1, 'k', 1, 'g')
	ops = append(ops, count...)
	for i := range n {
		ops = append(ops, 2, byte(i>>8), byte(i), 0, 0)
	}
	objects := append(append(bytes.Clone(head), 0, 0), count...)
	for i := range n {
		objects = append(objects, 2, 'a'+byte(i>>4&0xf), 'a'+byte(i&0xf), 1, 'g', 1, 0, 0, 0)
	}
	dots := append(append(append(bytes.Clone(head), 1), bytes.Repeat([]byte{1}, 16)...), count...)
	dots = append(dots, bytes.Repeat([]byte{0, 1}, n)...)
	origins := append(bytes.Clone(head), count...)
	origins = append(origins, make([]byte, 16*n)...)
	return map[string][]byte{
		"ops": ops, "objects": objects, "dots": dots, "origins": origins, "zeros": append(bytes.Clone(head), make([]byte, n)...),
		"huge counts": append(bytes.Clone(head), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
	}
}

func TestMessageBombs(t *testing.T) {
	for name, body := range bombs() {
		t.Run(name, func(t *testing.T) { checkMemory(t, wrap(t, body)) })
	}
	if _, err := decode(wrap(t, bombs()["ops"])); err != nil {
		t.Errorf("a message of many ops = %v, want it to be read: the test shows nothing otherwise", err)
	}
}

func TestEnvelopesOfOthers(t *testing.T) {
	for name, m := range map[string]map[int]any{
		"another type": {1: "gset", 2: 1, 3: []byte{}}, "a later version": {1: "op", 2: 2, 3: []byte{}},
	} {
		b, err := cbor.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(b); !errors.Is(err, merge.ErrFormat) || !strings.Contains(err.Error(), "this program reads") {
			t.Errorf("%s: %v, want a FormatError that says what is read", name, err)
		}
	}
}

// FuzzMessage: nothing panics, costs too much, or has two encodings; and what is
// read can be received in any order with what is there.
func FuzzMessage(f *testing.F) {
	for _, m := range specimens(f) {
		b, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, body := range bombs() {
		f.Add(wrap(f, body[:min(len(body), 300)]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkMemory(t, b)
		m, err := decode(b)
		if err != nil {
			return
		}
		if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, and encodes as %x, %v", b, again, err)
		}
		checkOrder(t, m)
	})
}

// checkOrder offers a message with others in two orders. Of two messages under
// one dot each replica takes the first.
func checkOrder(t *testing.T, m *op.Message) {
	t.Helper()
	known := specimens(t)
	all := []*op.Message{m, known["first"], known["answer"], known["again"], known["removal"]}
	if slices.ContainsFunc(all[1:], func(k *op.Message) bool { return k.Dot == m.Dot }) {
		return
	}
	x, y := replica(origin(8)), replica(origin(9))
	receiveAll(x, all)
	slices.Reverse(all)
	receiveAll(y, all)
	if !x.Equal(y) {
		t.Fatalf("two orders of messages, of which one is %+v, end in different states", m)
	}
}

// receiveAll offers all messages, again and again while one is taken.
func receiveAll(r *op.Replica, messages []*op.Message) {
	for taken := true; taken; {
		taken = false
		for _, m := range messages {
			delivered, _ := r.Receive(m)
			taken = taken || len(delivered) > 0
		}
	}
}
