package wire

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Limits. A frame that exceeds one has no encoding.
const (
	MaxFrame   = 256 << 10 // bytes of a frame, type and flags included
	MaxChanges = 1024      // changes in one Changes frame
	MaxName    = 255       // bytes in the name of a node, may be empty
	MaxCode    = 32        // bytes in a code, at least 1
	MaxReason  = 1 << 10   // bytes in a reason; Append cuts a longer one
)

// A Type is the number of a kind of frame. Numbers below 16 are about the link,
// from 16 about a space, from 32 about its changes; 240 and above are not sent
// over links but stand in files. What is free below 240 is for later versions.
type Type byte

// The types of frames.
const (
	TypeHello      Type = 1  // body: 1 oldest version, 2 newest version, 3 origin, 4 name, 5 former origins, 6 features, 7 clock, 8 nonce
	TypeWelcome    Type = 2  // body: 1 version, 2 heartbeat, 3 until
	TypeGoodbye    Type = 3  // body: 1 code, 2 reason
	TypePing       Type = 4  // body: 1 number
	TypePong       Type = 5  // body: 1 number
	TypeGoaway     Type = 8  // body: 1 code, 2 milliseconds, 3 reason
	TypeQueued     Type = 11 // body: 1 place
	TypeSubscribe  Type = 16 // body: 1 space, 2 vector, 3 known heads
	TypeSubscribed Type = 17 // body: 1 space, 2 number of changes, 3 known heads
	TypeFrontier   Type = 18 // body: 1 space, 2 and 3 fingerprints, 4 changes, 5 unread
	TypeResume     Type = 19 // body: 1 space, 2 position, 3 print, 4 mark
	TypeRewind     Type = 20 // body: 1 space
	TypeMembers    Type = 21 // body: 1 space, 2 members
	TypePrune      Type = 37 // body: 1 space
	TypeChanges    Type = 32 // body: 1 space, 2 changes, 3 position
	TypeAck        Type = 33 // body: 1 space, 2 heads as a vector, 3 position
	TypeNack       Type = 34 // body: 1 space, 2 dot, 3 code, 4 reason, 5 class, 6 hint

	TypeAuth        Type = 6  // body: 1 scheme, 2 credential
	TypeAuthUpdate  Type = 7  // body: 1 scheme, 2 credential
	TypeExplain     Type = 9  // body: 1 number, 2 space, 3 dot
	TypeExplained   Type = 10 // body: 1 number, 2 state, 3 reason, 4 head, 5 missing dot or empty
	TypeUnsubscribe Type = 22 // body: 1 space
	TypeRevoked     Type = 23 // body: 1 space, 2 code, 3 reason
	TypeChains      Type = 24 // body: 1 space, 2 print
	TypeHeads       Type = 25 // body: 1 space, 2 number, 3 heads
	TypeAsk         Type = 26 // body: 1 space, 2 number, 3 dots
	TypeForked      Type = 27 // body: 1 space, 2 change
	TypeSigned      Type = 28 // body: 1 space, 2 signed heads, 3 print
	TypeNeed        Type = 35 // body: 1 space, 2 ranges
	TypeCredit      Type = 36 // body: 1 space, 2 changes, 3 bytes
	TypeFragment    Type = 38 // body: 1 space, 2 dot, 3 size, 4 hash, 5 offset, 6 bytes
	TypePartial     Type = 39 // body: 1 space, 2 dot, 3 hash, 4 offset
	TypePiece       Type = 12 // body: 1 number, 2 size, 3 hash, 4 offset, 5 bytes
	TypeAudit       Type = 51 // body: 1 space, 2 digest
	TypeAudited     Type = 52 // body: 1 space, 2 code
	TypeCompare     Type = 53 // body: 1 space, 2 what, 3 question or answer
	TypeRepair      Type = 54 // body: 1 space, 2 fingerprint, 3 stage, 4 wanted, 5 cells

	TypeSnapshotBegin Type = 48 // body: 1 space, 2 sending, 3 step, 4 vector, 5 key
	TypeSnapshotChunk Type = 49 // body: 1 space, 2 sending, 3 chunk, 4 cells, 5 heads
	TypeSnapshotEnd   Type = 50 // body: 1 space, 2 sending, 3 chunks, 4 fingerprint
	TypeSnapshotNamed Type = 55 // body: 1 space, 2 sending, 3 chunk, 4 names, 5 check
	TypeSpell         Type = 56 // body: 1 space, 2 vector

	typeFileHeader Type = 240 // body: 1 space, 2 origin, 3 number of changes
	typeFileEnd    Type = 241 // body: 1 number of records, 2 SHA-256
)

var typeNames = map[Type]string{
	TypeHello: "HELLO", TypeWelcome: "WELCOME", TypeGoodbye: "GOODBYE", TypePing: "PING", TypePong: "PONG",
	TypeGoaway: "GOAWAY", TypeQueued: "QUEUED",
	TypeSubscribe: "SUBSCRIBE", TypeSubscribed: "SUBSCRIBED", TypeFrontier: "FRONTIER",
	TypeResume: "RESUME", TypeRewind: "REWIND", TypeMembers: "MEMBERS", TypePrune: "PRUNE",
	TypeChanges: "CHANGES", TypeAck: "ACK", TypeNack: "NACK",
	TypeAuth: "AUTH", TypeAuthUpdate: "AUTH_UPDATE", TypeExplain: "EXPLAIN", TypeExplained: "EXPLAINED",
	TypeUnsubscribe: "UNSUBSCRIBE", TypeRevoked: "REVOKED", TypeNeed: "NEED", TypeCredit: "CREDIT",
	TypeFragment: "FRAGMENT", TypePartial: "PARTIAL", TypePiece: "PIECE",
	TypeSnapshotBegin: "SNAPSHOT-BEGIN", TypeSnapshotChunk: "SNAPSHOT-CHUNK", TypeSnapshotEnd: "SNAPSHOT-END",
	TypeSnapshotNamed: "SNAPSHOT-NAMED", TypeSpell: "SPELL",
	TypeAudit: "AUDIT", TypeAudited: "AUDITED", TypeCompare: "COMPARE", TypeRepair: "REPAIR",
	TypeChains: "CHAINS", TypeHeads: "HEADS", TypeAsk: "ASK", TypeForked: "FORKED", TypeSigned: "SIGNED",
	typeFileHeader: "FILE-HEADER", typeFileEnd: "FILE-END",
}

// String returns the name that docs/protocol.md uses.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type-%d", byte(t))
}

// FlagIgnorable marks a frame that a node which does not know its type skips.
// No type of this version carries it.
const FlagIgnorable = 1

const headerSize = 2 // type, flags

var (
	encMode = must(encOptions().UserBufferEncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		UTF8:              cbor.UTF8RejectInvalid,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  MaxChanges,
		MaxMapPairs:       16,
	}.DecMode())
)

func encOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	return o
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Append appends the encoding of f to dst. The result does not share memory
// with f. A frame beyond a limit is a [*FrameError]; the reason of a Nack or a
// Goodbye is cut to [MaxReason] instead, being for people.
func Append(dst []byte, f crdtsync.Frame) ([]byte, error) {
	t, b := bodyOf(f)
	if b == nil {
		return dst, &FrameError{0, fmt.Sprintf("%T is no frame", f)}
	}
	return appendBody(dst, t, b, MaxFrame)
}

func appendBody(dst []byte, t Type, b body, limit int) ([]byte, error) {
	if err := b.check(); err != nil {
		return dst, &FrameError{t, err.Error()}
	}
	buf := bytes.NewBuffer(append(slices.Grow(dst, sizeHint(b)), byte(t), 0))
	if err := encMode.MarshalToBuffer(b, buf); err != nil {
		return dst, &FrameError{t, err.Error()}
	}
	if n := buf.Len() - len(dst); n > limit {
		return dst, &FrameError{t, fmt.Sprintf("%d bytes, the limit is %d", n, limit)}
	}
	return buf.Bytes(), nil
}

// sizeHint is at least the size of most frames with this body.
func sizeHint(b body) int {
	const small, each = 128, 3 // bytes around a frame and around each change in it
	n := small
	switch b := b.(type) {
	case *changes:
		for _, raw := range b.Changes {
			n += len(raw) + each
		}
	case *fragment:
		n += len(b.Bytes)
	case *piece:
		n += len(b.Bytes)
	}
	return n
}

// Decode reads a frame. The result does not share memory with b. A frame of an
// unknown type that carries [FlagIgnorable] gives no frame and no error. All
// else that Append does not write is a [*FrameError], but for compressed frames
// of what it writes.
func Decode(b []byte) (crdtsync.Frame, error) { return decode(b, MaxFrame) }

func decode(b []byte, limit int) (crdtsync.Frame, error) {
	t, raw, err := splitFrame(b, limit)
	if err != nil {
		return nil, err
	}
	into := newBody(t)
	if into == nil {
		if b[1]&FlagIgnorable != 0 {
			return nil, nil
		}
		return nil, &FrameError{t, "not known here: the peer speaks a newer version, upgrade this node"}
	}
	if b[1]&FlagS2 != 0 {
		if b, err = expand(b, limit); err != nil {
			return nil, err
		}
		raw = b[headerSize:]
	}
	if err := decodeBody(t, b, raw, into, limit); err != nil {
		return nil, err
	}
	return into.frame(), nil
}

func splitFrame(b []byte, limit int) (Type, []byte, error) {
	switch {
	case len(b) < headerSize:
		return 0, nil, &FrameError{0, fmt.Sprintf("%d bytes, shorter than its header", len(b))}
	case len(b) > limit:
		return 0, nil, &FrameError{Type(b[0]), fmt.Sprintf("%d bytes, the limit is %d", len(b), limit)}
	case b[1]&^(FlagIgnorable|FlagS2) != 0:
		return 0, nil, &FrameError{Type(b[0]), fmt.Sprintf("unknown flags %#x", b[1])}
	}
	return Type(b[0]), b[headerSize:], nil
}

// decodeBody reads raw, the body of frame b, and checks that it is the only
// encoding of what it says.
func decodeBody(t Type, b, raw []byte, into body, limit int) error {
	if err := decMode.Unmarshal(raw, into); err != nil {
		return &FrameError{t, err.Error()}
	}
	again, err := appendBody(make([]byte, 0, len(b)), t, into, limit)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return &FrameError{t, "not in canonical form"}
	}
	return nil
}
