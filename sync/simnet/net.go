package simnet

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// maxInFlight is how many frames a direction holds before the oldest is lost,
// unless the run has drawn less room.
const maxInFlight = 96

// A pipe is one direction between two nodes.
type pipe struct {
	frames  []packet
	data    int // frames that carry changes
	blocked bool
	slow    bool
}

// A packet is a frame in flight.
type packet struct {
	bytes []byte
	dial  int // number of the connection
}

func (p packet) isData() bool {
	t := wire.Type(p.bytes[0])
	return t == wire.TypeChanges || t == wire.TypeFragment || t == wire.TypeSnapshotNamed || t >= wire.TypeSnapshotBegin && t <= wire.TypeSnapshotEnd
}

// A side is one node's end of a connection.
type side struct {
	link *crdtsync.Link
	dial int
	done []string // what a mutant does only once
	told []uint64 // by space, the last news of members
}

func (w *world) pipe(from, to *node) *pipe { return &w.pipes[from.id*len(w.nodes)+to.id] }

// take removes the nth frame from the pipe, or leaves it there and returns it.
func (p *pipe) take(nth int, keep bool) packet {
	f := p.frames[nth]
	if !keep {
		p.frames = slices.Delete(p.frames, nth, nth+1)
		if f.isData() {
			p.data--
		}
	}
	return f
}

func (p *pipe) put(f packet) {
	p.frames = append(p.frames, f)
	if f.isData() {
		p.data++
	}
}

func (p *pipe) clear() { p.frames, p.data = nil, 0 }

// connect makes a connection in place of the one there may be.
func (w *world) connect(a, b *node) {
	if a == b || !a.running() || !b.running() || w.pipe(a, b).blocked || w.pipe(b, a).blocked {
		return
	}
	w.dials++
	w.pipe(a, b).clear()
	w.pipe(b, a).clear()
	w.tell(a, "connects to %s", b.name())
	for _, n := range []*node{a, b} {
		peer := a
		if n == a {
			peer = b
		}
		mends := func(space string, o merge.Origin) bool { return n.mendable(w.spaceIndex(space), o) }
		link := crdtsync.NewLink(crdtsync.LinkConfig{
			Origin: n.origin, Former: n.is.Told(), Name: n.name(), Features: n.features(), Window: uint64(w.knobs.Window), Mends: mends,
			Nonce: n.nonce(w.dials), Own: n.ownNonce, Whole: w.knobs.Whole, Fragment: w.knobs.Fragment,
		}, n)
		n.sides[peer.id] = &side{link: link, dial: w.dials, told: make([]uint64, len(w.spaces))}
		n.send(peer, link.Start())
	}
}

// hangUp ends n's side of the connection with peer.
func (w *world) hangUp(n, peer *node) {
	n.sides[peer.id] = nil
	w.pipe(peer, n).clear()
	n.graft()
}

// graft lets the other links of a node take over what went over one that ended.
func (n *node) graft() {
	if !n.running() {
		return
	}
	for id, s := range n.sides {
		if s != nil {
			n.world.coverage[SeenGraft] += s.link.Pruned()
			n.follow(n.world.nodes[id], s.link.Graft())
		}
	}
}

func (w *world) connected(a, b *node) bool {
	x, y := a.sides[b.id], b.sides[a.id]
	return x != nil && y != nil && x.dial == y.dial
}

func (w *world) reset(a, b *node) {
	if !w.connected(a, b) {
		return
	}
	w.coverage[FaultReset]++
	w.tell(a, "the connection with %s breaks", b.name())
	w.hangUp(a, b)
	w.hangUp(b, a)
}

func (w *world) halfOpen(n, peer *node) {
	if !w.connected(n, peer) {
		return
	}
	w.coverage[FaultHalfOpen]++
	w.tell(n, "loses the connection with %s, which does not notice", peer.name())
	w.hangUp(n, peer)
}

// sendAway ends n's side of the connection. The peer hears why, unless that is
// lost, and hangs up.
func (w *world) sendAway(n, peer *node) {
	if !w.connected(n, peer) {
		return
	}
	w.coverage[FaultSentAway]++
	w.tell(n, "sends %s away", peer.name())
	r := n.sides[peer.id].link.Goaway(crdtsync.Goaway{Code: "draining", After: 1, Reason: "restarts"})
	n.send(peer, r.Send)
	w.hangUp(n, peer)
}

func (w *world) block(from, to *node, on bool) {
	p := w.pipe(from, to)
	if p.blocked == on || from == to {
		return
	}
	p.blocked = on
	if on {
		w.tell(from, "frames to %s are lost from now on", to.name())
		w.coverage[FaultPartition]++
		w.coverage[FaultPartitionLoss] += len(p.frames)
		p.clear()
	} else {
		w.tell(from, "frames to %s arrive again", to.name())
	}
}

// send puts frames in flight after checking that what they say is true.
func (n *node) send(peer *node, frames []crdtsync.Frame) {
	w := n.world
	for _, f := range frames {
		s := n.sides[peer.id]
		if s == nil {
			return
		}
		if n.withhold(s, f) {
			continue
		}
		n.hideHeads(f)
		w.checkFrame(n, f)
		b, err := wire.AppendLong(nil, f)
		if err != nil {
			w.violate(Protocol, "%s cannot encode %T: %v", n.name(), f, err)
			return
		}
		if n.cut(peer, s, b) {
			continue
		}
		if s.link.Both(crdtsync.FeatureS2) {
			b = wire.Compress(b)
		}
		w.hash.write(b)
		w.post(n, peer, packet{b, s.dial})
	}
}

func (w *world) post(from, to *node, f packet) {
	p := w.pipe(from, to)
	if p.blocked {
		w.coverage[FaultPartitionLoss]++
		return
	}
	if len(p.frames) >= w.room {
		w.coverage[FaultOverflow]++
		p.take(0, false)
	}
	p.put(f)
}

// receive takes a frame out of flight and hands it to n, or loses it.
func (n *node) receive(from *node, s Step) {
	w := n.world
	p := w.pipe(from, n)
	if !n.running() || len(p.frames) == 0 {
		return
	}
	nth := min(s.Nth, len(p.frames)-1)
	if nth > 0 {
		w.coverage[FaultReorder]++
	}
	f := p.take(nth, s.Do == Repeat)
	side := n.sides[from.id]
	if side == nil || side.dial != f.dial {
		return
	}
	frame, err := wire.Decode(f.bytes)
	if err != nil {
		w.violate(Protocol, "%s cannot decode a frame of %s: %v", n.name(), from.name(), err)
		return
	}
	switch s.Do {
	case Drop:
		w.coverage[FaultLoss]++
		w.tellFrame(n, from, "loses", frame)
		return
	case Repeat:
		w.coverage[FaultDup]++
	}
	w.tellFrame(n, from, "receives", frame)
	n.step(from, side, frame, s)
}
