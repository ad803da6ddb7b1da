package node_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// TestRungsAreCounted lets a node take each rung of the ladder once: its status
// says which, and what came over it.
func TestRungsAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		away func(t *testing.T, a, b *node.Node, disk *memstore.Disk) (again *node.Node) // b is closed when it returns
		want node.Rungs
	}{
		"cursor": {func(t *testing.T, a, b *node.Node, disk *memstore.Disk) *node.Node {
			mustUpdate(t, a.Space("s"), add(5))
			mustUpdate(t, a.Space("s"), add(6))
			return openOn(t, disk)
		}, node.Rungs{Cursor: 2}},
		"vector": {func(t *testing.T, a, b *node.Node, disk *memstore.Disk) *node.Node {
			mustUpdate(t, a.Space("s"), add(5))
			edit(t, disk, func(tx store.Tx) error { return tx.Delete("s", store.Acks, firstKey(t, tx, store.Acks)) })
			return openOn(t, disk)
		}, node.Rungs{Vector: 1}},
		"vector of one that has nothing": {func(t *testing.T, a, b *node.Node, disk *memstore.Disk) *node.Node {
			return open(t)
		}, node.Rungs{Vector: 4}},
		"part": {func(t *testing.T, a, b *node.Node, disk *memstore.Disk) *node.Node {
			mustUpdate(t, a.Space("s"), add(5))
			truncate(t, a.Space("s"), false)
			return openOn(t, disk)
		}, node.Rungs{Part: 1}},
		"audit": {func(t *testing.T, a, b *node.Node, disk *memstore.Disk) *node.Node {
			edit(t, disk, func(tx store.Tx) error { return tx.Put("s", store.Cells, firstKey(t, tx, store.Cells), []byte{0xff}) })
			return openConfig(t, node.Config{Store: on(t, disk), AuditInterval: 5 * time.Second})
		}, node.Rungs{Audit: 1}},
		"snapshot": {func(t *testing.T, a, b *node.Node, disk *memstore.Disk) *node.Node {
			mustUpdate(t, a.Space("s"), add(5))
			truncate(t, a.Space("s"), true)
			return openOn(t, disk)
		}, node.Rungs{Snapshot: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(memstore.Disk)
				a, b := open(t), openOn(t, disk)
				mustUpdate(t, a.Space("s"), add(1))
				meet(t, a, b, time.Minute)
				for i := range 3 {
					mustUpdate(t, a.Space("s"), add(2+i))
				}
				meet(t, a, b, time.Minute)
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				again := tc.away(t, a, b, disk)
				meet(t, a, again, time.Minute)
				checkEqual(t, "s", a, again)
				if got := again.Status().Rungs; got != tc.want {
					t.Errorf("rungs = %+v, want %+v", got, tc.want)
				}
				if got := a.Status().Rungs; got != (node.Rungs{}) {
					t.Errorf("rungs of the one that had all = %+v, want none", got)
				}
			})
		})
	}
}

// TestPushIsCounted: what is made while two are connected is pushed, also after a
// request that another peer has answered in part.
func TestPushIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		join(t, a, b)
		synctest.Wait()
		mustUpdate(t, a.Space("s"), add(2))
		mustUpdate(t, a.Space("s"), add(3))
		synctest.Wait()
		if got, want := b.Status().Rungs, (node.Rungs{Push: 2, Vector: 1}); got != want {
			t.Errorf("rungs = %+v, want %+v", got, want)
		}
		if got := b.Status().Peers[0].Rungs; got != (node.Rungs{Push: 2, Vector: 1}) {
			t.Errorf("rungs of the connection = %+v", got)
		}
	})
}

// breaking is a connection that loses what comes after some parts of a snapshot.
type breaking struct {
	wire.Conn
	parts int // that pass
}

func (b *breaking) Send(ctx context.Context, frame []byte) error {
	if wire.Type(frame[0]) == wire.TypeSnapshotChunk {
		if b.parts--; b.parts < 0 {
			<-ctx.Done()
		}
	}
	return b.Conn.Send(ctx, frame)
}

// TestResumedSnapshotIsCounted breaks a snapshot off: the status says how far it
// has come, and after another try that it went on there.
func TestResumedSnapshotIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := open(t), openOn(t, disk)
		for i := range 40 {
			mustUpdate(t, a.Space("s"), func(tx *node.Tx) error {
				for j := range 100 {
					if err := tags.Add(tx, fmt.Sprintf("%d of %d, and some more bytes", j, i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		truncate(t, a.Space("s"), true)
		near, far := wire.Pipe()
		go a.Serve(t.Context(), &breaking{near, 3})
		go b.Serve(t.Context(), far)
		synctest.Wait()
		if st := b.Status(); len(st.Spaces) != 1 || st.Spaces[0].Staged != 3 || st.Rungs != (node.Rungs{}) {
			t.Errorf("status %+v, want 3 parts staged and nothing that came", st.Spaces)
		}
		b.Close()
		b = openOn(t, disk)
		meet(t, a, b, time.Minute)
		if got, want := b.Status().Rungs, (node.Rungs{Snapshot: 1, Resumed: 1}); got != want {
			t.Errorf("rungs = %+v, want %+v", got, want)
		}
		checkEqual(t, "s", a, b)
	})
}

// edit changes a store behind the back of its node.
func edit(t *testing.T, disk *memstore.Disk, fn func(store.Tx) error) {
	t.Helper()
	s := on(t, disk)
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// firstKey returns the first key of a table of space "s".
func firstKey(t *testing.T, r store.Reader, table store.Table) []byte {
	t.Helper()
	for rec, err := range r.Scan("s", table, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte(nil), rec.Key...)
	}
	t.Fatal("the table is empty")
	return nil
}
