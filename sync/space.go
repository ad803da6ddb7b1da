package sync

import (
	"iter"
	"maps"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A Head is what a space keeps of one origin: its last applied change.
type Head struct {
	Seq  uint64
	Hash Hash
	Time hlc.Timestamp
	// Tip says that no applied change depends on this one. A node's next
	// change depends on the tips, and through them on everything.
	Tip bool
}

// A Space is the in-memory state of one replicated space: what has been
// applied, and what came early and waits. Its cells and its log are with the
// driver. It changes only through a [Stage].
type Space struct {
	name  string
	self  merge.Origin
	kinds crdt.Kinds

	heads   map[merge.Origin]Head
	tips    map[merge.Origin]struct{} // origins whose head is a tip
	summary Summary
	waiting waitingRoom
	floor   *merge.VersionVector
	cuts    map[merge.Origin]uint64 // first number that is refused of an origin that has forked
}

// A Summary is the constant-size account of what a space has applied.
type Summary struct {
	Changes  uint64      // applied, in all
	Applied  Fingerprint // of the heads: equal for equal version vectors
	Cells    Fingerprint // of the cells: equal for equal contents
	Chains   Fingerprint // of the heads' hashes: where it differs and Applied does not, an origin has forked
	Unread   uint64      // ops of kinds this node does not know, logged and relayed but not applied
	LastTime hlc.Timestamp
}

// A SpaceConfig is what a driver has loaded of a space.
type SpaceConfig struct {
	Name    string
	Self    merge.Origin // under which this node writes
	Kinds   crdt.Kinds   // not modified while in use
	Heads   map[merge.Origin]Head
	Summary Summary
	Floor   *merge.VersionVector // what the log no longer holds, nil for nothing
	// Severed is, of each origin that was ended because it has forked, the first
	// number that is refused.
	Severed map[merge.Origin]uint64
	// MaxWaiting bounds the changes that wait for others: their number and
	// their bytes. The zero values stand for 4,096 and 16 MiB.
	MaxWaiting, MaxWaitingBytes int
}

// NewSpace returns the space in the given state, of which it works Chains out. It
// keeps the maps.
func NewSpace(cfg SpaceConfig) *Space {
	s := &Space{
		name: cfg.Name, self: cfg.Self, kinds: cfg.Kinds,
		heads: cfg.Heads, tips: make(map[merge.Origin]struct{}), summary: cfg.Summary,
		waiting: newWaitingRoom(cfg.MaxWaiting, cfg.MaxWaitingBytes), cuts: cfg.Severed,
	}
	s.summary.Chains = Fingerprint{}
	if s.floor = cfg.Floor; s.floor == nil {
		s.floor = &merge.VersionVector{}
	}
	if s.heads == nil {
		s.heads = make(map[merge.Origin]Head)
	}
	for o, h := range s.heads {
		s.summary.Chains.moveChain(o, Head{}, h)
		if h.Tip {
			s.tips[o] = struct{}{}
		}
	}
	return s
}

// Name returns the name of the space.
func (s *Space) Name() string { return s.name }

// Self returns the origin under which this node writes.
func (s *Space) Self() merge.Origin { return s.self }

// Head returns the head of an origin; its Seq is 0 when there is none.
func (s *Space) Head(o merge.Origin) Head { return s.heads[o] }

// Floor returns the last change of an origin that is applied and that the log
// no longer holds, 0 if it holds all.
func (s *Space) Floor(o merge.Origin) uint64 { return s.floor.Get(o) }

// Floors returns the floor of the log, in a vector of the caller's own: what is
// applied and not in the log.
func (s *Space) Floors() *merge.VersionVector { return s.floor.Clone() }

// Heads yields the last applied dot of each origin, in no particular order.
func (s *Space) Heads() iter.Seq[merge.Dot] {
	return func(yield func(merge.Dot) bool) {
		for o, h := range s.heads {
			if !yield(merge.Dot{Origin: o, Seq: h.Seq}) {
				return
			}
		}
	}
}

// Origins returns the number of origins of which something is applied.
func (s *Space) Origins() int { return len(s.heads) }

// Contains reports whether the change d has been applied: a Space is the causal
// context of its cells.
func (s *Space) Contains(d merge.Dot) bool { return d.Seq != 0 && d.Seq <= s.heads[d.Origin].Seq }

// Vector returns what has been applied, in a vector of the caller's own.
func (s *Space) Vector() *merge.VersionVector {
	v := &merge.VersionVector{}
	v.Grow(len(s.heads))
	for d := range s.Heads() {
		v.Raise(d)
	}
	return v
}

// Summary returns the constant-size account of what has been applied.
func (s *Space) Summary() Summary { return s.summary }

// Waiting returns the number of changes that came early, and one dot that some
// of them wait for.
func (s *Space) Waiting() (n int, missing merge.Dot) {
	for d := range s.waiting.blocked {
		if missing.Seq == 0 || d.Compare(missing) < 0 {
			missing = d
		}
	}
	return len(s.waiting.changes), missing
}

// firstMissing returns a change that must be applied before c, if there is one:
// its predecessor, what it depends on, and what its ops supersede. The last
// follows from the second when its author is correct. From an author that is not,
// an op that came before what it supersedes would leave it standing here, and
// remove it where they came the other way round.
func firstMissing(c *Change, at applied) (merge.Dot, bool) {
	if c.Dot.Seq > at.Head(c.Dot.Origin).Seq+1 {
		return merge.Dot{Origin: c.Dot.Origin, Seq: c.Dot.Seq - 1}, true
	}
	for _, dep := range c.Deps {
		if d, ok := missing(dep, at); ok {
			return d, true
		}
	}
	for i := range c.Ops {
		for _, d := range c.Ops[i].Seen {
			if d, ok := missing(d, at); ok && d.Origin != c.Dot.Origin {
				return d, true
			}
		}
	}
	return merge.Dot{}, false
}

// applied is what has been applied.
type applied interface {
	Head(merge.Origin) Head
	severed(merge.Origin) uint64
}

// missing reports whether d is to be applied first, or in place of it the last
// change of an origin that was ended before d: what an author had seen of a branch
// nobody can tell, and nobody waits for it.
func missing(d merge.Dot, at applied) (merge.Dot, bool) {
	if end := at.severed(d.Origin); end != 0 {
		d.Seq = min(d.Seq, end-1)
	}
	return d, d.Seq > at.Head(d.Origin).Seq
}

// waitingRoom holds changes that came before what they depend on, within
// bounds. What it cannot hold is asked for again later.
type waitingRoom struct {
	changes  map[merge.Dot]*Change
	blocked  map[merge.Dot][]merge.Dot // missing dot -> changes that wait for it
	bytes    int
	maxCount int
	maxBytes int
}

const (
	defaultMaxWaiting      = 4096
	defaultMaxWaitingBytes = 16 << 20
)

func newWaitingRoom(maxCount, maxBytes int) waitingRoom {
	if maxCount == 0 {
		maxCount = defaultMaxWaiting
	}
	if maxBytes == 0 {
		maxBytes = defaultMaxWaitingBytes
	}
	return waitingRoom{
		changes: make(map[merge.Dot]*Change), blocked: make(map[merge.Dot][]merge.Dot),
		maxCount: maxCount, maxBytes: maxBytes,
	}
}

// add lets c wait for missing and reports whether there was room.
func (w *waitingRoom) add(c *Change, missing merge.Dot) bool {
	if _, ok := w.changes[c.Dot]; ok {
		return true
	}
	if len(w.changes) >= w.maxCount || w.bytes+len(c.raw) > w.maxBytes {
		return false
	}
	w.changes[c.Dot] = c
	w.bytes += len(c.raw)
	w.blocked[missing] = append(w.blocked[missing], c.Dot)
	return true
}

// take removes and returns the changes that wait for d.
func (w *waitingRoom) take(d merge.Dot) (freed []*Change) {
	for _, dot := range w.blocked[d] {
		c := w.changes[dot]
		delete(w.changes, dot)
		w.bytes -= len(c.raw)
		freed = append(freed, c)
	}
	delete(w.blocked, d)
	return freed
}

func (w *waitingRoom) clone() waitingRoom {
	c := *w
	c.changes, c.blocked = maps.Clone(w.changes), maps.Clone(w.blocked)
	return c
}
