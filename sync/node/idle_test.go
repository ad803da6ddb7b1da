package node_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestIdleLinks holds what a link costs that has said everything: one goroutine,
// and little memory.
func TestIdleLinks(t *testing.T) {
	const links, bound = 500, raced * 20 << 10
	n := openConfig(t, node.Config{Store: memstore.New(), Heartbeat: time.Hour, MaxHandshakes: 2 * links})
	mustUpdate(t, n.Space("s"), add(1))
	idleLink(t, n) // what there is once
	routines, before := runtime.NumGoroutine(), memoryNow()
	var peers []*puppet
	for range links {
		peers = append(peers, idleLink(t, n))
	}
	awaitRoutines(t, routines+links)
	each := (int64(memoryNow()) - int64(before)) / links
	t.Logf("an idle link takes %d bytes", each)
	if each > bound {
		t.Errorf("an idle link takes %d bytes, want at most %d", each, bound)
	}
	runtime.KeepAlive(peers)
}

// awaitRoutines waits until there are no more goroutines than that, as there are
// when the writers have nothing left to do.
func awaitRoutines(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > want {
		if time.Sleep(time.Millisecond); time.Now().After(deadline) {
			t.Fatalf("%d goroutines, want %d", runtime.NumGoroutine(), want)
		}
	}
}

// idleLink connects a peer that has everything.
func idleLink(t *testing.T, n *node.Node) *puppet {
	t.Helper()
	p := attach(t, n)
	p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: n.Space("s").Vector()})
	hear[*crdtsync.Subscribed](p)
	return p
}

// memoryNow returns the bytes in use of the heap and of stacks.
func memoryNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // stacks shrink at the first
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
