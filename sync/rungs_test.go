package sync_test

import (
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestRungOfChanges: what was asked for counts as that, also when it overtakes the
// answer, until the peer has sent all of it; the rest was pushed.
func TestRungOfChanges(t *testing.T) {
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	changes := chain(t, newReplica(t, 2, "s"), 5)
	come := func(i int, position uint64, want crdtsync.Rungs) {
		t.Helper()
		l.Step(&crdtsync.Changes{Space: "s", Changes: [][]byte{changes[i].Bytes()}, Position: position})
		if got := l.Rungs(); got != want {
			t.Errorf("after change %d: %+v, want %+v", i+1, got, want)
		}
	}
	come(0, 0, crdtsync.Rungs{Vector: 1})
	l.Step(&crdtsync.Subscribed{Space: "s", Changes: 3})
	come(1, 0, crdtsync.Rungs{Vector: 2})
	come(2, 0, crdtsync.Rungs{Vector: 3})
	come(3, 4, crdtsync.Rungs{Vector: 3, Push: 1})
	l.Step(&crdtsync.Subscribed{Space: "s", Changes: 9})
	l.Step(&crdtsync.Ack{Space: "s", Position: 4}) // others have brought what it announced
	come(4, 5, crdtsync.Rungs{Vector: 3, Push: 2})
}
