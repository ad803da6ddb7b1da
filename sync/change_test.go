package sync_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// golden compares got with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant, rewrite it with -update. Got:\n%s", name, got)
	}
}

// specimen returns a change that uses every part of the encoding.
func specimen(t testing.TB) *crdtsync.Change {
	t.Helper()
	cell := func(object, kind, element string) crdtsync.CellKey {
		return crdtsync.CellKey{Object: object, Kind: kind, Element: element}
	}
	ops := []crdtsync.CellOp{
		{Cell: cell("title", "lww", ""), Op: crdt.Op{Put: true, Payload: []byte("\x65hello")}},
		{Cell: cell("tags", "orset", "\x61y"), Op: crdt.Op{Seen: merge.DotSetOf(dotOf(3, 7), dotOf(1, 2))}},
		{Cell: cell("tags", "orset", "\x61x"), Op: crdt.Op{Put: true}},
		{Cell: cell("tags", "gset", "\x61x"), Op: crdt.Op{Put: true}},
	}
	c, err := crdtsync.NewChange(dotOf(1, 300), hlc.New(1_700_000_000_000, 5), crdtsync.Hash{0xaa, 31: 0xbb},
		[]merge.Dot{dotOf(3, 9), dotOf(2, 1)}, ops)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestChangeGolden pins the bytes of a change: they are what hashes and
// signatures cover, so they never change within version 1.
func TestChangeGolden(t *testing.T) {
	golden(t, "change.txt", hex.Dump(specimen(t).Bytes()))
}

func TestChangeRoundTrip(t *testing.T) {
	changes := []*crdtsync.Change{specimen(t)}
	for seed := range uint64(5) {
		changes = append(changes, history(t, seeded(seed), 3, 40).log...)
	}
	for _, c := range changes {
		got := copyOf(t, c)
		if !reflect.DeepEqual(normal(got), normal(c)) {
			t.Fatalf("came back as\n%+v\nwant\n%+v", got, c)
		}
		again, err := crdtsync.NewChange(got.Dot, got.Time, got.Prev, got.Deps, got.Ops)
		if err != nil || !bytes.Equal(again.Bytes(), c.Bytes()) || got.Hash() != c.Hash() {
			t.Fatalf("%v has another encoding or hash when it is made again: %v", c.Dot, err)
		}
		h, err := crdtsync.ReadHeader(c.Bytes())
		if err != nil || h.Dot != c.Dot || h.Time != c.Time {
			t.Fatalf("ReadHeader = %v, %v; want %v at %v", h, err, c.Dot, c.Time)
		}
	}
}

// normal returns the fields of a change with what is empty made nil.
func normal(c *crdtsync.Change) crdtsync.Change {
	n := crdtsync.Change{Dot: c.Dot, Time: c.Time, Prev: c.Prev, Deps: append([]merge.Dot(nil), c.Deps...)}
	for _, op := range c.Ops {
		op.Seen = append(merge.DotSet(nil), op.Seen...)
		op.Payload = append([]byte(nil), op.Payload...)
		n.Ops = append(n.Ops, op)
	}
	return n
}

// TestChangeIsTheSameInAnyOrder makes one change of ops and dependencies in
// several orders.
func TestChangeIsTheSameInAnyOrder(t *testing.T) {
	want := specimen(t)
	rng := seeded(1)
	for range 20 {
		ops, deps := slices.Clone(want.Ops), slices.Clone(want.Deps)
		rng.Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
		rng.Shuffle(len(deps), func(i, j int) { deps[i], deps[j] = deps[j], deps[i] })
		got, err := crdtsync.NewChange(want.Dot, want.Time, want.Prev, deps, ops)
		if err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("another order gives other bytes, %v", err)
		}
	}
}

func TestChangeLimits(t *testing.T) {
	value := make([]byte, crdtsync.MaxChange)
	ops := func(n int) []crdtsync.CellOp {
		return []crdtsync.CellOp{{Cell: crdtsync.CellKey{Object: "o", Kind: "lww"}, Op: crdt.Op{Put: true, Payload: value[:n]}}}
	}
	small, err := crdtsync.NewChange(dotOf(1, 1), 1, crdtsync.Hash{}, nil, ops(1<<22))
	if err != nil {
		t.Fatal(err)
	}
	most := len(value) - (len(small.Bytes()) - 1<<22)
	largest, err := crdtsync.NewChange(dotOf(1, 1), 1, crdtsync.Hash{}, nil, ops(most))
	if err != nil || len(largest.Bytes()) != crdtsync.MaxChange {
		t.Fatalf("the largest change: %v", err)
	}
	copyOf(t, largest)
	_, err = crdtsync.NewChange(dotOf(1, 1), 1, crdtsync.Hash{}, nil, ops(most+1))
	wantTooLarge(t, err, crdtsync.MaxChange+1)
	_, err = crdtsync.DecodeChange(make([]byte, crdtsync.MaxChange+1))
	wantTooLarge(t, err, crdtsync.MaxChange+1)
}

func wantTooLarge(t *testing.T, err error, size int) {
	t.Helper()
	e, ok := errors.AsType[*crdtsync.TooLargeError](err)
	if !ok || e.Size != size || !errors.Is(err, crdtsync.ErrTooLarge) || !strings.Contains(err.Error(), "split") {
		t.Errorf("got %v, want a TooLargeError of %d bytes", err, size)
	}
}

// TestDecodeChangeRefuses flips every bit of a change, drops its end, and
// adds to it. What is still accepted must be canonical.
func TestDecodeChangeRefuses(t *testing.T) {
	good := specimen(t).Bytes()
	for n := range good {
		if _, err := crdtsync.DecodeChange(good[:n:n]); !errors.Is(err, merge.ErrFormat) {
			t.Errorf("the first %d bytes: %v, want ErrFormat", n, err)
		}
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[n] ^= 1 << bit
			checkCanonical(t, bad)
		}
	}
	if _, err := crdtsync.DecodeChange(append(slices.Clone(good), 0)); !errors.Is(err, merge.ErrFormat) {
		t.Errorf("with a trailing byte: %v, want ErrFormat", err)
	}
}

// checkCanonical decodes b. If that works, encoding the fields again must give
// the same bytes.
func checkCanonical(t *testing.T, b []byte) {
	t.Helper()
	c, err := crdtsync.DecodeChange(b)
	if err != nil {
		if !errors.Is(err, merge.ErrFormat) && !errors.Is(err, crdtsync.ErrTooLarge) {
			t.Fatalf("DecodeChange(%x): %v, neither ErrFormat nor ErrTooLarge", b, err)
		}
		return
	}
	again, err := crdtsync.NewChange(c.Dot, c.Time, c.Prev, c.Deps, c.Ops)
	if err != nil || !bytes.Equal(again.Bytes(), b) {
		t.Fatalf("DecodeChange took %x; made again it is %v", b, err)
	}
}

// handmade builds encodings that keep to no rule.
type handmade struct{ bytes.Buffer }

func (h *handmade) add(parts ...any) *handmade {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			h.WriteByte(byte(p))
		case string:
			h.WriteByte(byte(len(p)))
			h.WriteString(p)
		case merge.Origin:
			h.Write(p[:])
		}
	}
	return h
}

// header begins the first change of origin 1.
func header() *handmade {
	return new(handmade).add(1, 0, 0, 0, 0, 0, 0, 0, 9, originOf(1), 1)
}

func TestDecodeChangeRules(t *testing.T) {
	o1, o2, o3 := originOf(1), originOf(2), originOf(3)
	for name, test := range map[string]struct {
		b    *handmade
		good bool
	}{
		"good, empty":                 {header().add(0, 0, 0, 0, 0), true},
		"good, one of each":           {header().add(1, o2, 1, "o", "k", 1, "e", 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, "p"), true},
		"version 0":                   {new(handmade).add(0, 0, 0, 0, 0, 0, 0, 0, 9, o1, 1, 0, 0, 0, 0, 0), false},
		"version 2":                   {new(handmade).add(2, 0, 0, 0, 0, 0, 0, 0, 9, o1, 1, 0, 0, 0, 0, 0), false},
		"sequence 0":                  {new(handmade).add(1, 0, 0, 0, 0, 0, 0, 0, 9, o1, 0, 0, 0, 0, 0, 0), false},
		"no previous hash":            {new(handmade).add(1, 0, 0, 0, 0, 0, 0, 0, 9, o1, 2, 0, 0, 0, 0, 0), false},
		"origin unused":               {header().add(1, o2, 0, 0, 0, 0), false},
		"object unused":               {header().add(0, 1, "o", "k", 0, 0, 0), false},
		"element unused":              {header().add(0, 0, 1, "e", 0, 0), false},
		"origin twice":                {header().add(2, o2, o2, 1, "o", "k", 1, "e", 1, 0, 1, 1, 0, 0, 1, 1, 1, 0), false},
		"object twice":                {header().add(0, 2, "o", "k", "o", "k", 2, "e", "f", 0, 2, 0, 0, 0, 0, 1, 1, 0, 0), false},
		"element twice":               {header().add(0, 2, "o", "k", "p", "k", 2, "e", "e", 0, 2, 0, 0, 0, 0, 1, 1, 0, 0), false},
		"good, two of each":           {header().add(0, 2, "o", "k", "p", "k", 2, "e", "f", 0, 2, 0, 0, 0, 0, 1, 1, 0, 0), true},
		"origins in another order":    {header().add(2, o3, o2, 0, 0, 2, 1, 1, 0, 1, 0), false},
		"dependency on itself":        {header().add(1, o1, 0, 0, 1, 0, 1, 0), false},
		"dependency of number 0":      {header().add(1, o2, 0, 0, 1, 0, 0, 0), false},
		"dependencies descending":     {header().add(2, o3, o2, 0, 0, 2, 0, 1, 1, 1, 0), false},
		"two on one origin":           {header().add(1, o2, 0, 0, 2, 0, 1, 0, 2, 0), false},
		"index beyond the table":      {header().add(1, o2, 0, 0, 1, 1, 1, 0), false},
		"object empty":                {header().add(0, 1, "", "k", 1, "e", 0, 1, 0, 0, 0, 0), false},
		"object not UTF-8":            {header().add(0, 1, "\xff", "k", 1, "e", 0, 1, 0, 0, 0, 0), false},
		"kind empty":                  {header().add(0, 1, "o", "", 1, "e", 0, 1, 0, 0, 0, 0), false},
		"kind too long":               {header().add(0, 1, "o", strings.Repeat("k", 65), 1, "e", 0, 1, 0, 0, 0, 0), false},
		"element empty":               {header().add(0, 1, "o", "k", 1, "", 0, 1, 0, 0, 0, 0), true},
		"one cell twice":              {header().add(0, 1, "o", "k", 1, "e", 0, 2, 0, 0, 0, 0, 0, 0, 0, 0), false},
		"cells descending":            {header().add(0, 1, "o", "k", 2, "f", "e", 0, 2, 0, 0, 0, 0, 0, 1, 0, 0), false},
		"seen twice":                  {header().add(1, o2, 1, "o", "k", 1, "e", 0, 1, 0, 0, 2, 0, 1, 0, 1, 0), false},
		"seen descending":             {header().add(1, o2, 1, "o", "k", 1, "e", 0, 1, 0, 0, 2, 0, 2, 0, 1, 0), false},
		"unknown flag":                {header().add(0, 1, "o", "k", 1, "e", 0, 1, 0, 0, 0, 2, "p"), false},
		"flag without payload":        {header().add(0, 1, "o", "k", 1, "e", 0, 1, 0, 0, 0, 1), false},
		"payload without flag":        {header().add(0, 1, "o", "k", 1, "e", 0, 1, 0, 0, 0, 0, "p"), false},
		"number of ops not shortest":  {header().add(0, 0, 0, 0, 0x80, 0), false},
		"more ops than bytes":         {header().add(0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f), false},
		"more origins than bytes":     {header().add(0xff, 0xff, 0xff, 0x7f), false},
		"more objects than bytes":     {header().add(0, 0xff, 0xff, 0xff, 0x7f), false},
		"more elements than bytes":    {header().add(0, 0, 0xff, 0xff, 0xff, 0x7f), false},
		"more dependencies than that": {header().add(0, 0, 0, 0xff, 0xff, 0xff, 0x7f), false},
	} {
		_, err := crdtsync.DecodeChange(test.b.Bytes())
		if test.good != (err == nil) || err != nil && !errors.Is(err, merge.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
		checkCanonical(t, test.b.Bytes())
	}
}

// TestDecodeChangeMemory decodes a change that is nothing but table entries.
func TestDecodeChangeMemory(t *testing.T) {
	const entries = 100_000
	h := header().add(0, 0)
	h.Write([]byte{0xa0, 0x8d, 0x06}) // 100,000
	h.Write(make([]byte, entries))    // of length 0
	h.add(0, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := crdtsync.DecodeChange(h.Bytes())
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("a table of equal entries was taken")
	}
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(64*h.Len()+1<<20); got > limit {
		t.Errorf("decoding %d bytes took %d bytes of memory, the limit is %d", h.Len(), got, limit)
	}
}

func FuzzDecodeChange(f *testing.F) {
	f.Add(specimen(f).Bytes())
	for _, c := range history(f, seeded(3), 3, 20).log {
		f.Add(c.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkCanonical(t, b)
		c, err := crdtsync.DecodeChange(b)
		h, headerErr := crdtsync.ReadHeader(b)
		if err == nil && (headerErr != nil || h.Dot != c.Dot || h.Time != c.Time) {
			t.Fatalf("ReadHeader(%x) = %v, %v; the change is %v at %v", b, h, headerErr, c.Dot, c.Time)
		}
		if err == nil {
			_ = newReplica(t, 50).space("s").Stage(noCells{}, 0).Offer(c) // must not panic
		}
	})
}
