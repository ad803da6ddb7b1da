package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// Bounds of what a Recent remembers.
const (
	maxRecent     = 256 << 10 // bytes
	maxRecentRuns = 32
	// fullRun is how many changes a run has that is worth a frame although more
	// follow.
	fullRun = 32
)

// A Recent remembers the newest changes of a space in the order in which they
// were applied, cut into what fits a frame. Links whose peers have all before
// them send the very same slices, without reading the log.
//
// It is bounded, and forgetting is harmless: the log has everything. The zero
// Recent remembers nothing.
type Recent struct {
	runs        []run
	forgotten   uint64                  // runs there were before
	first, last map[merge.Origin]uint64 // what runs hold of each origin, without gaps
	size        int                     // bytes
}

// A run is changes that were applied one after the other.
type run struct {
	changes [][]byte
	spans   []span
	size    int
	largest int    // bytes of a change
	sealed  bool   // others may have sent it
	total   uint64 // changes that the space had applied with the last of them
}

// A span is the changes of one origin in a run.
type span struct {
	origin      merge.Origin
	first, last uint64
}

// A Recaller is what a [Local] also implements that remembers what its spaces
// have applied last.
type Recaller interface {
	// Recall returns what [Recent.After] gives of what it remembers of the space
	// of o, nil if that is nothing.
	Recall(o *Outbox, count, size int) [][]byte
}

// Add remembers changes that the space has applied and made durable, in order.
// With the last of them it has applied total.
func (r *Recent) Add(log []*Change, total uint64) {
	for i, c := range log {
		if last := r.last[c.Dot.Origin]; last != 0 && c.Dot.Seq != last+1 {
			r.Reset()
		}
		r.add(c)
		r.runs[len(r.runs)-1].total = total - uint64(len(log)-1-i)
	}
	for r.size > maxRecent || len(r.runs) > maxRecentRuns {
		r.forget()
	}
	r.seal()
}

// Bytes returns the size of the changes that r remembers.
func (r *Recent) Bytes() int { return r.size }

// Reset forgets everything, when the space has moved without changes or its log
// has been truncated.
func (r *Recent) Reset() { *r = Recent{forgotten: r.forgotten + uint64(len(r.runs))} }

func (r *Recent) add(c *Change) {
	if r.last == nil {
		r.first, r.last = make(map[merge.Origin]uint64), make(map[merge.Origin]uint64)
	}
	if len(r.runs) == 0 || !r.runs[len(r.runs)-1].fits(c) {
		r.runs = append(r.runs, run{})
	}
	r.runs[len(r.runs)-1].add(c)
	if r.last[c.Dot.Origin] == 0 {
		r.first[c.Dot.Origin] = c.Dot.Seq
	}
	r.last[c.Dot.Origin] = c.Dot.Seq
	r.size += len(c.raw)
}

// seal ends the last run: what comes later is not put into it.
func (r *Recent) seal() {
	if len(r.runs) > 0 {
		r.runs[len(r.runs)-1].sealed = true
	}
}

// forget forgets the oldest run.
func (r *Recent) forget() {
	old := r.runs[0]
	r.runs = slices.Delete(r.runs, 0, 1)
	r.forgotten++
	r.size -= old.size
	for _, s := range old.spans {
		if r.first[s.origin] = s.last + 1; r.last[s.origin] == s.last {
			delete(r.first, s.origin)
			delete(r.last, s.origin)
		}
	}
}

func (u *run) fits(c *Change) bool {
	return !u.sealed && len(u.changes) < maxFrameChanges && u.size+len(c.raw) <= maxFrameBytes
}

func (u *run) add(c *Change) {
	u.changes = append(u.changes, c.raw)
	u.size += len(c.raw)
	u.largest = max(u.largest, len(c.raw))
	for i := range u.spans {
		if s := &u.spans[i]; s.origin == c.Dot.Origin {
			s.last = c.Dot.Seq
			return
		}
	}
	u.spans = append(u.spans, span{c.Dot.Origin, c.Dot.Seq, c.Dot.Seq})
}

// After returns the next changes for somebody who lacks nothing but what r
// remembers, and notes them as known; none if they lack more, have part of a run,
// or a run is of more changes than count or bytes than size, or too small to go
// alone. Nobody modifies the result.
func (r *Recent) After(o *Outbox, count, size int) [][]byte {
	for _, origin := range o.fresh { // all in line, as the queue is empty
		if first := r.first[origin]; first == 0 || o.known.Get(origin)+1 < first {
			return nil
		}
	}
	for i := r.index(o.met); i < len(r.runs); i++ {
		u := &r.runs[i]
		switch known, next := u.met(o.known); {
		case known:
			o.met = r.forgotten + uint64(i) + 1
		case !next || len(u.changes) > count || u.size > size || o.whole > 0 && u.largest > o.whole || i < len(r.runs)-1 && len(u.changes) < fullRun:
			return nil // the log gives more at a time
		default:
			for _, s := range u.spans {
				o.known.Raise(merge.Dot{Origin: s.origin, Seq: s.last})
			}
			o.met, o.total = r.forgotten+uint64(i)+1, u.total
			o.leaveLine(r.last)
			return u.changes
		}
	}
	return nil
}

// index returns where in runs the run is before which there were met runs, or the
// first of those that are left.
func (r *Recent) index(met uint64) int { return int(met - min(met, r.forgotten)) }

// met reports whether known has all of the run, or all before it and none of it.
func (u *run) met(known *merge.VersionVector) (all, next bool) {
	all, next = true, true
	for _, s := range u.spans {
		has := known.Get(s.origin)
		all = all && has >= s.last
		next = next && has == s.first-1
	}
	return all, next
}

// recall returns changes that the node remembers and that are next to be sent.
func (o *Outbox) recall(local Local, count, size int) [][]byte {
	src, ok := local.(Recaller)
	if !ok || o.until != nil || len(o.queue) > 0 {
		return nil
	}
	return src.Recall(o, count, size)
}

// leaveLine takes out of line whoever is known up to the last change there is.
// Nobody's change has been read.
func (o *Outbox) leaveLine(last map[merge.Origin]uint64) {
	fresh := o.fresh[:0]
	for _, origin := range o.fresh {
		if o.known.Get(origin) >= last[origin] {
			delete(o.inLine, origin)
		} else {
			fresh = append(fresh, origin)
		}
	}
	o.fresh = fresh
}
