package sync_test

import (
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestAsManyIsNotTheSame lets a peer acknowledge a change when it has as many as the
// node, which are others: a cut to resume from perhaps, and no account of what is
// durable there.
func TestAsManyIsNotTheSame(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	own := chain(t, r, 2)
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	ack := &crdtsync.Ack{Space: "s", Heads: []merge.Dot{own[0].Dot}, Position: 2}
	ready := l.Step(ack)
	if len(ready.Meetings) != 1 || ready.Meetings[0].Sure {
		t.Fatalf("meetings %+v, want one that is not sure", ready.Meetings)
	}
	roster := crdtsync.NewRoster(r.origin)
	peer := originOf(2)
	cut := func(crdtsync.Cursor) *merge.VersionVector { return r.Vector("s") }
	roster.Note(peer, ack, cut)
	roster.Met(peer, ready.Meetings[0].Cursor, false)
	roster.Heard(peer, "peer", true, 100)
	c := &crdtsync.Census{Members: roster.Members(), Now: 100, Lease: 1000, Cut: cut}
	if got := c.Reach(r.Vector("s"), true); got != (crdtsync.Reach{Local: true}) {
		t.Errorf("reach %+v, want only this node", got)
	}
	if got := c.Reach(merge.VectorOf(own[0].Dot), true); got != (crdtsync.Reach{Local: true, Copies: 1, Hub: true, Stable: true}) {
		t.Errorf("reach of what was acknowledged %+v, want all tiers", got)
	}
	if got := c.Frontier(r.Vector("s")); !got.Equal(merge.VectorOf(own[0].Dot)) {
		t.Errorf("frontier %v, want what was acknowledged", got.Sorted())
	}
	b := c.Blockers(r.Vector("s"))
	if len(b) != 1 || b[0].Origin != peer || b[0].Missing != 1 {
		t.Errorf("blockers %+v, want the peer for one change", b)
	}
	if roster.Last(peer) != ready.Meetings[0].Cursor || roster.Common(peer) != (crdtsync.Cursor{}) {
		t.Errorf("the cut is %v to resume from and %v in common", roster.Last(peer), roster.Common(peer))
	}
	sum := r.Summary("s")
	sure := l.Step(&crdtsync.Frontier{Space: "s", Applied: sum.Applied, Cells: sum.Cells, Changes: sum.Changes})
	if len(sure.Meetings) != 1 || !sure.Meetings[0].Sure {
		t.Fatalf("meetings %+v, want one that is sure", sure.Meetings)
	}
	roster.Met(peer, sure.Meetings[0].Cursor, true)
	c.Members = roster.Members()
	if got := c.Reach(r.Vector("s"), true); !got.Stable || got.Copies != 1 {
		t.Errorf("reach %+v, want all", got)
	}
}

// TestHorizon leaves an own origin in the log of which others have more, and
// everything while nobody is waited for.
func TestHorizon(t *testing.T) {
	self, peer := originOf(1), originOf(2)
	own := merge.VectorOf(merge.Dot{Origin: self, Seq: 3}, merge.Dot{Origin: peer, Seq: 4})
	member := func(turns uint64, self1 uint64) *crdtsync.Member {
		return &crdtsync.Member{Origin: peer, Seen: 100, Turns: turns, Beyond: merge.VectorOf(merge.Dot{Origin: self, Seq: self1}, merge.Dot{Origin: peer, Seq: 4})}
	}
	for _, test := range []struct {
		name   string
		member *crdtsync.Member
		want   []merge.Dot
	}{
		{"waited for", member(0, 2), []merge.Dot{{Origin: self, Seq: 2}, {Origin: peer, Seq: 4}}},
		{"has more of us", member(0, 5), []merge.Dot{{Origin: peer, Seq: 4}}},
		{"retired", member(1, 2), nil},
	} {
		c := &crdtsync.Census{Members: []*crdtsync.Member{test.member}, Now: 100, Lease: 10, Cut: func(crdtsync.Cursor) *merge.VersionVector { return nil }}
		var got []merge.Dot
		if v := c.Horizon(own, self); v != nil {
			got = v.Sorted()
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: horizon %v, want %v", test.name, got, test.want)
		}
	}
}
