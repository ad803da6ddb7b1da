package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// Features are what a node may know beyond the frames that every node knows.
// Both sides name theirs in HELLO; a link uses one that both named.
const (
	FeatureNeed    = "need"    // single changes can be asked for: NEED
	FeatureCredit  = "credit"  // a receiver bounds what is on its way to it: CREDIT
	FeatureExplain = "explain" // questions about a change are answered: EXPLAIN
	// FeatureSnapshot: what the log no longer holds is sent as cells.
	FeatureSnapshot = "snapshot"
	// FeatureForks: forks of any origin are found and told: CHAINS, HEADS, ASK and
	// FORKED.
	FeatureForks = "forks"
	// FeatureStream: an audit that expects a difference says where, and is
	// answered with symbols until told to stop.
	FeatureStream = "stream"
	// FeatureNames: cells of a snapshot may be named by ops: SNAPSHOT-NAMED.
	FeatureNames = "names"
	// FeatureFragment: changes that no frame holds come in parts: FRAGMENT.
	FeatureFragment = "fragment"
	// FeaturePiece: other frames that are too long come in parts: PIECE.
	FeaturePiece = "piece"
	// FeatureS2: frames may be compressed as S2 blocks.
	FeatureS2 = "s2"
)

// Features returns the features of this package, ascending, in a slice of the
// caller's own.
func Features() []string {
	return []string{FeatureCredit, FeatureExplain, FeatureForks, FeatureFragment, FeatureNames, FeatureNeed, FeaturePiece, FeatureS2, FeatureSnapshot, FeatureStream}
}

// Limits of a Hello.
const (
	MaxFeatures = 64
	MaxFeature  = 32 // bytes
	MaxFormer   = 16 // former origins
)

// A Nonce is 16 random bytes that name one end of one connection.
type Nonce [16]byte

// A Known says what the sender has of an origin: its last change.
type Known struct {
	Dot  merge.Dot
	Hash Hash
}

// Both reports whether both sides have named the feature.
func (l *Link) Both(feature string) bool {
	return l.peer != nil && slices.Contains(l.peer.Features, feature) && slices.Contains(l.cfg.Features, feature)
}
