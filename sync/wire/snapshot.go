package wire

import (
	"cmp"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// MaxCellKey is the longest stored key of a cell in a frame, in bytes.
const MaxCellKey = 8 << 10

type snapshotBegin struct {
	Space  string `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
	Step   uint64 `cbor:"3,keyasint"`
	Vector []byte `cbor:"4,keyasint"`
	After  []byte `cbor:"5,keyasint"`
}

func (b *snapshotBegin) check() error {
	_, err := merge.DecodeVector(b.Vector)
	switch {
	case b.Step > uint64(crdtsync.SnapshotPart):
		return fmt.Errorf("an unknown step %d", b.Step)
	case len(b.After) > MaxCellKey:
		return fmt.Errorf("a key of %d bytes, the limit is %d", len(b.After), MaxCellKey)
	}
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *snapshotBegin) frame() crdtsync.Frame {
	return &crdtsync.SnapshotBegin{
		Space: b.Space, Number: b.Number, Step: crdtsync.SnapshotStep(b.Step),
		Vector: checkedVector(b.Vector), After: string(b.After),
	}
}

type snapshotChunk struct {
	Space  string `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
	Chunk  uint64 `cbor:"3,keyasint"`
	Cells  []byte `cbor:"4,keyasint"`
	Heads  []byte `cbor:"5,keyasint"`
}

func (b *snapshotChunk) check() error {
	_, err := crdtsync.DecodeParts(b.Cells)
	_, errHeads := crdtsync.DecodeHeads(b.Heads)
	return cmp.Or(checkSpace(b.Space), err, errHeads)
}

func (b *snapshotChunk) frame() crdtsync.Frame {
	parts, _ := crdtsync.DecodeParts(b.Cells)
	heads, _ := crdtsync.DecodeHeads(b.Heads)
	return &crdtsync.SnapshotChunk{Space: b.Space, Number: b.Number, Chunk: b.Chunk, Parts: parts, Heads: heads}
}

type snapshotEnd struct {
	Space  string `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
	Chunks uint64 `cbor:"3,keyasint"`
	Print  []byte `cbor:"4,keyasint"`
}

func (b *snapshotEnd) check() error {
	if _, ok := crdtsync.ParseFingerprint(b.Print); !ok {
		return fmt.Errorf("a fingerprint of %d bytes", len(b.Print))
	}
	return checkSpace(b.Space)
}

func (b *snapshotEnd) frame() crdtsync.Frame {
	f, _ := crdtsync.ParseFingerprint(b.Print)
	return &crdtsync.SnapshotEnd{Space: b.Space, Number: b.Number, Chunks: b.Chunks, Print: f}
}

type snapshotNamed struct {
	Space  string `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
	Chunk  uint64 `cbor:"3,keyasint"`
	Cells  []byte `cbor:"4,keyasint"`
	Check  []byte `cbor:"5,keyasint"`
}

func (b *snapshotNamed) check() error {
	_, _, err := crdtsync.DecodeNames(b.Cells)
	if len(b.Check) != len(crdtsync.Digest{}) {
		return fmt.Errorf("a check of %d bytes", len(b.Check))
	}
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *snapshotNamed) frame() crdtsync.Frame {
	gone, held, _ := crdtsync.DecodeNames(b.Cells)
	return &crdtsync.SnapshotNamed{
		Space: b.Space, Number: b.Number, Chunk: b.Chunk, Gone: gone, Held: held, Check: crdtsync.Digest(b.Check),
	}
}

type spell struct {
	Space  string `cbor:"1,keyasint"`
	Vector []byte `cbor:"2,keyasint"`
}

func (b *spell) check() error {
	_, err := merge.DecodeVector(b.Vector)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *spell) frame() crdtsync.Frame {
	return &crdtsync.Spell{Space: b.Space, Vector: checkedVector(b.Vector)}
}
