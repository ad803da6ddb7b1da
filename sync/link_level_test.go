package sync_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// levelNode is a node that has one space, of which only the heads matter.
type levelNode struct{ heads []merge.Dot }

func (*levelNode) Spaces() []string                         { return []string{"s"} }
func (n *levelNode) Vector(string) *merge.VersionVector     { return merge.VectorOf(n.heads...) }
func (*levelNode) Change(string, merge.Dot) ([]byte, error) { return nil, errNoLog }

func (n *levelNode) Head(_ string, o merge.Origin) uint64 { return n.Vector("s").Get(o) }

func (n *levelNode) Last(_ string, o merge.Origin) crdtsync.Head {
	return crdtsync.Head{Seq: n.Head("s", o)}
}

func (n *levelNode) Summary(string) (s crdtsync.Summary) {
	for _, d := range n.heads {
		s.Changes += d.Seq
	}
	s.Applied = crdtsync.Fingerprint{s.Changes}
	return s
}

var errNoLog = errors.New("no log")

// pair is two linked nodes.
type pair struct {
	a, b         *crdtsync.Link
	nodeA, nodeB *levelNode
}

func newPair(heads ...merge.Dot) *pair {
	p := &pair{nodeA: &levelNode{heads}, nodeB: &levelNode{heads}}
	p.a = crdtsync.NewLink(crdtsync.LinkConfig{Origin: merge.Origin{1}}, p.nodeA)
	p.b = crdtsync.NewLink(crdtsync.LinkConfig{Origin: merge.Origin{2}}, p.nodeB)
	return p
}

// exchange delivers frames and what they are answered with, except those to b
// that lose picks.
func (p *pair) exchange(toA, toB []crdtsync.Frame, lose func(crdtsync.Frame) bool) {
	for len(toA)+len(toB) > 0 {
		var nextA, nextB []crdtsync.Frame
		for _, f := range toA {
			nextB = append(nextB, p.a.Step(f).Send...)
		}
		for _, f := range toB {
			if !lose(f) {
				nextA = append(nextA, p.b.Step(f).Send...)
			}
		}
		toA, toB = nextA, nextB
	}
}

func nothing(crdtsync.Frame) bool { return false }

func isFrontier(f crdtsync.Frame) bool {
	_, ok := f.(*crdtsync.Frontier)
	return ok
}

func level(l *crdtsync.Link) bool {
	r := l.Report()
	return len(r) == 1 && r[0].Level && r[0].Missing == 0
}

func missing(t *testing.T, l *crdtsync.Link) uint64 {
	t.Helper()
	r := l.Report()
	if len(r) != 1 {
		t.Fatalf("Report has %d spaces, want 1", len(r))
	}
	return r[0].Missing
}

func TestFrontierAcknowledges(t *testing.T) {
	p := newPair()
	p.exchange(p.b.Start(), p.a.Start(), nothing)
	heads := []merge.Dot{{Origin: merge.Origin{3}, Seq: 5}}
	p.nodeA.heads, p.nodeB.heads = heads, heads // b got them from somebody else
	p.exchange(p.b.Tick().Send, p.a.Tick().Send, nothing)
	if !level(p.a) || !level(p.b) {
		t.Errorf("reports = %+v and %+v, want level and nothing missing", p.a.Report(), p.b.Report())
	}
	p.nodeA.heads = []merge.Dot{{Origin: merge.Origin{3}, Seq: 6}}
	if got := missing(t, p.a); got != 1 {
		t.Errorf("after one more change %d are missing, want 1", got)
	}
}

func TestNothingIsMissingWhenLevel(t *testing.T) {
	p := newPair()
	p.exchange(p.b.Start(), p.a.Start(), nothing)
	heads := []merge.Dot{{Origin: merge.Origin{3}, Seq: 5}}
	p.nodeB.heads = heads
	p.exchange(p.b.Tick().Send, nil, nothing)
	p.nodeA.heads = heads // catches up after it heard of b's
	if !level(p.a) {
		t.Errorf("report = %+v, want level and nothing missing", p.a.Report())
	}
}

func TestFrontierBeforeTheLastChanges(t *testing.T) {
	p := newPair()
	p.exchange(p.b.Start(), p.a.Start(), nothing)
	heads := []merge.Dot{{Origin: merge.Origin{2}, Seq: 5}}
	p.nodeB.heads = heads
	p.exchange(p.b.Tick().Send, nil, nothing)
	p.nodeA.heads = heads // and b, which hears so, has nothing to add
	want := crdtsync.Meeting{Space: "s", Cursor: crdtsync.Cursor{Position: 5, Print: 5}, Sure: true}
	if got := p.a.Tick().Meetings; !slices.Equal(got, []crdtsync.Meeting{want}) {
		t.Errorf("a meets b at %v, want %v", got, want)
	}
	if got := p.a.Tick().Meetings; len(got) > 0 {
		t.Errorf("a meets b there again: %v", got)
	}
}

func TestLostFrontierIsRepeated(t *testing.T) {
	for _, heads := range [][]merge.Dot{nil, {{Origin: merge.Origin{3}, Seq: 5}}} {
		p := newPair(heads...)
		p.exchange(p.b.Start(), p.a.Start(), nothing)
		p.exchange(p.b.Tick().Send, p.a.Tick().Send, isFrontier)
		if level(p.b) {
			t.Fatal("a link is level although it never heard a frontier")
		}
		const ticks = 8
		for range ticks {
			p.exchange(p.b.Tick().Send, p.a.Tick().Send, nothing)
		}
		if !level(p.b) {
			t.Errorf("with %d heads, %d ticks after a lost frontier the report is %+v, want level", len(heads), ticks, p.b.Report())
		}
	}
}
