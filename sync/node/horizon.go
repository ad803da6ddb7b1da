package node

import (
	"context"
	"errors"
	"time"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
)

// truncateLoop lets go, now and then, of what every member that is waited for
// has.
func (n *Node) truncateLoop() {
	t := time.NewTicker(n.cfg.TruncateEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-n.ctx.Done():
			return
		}
		for _, s := range n.allSpaces() {
			err := s.truncateStable(n.ctx)
			if err != nil && !errors.Is(err, ErrUnread) && n.ctx.Err() == nil {
				n.log.Warn("a log is not truncated", "code", "truncate", "space", s.name, "err", err)
			}
		}
	}
}

// truncateStable truncates the log of the space to its stability frontier. While
// no member is waited for, nobody else may have what it holds, and it stays.
func (s *Space) truncateStable(ctx context.Context) error {
	now, waited := s.node.now(), false
	for _, m := range s.members.list() {
		waited = waited || m.Counts(now, s.node.lease())
	}
	if !waited {
		return nil
	}
	if err := s.Truncate(ctx, Horizon{Log: s.Frontier()}); err != nil {
		return err
	}
	floor := s.Floor()
	return s.repeat(ctx, merge.Dot{}, func(b *batch, _ merge.Dot) (bool, error) {
		b.wrote = true
		return spacestore.TrimArrival(b.tx, s.name, floor, truncateAtOnce)
	})
}
