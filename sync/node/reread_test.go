package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// without returns the built-in kinds but one.
func without(name string) crdt.Kinds {
	kinds := crdt.Builtin()
	delete(kinds, name)
	return kinds
}

// problem returns the problem with a code that a node reports, nil for none.
func problem(n *node.Node, code string) *node.Problem {
	for _, p := range n.Status().Problems {
		if p.Code == code {
			return &p
		}
	}
	return nil
}

// TestUpgradeReadsWhatCameBefore: a node logs ops of a type that it does not know,
// and holds what they come to once it does, whatever it knew before that.
func TestUpgradeReadsWhatCameBefore(t *testing.T) {
	for name, knewBefore := range map[string]bool{"never knew": false, "knew once": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newer, disk := open(t), &memstore.Disk{}
				notes := newer.Space("notes")
				mustUpdate(t, notes, add(1, 2, 3))
				if knewBefore {
					first := openOn(t, disk)
					meet(t, newer, first, time.Minute)
					wantIDs(t, "before", first.Space("notes"), 1, 2, 3)
					first.Close()
				}
				older := openConfig(t, node.Config{Store: on(t, disk), Kinds: without(crdt.ORSetKind.Name())})
				mustUpdate(t, notes, remove(2))
				mustUpdate(t, notes, add(3, 4))
				mustUpdate(t, notes, remove(4))
				mustUpdate(t, notes, func(tx *node.Tx) error { return node.PNCounter("likes").Add(tx, 2) })
				meet(t, newer, older, time.Minute)
				if problem(older, "unknown_type") == nil {
					t.Error("the older node does not say that it cannot read everything")
				}
				older.Close()

				upgraded := openOn(t, disk)
				wantIDs(t, "upgraded", upgraded.Space("notes"), 1, 3)
				checkEqual(t, "notes", newer, upgraded)
				if got, want := upgraded.Space("notes").Summary(), notes.Summary(); got != want {
					t.Errorf("the upgraded node sums up %+v, want %+v", got, want)
				}
				if p := problem(upgraded, "unknown_type"); p != nil {
					t.Errorf("the upgraded node still says %+v", p)
				}
			})
		})
	}
}

// TestOlderNodeTakesNoSnapshotItCannotRead: what it could neither show nor pass on
// it does not confirm either. It says so, and takes it when it is upgraded.
func TestOlderNodeTakesNoSnapshotItCannotRead(t *testing.T) {
	rungs(t, func(t *testing.T, forget bool) {
		newer, disk := open(t), &memstore.Disk{}
		notes, likes := newer.Space("notes"), node.PNCounter("likes")
		mustUpdate(t, notes, func(tx *node.Tx) error { return likes.Add(tx, 2) })
		older := openConfig(t, node.Config{Store: on(t, disk), Name: "old", Kinds: without(crdt.ORSetKind.Name())})
		meet(t, newer, older, time.Minute)
		mustUpdate(t, notes, add(1, 2))
		mustUpdate(t, notes, remove(2))
		truncate(t, notes, forget)
		first, _ := meet(t, newer, older, time.Minute)
		second, _ := meet(t, newer, older, time.Minute)
		if a, b := first.bytes[wire.TypeSnapshotChunk].Load(), second.bytes[wire.TypeSnapshotChunk].Load(); forget && b >= a {
			t.Errorf("the snapshot came again, in %d bytes after %d, instead of being kept", b, a)
		}
		if got := older.Space("notes").Summary().Changes; got != 1 {
			t.Errorf("the older node claims %d changes, want the 1 that it can hold", got)
		}
		p := problem(older, "unknown_type")
		if p == nil || p.Action == "" {
			t.Errorf("the older node says %+v, want what to do about the type it does not know", older.Status().Problems)
		}
		older.Close()

		upgraded := openOn(t, disk)
		meet(t, newer, upgraded, time.Minute)
		wantIDs(t, "upgraded", upgraded.Space("notes"), 1)
		checkEqual(t, "notes", newer, upgraded)
	})
}

// TestWholeSnapshotDoesNotOvertakeWhatIsUnread: the cells of ops that a node has
// logged and cannot read may be gone at the sender, and a whole snapshot does not
// name what is gone.
func TestWholeSnapshotDoesNotOvertakeWhatIsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newer, disk := open(t), &memstore.Disk{}
		notes, likes := newer.Space("notes"), node.PNCounter("likes")
		mustUpdate(t, notes, add(1))
		older := openConfig(t, node.Config{Store: on(t, disk), Kinds: without(crdt.ORSetKind.Name())})
		meet(t, newer, older, time.Minute)
		mustUpdate(t, notes, remove(1))
		mustUpdate(t, notes, func(tx *node.Tx) error { return likes.Add(tx, 2) })
		truncate(t, notes, true)
		meet(t, newer, older, time.Minute)
		older.Close()
		upgraded := openOn(t, disk)
		meet(t, newer, upgraded, time.Minute)
		wantIDs(t, "upgraded", upgraded.Space("notes"))
		checkEqual(t, "notes", newer, upgraded)
	})
}
