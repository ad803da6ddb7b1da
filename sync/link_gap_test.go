package sync_test

import (
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// asks runs ticks of a link to a peer that answers, and sends one change of each
// origin before every tick, and returns the ticks at which the link asked again.
// When d was sent, the changes of its origin are applied up to head of d.
func asks(t *testing.T, ticks int, head func(d merge.Dot) uint64, origins ...merge.Origin) (at []int) {
	t.Helper()
	p := newPair()
	p.exchange(p.b.Start(), p.a.Start(), nothing)
	heads := &merge.VersionVector{}
	for tick := range ticks {
		p.a.Step(&crdtsync.Frontier{Space: "s", Changes: 1 << 40, Applied: crdtsync.Fingerprint{1}})
		for _, o := range origins {
			d := merge.Dot{Origin: o, Seq: uint64(tick + 2)}
			if seq := head(d); seq > 0 {
				heads.Raise(merge.Dot{Origin: o, Seq: seq})
			}
			p.a.Step(&crdtsync.Changes{Space: "s", Changes: [][]byte{encoded(t, d)}})
		}
		p.nodeA.heads = heads.Sorted()
		p.a.Done("s", p.nodeA.heads, nil)
		for _, f := range p.a.Tick().Send {
			if _, ok := f.(*crdtsync.Subscribe); ok {
				at = append(at, tick)
				p.a.Step(&crdtsync.Subscribed{Space: "s"})
			}
		}
	}
	return at
}

func encoded(t *testing.T, d merge.Dot) []byte {
	t.Helper()
	op := crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "k", Kind: "gset", Element: "\x61x"}, Op: crdt.Op{Put: true}}
	c, err := crdtsync.NewChange(d, hlc.Timestamp(d.Seq), crdtsync.Hash{}, nil, []crdtsync.CellOp{op})
	if err != nil {
		t.Fatal(err)
	}
	return c.Bytes()
}

var (
	flowing = merge.Origin{7}
	held    = merge.Origin{8}
)

func notHeld(d merge.Dot) uint64 {
	if d.Origin == held {
		return 0
	}
	return d.Seq
}

// TestGapIsAskedForWhileOthersFlow: the first change of one origin was lost, and
// the peer never falls silent.
func TestGapIsAskedForWhileOthersFlow(t *testing.T) {
	const ticks = 100
	at := asks(t, ticks, notHeld, flowing, held)
	if len(at) == 0 || at[0] > 3 {
		t.Errorf("asked again at ticks %v, want the first within 3", at)
	}
	if len(at) > 8 {
		t.Errorf("asked again at ticks %v, want pauses that double", at)
	}
}

// TestGapThatMovesIsAskedForAgain: what was asked for came, and after it something
// else was lost.
func TestGapThatMovesIsAskedForAgain(t *testing.T) {
	const moves = 40
	head := func(d merge.Dot) uint64 {
		if d.Seq < moves {
			return 0
		}
		return moves / 2
	}
	at := asks(t, 2*moves, head, held)
	if i := slices.IndexFunc(at, func(tick int) bool { return tick+2 >= moves }); i < 0 || at[i]+2 > moves+1 || at[i+1] > at[i]+2 {
		t.Errorf("asked again at ticks %v, want it at once when the gap moves, at %d, and soon after", at, moves-2)
	}
}

// TestGapThatStaysIsNotAskedForAtEveryTick: other gaps close beside it, which says
// nothing of what is refused each time.
func TestGapThatStaysIsNotAskedForAtEveryTick(t *testing.T) {
	late := func(d merge.Dot) uint64 { return notHeld(d) - min(notHeld(d), 1) } // by a tick
	if at := asks(t, 100, late, flowing, held); len(at) > 8 {
		t.Errorf("asked again at ticks %v, want pauses that double", at)
	}
}

// TestFlowIsNotAskedFor: nothing is missing that the peer has shown.
func TestFlowIsNotAskedFor(t *testing.T) {
	const ticks = 130
	at := asks(t, ticks, notHeld, flowing)
	if len(at) == 0 {
		t.Errorf("in %d ticks the link never asked, want it now and then", ticks)
	}
	if len(at) > 2 {
		t.Errorf("asked again at ticks %v although everything flows, want 2 at most", at)
	}
}

// TestLostRequestIsRepeated: the pauses double between requests that the peer
// hears and has nothing for, and not while they get lost.
func TestLostRequestIsRepeated(t *testing.T) {
	p := newPair()
	p.exchange(p.b.Start(), p.a.Start(), nothing)
	p.a.Step(&crdtsync.Frontier{Space: "s", Changes: 1, Applied: crdtsync.Fingerprint{1}})
	heard := func(tick int) bool { return tick < 20 || tick >= 60 }
	var pauses []int
	last := 0
	for tick := range 100 {
		p.a.Step(&crdtsync.Pong{N: uint64(tick)})
		for _, f := range p.a.Tick().Send {
			if _, ok := f.(*crdtsync.Subscribe); !ok {
				continue
			}
			pauses, last = append(pauses, tick-last), tick
			if heard(tick) {
				p.a.Step(&crdtsync.Subscribed{Space: "s"})
			}
		}
	}
	want := slices.Concat([]int{1, 4, 8, 16}, slices.Repeat([]int{2}, 16), []int{32})
	if !slices.Equal(pauses, want) {
		t.Errorf("ticks between the requests %v, want %v", pauses, want)
	}
}

// gappy is a node where something else is missing each time it is asked.
type gappy struct {
	*replica
	asked uint64
}

// Missing implements [crdtsync.Gapper].
func (g *gappy) Missing(string, int) []merge.Dot {
	g.asked++
	return []merge.Dot{{Origin: flowing, Seq: 10 * g.asked}}
}

// TestNeedDoesNotStandForSubscribe: what waits shows only part of what is missing,
// for example not what there was no room for. A link that went on asking for that
// part alone would never ask for the rest.
func TestNeedDoesNotStandForSubscribe(t *testing.T) {
	local := &gappy{replica: newReplica(t, 1, "s")}
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: local.origin}, local)
	hello := helloOf(2)
	hello.Features = crdtsync.Features()
	l.Step(hello)
	l.Step(&crdtsync.Welcome{Version: crdtsync.Version})
	l.Step(&crdtsync.Subscribed{Space: "s"})
	needs, questions := 0, 0
	for range 20 {
		l.Step(&crdtsync.Frontier{Space: "s", Changes: 1 << 40, Applied: crdtsync.Fingerprint{1}})
		r := l.Tick()
		needs += len(find[*crdtsync.Need](r.Send))
		questions += len(find[*crdtsync.Subscribe](r.Send))
		l.Step(&crdtsync.Subscribed{Space: "s"})
	}
	if needs != 1 || questions < 2 {
		t.Errorf("%d NEED and %d SUBSCRIBE in 20 ticks, want one NEED and then to ask for everything", needs, questions)
	}
}
