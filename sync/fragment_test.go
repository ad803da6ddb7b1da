package sync_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// small makes links send changes of more than 60 bytes in fragments of 25.
func small(_ int, cfg *crdtsync.LinkConfig) { cfg.Whole, cfg.Fragment = 60, 25 }

// without takes a feature out of the links of one replica.
func without(at int, feature string) func(int, *crdtsync.LinkConfig) {
	return func(of int, cfg *crdtsync.LinkConfig) {
		small(of, cfg)
		if of == at {
			cfg.Features = slices.DeleteFunc(crdtsync.Features(), func(f string) bool { return f == feature })
		}
	}
}

// TestFragmentsOverABadNetwork lets three replicas write changes that no frame
// holds while their frames are lost, repeated and reordered.
func TestFragmentsOverABadNetwork(t *testing.T) {
	for seed := range uint64(60) {
		rng := seeded(seed)
		net := newNetwork(t, rng, someReplicas(t, 3, "s")...)
		net.config, net.piece, net.tree = small, 80, seed%4 == 0
		net.loss, net.dup, net.reorder = rng.Float64()/5, rng.Float64()/4, rng.Float64()/4
		net.connect(0, 1)
		net.connect(1, 2)
		net.connect(0, 2)
		for i := range 30 {
			net.write(rng.IntN(3), "s", put(t, strings.Repeat("x", rng.IntN(200))+fmt.Sprint(i)))
			for range rng.IntN(20) {
				net.pump()
				net.deliver()
			}
			if rng.IntN(8) == 0 {
				net.tick()
			}
		}
		net.loss, net.dup, net.reorder = 0, 0, 0
		net.wantLevel(fmt.Sprint("seed ", seed), 300)
		for i, r := range net.replicas {
			if r.parts.Len() > 8 || r.parts.Bytes() > 8*400 {
				t.Errorf("seed %d: replica %d keeps %d parts of %d bytes", seed, i, r.parts.Len(), r.parts.Bytes())
			}
		}
	}
}

// TestFirstOfManyFragmentsStays lets a peer send more large changes than are kept of
// one while fragments are lost: what is needed first does not make room for the rest.
func TestFirstOfManyFragmentsStays(t *testing.T) {
	for seed := range uint64(10) {
		net := newNetwork(t, seeded(seed), someReplicas(t, 2, "s")...)
		net.config, net.loss = small, 0.3
		for i := range 10 {
			net.write(0, "s", put(t, strings.Repeat("x", 800)+fmt.Sprint(i)))
		}
		net.connect(0, 1)
		net.wantLevel(fmt.Sprint("seed ", seed), 300)
	}
}

// fragmentsOf records the fragments that are sent in a direction.
func fragmentsOf(net *network, of direction) *[]*crdtsync.Fragment {
	var list []*crdtsync.Fragment
	net.tap = func(d direction, b []byte) {
		if f, err := wire.Decode(b); err == nil && d == of {
			if f, ok := f.(*crdtsync.Fragment); ok {
				list = append(list, f)
			}
		}
	}
	return &list
}

// interrupted returns a network over which half of a large change has come when
// the connection breaks, how much that was, and what is sent from then on.
func interrupted(t *testing.T) (net *network, have uint64, sent *[]*crdtsync.Fragment) {
	t.Helper()
	net = newNetwork(t, seeded(1), someReplicas(t, 2, "s")...)
	net.config = small
	net.connect(0, 1)
	net.settle()
	sent = fragmentsOf(net, direction{0, 1})
	net.write(0, "s", put(t, strings.Repeat("x", 1000)))
	for len(*sent) < 20 {
		net.pump()
		net.deliver()
	}
	last := (*sent)[len(*sent)-1]
	have = last.Offset + uint64(len(last.Bytes))
	*sent = nil
	net.links, net.order = make(map[direction]*crdtsync.Link), nil
	clear(net.queues)
	return net, have, sent
}

func TestFragmentsResume(t *testing.T) {
	net, have, sent := interrupted(t)
	net.connect(0, 1)
	net.wantLevel("after the connection broke", 10)
	if len(*sent) == 0 || (*sent)[0].Offset != have {
		t.Fatalf("after a connection that had brought %d bytes, the next begins with %+v", have, *sent)
	}
	for i, f := range (*sent)[1:] {
		if before := (*sent)[i]; f.Offset != before.Offset+uint64(len(before.Bytes)) {
			t.Fatalf("fragment %d at %d follows one of %d bytes at %d", i+1, f.Offset, len(before.Bytes), before.Offset)
		}
	}
}

// TestFragmentsResumeNothingElse has a receiver say how much it has of another
// change with the same dot.
func TestFragmentsResumeNothingElse(t *testing.T) {
	net, _, sent := interrupted(t)
	clear(net.replicas[1:])
	net.replicas[1] = newReplica(t, 2, "s")
	net.connect(0, 1)
	link := net.links[direction{0, 1}]
	hello := helloOf(2)
	hello.Features = crdtsync.Features()
	link.Step(hello)
	net.do(direction{0, 1}, link.Step(&crdtsync.Partial{Space: "s", Dot: merge.Dot{Origin: net.replicas[0].origin, Seq: 1}, Hash: crdtsync.Hash{1}, Offset: 100}))
	net.wantLevel("a partial of another change", 10)
	if (*sent)[0].Offset != 0 {
		t.Errorf("begins at %d with a change of which the peer has nothing", (*sent)[0].Offset)
	}
}

// TestFragmentTailIsAskedFor loses the last fragment: nothing follows it that
// would show it.
func TestFragmentTailIsAskedFor(t *testing.T) {
	net := newNetwork(t, seeded(1), someReplicas(t, 2, "s")...)
	net.config = small
	net.connect(0, 1)
	net.settle()
	sent := fragmentsOf(net, direction{0, 1})
	raw := net.write(0, "s", put(t, strings.Repeat("x", 500))).Bytes()
	for net.pump() {
	}
	q := net.queues[direction{0, 1}]
	net.queues[direction{0, 1}] = q[:len(q)-1]
	net.settle()
	whole := len(*sent)
	net.tick()
	net.tick()
	if !net.level() && net.replicas[1].Head("s", net.replicas[0].origin) != 1 {
		t.Fatalf("the change is not there two ticks after its last fragment was lost")
	}
	if again := len(*sent) - whole; again != 1 {
		t.Errorf("%d fragments of %d bytes were sent again, want the one that was lost", again, len(raw))
	}
}

// TestNoFragments has a peer that does not know fragments: a large change and
// what depends on it wait there, all else flows, and both sides say so.
func TestNoFragments(t *testing.T) {
	net := newNetwork(t, seeded(1), someReplicas(t, 3, "s", "t")...)
	net.config = without(1, crdtsync.FeatureFragment)
	a, b, c := net.replicas[0], net.replicas[1], net.replicas[2]
	c.author("s", put(t, "of a third"))
	a.pull("s", c, 1)
	large := a.author("s", put(t, strings.Repeat("x", 500)))
	a.author("s", put(t, "later"))
	a.author("t", put(t, "elsewhere"))
	net.connect(0, 1)
	for range 8 {
		net.tick()
	}
	if err := net.anyEnd(); err != nil {
		t.Fatal(err)
	}
	if got := b.Vector("s"); got.Get(c.origin) != 1 || got.Get(a.origin) != 0 || b.Vector("t").Get(a.origin) != 1 {
		t.Errorf("the peer has %v of s and %v of t", got.Sorted(), b.Vector("t").Sorted())
	}
	for _, d := range []direction{{0, 1}, {1, 0}} {
		i := slices.IndexFunc(net.refused[d], func(n crdtsync.Nack) bool { return n.Dot == large.Dot })
		if i < 0 {
			t.Fatalf("%v does not say that the change waits", d)
		}
		if n := net.refused[d][i]; n.Code != "needs_upgrade" || n.Class != crdtsync.ClassNeedsUpgrade || !strings.Contains(n.Hint, "upgrade") {
			t.Errorf("%v says %+v", d, n)
		}
	}
	net.links, net.order, net.config = make(map[direction]*crdtsync.Link), nil, small
	clear(net.queues)
	net.replicas = net.replicas[:2]
	net.connect(0, 1)
	net.wantLevel("after the upgrade", 10)
}

// fragment returns a fragment of a change that is nobody's.
func fragment(n int, seq uint64, size, offset int, b []byte) *crdtsync.Fragment {
	return &crdtsync.Fragment{Space: "s", Dot: dotOf(n, seq), Size: uint64(size), Hash: crdtsync.Hash{byte(seq), byte(seq >> 8)}, Offset: uint64(offset), Bytes: b}
}

// linkKnowing returns a link to a peer that knows all features.
func linkKnowing(t *testing.T) (*crdtsync.Link, *replica) {
	t.Helper()
	r := newReplica(t, 1, "s")
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: r.origin, MaxSilence: 1 << 20}, r)
	hello := helloOf(2)
	hello.Features = crdtsync.Features()
	l.Step(hello)
	return l, r
}

// TestHostileFragments sends fragments that make no change: what they cost stays
// bounded, and a lie about a hash ends the link.
func TestHostileFragments(t *testing.T) {
	chunk := make([]byte, 64<<10)
	t.Run("many dots", func(t *testing.T) {
		l, r := linkKnowing(t)
		for seq := range uint64(5000) {
			if got := l.Step(fragment(3, seq+1, crdtsync.MaxChange, 0, chunk)); got.Err != nil {
				t.Fatal(got.Err)
			}
			if r.parts.Len() > 4 || r.parts.Bytes() > 4*len(chunk) {
				t.Fatalf("after %d changes %d are kept, of %d bytes", seq+1, r.parts.Len(), r.parts.Bytes())
			}
		}
	})
	t.Run("never complete", func(t *testing.T) {
		l, r := linkKnowing(t)
		for range 3 {
			for seq := range uint64(6) {
				for at := 0; at+2*len(chunk) <= crdtsync.MaxChange; at += len(chunk) {
					l.Step(fragment(3, seq+1, crdtsync.MaxChange, at, chunk))
				}
			}
		}
		if limit := 4 * crdtsync.MaxChange; r.parts.Bytes() > limit {
			t.Errorf("%d bytes are kept, the limit is %d", r.parts.Bytes(), limit)
		}
	})
	t.Run("lying offsets", func(t *testing.T) {
		l, r := linkKnowing(t)
		for _, at := range []int{70_000, 1, 0, 0, 10, 65_535, 0} {
			if got := l.Step(fragment(3, 1, 200_000, at, chunk)); got.Err != nil || len(got.Offer) > 0 {
				t.Fatalf("at %d: %+v", at, got)
			}
		}
		if r.parts.Bytes() > len(chunk) {
			t.Errorf("overlapping fragments take %d bytes", r.parts.Bytes())
		}
		if got := l.Step(fragment(3, 2, 10, 0, chunk)); got.Err != nil || len(got.Offer) > 0 {
			t.Errorf("beyond its size: %+v", got)
		}
	})
	t.Run("another hash", func(t *testing.T) {
		l, r := linkKnowing(t)
		wantGoodbye(t, "another hash", l.Step(fragment(3, 1, 4, 0, []byte("lies"))), "protocol")
		if r.parts.Len() != 0 {
			t.Error("the lie is kept")
		}
	})
	t.Run("another dot", func(t *testing.T) {
		l, _ := linkKnowing(t)
		c := newReplica(t, 3, "s").author("s", put(t, 1))
		f := fragment(4, 1, len(c.Bytes()), 0, c.Bytes())
		f.Hash = sha256.Sum256(c.Bytes())
		wantGoodbye(t, "another dot", l.Step(f), "protocol")
	})
	t.Run("no change", func(t *testing.T) {
		l, _ := linkKnowing(t)
		f := fragment(4, 1, 4, 0, []byte("lies"))
		f.Hash = sha256.Sum256(f.Bytes)
		wantGoodbye(t, "no change", l.Step(f), "protocol")
	})
}

// TestPartialsLetNobodyStarve fills the memory of a node over many links, and
// then has an honest peer send a change.
func TestPartialsLetNobodyStarve(t *testing.T) {
	honest := newNetwork(t, seeded(1), someReplicas(t, 2, "s")...)
	honest.config = small
	victim := honest.replicas[1]
	chunk := make([]byte, 240<<10)
	for peer := range 20 {
		l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: victim.origin}, victim)
		hello := helloOf(100 + peer)
		hello.Features = crdtsync.Features()
		l.Step(hello)
		for at := 0; at+len(chunk) < crdtsync.MaxChange; at += len(chunk) {
			l.Step(fragment(3, 1, crdtsync.MaxChange, at, chunk))
		}
	}
	if got, limit := victim.parts.Bytes(), 4*crdtsync.MaxChange; got > limit || got < limit/2 {
		t.Errorf("%d bytes are kept, the limit is %d", got, limit)
	}
	honest.write(0, "s", put(t, strings.Repeat("x", 3000)))
	honest.connect(0, 1)
	honest.wantLevel("after the others", 20)
}

// TestFragmentsOfAMixedChange resumes a change of which a liar sent the beginning
// under the same origin: it comes anew, and nobody is blamed.
func TestFragmentsOfAMixedChange(t *testing.T) {
	net := newNetwork(t, seeded(1), someReplicas(t, 2, "s")...)
	net.config = func(at int, cfg *crdtsync.LinkConfig) {
		small(at, cfg)
		cfg.Nonce[0] = 1
	}
	c := net.replicas[0].author("s", put(t, strings.Repeat("x", 500)))
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: net.replicas[1].origin, Nonce: crdtsync.Nonce{2}}, net.replicas[1])
	hello := helloOf(1)
	hello.Features = crdtsync.Features()
	l.Step(hello)
	f := fragment(1, 1, len(c.Bytes()), 0, []byte("lies"))
	f.Hash = c.Hash()
	l.Step(f)
	net.connect(0, 1)
	net.wantLevel("after a liar", 10)
}

// TestFragmentCredit gives a reader of fragments no credit: the sender stops at
// the limit, whatever the change's size.
func TestFragmentCredit(t *testing.T) {
	a := newReplica(t, 1, "s")
	a.author("s", bigPut(6<<20))
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: a.origin}, a)
	hello := helloOf(2)
	hello.Features = crdtsync.Features()
	l.Step(hello)
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	got := drain(t, l)
	if got < crdtsync.WindowBytes || got > crdtsync.WindowBytes+64<<10 {
		t.Errorf("%d bytes were sent without credit, the window is %d", got, crdtsync.WindowBytes)
	}
	l.Step(&crdtsync.Credit{Space: "s", Changes: 4096, Bytes: 5 << 20})
	if more := drain(t, l); got+more < 5<<20 || got+more > 5<<20+64<<10 {
		t.Errorf("%d bytes were sent with credit for %d", got+more, 5<<20)
	}
}

// drain takes all data frames and returns the bytes of the fragments in them.
func drain(t *testing.T, l *crdtsync.Link) (bytes int) {
	t.Helper()
	for {
		f, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			return bytes
		}
		bytes += len(f.(*crdtsync.Fragment).Bytes)
	}
}

// TestLongVectors has two replicas meet that have heard of more origins than one
// frame can name, each of some that the other has not.
func TestLongVectors(t *testing.T) {
	const origins, mine = 20_000, 50
	for name, features := range map[string][]string{"in pieces": nil, "a peer without": {crdtsync.FeatureCredit}} {
		t.Run(name, func(t *testing.T) {
			net := newNetwork(t, rand.New(rand.NewPCG(1, 1)), someReplicas(t, 2, "s")...)
			net.config = func(at int, cfg *crdtsync.LinkConfig) {
				if at == 1 {
					cfg.Features = features
				}
			}
			all := changesOf(t, origins)
			net.replicas[0].offer("s", all[mine:]...)
			net.replicas[1].offer("s", all[:origins-mine]...)
			net.connect(0, 1)
			net.wantLevel(name, 8)
			if (net.pieces > 0) != (features == nil) {
				t.Errorf("%d frames went in pieces", net.pieces)
			}
		})
	}
}

// changesOf returns the first change of each of n origins.
func changesOf(t *testing.T, n int) (list []*crdtsync.Change) {
	t.Helper()
	for i := range n {
		c, err := crdtsync.NewChange(dotOf(1000+i, 1), 1, crdtsync.Hash{}, nil, []crdtsync.CellOp{put(t, i)})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// TestAuditRepairsLargeCells damages a cell that no frame holds, at a replica
// whose log cannot tell what it was: the peer's comes in pieces.
func TestAuditRepairsLargeCells(t *testing.T) {
	net := newNetwork(t, seeded(1), someReplicas(t, 2, "notes")...)
	net.connect(0, 1)
	net.settle()
	net.write(0, "notes", bigPut(1<<20))
	net.wantLevel("before the damage", 10)
	victim := net.replicas[1].space("notes")
	want := maps.Clone(victim.cells)
	for key, state := range victim.cells {
		victim.cells[key] = append(slices.Clone(state[:len(state)-1]), state[len(state)-1]^1)
	}
	clear(victim.at)
	net.damaged = true
	net.do(direction{0, 1}, net.links[direction{0, 1}].Audit("notes"))
	for range 10 {
		net.tick()
	}
	if !maps.EqualFunc(victim.cells, want, slices.Equal) {
		t.Error("the cell is still damaged")
	}
	if net.pieces == 0 {
		t.Error("no frame went in pieces")
	}
}
