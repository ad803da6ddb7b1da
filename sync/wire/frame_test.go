package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

func origin(b byte) (o merge.Origin) {
	for i := range o {
		o[i] = b
	}
	return o
}

func dot(b byte, seq uint64) merge.Dot { return merge.Dot{Origin: origin(b), Seq: seq} }

// signedHead returns a head of the origin of a fixed key.
func signedHead(seq uint64) crdtsync.SignedHead {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
	return crdtsync.SignHead("notes", crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: seq}, Hash: crdtsync.Hash{1, 2}}, key)
}

// frames returns one frame of each type.
func frames() []crdtsync.Frame {
	return []crdtsync.Frame{
		&crdtsync.Hello{
			MinVersion: 1, MaxVersion: 3, Origin: origin(0xa1), Name: "laptop",
			Former: []merge.Origin{origin(0x01), origin(0x02)}, Features: []string{"credit", "need"},
			Clock: 1_700_000_000_000, Nonce: crdtsync.Nonce{0xc0, 0xff, 0xee},
		},
		&crdtsync.Welcome{Version: 1, Heartbeat: 2000, Until: 1_700_000_005_000},
		&crdtsync.Goodbye{Code: "shutdown", Reason: "back in a minute"},
		&crdtsync.Ping{N: 24},
		&crdtsync.Pong{N: 1 << 40},
		&crdtsync.Goaway{Code: "draining", After: 2500, Reason: "restarts for an update"},
		&crdtsync.Queued{Place: 3},
		&crdtsync.Subscribe{Space: "notes", Vector: merge.VectorOf(dot(0xa1, 300), dot(0xb2, 1)), Known: []crdtsync.Known{{Dot: dot(0xb2, 1), Hash: crdtsync.Hash{7}}}},
		&crdtsync.Resume{Space: "notes", Cursor: crdtsync.Cursor{Position: 301, Print: 1 << 63}, Mark: 1 << 31},
		&crdtsync.Rewind{Space: "notes"},
		&crdtsync.Prune{Space: "notes"},
		&crdtsync.Members{Space: "notes", Members: []*crdtsync.Member{
			{Origin: origin(0xa1), Name: "phone", Seen: 1_750_000_000, Common: crdtsync.Cursor{Position: 301, Print: 7}, Beyond: merge.VectorOf(dot(0xb2, 302))},
			{Origin: origin(0xb2), Hub: true, Turns: 1, Beyond: merge.VectorOf(dot(0xa1, 300))},
		}},
		&crdtsync.Subscribed{Space: "notes", Changes: 70_000, Known: []crdtsync.Known{{Dot: dot(0x01, 5), Hash: crdtsync.Hash{8}}, {Dot: dot(0xa1, 300), Hash: crdtsync.Hash{9}}}},
		&crdtsync.Frontier{
			Space: "notes", Applied: crdtsync.Fingerprint{1, 2, 3, 4}, Cells: crdtsync.Fingerprint{5, 6, 7, 1 << 63},
			Changes: 301, Unread: 2,
		},
		&crdtsync.Changes{Space: "notes", Changes: [][]byte{{1, 2, 3}, {}, {4}}, Position: 301},
		&crdtsync.Ack{Space: "notes", Heads: []merge.Dot{dot(0xa1, 300), dot(0xb2, 1)}, Position: 301},
		&crdtsync.Nack{Space: "notes", Dot: dot(0xb2, 2), Code: "future", Class: "retriable", Reason: "stamped ahead", Hint: "check the clock"},
		&crdtsync.Auth{Scheme: "token", Credential: []byte("secret")},
		&crdtsync.AuthUpdate{Scheme: "token", Credential: []byte("fresh secret")},
		&crdtsync.Explain{N: 3, Space: "notes", Dot: dot(0xb2, 2)},
		&crdtsync.Explained{N: 3, State: "waiting", Reason: "a change before it is missing", Head: 1, Missing: dot(0xa1, 301)},
		&crdtsync.Explained{N: 4, State: "applied", Head: 2},
		&crdtsync.Unsubscribe{Space: "notes"},
		&crdtsync.Revoked{Space: "notes", Code: "forbidden", Reason: "not yours"},
		&crdtsync.Need{Space: "notes", Ranges: []crdtsync.Range{{Origin: origin(0xa1), First: 2, Last: 300}, {Origin: origin(0xa1), First: 302, Last: 302}, {Origin: origin(0xb2), First: 1, Last: 1}}},
		&crdtsync.Credit{Space: "notes", Changes: 4096, Bytes: 4 << 20},
		&crdtsync.Chains{Space: "notes", Print: crdtsync.ChainPrint{1, 2, 15: 3}},
		&crdtsync.Heads{Space: "notes", N: 7, Known: []crdtsync.Known{{Dot: dot(0xa1, 2), Hash: crdtsync.Hash{1}}, {Dot: dot(0xa1, 300), Hash: crdtsync.Hash{2}}, {Dot: dot(0xb2, 1), Hash: crdtsync.Hash{3}}}},
		&crdtsync.Ask{Space: "notes", N: 7, Dots: []merge.Dot{dot(0xa1, 2), dot(0xa1, 300), dot(0xb2, 1)}},
		&crdtsync.Forked{Space: "notes", Change: []byte{1, 2, 3}},
		&crdtsync.Signed{Space: "notes", Heads: []crdtsync.SignedHead{signedHead(300), signedHead(301)}, Print: 1 << 63},
		&crdtsync.SnapshotBegin{
			Space: "notes", Number: 2, Step: crdtsync.SnapshotWhole, Vector: merge.VectorOf(dot(0xa1, 300)), After: "tags\x00\x01orset\x00\x01dhome",
		},
		&crdtsync.SnapshotChunk{
			Space: "notes", Number: 2, Chunk: 1,
			Parts: []crdtsync.CellPart{{Key: "tags\x00\x01gset\x00\x01dcity", State: []byte{}}, {Key: "tags\x00\x01gset\x00\x01dhome"}, {Key: "tags\x00\x01lww\x00\x01", State: []byte{1, 2, 3}, More: true}},
			Heads: []crdtsync.OriginHead{{Origin: origin(0xa1), Head: crdtsync.Head{Seq: 300, Time: 77, Hash: crdtsync.Hash{1, 2}, Tip: true}}},
		},
		&crdtsync.SnapshotNamed{
			Space: "notes", Number: 2, Chunk: 2,
			Gone:  []crdtsync.OpName{{Dot: dot(0xa1, 3)}, {Dot: dot(0xa1, 3), Op: 1}, {Dot: dot(0xa1, 3), Op: 9}, {Dot: dot(0xa1, 300)}, {Dot: dot(0xb2, 1), Op: 7}},
			Held:  []crdtsync.NamedCell{{OpName: crdtsync.OpName{Dot: dot(0xa1, 4), Op: 1}, State: []byte{1, 2, 3}}, {OpName: crdtsync.OpName{Dot: dot(0xa1, 1<<40)}, State: []byte{}}},
			Check: crdtsync.Digest{7, 15: 8},
		},
		&crdtsync.Spell{Space: "notes", Vector: merge.VectorOf(dot(0xa1, 3), dot(0xb2, 1))},
		&crdtsync.SnapshotEnd{Space: "notes", Number: 2, Chunks: 2, Print: crdtsync.Fingerprint{5, 6, 7, 1 << 63}},
		&crdtsync.Fragment{Space: "notes", Dot: dot(0xa1, 300), Size: 300_000, Hash: crdtsync.Hash{1, 2}, Offset: 65_536, Bytes: []byte{3, 4, 5}},
		&crdtsync.Partial{Space: "notes", Dot: dot(0xa1, 300), Hash: crdtsync.Hash{1, 2}, Offset: 65_539},
		&crdtsync.Piece{Number: 7, Size: 1 << 20, Hash: crdtsync.Hash{6}, Offset: 1<<20 - 2, Bytes: []byte{8, 9}},
		&crdtsync.Audit{Space: "notes", Digest: crdtsync.Digest{1, 2, 3, 15: 4}},
		&crdtsync.Audited{Space: "notes", Code: crdtsync.AuditMoved},
		&crdtsync.Compare{Space: "notes", What: crdtsync.CompareAskSymbols, Body: []byte{16, 0x80, 0x10}},
		&crdtsync.Repair{
			Space: "notes", Applied: crdtsync.Fingerprint{1, 2, 3, 4}, Stage: crdtsync.RepairAsk,
			Wanted: []byte{2, 9, 17}, Cells: [][]byte{mendCell("a\x00\x01lww\x00\x01", []byte{7}), mendCell("b\x00\x01lww\x00\x01", nil)},
		},
	}
}

func encode(t testing.TB, f crdtsync.Frame) []byte {
	t.Helper()
	b, err := wire.Append(nil, f)
	if err != nil {
		t.Fatalf("Append(%#v): %v", f, err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, f := range frames() {
		got, err := wire.Decode(encode(t, f))
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%T came back as %#v, %v; want %#v", f, got, err, f)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	got, err := wire.Append([]byte("before"), &crdtsync.Ping{N: 7})
	if want := "before" + string(encode(t, &crdtsync.Ping{N: 7})); err != nil || string(got) != want {
		t.Fatalf("Append to a prefix = %q, %v; want %q", got, err, want)
	}
	got, err = wire.Append([]byte("before"), &crdtsync.Subscribed{})
	if err == nil || string(got) != "before" {
		t.Fatalf("Append of a bad frame = %q, %v; want the prefix and an error", got, err)
	}
}

func TestDecodeDoesNotAlias(t *testing.T) {
	want := &crdtsync.Changes{Space: "notes", Changes: [][]byte{[]byte("change")}}
	b := encode(t, want)
	got, err := wire.Decode(b)
	clear(b)
	if err != nil || !reflect.DeepEqual(got, crdtsync.Frame(want)) {
		t.Fatalf("after its buffer was cleared the frame reads %#v, %v", got, err)
	}
}

func TestAbsentIsEmpty(t *testing.T) {
	for _, test := range []struct{ in, want crdtsync.Frame }{
		{&crdtsync.Subscribe{Space: "s"}, &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}}},
		{&crdtsync.Changes{Space: "s"}, &crdtsync.Changes{Space: "s", Changes: [][]byte{}}},
		{&crdtsync.Changes{Space: "s", Changes: [][]byte{nil}}, &crdtsync.Changes{Space: "s", Changes: [][]byte{{}}}},
	} {
		got, want := encode(t, test.in), encode(t, test.want)
		if _, err := wire.Decode(got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Append(%#v) = %x, want %x (%v)", test.in, got, want, err)
		}
	}
}

func TestAckIsASetOfHeads(t *testing.T) {
	in := &crdtsync.Ack{Space: "s", Heads: []merge.Dot{dot(2, 5), dot(1, 1), dot(2, 4)}}
	got, err := wire.Decode(encode(t, in))
	want := &crdtsync.Ack{Space: "s", Heads: []merge.Dot{dot(1, 1), dot(2, 5)}}
	if err != nil || !reflect.DeepEqual(got, crdtsync.Frame(want)) {
		t.Fatalf("got %#v, %v; want one head per origin, ascending", got, err)
	}
}

func TestReasonsAreCut(t *testing.T) {
	for _, reason := range []string{strings.Repeat("é", wire.MaxReason), "x" + strings.Repeat("é", wire.MaxReason), "bad \xff\xfe"} {
		got, err := wire.Decode(encode(t, &crdtsync.Goodbye{Code: "protocol", Reason: reason}))
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		cut := got.(*crdtsync.Goodbye).Reason
		if len(cut) > wire.MaxReason || !utf8.ValidString(cut) || len(reason) > wire.MaxReason && len(cut) < wire.MaxReason-utf8.UTFMax {
			t.Errorf("a reason of %d bytes was cut to %d: %.20q", len(reason), len(cut), cut)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	long := strings.Repeat("x", 300)
	tooMany := &merge.VersionVector{}
	for i := range uint64(16_000) {
		tooMany.Raise(merge.Dot{Origin: merge.Origin{byte(i), byte(i >> 8)}, Seq: 1})
	}
	for name, f := range map[string]crdtsync.Frame{
		"no frame":         nil,
		"empty space":      &crdtsync.Subscribed{},
		"long space":       &crdtsync.Changes{Space: long},
		"space not UTF-8":  &crdtsync.Frontier{Space: "\xff"},
		"long name":        &crdtsync.Hello{Name: long},
		"name not UTF-8":   &crdtsync.Hello{Name: "\xff"},
		"empty code":       &crdtsync.Goodbye{},
		"long code":        &crdtsync.Goodbye{Code: long},
		"goaway, no code":  &crdtsync.Goaway{After: 1},
		"dot of nothing":   &crdtsync.Nack{Space: "s", Code: "c", Class: "fatal"},
		"sequence too far": &crdtsync.Ack{Space: "s", Heads: []merge.Dot{dot(1, merge.MaxSeq+1)}},
		"no class":         &crdtsync.Nack{Space: "s", Dot: dot(1, 1), Code: "c"},
		"no scheme":        &crdtsync.Auth{},
		"long credential":  &crdtsync.AuthUpdate{Scheme: "token", Credential: make([]byte, crdtsync.MaxCredential+1)},
		"no ranges":        &crdtsync.Need{Space: "s"},
		"empty range":      &crdtsync.Need{Space: "s", Ranges: []crdtsync.Range{{First: 2, Last: 1}}},
		"ranges overlap":   &crdtsync.Need{Space: "s", Ranges: []crdtsync.Range{{First: 1, Last: 2}, {First: 2, Last: 3}}},
		"ranges reversed":  &crdtsync.Need{Space: "s", Ranges: []crdtsync.Range{{First: 3, Last: 4}, {First: 1, Last: 1}}},
		"ranges too many":  &crdtsync.Need{Space: "s", Ranges: make([]crdtsync.Range, crdtsync.MaxRanges+1)},
		"former unsorted":  &crdtsync.Hello{Former: []merge.Origin{origin(2), origin(1)}},
		"former too many":  &crdtsync.Hello{Former: make([]merge.Origin, crdtsync.MaxFormer+1)},
		"features twice":   &crdtsync.Hello{Features: []string{"need", "need"}},
		"feature's name":   &crdtsync.Hello{Features: []string{"No"}},
		"features many":    &crdtsync.Hello{Features: make([]string, crdtsync.MaxFeatures+1)},
		"known unsorted":   &crdtsync.Subscribed{Space: "s", Known: []crdtsync.Known{{Dot: dot(2, 1)}, {Dot: dot(1, 1)}}},
		"known of nothing": &crdtsync.Subscribed{Space: "s", Known: []crdtsync.Known{{}}},
		"explain nothing":  &crdtsync.Explain{Space: "s"},
		"head too far":     &crdtsync.Explained{State: "applied", Head: merge.MaxSeq + 1},
		"vector too far":   &crdtsync.Subscribe{Space: "s", Vector: merge.VectorOf(dot(1, merge.MaxSeq+1))},
		"vector too long":  &crdtsync.Subscribe{Space: "s", Vector: tooMany},
		"no names":         &crdtsync.SnapshotNamed{Space: "s"},
		"names reversed":   &crdtsync.SnapshotNamed{Space: "s", Gone: []crdtsync.OpName{{Dot: dot(1, 2)}, {Dot: dot(1, 1)}}},
		"name twice":       &crdtsync.SnapshotNamed{Space: "s", Gone: []crdtsync.OpName{{Dot: dot(1, 2), Op: 3}, {Dot: dot(1, 2), Op: 3}}},
		"too many names":   &crdtsync.SnapshotNamed{Space: "s", Gone: namesUpTo(crdtsync.MaxNames + 1)},
		"spell too far":    &crdtsync.Spell{Space: "s", Vector: merge.VectorOf(dot(1, merge.MaxSeq+1))},
		"too many changes": &crdtsync.Changes{Space: "s", Changes: make([][]byte, wire.MaxChanges+1)},
		"too large":        &crdtsync.Changes{Space: "s", Changes: [][]byte{make([]byte, wire.MaxFrame)}},
		"fragment, no dot": &crdtsync.Fragment{Space: "s", Size: 1, Bytes: []byte{1}},
		"fragment, empty":  &crdtsync.Fragment{Space: "s", Dot: dot(1, 1), Size: 1},
		"fragment beyond":  &crdtsync.Fragment{Space: "s", Dot: dot(1, 1), Size: 2, Offset: 1, Bytes: []byte{1, 2}},
		"fragment, offset": &crdtsync.Fragment{Space: "s", Dot: dot(1, 1), Size: 2, Offset: math.MaxUint64, Bytes: []byte{1, 2}},
		"fragment of much": &crdtsync.Fragment{Space: "s", Dot: dot(1, 1), Size: crdtsync.MaxChange + 1, Bytes: []byte{1}},
		"partial of much":  &crdtsync.Partial{Space: "s", Dot: dot(1, 1), Offset: crdtsync.MaxChange + 1},
		"partial, no dot":  &crdtsync.Partial{Space: "s"},
		"piece, empty":     &crdtsync.Piece{Size: 1},
		"piece of much":    &crdtsync.Piece{Size: crdtsync.MaxLong + 1, Bytes: []byte{1}},
	} {
		b, err := wire.Append(nil, f)
		if _, ok := errors.AsType[*wire.FrameError](err); !ok || !errors.Is(err, wire.ErrFrame) || len(b) != 0 {
			t.Errorf("%s: Append = %d bytes, %v; want a FrameError", name, len(b), err)
		}
	}
}

func namesUpTo(n uint64) (names []crdtsync.OpName) {
	for i := range n {
		names = append(names, crdtsync.OpName{Dot: dot(1, 1), Op: i})
	}
	return names
}

func TestLargestChangeFits(t *testing.T) {
	f := &crdtsync.Changes{Space: strings.Repeat("s", crdtsync.MaxSpace), Changes: [][]byte{make([]byte, crdtsync.MaxWhole)}}
	if _, err := wire.Decode(encode(t, f)); err != nil {
		t.Fatal(err)
	}
}
