package wire

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A body is what stands in a frame after its type and flags. Its fields say
// what is encoded, under which number.
type body interface {
	// check returns an error unless the fields are within their limits.
	check() error
}

// A linkBody is the body of a frame that links exchange.
type linkBody interface {
	body
	// frame returns the frame, which shares memory with the body. It is called
	// only after check.
	frame() crdtsync.Frame
}

// bodyOf returns the body of f, nil if f is no frame.
func bodyOf(f crdtsync.Frame) (Type, body) {
	switch f := f.(type) {
	case *crdtsync.Hello:
		return TypeHello, &hello{f.MinVersion, f.MaxVersion, f.Origin[:], f.Name, appendOrigins(f.Former), appendFeatures(f.Features), f.Clock, f.Nonce[:]}
	case *crdtsync.Welcome:
		return TypeWelcome, &welcome{f.Version, f.Heartbeat, f.Until}
	case *crdtsync.Goodbye:
		return TypeGoodbye, &goodbye{f.Code, cut(f.Reason)}
	case *crdtsync.Ping:
		return TypePing, &ping{f.N}
	case *crdtsync.Pong:
		return TypePong, &pong{f.N}
	case *crdtsync.Goaway:
		return TypeGoaway, &goaway{f.Code, f.After, cut(f.Reason)}
	case *crdtsync.Queued:
		return TypeQueued, &queued{f.Place}
	case *crdtsync.Subscribe:
		return TypeSubscribe, &subscribe{f.Space, appendVector(f.Vector), appendKnown(f.Known)}
	case *crdtsync.Resume:
		return TypeResume, &resume{f.Space, f.Cursor.Position, f.Cursor.Print, uint64(f.Mark)}
	case *crdtsync.Rewind:
		return TypeRewind, &rewind{f.Space}
	case *crdtsync.Prune:
		return TypePrune, &prune{f.Space}
	case *crdtsync.Members:
		return TypeMembers, &members{f.Space, appendMembers(f.Members)}
	case *crdtsync.Subscribed:
		return TypeSubscribed, &subscribed{f.Space, f.Changes, appendKnown(f.Known)}
	case *crdtsync.Frontier:
		return TypeFrontier, &frontier{f.Space, f.Applied.Bytes(), f.Cells.Bytes(), f.Changes, f.Unread}
	case *crdtsync.Changes:
		return TypeChanges, &changes{f.Space, f.Changes, f.Position}
	case *crdtsync.Ack:
		return TypeAck, &ack{f.Space, appendVector(merge.VectorOf(f.Heads...)), f.Position}
	case *crdtsync.Nack:
		return TypeNack, &nack{f.Space, appendDot(f.Dot), f.Code, cut(f.Reason), f.Class, cut(f.Hint)}
	case *crdtsync.SnapshotBegin:
		return TypeSnapshotBegin, &snapshotBegin{f.Space, f.Number, uint64(f.Step), appendVector(f.Vector), []byte(f.After)}
	case *crdtsync.SnapshotChunk:
		return TypeSnapshotChunk, &snapshotChunk{f.Space, f.Number, f.Chunk, crdtsync.AppendParts(nil, f.Parts), crdtsync.AppendHeads(nil, f.Heads)}
	case *crdtsync.SnapshotNamed:
		return TypeSnapshotNamed, &snapshotNamed{f.Space, f.Number, f.Chunk, crdtsync.AppendNames(nil, f.Gone, f.Held), f.Check[:]}
	case *crdtsync.Spell:
		return TypeSpell, &spell{f.Space, appendVector(f.Vector)}
	case *crdtsync.SnapshotEnd:
		return TypeSnapshotEnd, &snapshotEnd{f.Space, f.Number, f.Chunks, f.Print.Bytes()}
	case *crdtsync.Audit:
		return TypeAudit, &audit{f.Space, f.Digest[:]}
	case *crdtsync.Audited:
		return TypeAudited, &audited{f.Space, f.Code}
	case *crdtsync.Compare:
		return TypeCompare, &compare{f.Space, f.What, f.Body}
	case *crdtsync.Repair:
		return TypeRepair, &repair{f.Space, f.Applied.Bytes(), f.Stage, f.Wanted, f.Cells}
	}
	return controlBody(f)
}

// newBody returns an empty body of the type, nil if links do not know it.
func newBody(t Type) linkBody {
	switch t {
	case TypeHello:
		return &hello{}
	case TypeWelcome:
		return &welcome{}
	case TypeGoodbye:
		return &goodbye{}
	case TypePing:
		return &ping{}
	case TypePong:
		return &pong{}
	case TypeGoaway:
		return &goaway{}
	case TypeQueued:
		return &queued{}
	case TypeSubscribe:
		return &subscribe{}
	case TypeResume:
		return &resume{}
	case TypeRewind:
		return &rewind{}
	case TypePrune:
		return &prune{}
	case TypeMembers:
		return &members{}
	case TypeSubscribed:
		return &subscribed{}
	case TypeFrontier:
		return &frontier{}
	case TypeChanges:
		return &changes{}
	case TypeAck:
		return &ack{}
	case TypeNack:
		return &nack{}
	case TypeSnapshotBegin:
		return &snapshotBegin{}
	case TypeSnapshotChunk:
		return &snapshotChunk{}
	case TypeSnapshotNamed:
		return &snapshotNamed{}
	case TypeSpell:
		return &spell{}
	case TypeSnapshotEnd:
		return &snapshotEnd{}
	case TypeAudit:
		return &audit{}
	case TypeAudited:
		return &audited{}
	case TypeCompare:
		return &compare{}
	case TypeRepair:
		return &repair{}
	}
	return newControlBody(t)
}

type hello struct {
	Oldest uint64 `cbor:"1,keyasint"`
	Newest uint64 `cbor:"2,keyasint"`
	Origin []byte `cbor:"3,keyasint"`
	Name   string `cbor:"4,keyasint"`

	Former   [][]byte `cbor:"5,keyasint"`
	Features [][]byte `cbor:"6,keyasint"`
	Clock    uint64   `cbor:"7,keyasint"`
	Nonce    []byte   `cbor:"8,keyasint"`
}

func (b *hello) check() error {
	_, errFormer := readOrigins(b.Former, crdtsync.MaxFormer)
	_, errFeatures := readFeatures(b.Features)
	if len(b.Nonce) != len(crdtsync.Nonce{}) {
		return fmt.Errorf("a nonce of %d bytes", len(b.Nonce))
	}
	return cmp.Or(checkOrigin(b.Origin), checkText("name", b.Name, MaxName), errFormer, errFeatures)
}

func (b *hello) frame() crdtsync.Frame {
	former, _ := readOrigins(b.Former, crdtsync.MaxFormer)
	features, _ := readFeatures(b.Features)
	return &crdtsync.Hello{
		MinVersion: b.Oldest, MaxVersion: b.Newest, Origin: merge.Origin(b.Origin), Name: b.Name,
		Former: former, Features: features, Clock: b.Clock, Nonce: crdtsync.Nonce(b.Nonce),
	}
}

type welcome struct {
	Version   uint64 `cbor:"1,keyasint"`
	Heartbeat uint64 `cbor:"2,keyasint"`
	Until     uint64 `cbor:"3,keyasint"`
}

func (b *welcome) check() error { return nil }
func (b *welcome) frame() crdtsync.Frame {
	return &crdtsync.Welcome{Version: b.Version, Heartbeat: b.Heartbeat, Until: b.Until}
}

type goodbye struct {
	Code   string `cbor:"1,keyasint"`
	Reason string `cbor:"2,keyasint"`
}

func (b *goodbye) check() error { return checkRefusal(b.Code, b.Reason) }

func (b *goodbye) frame() crdtsync.Frame {
	return &crdtsync.Goodbye{Code: b.Code, Reason: b.Reason}
}

type ping struct {
	N uint64 `cbor:"1,keyasint"`
}

func (b *ping) check() error          { return nil }
func (b *ping) frame() crdtsync.Frame { return &crdtsync.Ping{N: b.N} }

type pong struct {
	N uint64 `cbor:"1,keyasint"`
}

func (b *pong) check() error          { return nil }
func (b *pong) frame() crdtsync.Frame { return &crdtsync.Pong{N: b.N} }

type subscribe struct {
	Space  string   `cbor:"1,keyasint"`
	Vector []byte   `cbor:"2,keyasint"`
	Known  [][]byte `cbor:"3,keyasint"`
}

func (b *subscribe) check() error {
	_, err := merge.DecodeVector(b.Vector)
	_, errKnown := readKnown(b.Known)
	return cmp.Or(checkSpace(b.Space), err, errKnown)
}

func (b *subscribe) frame() crdtsync.Frame {
	known, _ := readKnown(b.Known)
	return &crdtsync.Subscribe{Space: b.Space, Vector: checkedVector(b.Vector), Known: known}
}

type resume struct {
	Space    string `cbor:"1,keyasint"`
	Position uint64 `cbor:"2,keyasint"`
	Print    uint64 `cbor:"3,keyasint"`
	Mark     uint64 `cbor:"4,keyasint"`
}

func (b *resume) check() error {
	if b.Mark > math.MaxUint32 {
		return fmt.Errorf("a mark over 32 bits: %d", b.Mark)
	}
	return checkSpace(b.Space)
}

func (b *resume) frame() crdtsync.Frame {
	return &crdtsync.Resume{Space: b.Space, Cursor: crdtsync.Cursor{Position: b.Position, Print: b.Print}, Mark: uint32(b.Mark)}
}

type rewind struct {
	Space string `cbor:"1,keyasint"`
}

func (b *rewind) check() error          { return checkSpace(b.Space) }
func (b *rewind) frame() crdtsync.Frame { return &crdtsync.Rewind{Space: b.Space} }

type prune struct {
	Space string `cbor:"1,keyasint"`
}

func (b *prune) check() error          { return checkSpace(b.Space) }
func (b *prune) frame() crdtsync.Frame { return &crdtsync.Prune{Space: b.Space} }

type subscribed struct {
	Space   string   `cbor:"1,keyasint"`
	Changes uint64   `cbor:"2,keyasint"`
	Known   [][]byte `cbor:"3,keyasint"`
}

func (b *subscribed) check() error {
	_, err := readKnown(b.Known)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *subscribed) frame() crdtsync.Frame {
	known, _ := readKnown(b.Known)
	return &crdtsync.Subscribed{Space: b.Space, Changes: b.Changes, Known: known}
}

type frontier struct {
	Space   string `cbor:"1,keyasint"`
	Applied []byte `cbor:"2,keyasint"`
	Cells   []byte `cbor:"3,keyasint"`
	Changes uint64 `cbor:"4,keyasint"`
	Unread  uint64 `cbor:"5,keyasint"`
}

func (b *frontier) check() error {
	_, okApplied := crdtsync.ParseFingerprint(b.Applied)
	_, okCells := crdtsync.ParseFingerprint(b.Cells)
	if !okApplied || !okCells {
		return fmt.Errorf("fingerprints of %d and %d bytes", len(b.Applied), len(b.Cells))
	}
	return checkSpace(b.Space)
}

func (b *frontier) frame() crdtsync.Frame {
	applied, _ := crdtsync.ParseFingerprint(b.Applied)
	cells, _ := crdtsync.ParseFingerprint(b.Cells)
	return &crdtsync.Frontier{Space: b.Space, Applied: applied, Cells: cells, Changes: b.Changes, Unread: b.Unread}
}

type changes struct {
	Space   string   `cbor:"1,keyasint"`
	Changes [][]byte `cbor:"2,keyasint"`

	Position uint64 `cbor:"3,keyasint"`
}

func (b *changes) check() error {
	if len(b.Changes) > MaxChanges {
		return fmt.Errorf("%d changes, the limit is %d", len(b.Changes), MaxChanges)
	}
	return checkSpace(b.Space)
}

func (b *changes) frame() crdtsync.Frame {
	return &crdtsync.Changes{Space: b.Space, Changes: b.Changes, Position: b.Position}
}

type ack struct {
	Space string `cbor:"1,keyasint"`
	Heads []byte `cbor:"2,keyasint"`

	Position uint64 `cbor:"3,keyasint"`
}

func (b *ack) check() error {
	_, err := merge.DecodeVector(b.Heads)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *ack) frame() crdtsync.Frame {
	return &crdtsync.Ack{Space: b.Space, Heads: checkedVector(b.Heads).Sorted(), Position: b.Position}
}

type nack struct {
	Space  string `cbor:"1,keyasint"`
	Dot    []byte `cbor:"2,keyasint"`
	Code   string `cbor:"3,keyasint"`
	Reason string `cbor:"4,keyasint"`
	Class  string `cbor:"5,keyasint"`
	Hint   string `cbor:"6,keyasint"`
}

func (b *nack) check() error {
	_, err := readDot(b.Dot)
	return cmp.Or(checkSpace(b.Space), err, checkRefusal(b.Code, b.Reason), checkCode(b.Class), checkText("hint", b.Hint, MaxReason))
}

func (b *nack) frame() crdtsync.Frame {
	dot, _ := readDot(b.Dot)
	return &crdtsync.Nack{Space: b.Space, Dot: dot, Code: b.Code, Class: b.Class, Reason: b.Reason, Hint: b.Hint}
}

func appendVector(v *merge.VersionVector) []byte {
	if v == nil {
		v = &merge.VersionVector{}
	}
	b, _ := v.AppendBinary(nil) // never fails
	return b
}

// checkedVector reads a vector that check has read before.
func checkedVector(b []byte) *merge.VersionVector {
	v, _ := merge.DecodeVector(b)
	return v
}

func appendDot(d merge.Dot) []byte { return binary.AppendUvarint(d.Origin[:], d.Seq) }

func readDot(b []byte) (d merge.Dot, err error) {
	r := varint.NewReader("dot", b)
	copy(d.Origin[:], r.Fixed(len(d.Origin)))
	if d.Seq = r.Uvarint(); d.Seq == 0 || d.Seq > merge.MaxSeq {
		r.Fail("sequence number 0 or beyond the limit")
	}
	return d, r.Done()
}

func checkOrigin(b []byte) error {
	if len(b) != len(merge.Origin{}) {
		return fmt.Errorf("an origin of %d bytes", len(b))
	}
	return nil
}

func checkSpace(name string) error { return crdtsync.CheckName("space", name, crdtsync.MaxSpace) }

func checkText(what, s string, limit int) error {
	if len(s) > limit || !utf8.ValidString(s) {
		return fmt.Errorf("a %s of %d bytes: the limit is %d, and it must be UTF-8", what, len(s), limit)
	}
	return nil
}

func checkRefusal(code, reason string) error {
	return cmp.Or(checkCode(code), checkText("reason", reason, MaxReason))
}

func checkCode(code string) error {
	if code == "" {
		return errors.New("an empty code")
	}
	return checkText("code", code, MaxCode)
}

// cut makes a reason fit, whatever an error text contains.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxReason {
		return s
	}
	end := MaxReason
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
