package sync_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// someReplicas returns n replicas that know the given spaces.
func someReplicas(t testing.TB, n int, spaces ...string) (out []*replica) {
	for i := range n {
		out = append(out, newReplica(t, i+1, spaces...))
	}
	return out
}

// topologies are sets of connections between n replicas.
var topologies = map[string]func(n int) [][2]int{
	"line": func(n int) (out [][2]int) {
		for i := 1; i < n; i++ {
			out = append(out, [2]int{i - 1, i})
		}
		return out
	},
	"star": func(n int) (out [][2]int) {
		for i := 1; i < n; i++ {
			out = append(out, [2]int{0, i})
		}
		return out
	},
	"mesh": func(n int) (out [][2]int) {
		for i := range n {
			for j := range i {
				out = append(out, [2]int{j, i})
			}
		}
		return out
	},
}

// writeSome writes at random replicas and lets random frames through.
func (n *network) writeSome(writes int, spaces []string) {
	for range writes {
		at, space := n.rng.IntN(len(n.replicas)), spaces[n.rng.IntN(len(spaces))]
		r := n.replicas[at]
		n.write(at, space, r.randomOps(n.rng, r.space(space), 3)...)
		if n.chance(0.5) {
			n.pump()
		}
		for n.chance(0.8) && n.deliver() {
		}
		if n.chance(0.1) {
			n.tick()
		}
	}
}

// levelTicks is how long replicas may take to become level over links that lose
// up to 0.4 of the frames. What answers a request that was heard is lost again
// with at most that, and the pauses then double: twelve such losses in a row
// take 2+4+8+16+32 ticks and seven times 64, which is 510. They befall one of
// 60 seeds x 12 directions x 3 spaces with less than 0.4^12/13 each, the loss
// being drawn evenly, so a new random stream breaks the bound three times in a
// thousand at worst. A request that is lost itself costs two ticks, of which
// there are 16 on the average, and each of the two other connections of a line
// about 20 more.
const levelTicks = 600

// TestLossyLinksLevel writes over links that lose, repeat and reorder frames,
// which they go on doing while the replicas are to become level.
func TestLossyLinksLevel(t *testing.T) {
	const seeds = 60
	longest := 0
	for seed := range uint64(seeds) {
		rng := seeded(seed)
		spaces := []string{"s", "t", "u"}[:1+rng.IntN(3)]
		net := newNetwork(t, rng, someReplicas(t, 2+rng.IntN(3), spaces...)...)
		net.loss, net.dup, net.reorder = 0.4*rng.Float64(), 0.5*rng.Float64(), rng.Float64()
		name := []string{"line", "star", "mesh"}[rng.IntN(3)]
		early := rng.IntN(2) == 0
		if early {
			net.writeSome(30, spaces)
		}
		for _, c := range topologies[name](len(net.replicas)) {
			net.connect(c[0], c[1])
		}
		net.writeSome(10+rng.IntN(60), spaces)
		what := fmt.Sprintf("seed %d: %d replicas in a %s, loss %.2f, dup %.2f, reorder %.2f",
			seed, len(net.replicas), name, net.loss, net.dup, net.reorder)
		longest = max(longest, net.wantLevel(what, levelTicks))
	}
	t.Logf("%d seeds, at most %d ticks", seeds, longest)
}

// TestEachChangeCrossesOnce: without loss a change crosses each connection of a
// tree once, in one direction, and each direction of a mesh at most once.
func TestEachChangeCrossesOnce(t *testing.T) {
	for name, connections := range topologies {
		for seed := range uint64(10) {
			rng := seeded(seed)
			net := newNetwork(t, rng, someReplicas(t, 4, "s")...)
			net.writeSome(20, []string{"s"})
			for _, c := range connections(4) {
				net.connect(c[0], c[1])
			}
			net.settle()
			for range 40 {
				at := rng.IntN(4)
				net.write(at, "s", net.replicas[at].randomOps(rng, net.replicas[at].space("s"), 2)...)
				net.pump()
				for net.chance(0.7) && net.deliver() {
				}
			}
			what := fmt.Sprintf("%s, seed %d", name, seed)
			net.settle()
			net.wantLevel(what, 3)
			net.checkCrossings(what, name == "mesh")
		}
	}
}

// checkCrossings counts how often each change crossed each connection.
func (n *network) checkCrossings(what string, mesh bool) {
	n.t.Helper()
	for _, d := range n.order {
		there, back := n.times(d), n.times(d.back())
		for _, c := range n.replicas[0].space("s").log {
			once := there[c.Dot]+back[c.Dot] == 1
			if mesh {
				once = there[c.Dot] <= 1 && back[c.Dot] <= 1
			}
			if !once {
				n.t.Fatalf("%s: %v crossed from %d to %d %d times, and back %d times", what, c.Dot, d.from, d.to, there[c.Dot], back[c.Dot])
			}
		}
	}
}

// TestSendingOrderIsCausal looks at what is sent to somebody who has nothing.
func TestSendingOrderIsCausal(t *testing.T) {
	for seed := range uint64(10) {
		rng := seeded(seed)
		net := newNetwork(t, rng, someReplicas(t, 4, "s")...)
		net.connect(0, 1)
		net.connect(0, 2)
		net.settle()
		net.writeSome(80, []string{"s"})
		net.settle()
		net.connect(2, 3)
		net.wantLevel(fmt.Sprintf("seed %d", seed), 3)
		log := net.replicas[0].space("s").log
		var toThird []*crdtsync.Change
		for _, c := range net.sent[direction{2, 3}] {
			if net.replicas[3].origin != c.Dot.Origin {
				toThird = append(toThird, c)
			}
		}
		own := net.sent[direction{3, 2}]
		if len(toThird)+len(own) != len(log) {
			t.Fatalf("seed %d: %d and %d changes were sent, the log has %d", seed, len(toThird), len(own), len(log))
		}
		causal(t, fmt.Sprintf("seed %d", seed), toThird)
	}
}

// TestSpacesTakeTurns sends three long logs of different lengths.
func TestSpacesTakeTurns(t *testing.T) {
	net := newNetwork(t, seeded(1), someReplicas(t, 2, "a", "b", "c")...)
	for i, space := range []string{"a", "b", "c"} {
		for n := range 1200 * (i + 1) {
			net.replicas[0].author(space, put(t, n))
		}
	}
	net.connect(0, 1)
	for net.deliver() {
	}
	var turns string
	for {
		f, err := net.links[direction{0, 1}].Next()
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			break
		}
		turns += f.(*crdtsync.Changes).Space
	}
	if want := "abcabcabcbcbccc"; turns != want && turns != want+"c" {
		t.Errorf("frames of the spaces came in the order %s, want %s", turns, want)
	}
}

// TestFramesAreBounded fills frames with many small changes and with few large
// ones.
func TestFramesAreBounded(t *testing.T) {
	for name, size := range map[string]int{"small": 1, "medium": 3000, "large": 100_000, "largest": 240_000} {
		net := newNetwork(t, seeded(1), someReplicas(t, 2, "s")...)
		for n := range min(1300, 10+1_000_000/size) {
			net.replicas[0].author("s", register(t, n, size))
		}
		net.connect(0, 1)
		for net.deliver() {
		}
		for {
			f, err := net.links[direction{0, 1}].Next()
			if err != nil {
				t.Fatal(err)
			}
			if f == nil {
				break
			}
			checkFrame(t, name, f.(*crdtsync.Changes))
			net.send(direction{0, 1}, f)
		}
		net.wantLevel(name, 3)
	}
}

func checkFrame(t *testing.T, name string, f *crdtsync.Changes) {
	t.Helper()
	bytes := 0
	for _, raw := range f.Changes {
		bytes += len(raw)
	}
	if n := len(f.Changes); n == 0 || n > 512 || n > 1 && bytes > 64<<10 {
		t.Errorf("%s: a frame of %d changes and %d bytes", name, n, bytes)
	}
}

// register returns an op that writes a value of size bytes to a register.
func register(t testing.TB, n, size int) crdtsync.CellOp {
	t.Helper()
	value, err := crdt.EncodeValue(make([]byte, size))
	if err != nil {
		t.Fatal(err)
	}
	return crdtsync.CellOp{Cell: crdtsync.CellKey{Object: fmt.Sprint(n), Kind: "lww"}, Op: crdt.Op{Put: true, Payload: value}}
}

// TestSlowPeerCostsNoBuffer writes much while a peer takes nothing: what it is
// then sent is what it lacks, in few frames.
func TestSlowPeerCostsNoBuffer(t *testing.T) {
	net := newNetwork(t, rand.New(rand.NewPCG(1, 1)), someReplicas(t, 2, "s")...)
	net.connect(0, 1)
	net.tick()
	for n := range 1000 {
		net.write(0, "s", put(t, n))
	}
	frames := 0
	for net.pump() {
		frames++
	}
	if frames != 2 {
		t.Errorf("1000 changes took %d frames, want 2", frames)
	}
	net.wantLevel("at the end", 3)
}
