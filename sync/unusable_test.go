package sync_test

import (
	"errors"
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestUnusableSnapshotsAreNotAskedForInARow: a peer whose cells are damaged sends
// one after the other. The link asks for everything at once, and then takes its
// time.
func TestUnusableSnapshotsAreNotAskedForInARow(t *testing.T) {
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	l.Step(&crdtsync.Welcome{Version: crdtsync.Version})
	questions := func(r crdtsync.Ready) int { return len(find[*crdtsync.Subscribe](r.Send)) }
	bad := errors.New("damaged")
	if got := questions(l.Merged("s", nil, bad)); got != 1 {
		t.Errorf("asked %d times after the first, want at once", got)
	}
	for range 5 {
		if got := questions(l.Merged("s", nil, bad)); got != 0 {
			t.Errorf("asked %d times after another, want to wait", got)
		}
	}
	asked := 0
	for range 10 {
		l.Step(&crdtsync.Frontier{Space: "s", Changes: 9, Applied: crdtsync.Fingerprint{1}})
		asked += questions(l.Tick())
		l.Step(&crdtsync.Subscribed{Space: "s"})
	}
	if asked == 0 || asked > 4 {
		t.Errorf("asked %d times in 10 ticks, want now and then", asked)
	}
	l.Merged("s", nil, nil)
	if got := questions(l.Merged("s", nil, bad)); got != 1 {
		t.Errorf("asked %d times after one that was good, want at once", got)
	}
}
