package sync

import "github.com/joinery-crdt/joinery/merge"

// A Chainer is a [Local] that can tell who has forked: it keeps the hashes of
// changes for longer than the changes, and what proves a fork.
type Chainer interface {
	// HashOf returns the hash of a change that is applied, false if it is not known
	// any more.
	HashOf(space string, d merge.Dot) (Hash, bool)
	// Chains returns the last change of every origin, ascending.
	Chains(space string) []Known
	// Severed returns the number from which on an origin is refused because it has
	// forked there, 0 if it is not.
	Severed(space string, o merge.Origin) uint64
	// Splits returns what proves the forks of a space, ascending by dot.
	Splits(space string) []Split
}

// Chains is a heartbeat beside a Frontier: where both sides have applied the same
// numbers and this differs, some of them name different changes.
type Chains struct {
	Space string
	Print ChainPrint
}

// A ChainPrint is the first half of the fingerprint of the heads' hashes.
type ChainPrint [16]byte

// Heads says which changes the sender has under some dots.
type Heads struct {
	Space string
	// N is that of the Ask that it answers. 0 says that these are heads of the
	// sender, which the receiver compares with its own.
	N     uint64
	Known []Known // ascending, at most MaxHeads
}

// Ask asks which changes the receiver has under some dots. The answer leaves out
// what it does not know.
type Ask struct {
	Space string
	N     uint64      // repeated in the answer, not 0
	Dots  []merge.Dot // ascending, 1 to MaxAsk
}

// Bounds of the frames about forks.
const (
	MaxHeads = 1024
	MaxAsk   = 64
)

// Forked carries one of the two changes that prove that an origin has forked. The
// other follows or came before.
type Forked struct {
	Space  string
	Change []byte
}

func (*Chains) frame() {}
func (*Heads) frame()  {}
func (*Ask) frame()    {}
func (*Forked) frame() {}

func (f Fingerprint) chains() ChainPrint { return ChainPrint(f.Bytes()[:16]) }
