package node_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestResetOnABranch restores a device that counts again and resets the counter
// before it meets its peer: what it had counted before, and had lost, stays.
func TestResetOnABranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := openOn(t, disk), open(t)
		mustUpdate(t, b.Space("s"), add(-1))
		join(t, a, b)
		backup := disk.Clone()
		mustUpdate(t, a.Space("s"), add(1))
		mustUpdate(t, a.Space("s"), func(tx *node.Tx) error { return likes.Add(tx, 4) })
		synctest.Wait()
		a.Close()
		restored := openOn(t, backup)
		mustUpdate(t, restored.Space("s"), func(tx *node.Tx) error { return likes.Add(tx, 5) })
		mustUpdate(t, restored.Space("s"), func(tx *node.Tx) error { return likes.Reset(tx) })
		keep(t, restored, b)
		time.Sleep(120 * time.Second)
		for i, n := range []*node.Node{restored, b} {
			if got := count(t, n); got != 4 {
				t.Errorf("node %d counts %d, want 4", i, got)
			}
		}
		checkEqual(t, "s", restored, b)
		if got := problems(restored); !slices.Equal(got, []string{"new_origin"}) {
			t.Errorf("problems = %v, want new_origin and no repair", got)
		}
	})
}
