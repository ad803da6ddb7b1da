package sync_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

func opName(origin byte, seq, op uint64) crdtsync.OpName {
	return crdtsync.OpName{Dot: merge.Dot{Origin: merge.Origin{origin}, Seq: seq}, Op: op}
}

func TestNamesRoundTrip(t *testing.T) {
	all := []crdtsync.OpName{
		opName(1, 1, 0), opName(1, 1, 1), opName(1, 1, 3), opName(1, 2, 0), opName(1, 3, 1), opName(1, 3, crdtsync.MaxChange),
		opName(1, merge.MaxSeq, 0), opName(2, 1, 7), opName(255, merge.MaxSeq, crdtsync.MaxChange),
	}
	for from := range all {
		for to := from; to <= len(all); to++ {
			var gone []crdtsync.OpName
			gone = append(gone, all[from:to]...)
			held := []crdtsync.NamedCell{}
			for i, n := range all {
				if i%2 == 0 {
					held = append(held, crdtsync.NamedCell{OpName: n, State: make([]byte, i)})
				}
			}
			gotGone, gotHeld, err := crdtsync.DecodeNames(crdtsync.AppendNames(nil, gone, held))
			if err != nil || !reflect.DeepEqual(gotGone, gone) || !reflect.DeepEqual(gotHeld, held) {
				t.Fatalf("%v and %v came back as %v and %v, %v", gone, held, gotGone, gotHeld, err)
			}
		}
	}
}

// TestNamesAreSmall: of a thousand changes of one op among a million each takes
// less than two bytes, and an op of a change of many less than four.
func TestNamesAreSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		ops  uint64 // in a change
		most int
	}{{1, 2000}, {1000, 3200}} {
		names := make([]crdtsync.OpName, 1000)
		for i := range names {
			at := r.Uint64N(1_000_000)
			names[i] = opName(1, 1+at/test.ops, at%test.ops)
		}
		slices.SortFunc(names, crdtsync.OpName.Compare)
		names = slices.Compact(names)
		if got := len(crdtsync.AppendNames(nil, names, nil)); got > test.most {
			t.Errorf("%d names of ops in changes of %d take %d bytes, want at most %d", len(names), test.ops, got, test.most)
		}
	}
}

// namesOf appends the list of an origin in the form of AppendNames.
func namesOf(dst []byte, origin byte, count uint64, numbers ...uint64) []byte {
	dst = append(dst, origin)
	dst = append(dst, make([]byte, 15)...)
	dst = binary.AppendUvarint(dst, count)
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func TestDecodeNamesRefuses(t *testing.T) {
	one := func(numbers ...uint64) []byte { return append(namesOf([]byte{1}, 1, 1, numbers...), 0) }
	for name, b := range map[string][]byte{
		"nothing":                 nil,
		"no names":                {0, 0},
		"an origin without names": append(namesOf([]byte{1}, 1, 0), 0),
		"one of two without":      append(namesOf(namesOf([]byte{2}, 1, 0), 2, 1, 2), 0),
		"sequence 0":              one(0),
		"sequence 0, op 1":        one(1, 0),
		"sequence too far":        one(2 * (merge.MaxSeq + 1)),
		"sum too far":             append(namesOf([]byte{1}, 1, 2, 2*merge.MaxSeq, 2), 0),
		"distance wraps":          append(namesOf([]byte{1}, 1, 2, 4, 1<<63), 0),
		"op too far":              one(3, crdtsync.MaxChange),
		"op wraps":                one(3, 1<<64-1),
		"the same op twice":       append(namesOf([]byte{1}, 1, 2, 2, 0), 0),
		"origin twice":            append(namesOf(namesOf([]byte{2}, 1, 1, 2), 1, 1, 2), 0),
		"origins descend":         append(namesOf(namesOf([]byte{2}, 2, 1, 2), 1, 1, 2), 0),
		"more names than bytes":   append(namesOf([]byte{1}, 1, 1<<40, 2), 0),
		"too many names":          append(append(namesOf([]byte{1}, 1, crdtsync.MaxNames+1), bytes.Repeat([]byte{2}, crdtsync.MaxNames+1)...), 0),
		"too many in both lists":  append(append(namesOf(append(append(namesOf([]byte{1}, 1, crdtsync.MaxNames), bytes.Repeat([]byte{2}, crdtsync.MaxNames)...), 1), 1, 1), 2), 0),
		"no state":                namesOf([]byte{0, 1}, 1, 1, 2),
		"states too large":        varint.AppendBytes(namesOf([]byte{0, 1}, 1, 1, 2), make([]byte, crdtsync.MaxChunk+1)),
		"more than that":          append(one(2), 0),
	} {
		gone, held, err := crdtsync.DecodeNames(b)
		if _, ok := errors.AsType[*varint.FormatError](err); !ok || gone != nil || held != nil {
			t.Errorf("%s: DecodeNames = %v, %v, %v; want a FormatError", name, gone, held, err)
		}
	}
}

// TestCheckKeys: other keys, another order and other limits between keys have
// another check.
func TestCheckKeys(t *testing.T) {
	seen := make(map[crdtsync.Digest][]string)
	for _, keys := range [][]string{nil, {""}, {"", ""}, {"a", "b"}, {"b", "a"}, {"ab"}, {"ab", ""}, {"a", "b", ""}} {
		check := crdtsync.CheckKeys(keys)
		if was, ok := seen[check]; ok {
			t.Errorf("%q and %q have the same check", was, keys)
		}
		seen[check] = keys
	}
}

// FuzzDecodeNames takes nothing but what AppendNames writes.
func FuzzDecodeNames(f *testing.F) {
	f.Add(crdtsync.AppendNames(nil, []crdtsync.OpName{opName(1, 3, 0), opName(1, 3, 2), opName(2, 1, 1)}, nil))
	f.Add(crdtsync.AppendNames(nil, nil, []crdtsync.NamedCell{{OpName: opName(1, 300, 7), State: []byte("state")}}))
	f.Add(append(namesOf([]byte{1}, 1, 1<<40, 2), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		gone, held, err := crdtsync.DecodeNames(b)
		if err != nil {
			if !errors.Is(err, varint.ErrFormat) {
				t.Fatalf("DecodeNames: %v, not a FormatError", err)
			}
			return
		}
		if n := len(gone) + len(held); n == 0 || n > crdtsync.MaxNames {
			t.Fatalf("DecodeNames took %d names", n)
		}
		if again := crdtsync.AppendNames(nil, gone, held); !bytes.Equal(again, b) {
			t.Fatalf("DecodeNames took %x, AppendNames gives %x", b, again)
		}
	})
}
