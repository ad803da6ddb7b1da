package main

import (
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// A cost is what a meeting put on the network.
type cost struct {
	control   [2]int // bytes: up, from who asks, and down
	payload   [2]int // bytes of frames that carry changes or cells
	changes   [2]int // bytes of the changes in them
	request   int    // bytes of what who connects says of what it has
	delivered int    // changes
	asking    int    // round trips of control
	repairing int    // and then of cells
}

func (c cost) total() int { return c.control[0] + c.control[1] }

// counter counts what crosses one connection. A frame is one step deeper than the
// deepest question that its sender had received; two steps are a round trip.
type counter struct {
	t *testing.T
	cost
	deep           [2]int // of what a side has received
	told           [2]int // of what it was told that the other has
	rewound        [2]int // of a Rewind that a side has received, 0 for none
	asked, repairs int    // the deepest of each kind
}

// start counts from zero.
func (c *counter) start() { *c = counter{t: c.t} }

// stop returns what was counted.
func (c *counter) stop() cost {
	c.asking = (c.asked + 1) / 2
	c.repairing = max(0, (c.repairs+1)/2-c.asking)
	return c.cost
}

func (c *counter) count(from int, b []byte) {
	f, err := wire.Decode(b)
	if err != nil {
		c.t.Fatal(err)
	}
	control, carries := len(b), 0
	switch f := f.(type) {
	case *crdtsync.Hello, *crdtsync.Welcome, *crdtsync.Goodbye, *crdtsync.Ping, *crdtsync.Pong, *crdtsync.Frontier,
		*crdtsync.Members, *crdtsync.Ack, *crdtsync.Credit, *crdtsync.Queued, *crdtsync.Prune,
		*crdtsync.Chains, *crdtsync.Heads, *crdtsync.Ask, *crdtsync.Forked: // heartbeats, and what they show of forks
		return
	case *crdtsync.Changes:
		control, carries = 0, len(b)
		c.delivered += len(f.Changes)
		for _, raw := range f.Changes {
			c.changes[from] += len(raw)
		}
	case *crdtsync.Repair:
		control, carries = len(f.Wanted), len(b)-len(f.Wanted)
	case *crdtsync.SnapshotChunk:
		if !removalsOnly(f) {
			control, carries = 0, len(b)
		}
	}
	c.control[from] += control
	c.payload[from] += carries
	if from == 0 && says(f) {
		c.request += len(b)
	}
	c.step(from, f)
}

// step notes how deep the frame is.
func (c *counter) step(from int, f crdtsync.Frame) {
	depth := c.depth(from, f)
	switch f := f.(type) {
	case *crdtsync.Rewind:
		c.rewound[1-from] = depth
	case *crdtsync.Resume, *crdtsync.Subscribe:
		c.told[1-from] = depth
	case *crdtsync.Repair:
		c.repairs = max(c.repairs, depth)
		c.deep[1-from] = depth
		return
	case *crdtsync.Changes, *crdtsync.Subscribed, *crdtsync.SnapshotChunk, *crdtsync.SnapshotEnd:
	case *crdtsync.SnapshotBegin:
		if f.Step == crdtsync.SnapshotOffer || f.Step == crdtsync.SnapshotRequest {
			c.deep[1-from] = depth
		}
	default:
		if enough(f) {
			return
		}
		c.deep[1-from] = depth
	}
	c.asked = max(c.asked, depth)
}

// depth returns how deep a frame is. Both sides say what they have without being
// asked, unless a cursor was not known, and answer that whatever else was said.
func (c *counter) depth(from int, f crdtsync.Frame) int {
	switch {
	case says(f):
		return c.rewound[from] + 1
	case answers(f):
		return c.told[from] + 1
	}
	return max(c.deep[from], c.told[from]) + 1
}

func answers(f crdtsync.Frame) bool {
	switch f.(type) {
	case *crdtsync.Subscribed, *crdtsync.Changes:
		return true
	}
	return false
}

// says reports whether a frame says what its sender has.
func says(f crdtsync.Frame) bool {
	switch f.(type) {
	case *crdtsync.Resume, *crdtsync.Subscribe:
		return true
	}
	return false
}

// enough reports whether a frame says that no more symbols are wanted: it goes
// with the cells.
func enough(f crdtsync.Frame) bool {
	c, ok := f.(*crdtsync.Compare)
	return ok && c.What == crdtsync.CompareAskSymbols && len(c.Body) == 2 && c.Body[1] == 0
}

// removalsOnly reports whether a chunk carries nothing but the names of cells
// that are gone, which is all that a removal is.
func removalsOnly(f *crdtsync.SnapshotChunk) bool {
	for _, p := range f.Parts {
		if p.State != nil {
			return false
		}
	}
	return true
}
