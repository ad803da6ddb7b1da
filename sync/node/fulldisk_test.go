package node_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/faultstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestFullDisk syncs with a node whose disk becomes full: what it acknowledged
// stays, its status says why nothing moves, and all of it moves once there is
// room, without anybody reopening anything.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultstore.Wrap(memstore.New())
		a, b := open(t), openConfig(t, node.Config{Store: disk})
		mustUpdate(t, b.Space("s"), add(-1))
		disk.Arm(faultstore.Full(20_000))
		go a.Sync(t.Context(), &dialer{b, t.Context(), nil})
		const changes = 500
		for i := range changes {
			mustUpdate(t, a.Space("s"), add(i))
			if i%50 == 0 {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Hour)
		if got := b.Space("s").Summary().Changes; got < 2 || got > changes {
			t.Errorf("%d changes on a disk without room for all, want some", got)
		}
		if got := problems(b); !slices.Contains(got, "store_full") {
			t.Errorf("problems = %v, want store_full", got)
		}
		if err := b.Space("s").Update(t.Context(), add(-2)); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("Update on a full disk = %v, want ErrReadOnly", err)
		}
		disk.Disarm()
		time.Sleep(time.Hour)
		mustUpdate(t, b.Space("s"), add(-2))
		time.Sleep(time.Hour)
		checkEqual(t, "s", a, b)
		if got := problems(b); len(got) != 0 {
			t.Errorf("problems = %v with room again, want none", got)
		}
	})
}
