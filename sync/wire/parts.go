package wire

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// partBody is bodyOf for the frames that carry parts of what is too large.
func partBody(f crdtsync.Frame) (Type, body) {
	switch f := f.(type) {
	case *crdtsync.Fragment:
		return TypeFragment, &fragment{f.Space, appendDot(f.Dot), f.Size, f.Hash[:], f.Offset, f.Bytes}
	case *crdtsync.Partial:
		return TypePartial, &partial{f.Space, appendDot(f.Dot), f.Hash[:], f.Offset}
	case *crdtsync.Piece:
		return TypePiece, &piece{f.Number, f.Size, f.Hash[:], f.Offset, f.Bytes}
	}
	return forksBody(f)
}

// newPartBody is newBody for the frames that carry parts of what is too large.
func newPartBody(t Type) linkBody {
	switch t {
	case TypeFragment:
		return &fragment{}
	case TypePartial:
		return &partial{}
	case TypePiece:
		return &piece{}
	}
	return newForksBody(t)
}

type fragment struct {
	Space  string `cbor:"1,keyasint"`
	Dot    []byte `cbor:"2,keyasint"`
	Size   uint64 `cbor:"3,keyasint"`
	Hash   []byte `cbor:"4,keyasint"`
	Offset uint64 `cbor:"5,keyasint"`
	Bytes  []byte `cbor:"6,keyasint"`
}

func (b *fragment) check() error {
	_, err := readDot(b.Dot)
	return cmp.Or(checkSpace(b.Space), err, checkPart(b.Size, crdtsync.MaxChange, b.Hash, b.Offset, b.Bytes))
}

func (b *fragment) frame() crdtsync.Frame {
	dot, _ := readDot(b.Dot)
	return &crdtsync.Fragment{Space: b.Space, Dot: dot, Size: b.Size, Hash: crdtsync.Hash(b.Hash), Offset: b.Offset, Bytes: b.Bytes}
}

// checkPart returns an error unless bytes lie within what they are a part of.
func checkPart(size, limit uint64, hash []byte, offset uint64, part []byte) error {
	switch n := uint64(len(part)); {
	case size > limit:
		return fmt.Errorf("a part of what has %d bytes, the limit is %d", size, limit)
	case n == 0 || offset >= size || n > size-offset:
		return fmt.Errorf("a part of %d bytes at %d of %d", n, offset, size)
	}
	return checkHash(hash)
}

func checkHash(hash []byte) error {
	if len(hash) != sha256.Size {
		return fmt.Errorf("a hash of %d bytes", len(hash))
	}
	return nil
}

type partial struct {
	Space  string `cbor:"1,keyasint"`
	Dot    []byte `cbor:"2,keyasint"`
	Hash   []byte `cbor:"3,keyasint"`
	Offset uint64 `cbor:"4,keyasint"`
}

func (b *partial) check() error {
	_, err := readDot(b.Dot)
	if b.Offset > crdtsync.MaxChange {
		return fmt.Errorf("%d bytes of a change, the limit is %d", b.Offset, crdtsync.MaxChange)
	}
	return cmp.Or(checkSpace(b.Space), err, checkHash(b.Hash))
}

func (b *partial) frame() crdtsync.Frame {
	dot, _ := readDot(b.Dot)
	return &crdtsync.Partial{Space: b.Space, Dot: dot, Hash: crdtsync.Hash(b.Hash), Offset: b.Offset}
}

type piece struct {
	Number uint64 `cbor:"1,keyasint"`
	Size   uint64 `cbor:"2,keyasint"`
	Hash   []byte `cbor:"3,keyasint"`
	Offset uint64 `cbor:"4,keyasint"`
	Bytes  []byte `cbor:"5,keyasint"`
}

func (b *piece) check() error {
	return checkPart(b.Size, crdtsync.MaxLong, b.Hash, b.Offset, b.Bytes)
}

func (b *piece) frame() crdtsync.Frame {
	return &crdtsync.Piece{Number: b.Number, Size: b.Size, Hash: crdtsync.Hash(b.Hash), Offset: b.Offset, Bytes: b.Bytes}
}

// Long reports whether frames of the type may be longer than [MaxFrame], in
// pieces: those with vectors, members, changes that prove something, or cells.
func (t Type) Long() bool {
	switch t {
	case TypeSubscribe, TypeMembers, TypeForked, TypeAck, TypeSnapshotBegin, TypeRepair:
		return true
	}
	return false
}

// AppendLong is Append for frames that may be longer, up to
// [crdtsync.MaxLong] bytes. They go in pieces.
func AppendLong(dst []byte, f crdtsync.Frame) ([]byte, error) {
	t, b := bodyOf(f)
	if b == nil {
		return dst, &FrameError{0, fmt.Sprintf("%T is no frame", f)}
	}
	return appendBody(dst, t, b, limitOf(t))
}

func limitOf(t Type) int {
	if t.Long() {
		return crdtsync.MaxLong
	}
	return MaxFrame
}

// DecodeLong is Decode for a frame that came in pieces.
func DecodeLong(b []byte) (crdtsync.Frame, error) {
	if len(b) < headerSize || !Type(b[0]).Long() || b[1]&FlagS2 != 0 {
		return nil, &FrameError{0, "in pieces: a frame of this type has to be whole, and none is compressed"}
	}
	return decode(b, crdtsync.MaxLong)
}

// fragments follows the fragments in a file, where those of a change stand one
// after the other.
type fragments struct {
	of       merge.Dot // of which the rest is to come
	hash     crdtsync.Hash
	sum      hash.Hash // of what has come
	size, at uint64
}

// count returns how many changes a frame completes. It returns an error if the
// frame does not go on with a change that has begun.
func (s *fragments) count(frame crdtsync.Frame) (uint64, error) {
	switch f := frame.(type) {
	case *crdtsync.Changes:
		if s.at > 0 {
			return 0, fmt.Errorf("change %s is not whole", s.of)
		}
		return uint64(len(f.Changes)), nil
	case *crdtsync.Fragment:
		return s.next(f)
	}
	return 0, nil
}

func (s *fragments) next(f *crdtsync.Fragment) (uint64, error) {
	if s.at == 0 {
		s.of, s.hash, s.size, s.sum = f.Dot, f.Hash, f.Size, sha256.New()
	}
	if f.Offset != s.at || f.Dot != s.of || f.Hash != s.hash || f.Size != s.size {
		return 0, fmt.Errorf("a fragment of change %s that does not follow", f.Dot)
	}
	s.sum.Write(f.Bytes)
	if s.at += uint64(len(f.Bytes)); s.at < s.size {
		return 0, nil
	}
	s.at = 0
	if crdtsync.Hash(s.sum.Sum(nil)) != s.hash {
		return 0, fmt.Errorf("the fragments of change %s are not what their hash says", f.Dot)
	}
	return 1, nil
}
