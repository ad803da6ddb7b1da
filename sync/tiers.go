package sync

import (
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Tier says how safe a change is. Each is known from acknowledgements, which a
// node sends when a change is durable there, and survives restarts.
type Tier uint8

// The tiers, in the order in which they are usually reached.
const (
	TierLocal      Tier = iota // durable at this node
	TierHub                    // durable at this node and at one that is a hub
	TierReplicated             // durable at as many other nodes as are asked for
	TierStable                 // durable at every member that is waited for
)

var tierNames = [...]string{"local", "hub", "replicated", "stable"}

// String returns the name of the tier, as ParseTier reads it.
func (t Tier) String() string {
	if t.Known() {
		return tierNames[t]
	}
	return fmt.Sprintf("tier %d", t)
}

// Known reports whether there is such a tier.
func (t Tier) Known() bool { return int(t) < len(tierNames) }

// ErrTier: a text that names no tier.
var ErrTier = errors.New("sync: no such tier; use local, hub, replicated or stable")

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

// Has reports whether the reach is at least the tier; copies is how many make a
// change [TierReplicated].
func (r Reach) Has(t Tier, copies int) bool {
	switch t {
	case TierHub:
		return r.Local && r.Hub
	case TierReplicated:
		return r.Local && r.Copies >= copies
	case TierStable:
		return r.Local && r.Stable
	}
	return r.Local
}

// A Census is a look at the other members of a space at one time.
type Census struct {
	Members []*Member
	Now     uint64 // Unix seconds
	Lease   uint64 // seconds for which a member is waited for after it was heard
	// Cut is as in [Cuts].
	Cut func(Cursor) *merge.VersionVector
}

func (c *Census) counts(m *Member) bool { return m.Counts(c.Now, c.Lease) }

// Waited reports whether any member is waited for.
func (c *Census) Waited() bool {
	for _, m := range c.Members {
		if c.counts(m) {
			return true
		}
	}
	return false
}

// Reach returns how far all changes that v contains have come; local says whether
// they are durable here. A member whose lease has ended, or that is retired, is
// not waited for.
func (c *Census) Reach(v *merge.VersionVector, local bool) Reach {
	r := Reach{Local: local, Stable: local}
	for _, m := range c.Members {
		switch has := m.Vector(c.Cut).Covers(v); {
		case has && !m.Retired():
			r.Copies++
			r.Hub = r.Hub || m.Hub
		case c.counts(m):
			r.Stable = false
		}
	}
	return r
}

// Frontier returns the stability frontier: the part of own that is durable at
// every member that is waited for. Nothing that it contains will ever be asked for
// by one of them. It goes back when another member is to be waited for, and when a
// cut that the node had in common with one is forgotten, which a snapshot and the
// truncation of the index of arrivals bring about, until the two are level again.
func (c *Census) Frontier(own *merge.VersionVector) *merge.VersionVector {
	var vectors []*merge.VersionVector
	for _, m := range c.Members {
		if c.counts(m) {
			vectors = append(vectors, m.Vector(c.Cut))
		}
	}
	return Stable(own, vectors...)
}

// Horizon returns how much of the log of a node whose origin is self nobody who is
// waited for needs: the frontier, but for self if somebody has more of it than the
// node, because what they have under its numbers is not what is here. It is nil
// while no member is waited for: nobody else may have what the log holds then.
func (c *Census) Horizon(own *merge.VersionVector, self merge.Origin) *merge.VersionVector {
	if !c.Waited() {
		return nil
	}
	dots := c.Frontier(own).Sorted()
	if slices.ContainsFunc(c.Members, func(m *Member) bool { return m.Vector(c.Cut).Get(self) > own.Get(self) }) {
		dots = slices.DeleteFunc(dots, func(d merge.Dot) bool { return d.Origin == self })
	}
	return merge.VectorOf(dots...)
}

// A Blocking is a member for which the frontier waits.
type Blocking struct {
	*Member
	Missing uint64 // changes that it has not acknowledged
}

// Blockers returns the members without which the frontier would be further than
// it is.
func (c *Census) Blockers(own *merge.VersionVector) (list []Blocking) {
	for _, m := range c.Members {
		if !c.counts(m) {
			continue
		}
		if lacks := Beyond(own, m.Vector(c.Cut)); lacks > 0 {
			list = append(list, Blocking{m, lacks})
		}
	}
	return list
}

// Beyond counts the changes that own contains and theirs does not.
func Beyond(own, theirs *merge.VersionVector) (n uint64) {
	for d := range own.Heads() {
		n += d.Seq - min(d.Seq, theirs.Get(d.Origin))
	}
	return n
}
