package node

import (
	"maps"
	"slices"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Rungs says over which rungs of the anti-entropy ladder a node got what came
// from peers: see [crdtsync.Rungs].
type Rungs struct {
	Push     uint64 `json:"push"`     // changes that came as they were made
	Cursor   uint64 `json:"cursor"`   // changes that came when the node resumed from a cut in common
	Vector   uint64 `json:"vector"`   // changes that came when it said its vector
	Part     uint64 `json:"part"`     // snapshots of what was written to since
	Audit    uint64 `json:"audit"`    // cells that were repaired
	Snapshot uint64 `json:"snapshot"` // snapshots of everything
	Resumed  uint64 `json:"resumed"`  // of those, the ones that went on where one had broken off
}

// rungs returns what has come over the link.
func (l *peerLink) rungs() crdtsync.Rungs {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.Rungs()
}

// allRungs returns what has come since the node was opened. A link that ends
// meanwhile is counted once: among those that run, or among those that ended.
func (n *Node) allRungs() Rungs {
	n.mu.Lock()
	sum, links := n.rungs, slices.Collect(maps.Keys(n.links))
	n.mu.Unlock()
	for _, l := range links {
		sum.Add(l.rungs())
	}
	return Rungs(sum)
}
