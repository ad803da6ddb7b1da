package sync

import (
	"cmp"
	"container/heap"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// An Outbox is the position in a space's log of somebody who is being sent what
// they lack. It merges the changes of all origins in the order (time, origin),
// which is a causal order, because a timestamp respects happened-before.
//
// It holds one change per origin that is in line, never the rest of the log. A
// nil Outbox is that of somebody who has not asked.
type Outbox struct {
	space  string
	known  *merge.VersionVector // what they have or were sent
	until  *merge.VersionVector // what they may have; nil is everything
	queue  outQueue
	inLine map[merge.Origin]struct{}
	fresh  []merge.Origin // in line, first change not read yet
	whole  int            // bytes of a change that Take returns, 0 for any
	held   map[merge.Origin]struct{}
	met    uint64 // runs of the Recent, counted from its first, that are known
	total  uint64 // changes applied with the run just taken, 0 if there was none
}

// NewOutbox returns the position of somebody who has known, and is to be sent
// no more than until; a nil until is everything. It keeps known.
func NewOutbox(space string, known, until *merge.VersionVector) *Outbox {
	return &Outbox{space: space, known: known, until: until, inLine: make(map[merge.Origin]struct{})}
}

// Space returns the name of the space.
func (o *Outbox) Space() string { return o.space }

// Split makes Take stop at changes of more than whole bytes, which Large names.
func (o *Outbox) Split(whole int) { o.whole = whole }

// Fill puts every origin in line that has something to send, and returns how
// many changes that is.
func (o *Outbox) Fill(local Local) (missing uint64) {
	for d := range local.Vector(o.space).Heads() {
		last, has := o.last(d), o.known.Get(d.Origin)
		if has < last {
			missing += last - has
			o.Add(merge.Dot{Origin: d.Origin, Seq: last})
		}
	}
	return missing
}

// last returns the last sequence number to send of the origin with head d.
func (o *Outbox) last(d merge.Dot) uint64 {
	if o.until == nil {
		return d.Seq
	}
	return min(d.Seq, o.until.Get(d.Origin))
}

// Add puts the origin of d in line if d is not known.
func (o *Outbox) Add(d merge.Dot) {
	if o == nil || o.known.Contains(d) {
		return
	}
	if _, ok := o.held[d.Origin]; ok {
		return
	}
	if _, ok := o.inLine[d.Origin]; !ok {
		o.inLine[d.Origin] = struct{}{}
		o.fresh = append(o.fresh, d.Origin)
	}
}

// Skip notes that they have d and all before it.
func (o *Outbox) Skip(d merge.Dot) {
	if o != nil {
		o.known.Raise(d)
	}
}

// Pending reports whether an origin is in line.
func (o *Outbox) Pending() bool { return o != nil && len(o.inLine) > 0 }

// Take returns the next changes, at most count and, beyond the first, at most
// size bytes. It returns none when there is nothing left to send, or a change is
// next that Large names.
func (o *Outbox) Take(local Local, count, size int) (batch [][]byte, err error) {
	if !o.Pending() {
		return nil, nil
	}
	if batch := o.recall(local, count, size); batch != nil {
		return batch, nil
	}
	if err := o.readFresh(local); err != nil {
		return nil, err
	}
	for len(o.queue) > 0 && len(batch) < count {
		front := &o.queue[0]
		if !o.known.Contains(front.dot) {
			if front.change == nil {
				break
			}
			if size -= len(front.change); size < 0 && len(batch) > 0 {
				break
			}
			batch = append(batch, front.change)
			o.known.Raise(front.dot)
		}
		if err := o.advance(local, front); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// Large returns the change that is next if it is too large for Take, and its
// size in bytes; it is to be sent otherwise, after Pass, or not, after Hold.
func (o *Outbox) Large() (d merge.Dot, size int, ok bool) {
	if o == nil || len(o.queue) == 0 || o.queue[0].change != nil || o.known.Contains(o.queue[0].dot) {
		return d, 0, false
	}
	return o.queue[0].dot, o.queue[0].size, true
}

// Pass goes on behind the change that Large names.
func (o *Outbox) Pass(local Local) error {
	front := &o.queue[0]
	o.known.Raise(front.dot)
	return o.advance(local, front)
}

// Hold takes the origin of the change that Large names out of line for good.
func (o *Outbox) Hold() {
	origin := o.queue[0].origin
	heap.Pop(&o.queue)
	delete(o.inLine, origin)
	if o.held == nil {
		o.held = make(map[merge.Origin]struct{})
	}
	o.held[origin] = struct{}{}
}

func (o *Outbox) readFresh(local Local) error {
	for _, origin := range o.fresh {
		item := outItem{origin: origin}
		more, err := o.read(local, &item)
		if err != nil {
			return err
		}
		if more {
			heap.Push(&o.queue, item)
		}
	}
	o.fresh = o.fresh[:0]
	return nil
}

// advance moves the front to its origin's next change, or takes it out of line.
func (o *Outbox) advance(local Local, front *outItem) error {
	more, err := o.read(local, front)
	switch {
	case err != nil:
		return err
	case more:
		heap.Fix(&o.queue, 0)
	default:
		heap.Pop(&o.queue)
	}
	return nil
}

// read loads the first change of the item's origin that they lack. It reports
// false, and takes the origin out of line, when there is none.
func (o *Outbox) read(local Local, item *outItem) (bool, error) {
	dot := merge.Dot{Origin: item.origin, Seq: o.known.Get(item.origin) + 1}
	if dot.Seq > o.last(merge.Dot{Origin: item.origin, Seq: local.Head(o.space, item.origin)}) {
		delete(o.inLine, item.origin)
		return false, nil
	}
	if src, ok := local.(Source); ok && dot.Seq <= src.Floor(o.space, dot.Origin) {
		return false, &TruncatedError{o.space, dot}
	}
	raw, err := local.Change(o.space, dot)
	if err != nil {
		return false, err
	}
	h, err := ReadHeader(raw)
	if err != nil {
		return false, err
	}
	item.dot, item.time, item.change, item.size = dot, h.Time, raw, len(raw)
	if o.whole > 0 && len(raw) > o.whole {
		item.change = nil
	}
	return true, nil
}

// outItem is an origin in line and the first change of it to send.
type outItem struct {
	origin merge.Origin
	time   hlc.Timestamp
	dot    merge.Dot
	change []byte // nil if it is too large for Take
	size   int    // of the change
}

// outQueue is a heap by (time, origin).
type outQueue []outItem

func (q outQueue) Len() int { return len(q) }
func (q outQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].time, q[j].time), q[i].origin.Compare(q[j].origin)) < 0
}
func (q outQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *outQueue) Push(x any)   { *q = append(*q, x.(outItem)) }
func (q *outQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
