package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// settling is how many heartbeats the truncation of a log waits for what peers say
// to be contradicted: they acknowledge numbers, and those may name other changes.
const settling = 4

// truncateLoop lets go, now and then, of what every member that is waited for
// has.
func (n *Node) truncateLoop() {
	t := time.NewTicker(n.cfg.TruncateEvery)
	defer t.Stop()
	for n.waitFor(t.C) {
		horizons := make(map[*Space]*merge.VersionVector)
		for _, s := range n.allSpaces() {
			if v := s.horizon(); v != nil {
				horizons[s] = v
			}
		}
		if !n.waitFor(time.After(settling * n.cfg.Heartbeat)) {
			return
		}
		for s, v := range horizons {
			err := s.truncateTo(n.ctx, v)
			if err != nil && !errors.Is(err, ErrUnread) && n.ctx.Err() == nil {
				n.log.Warn("a log is not truncated", "code", "truncate", "space", s.name, "err", err)
			}
		}
	}
}

// waitFor waits for c and reports whether the node still runs.
func (n *Node) waitFor(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	case <-n.ctx.Done():
		return false
	}
}

// horizon returns how much of the log nobody who is waited for needs, nil for
// nothing.
func (s *Space) horizon() *merge.VersionVector {
	return s.census().Horizon(s.Vector(), s.node.Origin())
}

// truncateTo truncates the log of the space, unless a peer has meanwhile shown that
// it has other changes under the same numbers.
func (s *Space) truncateTo(ctx context.Context, horizon *merge.VersionVector) error {
	for _, l := range s.node.allLinks() {
		if l.forked(s.name) {
			return nil
		}
	}
	if err := s.Truncate(ctx, Horizon{Log: horizon}); err != nil {
		return err
	}
	floor := s.Floor()
	return s.repeat(ctx, merge.Dot{}, func(b *batch, _ merge.Dot) (bool, error) {
		b.wrote = true
		return spacestore.TrimArrival(b.tx, s.name, floor, truncateAtOnce)
	})
}

// forked reports whether the peer has other changes under the same numbers.
func (l *peerLink) forked(space string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.core.Report(), func(p crdtsync.PeerSpace) bool { return p.Name == space && p.Forked })
}
