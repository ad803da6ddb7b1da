package sync

import "github.com/joinery-crdt/joinery/merge"

// A SnapshotStep is what a SnapshotBegin says.
type SnapshotStep uint64

// The steps.
const (
	// SnapshotOffer: the log no longer holds what the peer lacks, and it can
	// have all cells instead.
	SnapshotOffer SnapshotStep = iota
	// SnapshotRequest answers an offer.
	SnapshotRequest
	// SnapshotWhole: all cells follow, in order of keys, those after After.
	SnapshotWhole
	// SnapshotPart: the cells follow that were written to since Vector.
	SnapshotPart
)

// SnapshotBegin offers a snapshot, asks for one, or begins one: rungs 4 and 2 of
// the anti-entropy ladder.
type SnapshotBegin struct {
	Space  string
	Number uint64 // of the sending, counted by the link of the sender of the snapshot
	Step   SnapshotStep
	// Vector is what the sender has (SnapshotOffer), what the receiver has
	// staged the cells of (SnapshotRequest), or since when cells that were
	// written to are sent again (SnapshotWhole, SnapshotPart).
	Vector *merge.VersionVector
	// After is the key up to which cells are staged, in its stored form.
	After string
}

// SnapshotChunk carries cells, or heads, of a snapshot. A cell that comes twice
// replaces itself.
type SnapshotChunk struct {
	Space  string
	Number uint64 // of the sending
	Chunk  uint64 // counted from 0
	Parts  []CellPart
	Heads  []OriginHead
}

// SnapshotEnd ends a snapshot. What its chunks hold is the sender's state at one
// time, that of the heads.
type SnapshotEnd struct {
	Space  string
	Number uint64      // of the sending
	Chunks uint64      // before this frame
	Print  Fingerprint // of all cells of the sender
}

// SnapshotNamed is a chunk of the cells that were written to, named by ops that
// the receiver has applied in place of keys. It counts with the chunks.
type SnapshotNamed struct {
	Space  string
	Number uint64 // of the sending
	Chunk  uint64
	Gone   []OpName    // cells that are absent, ascending
	Held   []NamedCell // cells that are there, ascending
	Check  Digest      // of their keys, in this order: see [CheckKeys]
}

// Spell says that its sender cannot tell which cells some ops wrote to, and that
// cells are to be named by keys where there are no others.
type Spell struct {
	Space string
	// Vector is the changes whose ops are not to be used.
	Vector *merge.VersionVector
}

func (*SnapshotNamed) frame() {}
func (*Spell) frame()         {}
func (*SnapshotBegin) frame() {}
func (*SnapshotChunk) frame() {}
func (*SnapshotEnd) frame()   {}
