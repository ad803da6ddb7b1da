package node

import (
	"context"
	"fmt"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Tier says how safe a change is. Each is known from acknowledgements, which a
// node sends when a change is durable there, and survives restarts.
type Tier = crdtsync.Tier

// The tiers, in the order in which they are usually reached.
const (
	Local      = crdtsync.TierLocal      // durable at this node: what Update waits for
	Hub        = crdtsync.TierHub        // durable at this node and at one that is a hub
	Replicated = crdtsync.TierReplicated // durable at as many other nodes as Config.Copies says
	Stable     = crdtsync.TierStable     // durable at every member that is waited for
)

// ErrTier: a text that names no tier.
var ErrTier = crdtsync.ErrTier

// ParseTier returns the tier of that name.
func ParseTier(name string) (Tier, error) { return crdtsync.ParseTier(name) }

// Reach says how far changes have come.
type Reach = crdtsync.Reach

// Reach returns how far all changes that v contains have come. A member whose
// lease has ended, or that is retired, is not waited for.
func (s *Space) Reach(v *merge.VersionVector) Reach {
	r, _ := s.reach(v)
	return r
}

// reach also returns a channel that is closed when the answer may change.
func (s *Space) reach(v *merge.VersionVector) (r Reach, moved <-chan struct{}) {
	s.members.mu.Lock()
	moved = s.members.moved
	s.members.mu.Unlock()
	return s.census().Reach(v, s.covers(v)), moved
}

// census looks at the members of the space.
func (s *Space) census() *crdtsync.Census {
	return &crdtsync.Census{Members: s.members.list(), Now: s.node.now(), Lease: s.node.lease(), Cut: s.cuts()}
}

func (s *Space) covers(v *merge.VersionVector) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for d := range v.Heads() {
		if !s.core.Contains(d) {
			return false
		}
	}
	return true
}

// cuts returns s.cut, which reads each cut once. The vectors it returns may be
// changed by their users.
func (s *Space) cuts() func(crdtsync.Cursor) *merge.VersionVector {
	read := make(map[crdtsync.Cursor]*merge.VersionVector)
	return func(c crdtsync.Cursor) *merge.VersionVector {
		v, ok := read[c]
		if !ok {
			v = s.cut(c)
			read[c] = v
		}
		if v == nil {
			return nil
		}
		return v.Clone()
	}
}

func (n *Node) lease() uint64 { return uint64(n.cfg.Lease / time.Second) }

// WaitFor waits until all changes that v contains have reached the tier, and
// returns nil then. It returns the error of ctx when that ends first: the changes
// are as safe as [Space.Reach] says, and go on spreading. The dot of a
// transaction, [Tx.Dot], makes a v with merge.VectorOf.
func (s *Space) WaitFor(ctx context.Context, v *merge.VersionVector, t Tier) error {
	if s.bad != nil {
		return s.bad
	}
	if !t.Known() {
		return fmt.Errorf("%w: %v", ErrTier, t)
	}
	for {
		r, moved := s.reach(v)
		if r.Has(t, s.node.cfg.Copies) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.node.ctx.Done():
			return ErrClosed
		}
	}
}

// Frontier returns the stability frontier: what is durable at this node and at
// every member that is waited for. Nothing that it contains will ever be asked
// for by one of them.
func (s *Space) Frontier() *merge.VersionVector { return s.census().Frontier(s.Vector()) }
