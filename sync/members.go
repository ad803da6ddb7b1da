package sync

import (
	"github.com/joinery-crdt/joinery/merge"
)

// FeatureHub is said in a Hello by a node that others count on: a change that is
// durable there is safe from the loss of the device that made it.
const FeatureHub = "hub"

// A Member is what a node knows of another that keeps the same space. What it
// says is durable there stays so: members only ever gain.
type Member struct {
	Origin merge.Origin
	Name   string // what people call it, may be empty
	Hub    bool   // it says that it is one
	Seen   uint64 // Unix seconds at which somebody last heard it
	// Turns counts how often people have retired the member and taken it back,
	// in turn; the larger number is the newer decision.
	Turns uint64
	// Last is the last cut that it and the node seemed to have in common: they had
	// as many changes. It is no account of what the member has.
	Last Cursor
	// Common is the last cut that it and the node had in common, and Beyond what
	// else it has durably. Without a cut, Beyond is all. Nil is nothing.
	Common Cursor
	Beyond *merge.VersionVector
}

// Retired reports whether the member is not to be waited for.
func (m *Member) Retired() bool { return m.Turns%2 == 1 }

// MaxMembers is the number of members that one Members frame tells of.
const MaxMembers = 64

// Members tells of other members of a space, by origin: how a node learns what
// is durable at those that it is not connected to.
type Members struct {
	Space   string
	Members []*Member
}

func (*Members) frame() {}
