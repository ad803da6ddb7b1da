package node_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// TestLinkThatComesUpDuringACommit completes its handshake while a batch is
// being published, one space of which it has read before and one after.
func TestLinkThatComesUpDuringACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, peer := open(t), open(t)
		for _, space := range []string{"a", "b"} {
			mustUpdate(t, n.Space(space), add(1))
		}
		up := sync.OnceFunc(func() {
			join(t, n, peer)
			synctest.Wait()
		})
		n.Space("a").Watch(t.Context(), func(node.Object) bool { up(); return false })
		release := occupy(t, n)
		var wg sync.WaitGroup
		for _, space := range []string{"a", "b"} {
			wg.Go(func() { mustUpdate(t, n.Space(space), add(2)) })
			synctest.Wait()
		}
		release()
		wg.Wait()
		synctest.Wait() // no time passes: nothing is repaired by heartbeats
		checkEqual(t, "a", n, peer)
		checkEqual(t, "b", n, peer)
	})
}

// TestFutureChangesWait stamps changes ahead of the others' clocks: they are
// held back, both ends say so, and they are taken when their time has come.
func TestFutureChangesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := openConfig(t, node.Config{Store: memstore.New(), Now: func() time.Time { return time.Now().Add(10 * time.Minute) }})
		n, third := open(t), open(t)
		mustUpdate(t, ahead.Space("s"), add(1))
		mustUpdate(t, ahead.Space("s"), add(2))
		mustUpdate(t, third.Space("s"), add(3))
		join(t, n, third)
		join(t, ahead, n)
		time.Sleep(time.Minute)
		if got := idsOf(t, n.Space("s")); !slices.Equal(got, []int{3}) {
			t.Errorf("ids = %v, want what is not from the future", got)
		}
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
			if drift := time.Until(tx.Time().Time()); drift > time.Second {
				t.Errorf("the clock was dragged %v ahead", drift)
			}
			return ids.Add(tx, 4)
		})
		if got := problems(n); !slices.Contains(got, "future_change") {
			t.Errorf("problems = %v, want future_change", got)
		}
		st := ahead.Status()
		if len(st.Problems) != 1 || st.Problems[0].Code != "refused_by_peer" {
			t.Errorf("problems = %+v of the node that is ahead, want one refused_by_peer", st.Problems)
		}
		time.Sleep(15 * time.Minute)
		checkEqual(t, "s", n, third, ahead)
		if got := idsOf(t, n.Space("s")); !slices.Equal(got, []int{1, 2, 3, 4}) {
			t.Errorf("ids = %v, want all", got)
		}
		for _, n := range []*node.Node{n, third, ahead} {
			if got := n.Status().Problems; len(got) != 0 {
				t.Errorf("problems = %+v after all is mended, want none", got)
			}
		}
	})
}

// TestRefusalsOfAPeer are in the status once each, until the peer has what it
// refused.
func TestRefusalsOfAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		mustUpdate(t, n.Space("s"), add(1))
		mustUpdate(t, n.Space("s"), add(2))
		p := attach(t, n)
		p.drain()
		p.send(hello(merge.Origin{9}))
		first, second := merge.Dot{Origin: n.Origin(), Seq: 1}, merge.Dot{Origin: n.Origin(), Seq: 2}
		for range 20 {
			p.send(&crdtsync.Nack{Space: "s", Dot: second, Code: "rejected", Class: "fatal", Reason: "too new"})
			p.send(&crdtsync.Nack{Space: "s", Dot: first, Code: "future", Class: "retriable", Reason: "too early"})
		}
		synctest.Wait()
		if got := problems(n); !slices.Equal(got, []string{"refused_by_peer", "refused_by_peer"}) {
			t.Errorf("problems = %v, want each refusal once", got)
		}
		p.send(&crdtsync.Ack{Space: "s", Heads: []merge.Dot{first}})
		synctest.Wait()
		if got := n.Status().Problems; len(got) != 1 || !strings.Contains(got[0].Cause, second.String()) {
			t.Errorf("problems = %+v, want the refusal of %s", got, second)
		}
	})
}

// TestForkedOriginIsNamed copies a data directory: both copies write, and a third
// node gets one branch over a link and the other in a file. It names the origin and
// keeps both; the copy that is connected goes on under a new origin.
func TestForkedOriginIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a := openOn(t, disk)
		mustUpdate(t, a.Space("s"), add(1))
		clone := openOn(t, disk.Clone())
		hub, other := open(t), open(t)
		mustUpdate(t, a.Space("s"), add(2))
		mustUpdate(t, clone.Space("s"), add(3))
		mustUpdate(t, clone.Space("s"), add(4))
		mustUpdate(t, other.Space("s"), add(5))
		before := a.Origin()
		for _, n := range []*node.Node{a, other} {
			keep(t, n, hub)
			time.Sleep(time.Second)
		}
		report, err := hub.Import(t.Context(), bytes.NewReader(export(t, clone.Space("s"), node.Cut{})))
		if !errors.Is(err, node.ErrIncomplete) && report.Refused == 0 {
			t.Errorf("Import = %+v, %v; want the other branch refused", report, err)
		}
		check := func() {
			t.Helper()
			st := hub.Status()
			if i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == "origin_forked" }); i < 0 ||
				!strings.Contains(st.Problems[i].Cause, before.String()) {
				t.Errorf("problems = %+v, want origin_forked that names %s", st.Problems, before)
			}
		}
		check()
		mustUpdate(t, a.Space("s"), add(6))
		mustUpdate(t, other.Space("s"), add(7))
		time.Sleep(30 * time.Second)
		check()
		checkRenewed(t, a, before)
		checkForked(t, merge.Dot{Origin: before, Seq: 2}, hub, other, a)
		checkAlike(t, []int{1, 2, 3, 4, 5, 6, 7}, hub, other, a)
	})
}

// TestDifferenceOfLevelNodesIsAnAlarm tampers with what a node keeps account of.
func TestDifferenceOfLevelNodesIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, disk := open(t), new(memstore.Disk)
		b := openOn(t, disk)
		mustUpdate(t, a.Space("s"), add(1))
		mustImport(t, b, export(t, a.Space("s"), node.Cut{}))
		b.Close()
		s := on(t, disk)
		err := s.Update(t.Context(), func(tx store.Tx) error {
			summary, err := tx.Get("s", store.Meta, []byte("summary"))
			if err != nil {
				return err
			}
			summary = slices.Clone(summary)
			summary[len(summary)-1] ^= 1
			return tx.Put("s", store.Meta, []byte("summary"), summary)
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		b = openOn(t, disk)
		join(t, a, b)
		time.Sleep(3 * time.Second)
		for _, n := range []*node.Node{a, b} {
			if got := problems(n); !slices.Equal(got, []string{"diverged"}) {
				t.Errorf("problems = %v, want diverged", got)
			}
		}
		time.Sleep(9 * time.Second)
		for _, n := range []*node.Node{a, b} {
			if got := problems(n); len(got) > 0 {
				t.Errorf("problems = %v, want none: what the node keeps account of was put right", got)
			}
			checkSound(t, n, "s")
		}
	})
}

// TestServeEndsWithItsContext although the committer is occupied.
func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, peer := open(t), open(t)
		mustUpdate(t, peer.Space("s"), add(1))
		release := occupy(t, n)
		ctx, cancel := context.WithCancel(t.Context())
		x, y := wire.Pipe()
		go peer.Serve(t.Context(), y)
		result := make(chan error, 1)
		go func() { result <- n.Serve(ctx, x) }()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want the context's error", err)
		}
		release()
	})
}

// TestEveryConnectionIsInTheStatus holds many at a time, with collections in
// between.
func TestEveryConnectionIsInTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		const peers = 50
		for range peers {
			attach(t, n).send(hello(merge.Origin{9}))
			synctest.Wait()
			runtime.GC()
		}
		st := n.Status()
		if len(st.Peers) != peers {
			t.Errorf("%d peers, want %d", len(st.Peers), peers)
		}
		for _, p := range st.Peers {
			if p.State != "connected" || p.Name != "puppet" || p.Address != "inbound" {
				t.Errorf("peer %+v", p)
			}
		}
	})
}
