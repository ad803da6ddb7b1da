package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Tier says how safe a change is. Each is known from acknowledgements, which a
// node sends when a change is durable there, and survives restarts.
type Tier uint8

// The tiers, in the order in which they are usually reached.
const (
	Local      Tier = iota // durable at this node: what Update waits for
	Hub                    // durable at this node and at one that is a hub
	Replicated             // durable at as many other nodes as Config.Copies says
	Stable                 // durable at every member that is waited for
)

var tierNames = [...]string{"local", "hub", "replicated", "stable"}

// String returns the name of the tier, as ParseTier reads it.
func (t Tier) String() string {
	if int(t) < len(tierNames) {
		return tierNames[t]
	}
	return fmt.Sprintf("tier %d", t)
}

// ErrTier: a text that names no tier.
var ErrTier = errors.New("node: no such tier; use local, hub, replicated or stable")

// ParseTier returns the tier of that name.
func ParseTier(name string) (Tier, error) {
	for t, n := range tierNames {
		if n == name {
			return Tier(t), nil
		}
	}
	return 0, fmt.Errorf("%w: %q", ErrTier, name)
}

// Reach says how far changes have come.
type Reach struct {
	Local  bool `json:"local"`
	Copies int  `json:"copies"` // other nodes at which they are durable
	Hub    bool `json:"hub"`    // one of which is a hub
	Stable bool `json:"stable"` // and every member that is waited for is among them
}

// has reports whether the reach is at least the tier.
func (r Reach) has(t Tier, copies int) bool {
	switch t {
	case Hub:
		return r.Local && r.Hub
	case Replicated:
		return r.Local && r.Copies >= copies
	case Stable:
		return r.Local && r.Stable
	}
	return r.Local
}

// Reach returns how far all changes that v contains have come. A member whose
// lease has ended, or that is retired, is not waited for.
func (s *Space) Reach(v *merge.VersionVector) Reach {
	r, _ := s.reach(v)
	return r
}

// reach also returns a channel that is closed when the answer may change.
func (s *Space) reach(v *merge.VersionVector) (r Reach, moved <-chan struct{}) {
	s.members.mu.Lock()
	list := s.members.roster.Members()
	moved = s.members.moved
	s.members.mu.Unlock()
	r = Reach{Local: s.covers(v), Stable: true}
	cut := s.cuts()
	for _, m := range list {
		switch has := m.Vector(cut).Covers(v); {
		case has && !m.Retired():
			r.Copies++
			r.Hub = r.Hub || m.Hub
		case m.Counts(s.node.now(), s.node.lease()):
			r.Stable = false
		}
	}
	r.Stable = r.Stable && r.Local
	return r, moved
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
	if int(t) >= len(tierNames) {
		return fmt.Errorf("%w: %v", ErrTier, t)
	}
	for {
		r, moved := s.reach(v)
		if r.has(t, s.node.cfg.Copies) {
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
func (s *Space) Frontier() *merge.VersionVector {
	now, cut := s.node.now(), s.cuts()
	var vectors []*merge.VersionVector
	for _, m := range s.members.list() {
		if m.Counts(now, s.node.lease()) {
			vectors = append(vectors, m.Vector(cut))
		}
	}
	return crdtsync.Stable(s.Vector(), vectors...)
}
