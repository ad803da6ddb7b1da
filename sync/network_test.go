package sync_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// network is replicas and the links between them, in one goroutine. Each link
// sends into a queue of encoded frames that may lose, repeat and reorder them.
type network struct {
	t                  testing.TB
	rng                *rand.Rand
	loss, dup, reorder float64
	replicas           []*replica
	tree               bool                         // mode
	older              func(at int) bool            // who does not know streams, may be nil
	links              map[direction]*crdtsync.Link // of the sender
	queues             map[direction][][]byte
	order              []direction                      // of links, as they were made
	sent               map[direction][]*crdtsync.Change // in order, before any loss
	refused            map[direction][]crdtsync.Nack    // as the sender of the change was told
	ended              map[direction]error
	damaged            bool // cells may differ for a while
	audited            []crdtsync.AuditResult
	mended             []*crdtsync.Mended
	tap                func(d direction, frame []byte)        // sees what is delivered, may be nil
	config             func(at int, cfg *crdtsync.LinkConfig) // of the links of a replica, may be nil
	piece              int                                    // bytes of a frame that goes in one piece, 0 for as many as fit
	pieces             uint64                                 // frames that went in several
}

// direction is from one replica to another, by their places.
type direction struct{ from, to int }

func newNetwork(t testing.TB, rng *rand.Rand, replicas ...*replica) *network {
	return &network{
		t: t, rng: rng, replicas: replicas, links: make(map[direction]*crdtsync.Link),
		queues: make(map[direction][][]byte), sent: make(map[direction][]*crdtsync.Change),
		refused: make(map[direction][]crdtsync.Nack), ended: make(map[direction]error),
	}
}

func (d direction) back() direction { return direction{d.to, d.from} }

// connect opens a connection between two replicas.
func (n *network) connect(a, b int) {
	for _, d := range []direction{{a, b}, {b, a}} {
		r := n.replicas[d.from]
		cfg := crdtsync.LinkConfig{Origin: r.origin, Name: fmt.Sprint("replica ", d.from), MaxSilence: 1 << 20}
		if n.tree {
			cfg.Features = append(crdtsync.Features(), crdtsync.FeatureTree)
		}
		if n.older != nil && n.older(d.from) {
			cfg.Features = slices.DeleteFunc(crdtsync.Features(), func(f string) bool { return f == crdtsync.FeatureStream })
		}
		if n.config != nil {
			n.config(d.from, &cfg)
		}
		n.links[d] = crdtsync.NewLink(cfg, r)
		n.order = append(n.order, d)
	}
	for _, d := range []direction{{a, b}, {b, a}} {
		n.send(d, n.links[d].Start()...)
	}
}

func (n *network) chance(p float64) bool { return n.rng.Float64() < p }

func (n *network) send(d direction, frames ...crdtsync.Frame) {
	n.t.Helper()
	for _, f := range frames {
		b, err := wire.AppendLong(nil, f)
		if err != nil {
			n.t.Fatalf("%v sends what has no bytes: %v", d, err)
		}
		if n.inPieces(d, b) {
			continue
		}
		n.note(d, f)
		for again := true; again; again = n.chance(n.dup) {
			if !n.chance(n.loss) {
				n.queues[d] = append(n.queues[d], b)
			}
		}
	}
}

// inPieces sends a frame in pieces if it is too long, and reports whether it did.
func (n *network) inPieces(d direction, b []byte) bool {
	limit := n.piece
	if limit == 0 {
		limit = wire.MaxFrame
	}
	if len(b) <= limit || !wire.Type(b[0]).Long() {
		return false
	}
	n.pieces++
	for p := range crdtsync.Pieces(n.pieces, b, n.piece) {
		n.send(d, p)
	}
	return true
}

// note keeps what the tests ask about later.
func (n *network) note(d direction, f crdtsync.Frame) {
	changes, ok := f.(*crdtsync.Changes)
	if !ok {
		return
	}
	for _, raw := range changes.Changes {
		c, err := crdtsync.DecodeChange(slices.Clone(raw))
		if err != nil {
			n.t.Fatalf("%v sends what is no change: %v", d, err)
		}
		n.sent[d] = append(n.sent[d], c)
	}
}

// do carries out what a step of the link in direction d asks for.
func (n *network) do(d direction, r crdtsync.Ready) {
	n.t.Helper()
	n.send(d, r.Send...)
	n.refused[d] = append(n.refused[d], r.Refused...)
	n.audit(d, r)
	if len(r.Diverged) > 0 && !n.damaged {
		n.t.Fatalf("%v: diverged in %q", d, r.Diverged)
	}
	self, peer := n.replicas[d.from], n.replicas[d.to].origin
	for _, m := range r.Meetings {
		self.meet(m.Space, peer, m.Cursor)
	}
	for len(r.Offer) > 0 {
		space := r.Offer[0].Space
		var changes []*crdtsync.Change
		for len(r.Offer) > 0 && r.Offer[0].Space == space {
			changes = append(changes, r.Offer[0].Change)
			r.Offer = r.Offer[1:]
		}
		heads, refused := self.offer(space, changes...)
		if sum := self.Summary(space); sum.Changes == r.Position {
			self.meet(space, peer, sum.Cursor())
		}
		n.moved(d.from, space, heads)
		n.do(d, n.links[d].Done(space, heads, refused))
	}
	if r.Err != nil {
		n.ended[d] = r.Err
	}
	for _, b := range r.Long {
		f, err := wire.DecodeLong(b)
		if err != nil {
			n.t.Fatalf("%v: DecodeLong: %v", d, err)
		}
		n.do(d, n.links[d].Step(f))
	}
}

// moved tells all links of a replica that a space has moved.
func (n *network) moved(at int, space string, heads []merge.Dot) {
	for _, d := range n.order {
		if d.from == at && len(heads) > 0 {
			n.do(d, n.links[d].Moved(space, heads))
		}
	}
}

// write lets a replica author a change.
func (n *network) write(at int, space string, ops ...crdtsync.CellOp) *crdtsync.Change {
	n.t.Helper()
	c := n.replicas[at].author(space, ops...)
	n.moved(at, space, []merge.Dot{c.Dot})
	return c
}

// pump puts one data frame of every link into its queue, and reports whether
// there was any.
func (n *network) pump() (any bool) {
	for _, d := range n.order {
		f, err := n.links[d].Next()
		if err != nil {
			n.t.Fatalf("%v: Next: %v", d, err)
		}
		if f != nil {
			n.send(d, f)
			any = true
		}
	}
	return any
}

// deliver hands one frame of a random queue over, and reports whether there was
// any.
func (n *network) deliver() bool {
	busy := slices.DeleteFunc(slices.Clone(n.order), func(d direction) bool { return len(n.queues[d]) == 0 })
	if len(busy) == 0 {
		return false
	}
	d := busy[n.rng.IntN(len(busy))]
	at := 0
	if n.chance(n.reorder) {
		at = n.rng.IntN(len(n.queues[d]))
	}
	b := n.queues[d][at]
	n.queues[d] = slices.Delete(n.queues[d], at, at+1)
	if n.tap != nil {
		n.tap(d, b)
	}
	f, err := wire.Decode(b)
	if err != nil {
		n.t.Fatalf("%v: Decode: %v", d, err)
	}
	n.do(d.back(), n.links[d.back()].Step(f))
	return true
}

// settle delivers everything, and what it is answered with.
func (n *network) settle() {
	for n.pump() || n.deliver() {
		for n.deliver() {
		}
	}
}

// tick lets every link's clock beat once and delivers everything.
func (n *network) tick() {
	for _, d := range n.order {
		n.do(d, n.links[d].Tick())
	}
	n.settle()
}

// level reports whether every link knows that its two replicas are level.
func (n *network) level() bool {
	for _, d := range n.order {
		report := n.links[d].Report()
		for _, s := range report {
			if !s.Level || s.Missing != 0 {
				return false
			}
		}
		if len(report) == 0 {
			return false
		}
	}
	return true
}

// wantLevel ticks until all is level, and checks that it is so.
func (n *network) wantLevel(what string, ticks int) (took int) {
	n.t.Helper()
	for !n.level() {
		if took == ticks {
			n.t.Fatalf("%s: not level after %d ticks: %s", what, ticks, n.reports())
		}
		n.tick()
		took++
	}
	first := n.replicas[0]
	for i, r := range n.replicas {
		for _, space := range first.Spaces() {
			wantSame(n.t, fmt.Sprintf("%s: replica %d, space %s", what, i, space), r.space(space), first.space(space))
			causal(n.t, what, r.space(space).log)
		}
	}
	if err := n.anyEnd(); err != nil {
		n.t.Fatalf("%s: %v", what, err)
	}
	return took
}

func (n *network) reports() (out string) {
	for _, d := range n.order {
		out += fmt.Sprintf("\n%v: %+v", d, n.links[d].Report())
	}
	return out
}

func (n *network) anyEnd() (err error) {
	for d, e := range n.ended {
		err = errors.Join(err, fmt.Errorf("%v: %w", d, e))
	}
	return err
}

// times returns how often each change was sent in a direction.
func (n *network) times(d direction) map[merge.Dot]int {
	times := make(map[merge.Dot]int)
	for _, c := range n.sent[d] {
		times[c.Dot]++
	}
	return times
}
