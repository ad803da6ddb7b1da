package sync_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// chained is a replica that can tell who has forked.
type chained struct {
	*replica
	forgets func(merge.Dot) bool // whose hash is not known any more, may be nil
	splits  []crdtsync.Split
	ended   map[merge.Origin]uint64
}

func (c *chained) HashOf(space string, d merge.Dot) (crdtsync.Hash, bool) {
	change, ok := c.space(space).at[d]
	if !ok || c.forgets != nil && c.forgets(d) {
		return crdtsync.Hash{}, false
	}
	return change.Hash(), true
}

func (c *chained) Chains(space string) (known []crdtsync.Known) {
	for _, d := range c.Vector(space).Sorted() {
		known = append(known, crdtsync.Known{Dot: d, Hash: c.Last(space, d.Origin).Hash})
	}
	return known
}

func (c *chained) Severed(_ string, o merge.Origin) uint64 { return c.ended[o] }
func (c *chained) Splits(string) []crdtsync.Split          { return c.splits }

// A forkPair is two links of nodes that may hold different branches, and what came
// of what they said.
type forkPair struct {
	t      *testing.T
	locals [2]*chained
	links  [2]*crdtsync.Link
	bytes  int
	frames map[wire.Type]int
	splits []crdtsync.Split
	forks  [2][]crdtsync.Fork
	staged [2]int
	loses  int // of the next FORKED frames
}

// pairUp connects two nodes. own says which of them mends its origin 1.
func pairUp(t *testing.T, a, b *replica, mends func(side int, o merge.Origin) bool) *forkPair {
	t.Helper()
	p := &forkPair{t: t, frames: make(map[wire.Type]int)}
	for i, r := range []*replica{a, b} {
		p.locals[i] = &chained{replica: r, ended: make(map[merge.Origin]uint64)}
		p.links[i] = crdtsync.NewLink(crdtsync.LinkConfig{
			Origin: r.origin, MaxSilence: 1 << 20,
			Mends: func(_ string, o merge.Origin) bool { return mends(i, o) },
		}, p.locals[i])
	}
	for i, l := range p.links {
		p.carry(i, l.Start())
	}
	return p
}

// carry brings frames to the other side, and what they cause back.
func (p *forkPair) carry(from int, frames []crdtsync.Frame) {
	p.t.Helper()
	for _, f := range frames {
		b, err := wire.Append(nil, f)
		if err != nil {
			p.t.Fatal(err)
		}
		p.bytes += len(b)
		p.frames[wire.Type(b[0])]++
		if _, ok := f.(*crdtsync.Forked); ok && p.loses > 0 {
			p.loses--
			continue
		}
		p.do(1-from, p.links[1-from].Step(f))
	}
}

func (p *forkPair) do(side int, r crdtsync.Ready) {
	p.t.Helper()
	p.splits = append(p.splits, r.Splits...)
	p.forks[side] = append(p.forks[side], r.Forks...)
	p.staged[side] += len(r.Staged)
	p.carry(side, r.Send)
	if len(r.Offer) == 0 {
		return
	}
	var changes []*crdtsync.Change
	for _, o := range r.Offer {
		changes = append(changes, o.Change)
	}
	heads, refused := p.locals[side].offer("s", changes...)
	p.do(side, p.links[side].Done("s", heads, refused))
	p.do(side, p.links[side].Moved("s", heads))
}

// beat lets both send what they have, and tick.
func (p *forkPair) beat(times int) {
	p.t.Helper()
	for range times {
		for i, l := range p.links {
			for {
				f, err := l.Next()
				if err != nil {
					p.t.Fatal(err)
				}
				if f == nil {
					break
				}
				p.carry(i, []crdtsync.Frame{f})
			}
			p.do(i, l.Tick())
		}
	}
}

func never(int, merge.Origin) bool { return false }

// TestSilentForkIsLocated lets two nodes with equal numbers find the first dot that
// names two changes, for a few frames however long the chain, and prove it.
func TestSilentForkIsLocated(t *testing.T) {
	for _, common := range []int{0, 1, 17, 300} {
		f := newFork(t, seeded(uint64(common)), 0, 0, 0)
		f.at.Seq = uint64(common) + 1
		for i := range common {
			op := put(t, i)
			f.x.author("s", op)
			f.y.author("s", op)
		}
		for i := range 3 {
			f.x.author("s", put(t, fmt.Sprint("x", i)))
			f.y.author("s", put(t, fmt.Sprint("y", i)))
		}
		f.b.pull("s", f.x, 1000)
		f.c.pull("s", f.y, 1000)
		p := pairUp(t, f.b, f.c, never)
		for range 12 {
			if p.beat(1); len(p.splits) > 0 {
				break
			}
		}
		if len(p.splits) == 0 || p.splits[0].Dot != f.at {
			t.Errorf("common %d: splits %v, want one at %v", common, p.splits, f.at)
		}
		if asks := p.frames[wire.TypeAsk]; asks > 6 {
			t.Errorf("common %d: %d questions", common, asks)
		}
		t.Logf("common %d: %d bytes in all, %v", common, p.bytes, p.frames)
	}
}

// TestNothingIsSaidOfForksWithoutOne bounds what level nodes say: a print with each
// frontier, and nothing when nothing moves.
func TestNothingIsSaidOfForksWithoutOne(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	a.author("s", put(t, 1))
	p := pairUp(t, a, b, never)
	p.beat(6)
	said := p.frames[wire.TypeChains]
	if said == 0 || said != p.frames[wire.TypeFrontier] {
		t.Errorf("%d prints beside %d frontiers", said, p.frames[wire.TypeFrontier])
	}
	before := p.bytes
	p.beat(1)
	if got := p.bytes - before; p.frames[wire.TypeChains] != said || got > 40 {
		t.Errorf("two level nodes say %d bytes at a tick, want at most pings", got)
	}
	for _, typ := range []wire.Type{wire.TypeHeads, wire.TypeAsk, wire.TypeForked} {
		if p.frames[typ] != 0 {
			t.Errorf("%v was said", typ)
		}
	}
	b2, err := wire.Append(nil, &crdtsync.Chains{Space: "s"})
	if err != nil || len(b2) != 24 {
		t.Errorf("CHAINS has %d bytes, %v", len(b2), err)
	}
}

// TestForksAreTold has one side know of a fork, and the other hold neither branch,
// or one. What was lost of it is told again.
func TestForksAreTold(t *testing.T) {
	for holds := range 2 {
		f := newFork(t, seeded(3), 2, 2, 2)
		split, ok := crdtsync.NewSplit("s", f.x.space("s").at[f.at].Bytes(), f.y.space("s").at[f.at].Bytes())
		if !ok {
			t.Fatal("no split")
		}
		knows, other := newReplica(t, 4, "s"), newReplica(t, 5, "s")
		knows.author("s", put(t, "news"))
		if holds == 1 {
			other.pull("s", f.x, 100)
		}
		other.author("s", put(t, "so that the two are not level for a while"))
		p := pairUp(t, knows, other, never)
		p.locals[0].splits, p.locals[0].ended[f.at.Origin] = []crdtsync.Split{split}, f.at.Seq
		p.loses = 2
		p.locals[1].limit = 1 // it refuses what it is sent
		p.beat(6)
		if len(p.splits) == 0 || p.splits[0].Dot != f.at || !slices.EqualFunc(p.splits[0].Changes[:], split.Changes[:], slices.Equal) {
			t.Errorf("holding %d: splits %v, want that at %v", holds, p.splits, f.at)
		}
	}
}

// TestOwnForkIsSearchedBeforeMore has a node whose peer has more of its origin than
// itself: it learns how much of what it wrote the peer has.
func TestOwnForkIsSearchedBeforeMore(t *testing.T) {
	for _, test := range []struct{ common, lost, own int }{{5, 3, 1}, {5, 9, 2}, {40, 9, 7}, {5, 3, 0}} {
		f := newFork(t, seeded(1), 0, 0, 0)
		for i := range test.common {
			f.x.author("s", put(t, i))
			f.y.author("s", put(t, i))
		}
		for i := range test.lost {
			f.y.author("s", put(t, fmt.Sprint("lost ", i)))
		}
		for i := range test.own {
			f.x.author("s", put(t, fmt.Sprint("own ", i)))
		}
		f.c.pull("s", f.y, 1000)
		p := pairUp(t, f.x, f.c, func(side int, o merge.Origin) bool { return side == 0 })
		p.beat(3)
		if len(p.forks[0]) == 0 || p.forks[0][0] != (crdtsync.Fork{Space: "s", Origin: f.x.origin, Common: uint64(test.common)}) {
			t.Errorf("%+v: forks %+v, want %d in common", test, p.forks[0], test.common)
		}
	}
}

// TestSnapshotWaitsForOwnFork has the snapshot of a peer, in which the own origin
// goes on, come before anything that the peer knows of it: it is not merged until
// the two have compared.
func TestSnapshotWaitsForOwnFork(t *testing.T) {
	f := newFork(t, seeded(1), 0, 0, 0)
	f.x.author("s", put(t, "own"))
	f.y.author("s", put(t, "lost"))
	f.y.author("s", put(t, "more"))
	x := &chained{replica: f.x}
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: f.x.origin, Mends: func(string, merge.Origin) bool { return true }}, x)
	hello := helloOf(9)
	hello.Features = crdtsync.Features()
	l.Step(hello)
	v := f.y.Vector("s")
	head := f.y.Last("s", f.y.origin)
	l.Step(&crdtsync.SnapshotBegin{Space: "s", Number: 1, Step: crdtsync.SnapshotWhole, Vector: v})
	l.Step(&crdtsync.SnapshotChunk{Space: "s", Number: 1, Heads: []crdtsync.OriginHead{{Origin: f.y.origin, Head: head}}})
	r := l.Step(&crdtsync.SnapshotEnd{Space: "s", Number: 1, Chunks: 1})
	asks := find[*crdtsync.Ask](r.Send)
	if len(r.Staged) != 0 || len(asks) != 1 {
		t.Fatalf("staged %v, said %v; want a question first", r.Staged, r.Send)
	}
	if r := l.Tick(); len(r.Staged) != 0 {
		t.Fatalf("staged %v before the answer", r.Staged)
	}
	r = l.Step(&crdtsync.Heads{Space: "s", N: asks[0].N, Known: []crdtsync.Known{{Dot: dotOf(1, 1), Hash: f.y.space("s").at[dotOf(1, 1)].Hash()}}})
	if len(r.Forks) != 1 || r.Forks[0].Common != 0 {
		t.Errorf("forks %+v, want one that nothing is common before", r.Forks)
	}
}

// TestOthersGoOnWithAFormerOrigin has changes of a former origin come while a link
// looks whether its peer has what this node wrote under it: there is nothing left
// to take back, and the link must not go on waiting for that.
func TestOthersGoOnWithAFormerOrigin(t *testing.T) {
	author := newReplica(t, 1, "s")
	changes := chain(t, author, 2)
	x := &chained{replica: newReplica(t, 3, "s")}
	x.offer("s", changes[0])
	mends := func(_ string, o merge.Origin) bool { return o == x.origin || x.Head("s", o) == 1 }
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: x.origin, Former: []merge.Origin{author.origin}, Mends: mends}, x)
	hello := helloOf(9)
	hello.Features = crdtsync.Features()
	l.Step(hello)
	known := crdtsync.Known{Dot: changes[1].Dot, Hash: changes[1].Hash()}
	r := l.Step(&crdtsync.Subscribe{Space: "s", Vector: author.Vector("s"), Known: []crdtsync.Known{known}})
	asks := find[*crdtsync.Ask](r.Send)
	if len(asks) != 1 {
		t.Fatalf("said %v, want a question", r.Send)
	}
	x.offer("s", changes[1])
	known = crdtsync.Known{Dot: changes[0].Dot, Hash: changes[0].Hash()}
	if r := l.Step(&crdtsync.Heads{Space: "s", N: asks[0].N, Known: []crdtsync.Known{known}}); len(r.Forks) != 0 {
		t.Errorf("forks %+v, want none", r.Forks)
	}
	own := x.author("s", put(t, "own"))
	l.Moved("s", []merge.Dot{own.Dot})
	if f, err := l.Next(); f == nil || err != nil {
		t.Errorf("Next = %v, %v; want the change that was made since", f, err)
	}
}

// FuzzForkFrames has a peer say anything of forks. Nothing falls over, what is said
// back is bounded, and only what two changes prove is believed.
func FuzzForkFrames(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{2, 1, 1, 1, 2, 3, 1, 1, 2, 2, 3, 3, 0, 0, 1, 4, 4, 4})
	f.Add([]byte{3, 0, 3, 1, 3, 2, 3, 3, 4, 0, 4, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		fork := newFork(t, seeded(5), 3, 2, 2)
		other := &chained{replica: fork.b, ended: make(map[merge.Origin]uint64)}
		l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: fork.b.origin, MaxSilence: 1 << 20}, other)
		hello := helloOf(9)
		hello.Features = crdtsync.Features()
		l.Step(hello)
		next := func() (b byte) {
			if len(script) > 0 {
				b, script = script[0], script[1:]
			}
			return b
		}
		log := fork.y.space("s").log
		for len(script) > 0 {
			d := merge.Dot{Origin: originOf(int(next()) % 4), Seq: uint64(next())%8 + 1}
			known := []crdtsync.Known{{Dot: d, Hash: crdtsync.Hash{next()}}}
			var frame crdtsync.Frame
			switch next() % 7 {
			case 0:
				frame = &crdtsync.Chains{Space: "s", Print: crdtsync.ChainPrint{next()}}
			case 1:
				frame = &crdtsync.Heads{Space: "s", N: uint64(next() % 4), Known: known}
			case 2:
				frame = &crdtsync.Ask{Space: "s", N: 1, Dots: []merge.Dot{d}}
			case 3:
				frame = &crdtsync.Forked{Space: "s", Change: log[int(next())%len(log)].Bytes()}
			case 4:
				frame = &crdtsync.Forked{Space: "s", Change: []byte{next(), next()}}
			case 5:
				frame = &crdtsync.Changes{Space: "s", Changes: [][]byte{slices.Clone(log[int(next())%len(log)].Bytes())}}
			case 6:
				mine := fork.b.Summary("s")
				frame = &crdtsync.Frontier{Space: "s", Applied: mine.Applied, Cells: mine.Cells, Changes: mine.Changes}
			}
			for _, r := range []crdtsync.Ready{l.Step(frame), l.Done("s", nil, []error{&crdtsync.RefusedError{Dot: d, Kind: crdtsync.ErrForked}}), l.Tick()} {
				if len(r.Send) > 16 {
					t.Fatalf("%d frames are said to %T", len(r.Send), frame)
				}
				for _, s := range r.Splits {
					if _, ok := crdtsync.NewSplit(s.Space, s.Changes[0], s.Changes[1]); !ok {
						t.Fatalf("a fork is believed that nothing proves: %v", s)
					}
				}
			}
		}
	})
}

// TestLongProofIsNotTold has a proof that fits into a frame, one that fits into a
// long one, and one that fits into none.
func TestLongProofIsNotTold(t *testing.T) {
	for _, c := range []struct {
		size   int
		pieces bool
		told   int
	}{
		{crdtsync.MaxWhole, false, 2},
		{crdtsync.MaxWhole + 1, false, 0},
		{crdtsync.MaxWhole + 1, true, 2},
		{crdtsync.MaxLong, true, 0},
	} {
		local := &chained{replica: newReplica(t, 1, "s"), ended: make(map[merge.Origin]uint64)}
		local.splits = []crdtsync.Split{{Space: "s", Changes: [2][]byte{make([]byte, c.size), make([]byte, 10)}}}
		l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: local.origin}, local)
		hello := helloOf(2)
		hello.Features = slices.DeleteFunc(crdtsync.Features(), func(f string) bool { return f == crdtsync.FeaturePiece && !c.pieces })
		l.Step(hello)
		l.Step(&crdtsync.Welcome{Version: crdtsync.Version})
		l.Step(&crdtsync.Subscribed{Space: "s"})
		l.Step(&crdtsync.Frontier{Space: "s", Changes: 1, Applied: crdtsync.Fingerprint{1}})
		told := find[*crdtsync.Forked](l.Tick().Send)
		if len(told) != c.told {
			t.Errorf("%d bytes, pieces %v: %d frames, want %d", c.size, c.pieces, len(told), c.told)
		}
		for _, f := range told {
			if b, err := wire.AppendLong(nil, f); err != nil {
				t.Errorf("%d bytes do not fit into a frame of %d: %v", c.size, len(b), err)
			}
		}
	}
}
