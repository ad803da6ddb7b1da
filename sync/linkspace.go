package sync

import (
	"cmp"
	"container/heap"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Bounds of one data frame. A frame holds at least one change, whatever its
// size, and MaxChange leaves room for the frame around it.
const (
	maxFrameChanges = 512
	maxFrameBytes   = 64 << 10
)

// linkSpace is a link's state of one space.
type linkSpace struct {
	name      string
	announced bool // we have sent a Subscribe
	answered  bool // and the peer has answered it
	known     *merge.VersionVector
	acked     *merge.VersionVector
	queue     sendQueue
	queued    map[merge.Origin]struct{}
	peer      *Frontier // last heard
	told      Summary   // last said
	active    bool      // changes came since the last tick
	backoff   int       // ticks between two requests while nothing comes
	waited    int       // ticks since the last request
}

func newLinkSpace(name string) *linkSpace {
	return &linkSpace{name: name, acked: &merge.VersionVector{}, queued: make(map[merge.Origin]struct{})}
}

// reset starts sending over from what the peer says it has, and returns the
// number of changes it lacks.
func (s *linkSpace) reset(known, local *merge.VersionVector) (missing uint64) {
	s.known = known
	s.acked.Merge(known)
	s.queue = s.queue[:0]
	clear(s.queued)
	for d := range local.Heads() {
		if has := known.Get(d.Origin); has < d.Seq {
			missing += d.Seq - has
			s.enqueue(d)
		}
	}
	return missing
}

// learn notes that the peer has d.
func (s *linkSpace) learn(d merge.Dot) {
	if s.known != nil {
		s.known.Raise(d)
	}
}

func (s *linkSpace) ack(heads []merge.Dot) {
	for _, d := range heads {
		s.acked.Raise(d)
		s.learn(d)
	}
}

// enqueue puts an origin in line if the peer lacks d of it.
func (s *linkSpace) enqueue(d merge.Dot) {
	if s.known == nil || s.known.Contains(d) {
		return
	}
	if _, ok := s.queued[d.Origin]; ok {
		return
	}
	s.queued[d.Origin] = struct{}{}
	s.queue = append(s.queue, sendItem{origin: d.Origin})
}

// stalled reports whether it is time to ask again: nothing came since the last
// tick, and the pauses between requests double while that stays so.
func (s *linkSpace) stalled() bool {
	if s.active {
		s.backoff, s.waited = 0, 0
		return false
	}
	if s.waited++; s.waited <= s.backoff {
		return false
	}
	s.backoff, s.waited = min(2*s.backoff+1, 63), 0
	return true
}

// sendItem is an origin that the peer lacks changes of, and the first of them.
// An item with a nil change has just been put in line.
type sendItem struct {
	origin merge.Origin
	time   hlc.Timestamp
	dot    merge.Dot
	change []byte
}

// sendQueue is a heap by (time, origin). A timestamp respects happened-before,
// so taking the earliest change first is a causal order.
type sendQueue []sendItem

func (q sendQueue) Len() int { return len(q) }
func (q sendQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].time, q[j].time), q[i].origin.Compare(q[j].origin)) < 0
}
func (q sendQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *sendQueue) Push(x any)   { *q = append(*q, x.(sendItem)) }
func (q *sendQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// Next returns the next data frame for the peer, nil when it has been sent
// everything. Spaces take turns. An error comes from reading the log.
func (l *Link) Next() (Frame, error) {
	for range l.order {
		s := l.spaces[l.order[l.next%len(l.order)]]
		l.next++
		f, err := l.fill(s)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return f, nil
		}
	}
	return nil, nil
}

// Pending returns whether Next has something to send.
func (l *Link) Pending() bool {
	for _, s := range l.spaces {
		if len(s.queue) > 0 {
			return true
		}
	}
	return false
}

// fill merges the changes that the peer lacks, origin by origin, in order of
// time into one frame.
func (l *Link) fill(s *linkSpace) (Frame, error) {
	if len(s.queue) == 0 {
		return nil, nil
	}
	if err := l.load(s); err != nil {
		return nil, err
	}
	f, size := &Changes{Space: s.name}, 0
	for len(s.queue) > 0 && len(f.Changes) < maxFrameChanges {
		item := &s.queue[0]
		if size += len(item.change); size > maxFrameBytes && len(f.Changes) > 0 {
			break
		}
		f.Changes = append(f.Changes, item.change)
		s.learn(item.dot)
		if err := l.advance(s, item); err != nil {
			return nil, err
		}
	}
	if len(f.Changes) == 0 {
		return nil, nil
	}
	return f, nil
}

// load reads the first change of every origin that was put in line since the
// last frame, drops the origins that need nothing any more, and restores order.
func (l *Link) load(s *linkSpace) error {
	kept := s.queue[:0]
	for _, item := range s.queue {
		ok := true
		if item.change == nil || s.known.Contains(item.dot) {
			var err error
			if ok, err = l.read(s, &item); err != nil {
				return err
			}
		}
		if ok {
			kept = append(kept, item)
		}
	}
	s.queue = kept
	heap.Init(&s.queue)
	return nil
}

// advance moves the item at the front to its origin's next change, or drops it.
func (l *Link) advance(s *linkSpace, item *sendItem) error {
	more, err := l.read(s, item)
	switch {
	case err != nil:
		return err
	case more:
		heap.Fix(&s.queue, 0)
	default:
		heap.Pop(&s.queue)
	}
	return nil
}

// read loads the first change of the item's origin that the peer lacks. It
// reports false, and takes the origin out of line, when there is none.
func (l *Link) read(s *linkSpace, item *sendItem) (bool, error) {
	dot := merge.Dot{Origin: item.origin, Seq: s.known.Get(item.origin) + 1}
	if dot.Seq > l.local.Head(s.name, item.origin) {
		delete(s.queued, item.origin)
		return false, nil
	}
	raw, err := l.local.Change(s.name, dot)
	if err != nil {
		return false, err
	}
	h, err := ReadHeader(raw)
	if err != nil {
		return false, err
	}
	item.dot, item.time, item.change = dot, h.Time, raw
	return true, nil
}

// A PeerSpace is what a link knows of the peer's state of one space.
type PeerSpace struct {
	Name    string
	Missing uint64    // changes here that the peer has not acknowledged
	Level   bool      // both have applied the same changes
	Peer    *Frontier // what the peer last said, nil before it did
}

// Report returns the state of each space of the link, by name.
func (l *Link) Report() []PeerSpace {
	out := make([]PeerSpace, 0, len(l.order))
	for _, name := range l.order {
		s := l.spaces[name]
		p := PeerSpace{Name: name, Peer: s.peer}
		p.Level = s.peer != nil && s.peer.Applied == l.local.Summary(name).Applied
		for d := range l.local.Vector(name).Heads() {
			p.Missing += d.Seq - min(d.Seq, s.acked.Get(d.Origin))
		}
		out = append(out, p)
	}
	return out
}
