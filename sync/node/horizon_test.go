package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestTruncateToFrontier lets a hub drop what both its devices have, and no more
// while one is away: it resumes from where it was, without a snapshot.
func TestTruncateToFrontier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disks [2]memstore.Disk
		hub := openConfig(t, node.Config{Store: memstore.New(), Name: "hub", Hub: true, TruncateEvery: time.Hour})
		a, b := named(t, "a", &disks[0]), named(t, "b", &disks[1])
		s := hub.Space("s")
		mustUpdate(t, s, add(1))
		time.Sleep(2 * time.Hour)
		if got := s.Floor(); got.Len() != 0 {
			t.Errorf("alone the hub dropped %v", got.Sorted())
		}
		cable(t, a, hub)
		pull := cable(t, b, hub)
		time.Sleep(2 * time.Hour)
		if got := s.Floor(); !got.Equal(s.Vector()) {
			t.Errorf("the floor is %v, want %v", got.Sorted(), s.Vector().Sorted())
		}
		pull()
		before := s.Vector()
		for i := range 5 {
			mustUpdate(t, s, add(10+i))
			mustUpdate(t, a.Space("s"), add(20+i))
		}
		time.Sleep(26 * time.Hour)
		if got := s.Floor(); !got.Equal(before) {
			t.Errorf("without b the floor is %v, want %v", got.Sorted(), before.Sorted())
		}
		if got := opening(t, b, hub.Origin()); got != 1 {
			t.Errorf("b resumes from %d, want 1", got)
		}
		cable(t, b, hub)
		time.Sleep(2 * time.Hour)
		checkEqual(t, "s", hub, a, b)
		if got := s.Floor(); !got.Equal(s.Vector()) {
			t.Errorf("the floor is %v, want %v", got.Sorted(), s.Vector().Sorted())
		}
		late := open(t)
		join(t, late, hub)
		time.Sleep(10 * time.Second)
		checkEqual(t, "s", hub, late)
		if v := merge.VectorOf(late.Space("s").Vector().Sorted()...); !v.Equal(s.Vector()) {
			t.Errorf("who comes late has %v", v.Sorted())
		}
	})
}
