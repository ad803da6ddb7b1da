package node_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// stuck is a connection whose far end takes everything but changes.
type stuck struct {
	wire.Conn
	reached chan struct{} // closed when there are changes to take
}

func (s *stuck) Send(ctx context.Context, frame []byte) error {
	if wire.Type(frame[0]) != wire.TypeChanges {
		return nil
	}
	close(s.reached)
	<-ctx.Done()
	return ctx.Err()
}

// TestSlowReader has thousands of peers subscribe and then read nothing, while
// much is written: what they lack costs each a position, never a buffer.
func TestSlowReader(t *testing.T) {
	const readers, bound = 2000, 512
	alone, crowded := growth(t, 0), growth(t, readers)
	each := (crowded - alone) / readers
	t.Logf("the heap grew by %d KiB without readers, by %d KiB with %d that stall: %d bytes each", alone>>10, crowded>>10, readers, each)
	if each > bound {
		t.Errorf("what is written costs %d bytes for each stalled reader, want at most %d", each, bound)
	}
}

// growth returns by how much the heap grows while 32 MiB are written that
// readers do not take.
func growth(t *testing.T, readers int) int64 {
	t.Helper()
	n := openConfig(t, node.Config{
		Store: memstore.New(), Heartbeat: time.Hour, MaxHandshakes: 2*readers + 1, MaxInitialSyncs: readers,
	})
	defer n.Close()
	mustUpdate(t, n.Space("s"), add(1))
	ctx, cancel := context.WithCancel(t.Context())
	var ends []chan error
	for range readers {
		ends = append(ends, stall(ctx, t, n))
	}
	before := heapNow()
	for range 256 {
		value := strings.Repeat("x", 128<<10)
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return title.Set(tx, value) })
	}
	grown := int64(heapNow()) - int64(before)
	cancel()
	for _, end := range ends {
		<-end
	}
	return grown
}

// stall connects a peer that takes no changes, and returns when there are some.
func stall(ctx context.Context, t *testing.T, n *node.Node) (end chan error) {
	t.Helper()
	near, far := wire.Pipe()
	c := &stuck{near, make(chan struct{})}
	p := puppet{t, far, make(chan error, 1)}
	go func() { p.done <- n.Serve(ctx, c) }()
	p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	<-c.reached
	return p.done
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
