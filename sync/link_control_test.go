package sync_test

import (
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// helloWith is a hello that names features.
func helloWith(features ...string) *crdtsync.Hello {
	h := helloOf(2)
	h.Features = features
	return h
}

// TestSlowReaderIsBoundByCredit: who grants nothing gets one window, and more as
// it grants, of a log that is longer.
func TestSlowReaderIsBoundByCredit(t *testing.T) {
	r := newReplica(t, 1, "s")
	chain(t, r, 6000)
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: r.origin}, r)
	l.Step(helloWith(crdtsync.FeatureCredit, "from-the-future"))
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	sent := 0
	drain := func() {
		for {
			f, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			if f == nil {
				return
			}
			sent += len(f.(*crdtsync.Changes).Changes)
		}
	}
	for _, step := range []struct {
		credit uint64
		want   int
	}{{0, crdtsync.WindowChanges}, {5000, 5000}, {100, 5000}, {9000, 6000}} {
		l.Step(&crdtsync.Credit{Space: "s", Changes: step.credit, Bytes: 1 << 30})
		if drain(); sent != step.want {
			t.Errorf("after credit for %d changes %d were sent, want %d", step.credit, sent, step.want)
		}
	}
}

// TestOlderPeerGetsNoFeatures: a peer that names none is told nothing that it
// does not know, and is not held to a window.
func TestOlderPeerGetsNoFeatures(t *testing.T) {
	r := newReplica(t, 1, "s")
	chain(t, r, 5000)
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: r.origin}, r)
	l.Step(helloOf(2))
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	sent := 0
	for {
		f, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			break
		}
		sent += len(f.(*crdtsync.Changes).Changes)
	}
	if sent != 5000 || l.Both(crdtsync.FeatureNeed) {
		t.Errorf("%d changes were sent, want all 5000", sent)
	}
}

// TestNeedIsServedFirst asks for single changes in the midst of a catch-up.
func TestNeedIsServedFirst(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	chain(t, r, 20)
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	l.Step(&crdtsync.Need{Space: "s", Ranges: []crdtsync.Range{{Origin: originOf(1), First: 7, Last: 8}, {Origin: originOf(1), First: 19, Last: 1 << 40}, {Origin: originOf(5), First: 1, Last: 9}}})
	var got []uint64
	f, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range f.(*crdtsync.Changes).Changes {
		h, err := crdtsync.ReadHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Dot.Seq)
	}
	if !slices.Equal(got, []uint64{7, 8, 19, 20}) {
		t.Errorf("sent %v, want what was asked for and is there", got)
	}
	if f, err := l.Next(); err != nil || len(f.(*crdtsync.Changes).Changes) != 20 {
		t.Errorf("then %v, %v; want the whole log", f, err)
	}
}

// TestRevokedSpaceIsLeftAlone stops saying anything of it.
func TestRevokedSpaceIsLeftAlone(t *testing.T) {
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	if r := l.Step(&crdtsync.Revoked{Space: "s", Code: "forbidden", Reason: "no"}); len(r.Revoked) != 1 {
		t.Errorf("revoked %+v", r.Revoked)
	}
	for range 3 {
		r := l.Tick()
		if len(find[*crdtsync.Frontier](r.Send))+len(find[*crdtsync.Subscribe](r.Send)) > 0 {
			t.Errorf("of a revoked space it says %v", r.Send)
		}
	}
}
