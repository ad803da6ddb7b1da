package node

import crdtsync "github.com/joinery-crdt/joinery/sync"

// repeated tells the core that all it offered of a space at once had come from
// elsewhere while it waited for the committer.
func (l *peerLink) repeated(space string, res *offerResult) error {
	if res.applied > 0 || res.duplicate == 0 || res.early.Len() > 0 || len(res.refused) > 0 {
		return nil
	}
	l.mu.Lock()
	r := l.core.Repeated(space)
	l.mu.Unlock()
	return l.queue(r)
}

// graft lets the other links take over what went over one that has ended.
func (n *Node) graft() {
	if !n.cfg.Tree {
		return
	}
	for _, l := range n.allLinks() {
		l.mu.Lock()
		var r crdtsync.Ready
		if l.core.Peer() != nil {
			r = l.core.Graft()
		}
		l.mu.Unlock()
		if len(r.Send) > 0 {
			_ = l.queue(r) // only sends
		}
	}
}
