package sync_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// meshOf returns a network of n replicas, each connected to the four at the
// given distances from it in a ring.
func meshOf(t *testing.T, seed uint64, n int, tree bool, far int) *network {
	net := newNetwork(t, seeded(seed), someReplicas(t, n, "s")...)
	net.tree = tree
	for i := range n {
		net.connect(i, (i+1)%n)
		net.connect(i, (i+far)%n)
	}
	net.replicas[0].author("s", put(t, "first"))
	net.wantLevel("connected", 10)
	return net
}

// deliveries returns how often changes were sent, over all connections.
func (n *network) deliveries() (count int) {
	for _, sent := range n.sent {
		count += len(sent)
	}
	return count
}

// writes lets random replicas write and returns how many times the minimum the
// deliveries are: each change once to each other replica. When they are busy they
// write while other changes are on their way, at random speeds.
func (n *network) writes(changes int, busy bool) float64 {
	before := n.deliveries()
	for i := range changes {
		n.write(n.rng.IntN(len(n.replicas)), "s", put(n.t, fmt.Sprint(len(n.replicas[0].space("s").log), i)))
		if !busy {
			n.settle()
			continue
		}
		n.pump()
		for range n.rng.IntN(60) {
			if !n.deliver() || n.chance(0.2) {
				n.pump()
			}
		}
		if i%50 == 0 {
			n.tick()
		}
	}
	n.settle()
	return float64(n.deliveries()-before) / float64(changes*(len(n.replicas)-1))
}

// cut ends the connections of a replica with another, as both ends notice.
func (n *network) cut(a, b int) {
	for _, d := range []direction{{a, b}, {b, a}} {
		delete(n.links, d)
		delete(n.queues, d)
		n.order = slices.DeleteFunc(n.order, func(o direction) bool { return o == d })
	}
	for _, d := range n.order {
		if d.from == a || d.from == b {
			n.do(d, n.links[d].Graft())
		}
	}
}

// TestMesh counts what 16 nodes with four connections each send. Flooding brings
// a change over each connection at most once in each direction, and never back
// to where it came from; tree mode brings it to each node once.
func TestMesh(t *testing.T) {
	const nodes = 16
	const flooding = float64(2*2*nodes-(nodes-1)) / (nodes - 1) // every end of every connection, but the one by which it came
	for _, far := range []int{2, 5, 6} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("distance %d, busy %v", far, busy), func(t *testing.T) {
				flood := meshOf(t, uint64(far), nodes, false, far)
				got := flood.writes(200, busy)
				flood.wantLevel("flooding", 4)
				tree := meshOf(t, uint64(far), nodes, true, far)
				first := tree.writes(100, busy)
				steady := tree.writes(200, busy)
				tree.wantLevel("tree", 4)
				t.Logf("times the minimum: flooding %.2f of at most %.2f, tree %.2f in the first 100 changes and %.3f then", got, flooding, first, steady)
				if got > flooding {
					t.Errorf("flooding costs %.2f x the minimum, want at most %.2f", got, flooding)
				}
				if steady > 1.10 {
					t.Errorf("tree mode costs %.3f x the minimum, want at most 1.10", steady)
				}
			})
		}
	}
}

// TestTreeBreaks ends connections of the tree, one after the other: what is
// written is everywhere after a few heartbeats all the same, and the tree heals.
func TestTreeBreaks(t *testing.T) {
	net := meshOf(t, 1, 16, true, 5)
	net.writes(100, false)
	for broken := range 6 {
		at := slices.IndexFunc(net.order, func(d direction) bool {
			return net.links[d].Pruned() == 0 && net.links[d.back()].Pruned() == 0
		})
		d := net.order[at]
		net.write(d.from, "s", put(t, fmt.Sprint("on its way ", broken)))
		net.pump()
		net.cut(d.from, d.to)
		net.settle()
		net.wantLevel(fmt.Sprintf("%d connections broken", broken+1), 4)
		net.writes(40, false)
		if got := net.writes(100, false); got > 1.10 {
			t.Errorf("%d connections broken: tree mode costs %.3f x the minimum", broken+1, got)
		}
	}
}

// TestTreeDiesInSilence loses all that goes over connections of the tree without
// anybody noticing: heartbeats bring the news another way.
func TestTreeDiesInSilence(t *testing.T) {
	net := meshOf(t, 2, 16, true, 3)
	net.writes(100, false)
	pruned := net.order[slices.IndexFunc(net.order, func(d direction) bool { return net.links[d].Pruned() == 1 })]
	dead := make(map[direction]bool)
	for _, d := range net.order {
		if d.from == pruned.from && net.links[d].Pruned() == 0 {
			dead[d], dead[d.back()] = true, true
		}
	}
	c := net.write(pruned.from, "s", put(t, "whispered"))
	for ticks := 0; !everywhere(net, c.Dot); ticks++ {
		if ticks > 8 {
			t.Fatal("the change is not everywhere after 8 heartbeats")
		}
		for _, d := range net.order {
			net.do(d, net.links[d].Tick())
		}
		for net.pump() || net.deliver() {
			for d := range dead {
				delete(net.queues, d)
			}
		}
	}
}

func everywhere(n *network, d merge.Dot) bool {
	return !slices.ContainsFunc(n.replicas, func(r *replica) bool { return r.Head("s", d.Origin) < d.Seq })
}

// TestPrunedLinkIsStillIntroduced has a peer prune a link whose SUBSCRIBE was lost:
// it is repeated although both are level, or the peer would never tell of members.
func TestPrunedLinkIsStillIntroduced(t *testing.T) {
	local := newReplica(t, 1, "s")
	features := append(crdtsync.Features(), crdtsync.FeatureTree)
	slices.Sort(features)
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: local.origin, Features: features}, local)
	hello := helloOf(2)
	hello.Features = features
	l.Step(hello)
	l.Step(&crdtsync.Welcome{Version: crdtsync.Version})
	l.Step(&crdtsync.Prune{Space: "s"})
	if l.Pruned() != 1 {
		t.Fatal("the link is not pruned")
	}
	mine := local.Summary("s")
	l.Step(&crdtsync.Frontier{Space: "s", Applied: mine.Applied, Cells: mine.Cells, Changes: mine.Changes})
	if len(find[*crdtsync.Subscribe](l.Tick().Send)) == 0 {
		t.Error("a SUBSCRIBE that nobody answered is not repeated")
	}
}
