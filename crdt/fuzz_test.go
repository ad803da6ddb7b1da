package crdt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// fuzzDecoder holds a decoder to its promises: no panic, bounded memory, typed
// errors, one encoding, and a value that merges.
func fuzzDecoder[V value[V]](f *testing.F, name string, bottom func() V) {
	for label, v := range goldens(f) {
		if kind, _, _ := bytes.Cut([]byte(label), []byte(" ")); string(kind) == name {
			f.Add(mustMarshal(f, v))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v := bottom()
		if err := checkMemory(t, v, b); err != nil {
			if !isDecodeError(err) {
				t.Fatalf("error %v, want a *merge.FormatError or *crdt.ValueError", err)
			}
			if !v.Equal(bottom()) {
				t.Fatal("a failed decoding changed the receiver")
			}
			return
		}
		if again := mustMarshal(t, v); !bytes.Equal(again, b) && !isOlder(b) {
			t.Fatalf("%x encodes again as %x", b, again)
		}
		joined := bottom()
		joined.Merge(v)
		if joined.Merge(v) || !joined.Equal(v) {
			t.Fatalf("%x merges into nothing as something else", b)
		}
	})
}

func FuzzGSet(f *testing.F) {
	fuzzDecoder(f, "gset", func() *crdt.GSet[any] { return &crdt.GSet[any]{} })
}

func FuzzTwoPSet(f *testing.F) {
	fuzzDecoder(f, "twopset", func() *crdt.TwoPSet[int] { return &crdt.TwoPSet[int]{} })
}

func FuzzORSet(f *testing.F) {
	fuzzDecoder(f, "orset", func() *crdt.ORSet[any] { return &crdt.ORSet[any]{} })
}

func FuzzRWSet(f *testing.F) {
	fuzzDecoder(f, "rwset", func() *crdt.RWSet[string] { return &crdt.RWSet[string]{} })
}

func FuzzPNCounter(f *testing.F) {
	fuzzDecoder(f, "pncounter", func() *crdt.PNCounter { return &crdt.PNCounter{} })
}

func FuzzGCounter(f *testing.F) {
	fuzzDecoder(f, "gcounter", func() *crdt.GCounter { return &crdt.GCounter{} })
}

func FuzzBoundedCounter(f *testing.F) {
	fuzzDecoder(f, "bounded", func() *crdt.BoundedCounter { return &crdt.BoundedCounter{} })
}

func FuzzEWFlag(f *testing.F) {
	fuzzDecoder(f, "ewflag", func() *crdt.EWFlag { return &crdt.EWFlag{} })
}

func FuzzDWFlag(f *testing.F) {
	fuzzDecoder(f, "dwflag", func() *crdt.DWFlag { return &crdt.DWFlag{} })
}

func FuzzLWWRegister(f *testing.F) {
	fuzzDecoder(f, "lww", func() *crdt.LWWRegister[any] { return &crdt.LWWRegister[any]{} })
}

func FuzzMVRegister(f *testing.F) {
	fuzzDecoder(f, "mvregister", func() *crdt.MVRegister[any] { return &crdt.MVRegister[any]{} })
}

func FuzzUSet(f *testing.F) {
	fuzzDecoder(f, "uset", func() *crdt.USet[any] { return &crdt.USet[any]{} })
}

func FuzzLWWSet(f *testing.F) {
	fuzzDecoder(f, "lwwset", func() *crdt.LWWSet[any] { return &crdt.LWWSet[any]{} })
}

func FuzzRemoveBiasedLWWSet(f *testing.F) {
	fuzzDecoder(f, "lwwset-remove", func() *crdt.RemoveBiasedLWWSet[int] { return &crdt.RemoveBiasedLWWSet[int]{} })
}

func FuzzPNSet(f *testing.F) {
	fuzzDecoder(f, "pnset", func() *crdt.PNSet[any] { return &crdt.PNSet[any]{} })
}

func FuzzLWWMap(f *testing.F) {
	fuzzDecoder(f, "lwwmap", func() *crdt.LWWMap[any, any] { return &crdt.LWWMap[any, any]{} })
}

func FuzzORMap(f *testing.F) {
	fuzzDecoder(f, "ormap", func() *nestedMap { return &nestedMap{} })
}

func FuzzNested(f *testing.F) {
	fuzzDecoder(f, "nested", func() *gsetField { return &gsetField{} })
}

// A body in an envelope, so that mutations reach the columns.
func FuzzBodies(f *testing.F) {
	names := slices.Sorted(maps.Keys(blanks()))
	for i, name := range names {
		for label, v := range goldens(f) {
			if kind, _, _ := bytes.Cut([]byte(label), []byte(" ")); string(kind) == name {
				b := mustMarshal(f, v)
				head := len(envelope(f, name, lastVersion(name), nil))
				f.Add(byte(i), b[min(len(b), head+1):])
			}
		}
	}
	f.Fuzz(func(t *testing.T, pick byte, body []byte) {
		name := names[int(pick)%len(names)]
		b := envelope(t, name, lastVersion(name), body)
		v := denseBlanks()[name][0]
		if err := checkMemory(t, v, b); err != nil {
			if !isDecodeError(err) {
				t.Fatalf("error %v, want a *merge.FormatError or *crdt.ValueError", err)
			}
			return
		}
		if again := mustMarshal(t, v); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes again as %x", b, again)
		}
	})
}

// rebuild returns what the kind writes for the parts of a cell, which has been
// joined without an error.
func rebuild(t *testing.T, k crdt.Kind, name, cell []byte) (again []byte) {
	join := func(w crdt.Write) {
		w.Element = name
		var err error
		if again, err = k.Join(again, merge.ContextOf(), w); err != nil {
			t.Fatalf("%s.Join of part of a good cell: %v", k.Name(), err)
		}
	}
	switch k {
	case crdt.LWWKind:
		latest, err := crdt.DecodeLatest(cell)
		if err != nil {
			t.Fatal(err)
		}
		join(crdt.Write{Dot: latest.Dot, Time: latest.Time, Op: crdt.Op{Put: true, Payload: latest.Value}})
	case crdt.LWWMapKind:
		latest, err := crdt.DecodeField(cell)
		if err != nil {
			t.Fatal(err)
		}
		join(crdt.Write{Dot: latest.Dot, Time: latest.Time, Op: crdt.Op{Put: true, Payload: latest.Value}})
	case crdt.LWWSetKind, crdt.RemoveBiasedLWWSetKind:
		times, err := crdt.DecodeTimes(cell)
		if err != nil {
			t.Fatal(err)
		}
		join(crdt.Write{Dot: dot(1, 1), Time: times.Added, Op: crdt.Op{Put: true, Payload: crdt.Added}})
		join(crdt.Write{Dot: dot(1, 2), Time: times.Removed, Op: crdt.Op{Put: true, Payload: crdt.Removed}})
	case crdt.ORSetKind, crdt.RWSetKind, crdt.MVKind, crdt.USetKind, crdt.EWFlagKind, crdt.DWFlagKind:
		live, err := crdt.DecodeDots(cell)
		if err != nil {
			t.Fatal(err)
		}
		for e := range live.All() {
			join(put(e.Dot, e.Value))
		}
	case mapKind:
		return rebuildField(t, name, cell)
	default:
		join(put(dot(1, 1), cell))
	}
	return again
}

// rebuildField is rebuild for a cell of a map: one of the kind of its field, or
// the writes to it with their times.
func rebuildField(t *testing.T, name, cell []byte) (again []byte) {
	rest, kind := name, "ormap"
	for kind == "ormap" {
		_, k, element, err := crdt.CutField(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest, kind = element, string(k)
	}
	switch kind {
	case "orset", "rwset", "mvregister", "uset", "pncounter", "ewflag", "dwflag":
		return rebuild(t, allKinds[kind], rest, cell)
	}
	live, err := crdt.DecodeDots(cell)
	if err != nil {
		t.Fatal(err)
	}
	for e := range live.All() {
		w := put(e.Dot, e.Value[hlc.BinaryLen:])
		w.Element, w.Time = name, hlc.Timestamp(binary.BigEndian.Uint64(e.Value))
		if again, err = mapKind.Join(again, merge.ContextOf(), w); err != nil {
			t.Fatalf("Join of part of a good cell: %v", err)
		}
	}
	return again
}

func FuzzKinds(f *testing.F) {
	o := origin(1)
	name := element(f, "a")
	own := origin(9) // of the write below
	for i := range allKinds.Names() {
		f.Add(byte(i), own[:], []byte{1, 2, 0}, []byte{5, 0, 0}, uint64(7), byte(1))
		f.Add(byte(i), name, []byte(nil), []byte{1}, uint64(1), byte(1))
		f.Add(byte(i), []byte(path(f, name, "f", "gset")), []byte(nil), []byte(nil), uint64(7), byte(3))
		f.Add(byte(i), []byte(path(f, o[:], "f", "ormap", "g", "pncounter")), []byte{1, 0, 0, 0}, []byte{5, 0, 1, 0}, uint64(7), byte(1))
		f.Add(byte(i), o[:], []byte{1, 0, 0, 0}, []byte{5, 0, 1, 0}, uint64(7), byte(1))
		f.Add(byte(i), append(name[:2:2], o[:]...), []byte{1, 0, 0, 0}, []byte{5, 0, 1, 0}, uint64(7), byte(1))
		f.Add(byte(i), name, append(make([]byte, 15), 1), []byte{1}, uint64(7), byte(1))
		f.Add(byte(i), []byte(nil), append(append([]byte{1}, o[:]...), 1, 1, 0xf6), name, uint64(7), byte(3))
	}
	f.Fuzz(func(t *testing.T, pick byte, name, cell, payload []byte, at uint64, flags byte) {
		k := allKinds[allKinds.Names()[int(pick)%len(allKinds)]]
		w := crdt.Write{Dot: dot(9, 9), Time: hlc.Timestamp(at), Element: name, Op: crdt.Op{Put: flags&1 == 1, Payload: payload}}
		if flags&2 == 2 {
			w.Seen = merge.DotSetOf(dot(1, 1))
		}
		if err := k.Check(w); err != nil {
			if !errors.Is(err, crdt.ErrWrite) {
				t.Fatalf("Check = %v, want a *WriteError", err)
			}
			return
		}
		if len(cell) == 0 {
			cell = nil
		}
		var joined []byte
		var err error
		if got := allocated(func() { joined, err = k.Join(cell, merge.ContextOf(), w) }); got > memoryBound(len(cell)+len(payload)) {
			t.Fatalf("joining %d and %d bytes allocates %d", len(cell), len(payload), got)
		}
		if err != nil {
			if _, ok := errors.AsType[*crdt.CellError](err); !ok {
				t.Fatalf("Join = %v, want a *CellError", err)
			}
			return
		}
		for _, c := range [][]byte{cell, joined} {
			if c == nil {
				continue
			}
			if again := rebuild(t, k, name, c); !bytes.Equal(again, c) {
				t.Fatalf("the cell %x of %s is written again as %x", c, k.Name(), again)
			}
		}
		if again, err := k.Join(joined, merge.ContextOf(w.Dot), w); err != nil || !bytes.Equal(again, joined) {
			t.Fatalf("a write joined twice: %x, %v, was %x", again, err, joined)
		}
	})
}

// bytesSource makes the choices of a history out of fuzzed bytes, and goes on
// without them when they end: a source that stands still would be drawn from
// for ever.
type bytesSource struct {
	rest []byte
	tail rand.PCG
}

func (s *bytesSource) Uint64() uint64 {
	if len(s.rest) == 0 {
		return s.tail.Uint64()
	}
	b := uint64(s.rest[0])
	s.rest = s.rest[1:]
	return b<<56 | b<<24
}

func fuzzHistory[V value[V]](t *testing.T, f form[V], choices []byte) {
	h := newHistory(t, f, 0, 3)
	h.r = rand.New(&bytesSource{rest: choices})
	for len(h.changes) < 60 && len(choices) > 0 {
		h.step(h.r.IntN(len(h.replicas)))
		choices = choices[min(len(choices), 4):]
	}
	h.finish()
}

// The types against their definitions, in histories that the fuzzer writes.
func FuzzHistories(f *testing.F) {
	for seed := range uint64(12) {
		b := binary.BigEndian.AppendUint64(nil, rand.New(rand.NewPCG(seed, 2)).Uint64())
		f.Add(byte(seed), bytes.Repeat(b, 12))
	}
	f.Fuzz(func(t *testing.T, pick byte, choices []byte) {
		choices = choices[:min(len(choices), 400)]
		switch pick % 16 {
		case 0:
			fuzzHistory(t, gsetForm, choices)
		case 1:
			fuzzHistory(t, twoPSetForm, choices)
		case 2:
			fuzzHistory(t, orsetForm, choices)
		case 3:
			fuzzHistory(t, rwsetForm, choices)
		case 4:
			fuzzHistory(t, counterForm, choices)
		case 5:
			fuzzHistory(t, lwwForm, choices)
		case 6:
			fuzzHistory(t, mvForm, choices)
		case 7:
			fuzzHistory(t, usetForm, choices)
		case 8:
			fuzzHistory(t, lwwSetForm, choices)
		case 9:
			fuzzHistory(t, removeBiasedForm, choices)
		case 10:
			fuzzHistory(t, pnsetForm, choices)
		case 11:
			fuzzHistory(t, lwwMapForm, choices)
		case 12:
			fuzzHistory(t, gcounterForm, choices)
		case 13:
			fuzzHistory(t, boundedForm, choices)
		case 14:
			fuzzHistory(t, ewFlagForm, choices)
		case 15:
			fuzzHistory(t, dwFlagForm, choices)
		}
	})
}
