package node_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// changesOf returns everything in a space as a peer would send it.
func changesOf(t *testing.T, n *node.Node, space string) *crdtsync.Changes {
	t.Helper()
	p := attach(t, n)
	p.send(hello(merge.Origin{9}))
	hear[*crdtsync.Welcome](p)
	p.send(&crdtsync.Subscribe{Space: space, Vector: &merge.VersionVector{}})
	defer p.conn.Close("enough")
	return hear[*crdtsync.Changes](p)
}

// opening connects a peer and returns how the node announces the space: from
// which position it resumes, 0 if it says its vector.
func opening(t *testing.T, n *node.Node, peer merge.Origin) (position uint64) {
	t.Helper()
	p := attach(t, n)
	defer p.conn.Close("enough")
	p.send(hello(peer), &crdtsync.Ping{N: 1})
	for {
		switch f := hear[crdtsync.Frame](p).(type) {
		case *crdtsync.Resume:
			return f.Cursor.Position
		case *crdtsync.Subscribe, *crdtsync.Pong:
			return 0
		}
	}
}

// TestCursorBeforeData sends a node changes that complete a cut, and stops it at
// every operation of its store: the cursor is there if and only if the changes
// are.
func TestCursorBeforeData(t *testing.T) {
	peer := merge.Origin{9}
	for k, reached := int64(0), true; reached; k++ {
		synctest.Test(t, func(t *testing.T) {
			source := open(t)
			for i := range 3 {
				mustUpdate(t, source.Space("s"), add(i))
			}
			disk := &memstore.Disk{}
			m := meddle(on(t, disk))
			n := openConfig(t, node.Config{Store: m})
			var operations atomic.Int64
			stop := func() error {
				if operations.Add(1) > k {
					return errDisk
				}
				return nil
			}
			frame := changesOf(t, source, "s")
			m.set(hooks{op: stop, commit: stop})
			p := attach(t, n)
			p.send(hello(peer), frame)
			p.drain()
			synctest.Wait()
			reached = operations.Load() > k
			again := openOn(t, disk.Clone())
			changes, position := again.Space("s").Summary().Changes, opening(t, again, peer)
			if changes != position || changes != 0 && changes != 3 {
				t.Errorf("stopped at operation %d: %d changes, resumes from %d", k, changes, position)
			}
		})
	}
}

// TestAckThenCrash: what a node has acknowledged it has after a crash, and the
// one who heard it may forget it.
func TestAckThenCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := open(t)
		mustUpdate(t, source.Space("s"), add(1))
		frame := changesOf(t, source, "s")
		disk := &memstore.Disk{}
		n := openOn(t, disk)
		p := attach(t, n)
		p.send(hello(merge.Origin{9}), frame)
		ack := hear[*crdtsync.Ack](p)
		left := disk.Clone()
		if again := openOn(t, left); !again.Space("s").Vector().Covers(merge.VectorOf(ack.Heads...)) || len(ack.Heads) != 1 {
			t.Errorf("after the crash the node has %v of what it acknowledged, %v", again.Space("s").Vector().Sorted(), ack.Heads)
		}
	})
}

// TestNodesResume reconnects two nodes, one of which was restarted: neither
// says its vector.
func TestNodesResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &memstore.Disk{}
		hub, device := openOn(t, disk), open(t)
		mustUpdate(t, device.Space("s"), add(1))
		mustUpdate(t, hub.Space("s"), add(2))
		join(t, hub, device)
		time.Sleep(10 * time.Second)
		position := device.Space("s").Summary().Changes
		mustClose(t, hub)
		hub = openOn(t, disk)
		mustUpdate(t, hub.Space("s"), add(3))
		mustUpdate(t, device.Space("s"), add(4))
		if got := opening(t, hub, device.Origin()); got != position {
			t.Errorf("the hub resumes from %d, want %d", got, position)
		}
		if got := opening(t, device, hub.Origin()); got != position {
			t.Errorf("the device resumes from %d, want %d", got, position)
		}
		join(t, hub, device)
		synctest.Wait()
		checkEqual(t, "s", hub, device)
	})
}

func mustClose(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
