package simnet

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A Shape is which pairs of nodes connect.
type Shape uint8

// The shapes.
const (
	Mesh Shape = iota // every pair
	Line              // a chain
	Star              // everybody with node 0
	Ring              // a chain with its ends joined
)

// String returns the shape's name.
func (s Shape) String() string { return [...]string{"mesh", "line", "star", "ring"}[s] }

// joins reports whether nodes a < b of n connect.
func (s Shape) joins(a, b, n int) bool {
	switch s {
	case Line:
		return b == a+1
	case Star:
		return a == 0
	case Ring:
		return b == a+1 || a == 0 && b == n-1
	}
	return true
}

// Knobs are what a seed draws before the first step. Each fault is on in about
// half of all seeds, so that every combination occurs.
type Knobs struct {
	Nodes  int // 2 to 6
	Spaces int // 1 or 2
	Shape  Shape

	Loss    int // percent of deliveries that are lost
	Dup     int // percent that are delivered and stay in flight
	Reorder int // percent that overtake
	Slow    int // percent of directions that deliver an eighth as often
	Room    int // for frames in flight per direction
	Window  int // changes on their way per direction and space, 0 for as many as real nodes take
	Flight  int // data frames in flight per direction before a sender waits

	Write, Tick int // weights of transactions and heartbeats against 100 for deliveries
	Visit       int // the same of visits by clients that move between nodes
	Clients     int // that move
	Batch       int // percent of deliveries that share a commit with a transaction

	// Per mille of steps.
	Crash, Reset, HalfOpen, Partition, Pause, Jump, DiskFull, Restore, Rollback, Clone, Retire, Truncate, Trim, Dismiss int

	CrashInside int   // per mille of commits in which a node crashes
	Skew        int64 // largest initial error of a wall clock, ms
	Leap        int64 // largest jump of a wall clock, ms
	MaxDrift    int64 // ms that a node accepts another to be ahead
	MaxWait     int64 // ms between two steps
	Waiting     int   // changes a node lets wait for others
	Hubs        int   // nodes that say that they are one
	Late        bool  // the last node joins later
	Older       bool  // the last node does not know a kind
	Upgrade     bool  // until it is healed
	Lossy       bool  // frames go on being lost after healing
	Busy        bool  // nodes go on writing after healing
	Tree        bool  // links are pruned to a tree
	Nameless    bool  // node 0 does not know names of cells

	Keys, Elements int // sizes of the pools that the workload draws from
	MaxOps         int // of one transaction

	Whole, Fragment int  // bytes of a change that goes in one piece, and of a fragment, 0 for as many as real nodes send
	Piece           int  // bytes of a frame that goes in one piece, 0 for as many as fit
	Unparted        bool // a node knows no fragments until healing
	Large           bool
	Kinds           []int // weights by kind, in the order of kindNames
}

func drawKnobs(r *rand.Rand) Knobs {
	k := Knobs{
		Nodes: 2 + r.IntN(5), Spaces: 1 + r.IntN(2), Shape: Shape(r.IntN(4)),
		Flight: 1 + r.IntN(8), Write: 15 + r.IntN(45), Tick: 3 + r.IntN(15),
		MaxDrift: 500 + r.Int64N(4000), MaxWait: [...]int64{0, 1, 20, 300}[r.IntN(4)], Waiting: 256, Room: maxInFlight,
		Keys: 1 + r.IntN(2), Elements: 1 + r.IntN(4), MaxOps: 1 + r.IntN(4),
	}
	k.drawNetwork(r)
	k.drawMachines(r)
	maybe(r, 2, func() { k.Clients, k.Visit = 1+r.IntN(3), 3+r.IntN(20) })
	for range kindNames {
		k.Kinds = append(k.Kinds, r.IntN(4))
	}
	k.Kinds[r.IntN(len(k.Kinds))] += 3
	maybe(r, 3, func() { k.Tree = true })
	maybe(r, 3, func() { k.Truncate = 1 + r.IntN(40) })
	maybe(r, 4, func() { k.Trim = 1 + r.IntN(15) })
	maybe(r, 6, func() { k.Dismiss = 1 + r.IntN(8) })
	maybe(r, 2, func() { k.Hubs = 1 + r.IntN(2) })
	// What has left the log of a node that is set back cannot be compared, and may
	// count twice: that is documented, and the specification would have to know it.
	// Trees are pruned where changes flow, not snapshots.
	if k.Rollback > 0 || k.Tree {
		k.Truncate, k.Trim = 0, 0
	}
	// A node takes no snapshot of what it does not know: it gets level when it does.
	k.Upgrade = k.Truncate+k.Trim > 0 || r.IntN(2) == 0
	maybe(r, 4, func() { k.Nameless = true })
	k.drawParts(r)
	return k
}

func (k *Knobs) drawNetwork(r *rand.Rand) {
	maybe(r, 2, func() { k.Loss = 1 + r.IntN(30) })
	maybe(r, 3, func() { k.Lossy = true })
	maybe(r, 2, func() { k.Dup = 1 + r.IntN(50) })
	maybe(r, 2, func() { k.Reorder = 1 + r.IntN(60) })
	maybe(r, 3, func() { k.Slow = 20 + r.IntN(50) })
	maybe(r, 4, func() { k.Window = 2 + r.IntN(12) })
	maybe(r, 4, func() { k.Room = 3 + r.IntN(20) })
	maybe(r, 2, func() { k.Batch = 1 + r.IntN(40) })
	maybe(r, 2, func() { k.Reset = 1 + r.IntN(20) })
	maybe(r, 3, func() { k.HalfOpen = 1 + r.IntN(15) })
	maybe(r, 2, func() { k.Partition = 1 + r.IntN(20) })
}

func (k *Knobs) drawMachines(r *rand.Rand) {
	maybe(r, 2, func() { k.Crash = 1 + r.IntN(20) })
	maybe(r, 2, func() { k.CrashInside = 1 + r.IntN(40) })
	maybe(r, 3, func() { k.Pause = 1 + r.IntN(15) })
	maybe(r, 2, func() { k.Skew = r.Int64N(2 * k.MaxDrift) })
	maybe(r, 2, func() { k.Jump, k.Leap = 1+r.IntN(15), r.Int64N(3*k.MaxDrift) })
	maybe(r, 4, func() { k.DiskFull = 1 + r.IntN(15) })
	maybe(r, 4, func() { k.Restore = 1 + r.IntN(10) })
	maybe(r, 8, func() { k.Rollback = 1 + r.IntN(6) })
	maybe(r, 5, func() { k.Clone = 1 + r.IntN(6) })
	maybe(r, 5, func() { k.Retire = 1 + r.IntN(6) })
	maybe(r, 3, func() { k.Waiting = 1 + r.IntN(4) })
	maybe(r, 5, func() { k.Late = true })
	maybe(r, 6, func() { k.Older = true })
	maybe(r, 12, func() { k.Large = true })
	maybe(r, 3, func() { k.Busy = true })
}

// maybe calls fn once in n.
func maybe(r *rand.Rand, n int, fn func()) {
	if r.IntN(n) == 0 {
		fn()
	}
}

// String names what is on.
func (k Knobs) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d nodes in a %v, %d spaces, drift %d ms", k.Nodes, k.Shape, k.Spaces, k.MaxDrift)
	for _, n := range k.numbers() {
		if n.value != 0 {
			fmt.Fprintf(&b, ", %s %d", n.name, n.value)
		}
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{"late join", k.Late}, {"older node", k.Older}, {"upgrade", k.Older && k.Upgrade}, {"large values", k.Large}, {"loss goes on", k.Lossy}, {"writes go on", k.Busy}, {"tree", k.Tree}, {"nameless node", k.Nameless}, {"a node without fragments", k.Unparted}} {
		if f.on {
			b.WriteString(", " + f.name)
		}
	}
	return b.String()
}

type knob struct {
	name  string
	value int64
}

func (k Knobs) numbers() []knob {
	return []knob{
		{"loss %", int64(k.Loss)},
		{"dup %", int64(k.Dup)},
		{"reorder %", int64(k.Reorder)},
		{"clients", int64(k.Clients)},
		{"window", int64(k.Window)},
		{"room", int64(k.Room)},
		{"slow %", int64(k.Slow)},
		{"batch %", int64(k.Batch)},
		{"crash per mille", int64(k.Crash)},
		{"crash inside per mille", int64(k.CrashInside)},
		{"reset per mille", int64(k.Reset)},
		{"half-open per mille", int64(k.HalfOpen)},
		{"partition per mille", int64(k.Partition)},
		{"pause per mille", int64(k.Pause)},
		{"disk full per mille", int64(k.DiskFull)},
		{"restore per mille", int64(k.Restore)},
		{"rollback per mille", int64(k.Rollback)},
		{"clone per mille", int64(k.Clone)},
		{"retire per mille", int64(k.Retire)},
		{"truncate per mille", int64(k.Truncate)},
		{"trim per mille", int64(k.Trim)},
		{"dismiss per mille", int64(k.Dismiss)},
		{"hubs", int64(k.Hubs)},
		{"skew ms", k.Skew},
		{"leap ms", k.Leap},
		{"waiting", int64(k.Waiting)},
		{"whole bytes", int64(k.Whole)},
		{"fragment bytes", int64(k.Fragment)},
		{"piece bytes", int64(k.Piece)},
	}
}
